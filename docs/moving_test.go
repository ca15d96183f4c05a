// Package docs holds the tests of the pages beside it: what they say of URLs is what the server takes.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"deckle/proxy"
)

// TestMoving asks for every URL and option of Deckle's column.
func TestMoving(t *testing.T) {
	text, err := os.ReadFile("moving.md")
	if err != nil {
		t.Fatal(err)
	}
	presets, err := proxy.ParsePresets("thumb=_300_200", 4096)
	if err != nil {
		t.Fatal(err)
	}
	rules := proxy.Rules{Presets: presets}
	code := regexp.MustCompile("`([^`]+)`")
	option := regexp.MustCompile(`^(\.\.\.)?\??[a-z_]+=[^ ]+$`)
	tried := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, match := range code.FindAllStringSubmatch(cells[2], -1) {
			var query string
			path := "/cat.jpg_300_200.webp"
			switch said := match[1]; {
			case option.MatchString(said):
				query = strings.TrimLeft(said, ".?")
			case strings.HasPrefix(said, "/cat.jpg"):
				path, query, _ = strings.Cut(said, "?")
			case strings.HasPrefix(said, "_"):
				said, query, _ = strings.Cut(strings.ReplaceAll(said, "...", ".webp"), "?")
				if path = "/cat.jpg" + said; said == "_2x" {
					path = "/cat.jpg_300_200_2x.webp"
				} else if !strings.HasSuffix(path, ".webp") {
					t.Errorf("what is %q?", match[1])
				}
			default:
				continue
			}
			query = strings.ReplaceAll(query, "crop=x,y,", "crop=0,0,")
			tried++
			if _, err := proxy.ParseRequest(path, query, rules); err != nil {
				t.Errorf("%s: %s?%s: %v", strings.TrimSpace(line), path, query, err)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d were found", tried)
	}
}

// TestLinks looks for what the pages point to in the tree.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) < 5 {
		t.Fatal(pages, err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range append(pages, "../README.md", "signing/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s points to %s, which is not there", page, match[1])
			}
		}
	}
}
