package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPages: each claim says what came out of it; one that was not tried, or of which a part failed, does not hold.
func TestPages(t *testing.T) {
	directory := t.TempDir()
	results := `{"claim":"C1","figures":"5 files <b>x</b> | 16","holds":true}
{"claim":"C3 storm","figures":"1 render","holds":true}
{"claim":"C3 killed","figures":"2 renders","holds":false}
`
	if err := run(strings.NewReader(results), directory, "at abc"); err != nil {
		t.Fatal(err)
	}
	page := map[string]string{}
	for _, name := range []string{"trust.md", "trust.html", "trust.json"} {
		text, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		page[name] = string(text)
	}
	for _, want := range []string{"at abc", `| 5 files <b>x</b> \| 16 | holds |`, "| C3 killed | 2 renders | does not hold |"} {
		if !strings.Contains(page["trust.md"], want) {
			t.Errorf("%q is not in\n%s", want, page["trust.md"])
		}
	}
	for _, want := range []string{"5 files &lt;b&gt;", `<b class="holds">holds</b>`, "<b>does not hold</b>", "<b>not tried</b>"} {
		if !strings.Contains(page["trust.html"], want) {
			t.Errorf("%q is not in\n%s", want, page["trust.html"])
		}
	}
	if strings.Contains(page["trust.html"], "http") {
		t.Error("the page names another host")
	}
	var read struct {
		Claims []struct {
			Name    string
			Results []result
		}
	}
	if err := json.Unmarshal([]byte(page["trust.json"]), &read); err != nil || len(read.Claims) != len(claims) || len(read.Claims[2].Results) != 2 {
		t.Errorf("%v %+v", err, read)
	}
}

// TestNoClaim: a result that belongs to no claim is not passed over.
func TestNoClaim(t *testing.T) {
	for _, results := range []string{`{"claim":"C8","figures":"","holds":true}`, `{"claim":`, `[]`} {
		if err := run(strings.NewReader(results), t.TempDir(), ""); err == nil {
			t.Errorf("%s is taken", results)
		}
	}
}
