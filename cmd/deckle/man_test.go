package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// mandoc reads a manual page as given, or fails the test with what it says against it.
func mandoc(t *testing.T, page string, args ...string) string {
	t.Helper()
	show := exec.Command("mandoc", args...)
	show.Stdin = strings.NewReader(page)
	said, err := show.CombinedOutput()
	if err != nil {
		t.Fatalf("mandoc %v: %v\n%s", args, err, said)
	}
	return regexp.MustCompile(`.\x08`).ReplaceAllString(string(said), "") // bold is a letter printed twice
}

// TestManual: the page is sound, and a reader finds every command, flag and exit code in it.
func TestManual(t *testing.T) {
	code, page, stderr := command("man")
	if code != exitOK {
		t.Fatalf("%d %s", code, stderr)
	}
	if said := mandoc(t, page, "-T", "lint", "-W", "warning"); said != "" {
		t.Error(said)
	}
	shown := mandoc(t, page, "-T", "utf8")
	for _, c := range commands(t) {
		if !regexp.MustCompile(`(?m)^ +deckle ` + regexp.QuoteMeta(c.path) + `( .*)?$`).MatchString(shown) {
			t.Errorf("nothing is said of deckle %s", c.path)
		}
		for _, w := range c.flags {
			name := strings.TrimPrefix(strings.TrimPrefix(w.text, "--no-"), "--")
			if name != "help" && !regexp.MustCompile(`--(\[no-\])?`+regexp.QuoteMeta(name)+`\b`).MatchString(shown) {
				t.Errorf("nothing is said of %s of deckle %s", w.text, c.path)
			}
		}
	}
	for _, code := range exitConstants(t) {
		if !regexp.MustCompile(`(?m)^ +` + code + ` +\w`).MatchString(shown) {
			t.Errorf("nothing is said of exit code %s", code)
		}
	}
}

// TestManualText: words that troff would take for its own come out as they are.
func TestManualText(t *testing.T) {
	p := &page{}
	p.line(`.TH X 1 "2026-11-22"`, `.SH NAME`, `x \- y`)
	p.text(`.beginning 'quoted' "twice" back\slash a-b --flag ^~` + "`")
	p.entry(".term", "'means")
	shown := mandoc(t, p.String(), "-T", "ascii")
	for _, want := range []string{`.beginning 'quoted' "twice" back\slash a-b --flag ^~` + "`", ".term", "'means"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %s in\n%s", want, shown)
		}
	}
}
