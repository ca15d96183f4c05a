// Command trustpage makes pages of what the claims of trust came to: results, a line of JSON each, on standard input; trust.md,
// trust.json and trust.html in the directory that it is given.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// claim is what Deckle says of itself, and when it counts as held.
type claim struct {
	Name string `json:"name"`
	Says string `json:"says"`
	Line string `json:"line"`
}

// claims are those of TRUST.md, in its order.
var claims = []claim{
	{"C1", "Hostile input never takes the server down.", "no death, no hang, no 5xx; grown by at most 150 MB; slowest answer at most 1 s"},
	{"C2", "A request has a hard end.", "answered at most 0.5 s after its deadline, and nothing computes for it 1 s later"},
	{"C3", "One miss is one reading of the source and one rendering.", "for 1,000 identical requests over three nodes: 1 and 1, none failed"},
	{"C4", "What was acknowledged is never lost or torn.", "over 200 kill -9 in all that changes a source: nothing lost, nothing torn, nothing left over, nothing stale"},
	{"C5", "Never a wrong byte.", "none among the answers checked while entries of the tiers are damaged"},
	{"C6", "A dead tier costs latency, not answers.", "no hit fails under any fault; the p99 of memory hits grows by at most 5 ms"},
	{"C7", "Private stays private.", "no EXIF, GPS, XMP or IPTC in a rendering; no connect to an address that is not public"},
}

// result is what came out of a part of a claim.
type result struct {
	Claim   string `json:"claim"` // the claim's name, and which part
	Figures string `json:"figures"`
	Holds   bool   `json:"holds"`
}

// tried is a claim with its results.
type tried struct {
	claim
	Results []result `json:"results"`
}

// Holds tells whether every part was tried and held.
func (t tried) Holds() bool {
	for _, r := range t.Results {
		if !r.Holds {
			return false
		}
	}
	return len(t.Results) > 0
}

// Verdict says it in words.
func (t tried) Verdict() string {
	switch {
	case len(t.Results) == 0:
		return "not tried"
	case t.Holds():
		return "holds"
	}
	return "does not hold"
}

// page is everything that is written.
type page struct {
	Run    string  `json:"run"` // revision, day, machine, versions
	Claims []tried `json:"claims"`
}

//go:embed page.html
var layout string

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "use: trustpage DIRECTORY RUN <results")
		os.Exit(2)
	}
	if err := run(os.Stdin, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "trustpage:", err)
		os.Exit(1)
	}
}

func run(results io.Reader, directory, about string) error {
	p, err := read(results)
	if err != nil {
		return err
	}
	p.Run = about
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	var shown bytes.Buffer
	made, err := template.New("page").Parse(layout)
	if err != nil {
		return err
	}
	if err := made.Execute(&shown, p); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"trust.json": append(data, '\n'), "trust.html": shown.Bytes(), "trust.md": []byte(p.markdown())} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// read sorts results under their claims. One of no claim is an error: it would be lost.
func read(results io.Reader) (page, error) {
	var p page
	for _, c := range claims {
		p.Claims = append(p.Claims, tried{claim: c})
	}
	lines := json.NewDecoder(results)
	for {
		var r result
		err := lines.Decode(&r)
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return page{}, fmt.Errorf("read results: %w", err)
		}
		name, _, _ := strings.Cut(r.Claim, " ")
		found := false
		for i := range p.Claims {
			if p.Claims[i].Name == name {
				p.Claims[i].Results, found = append(p.Claims[i].Results, r), true
			}
		}
		if !found {
			return page{}, fmt.Errorf("a result of %q, which is no claim", r.Claim)
		}
	}
}

func (p page) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Trust: the claims, and what came out\n\n%s\n\n| claim | holds if | |\n|---|---|---|\n", p.Run)
	for _, c := range p.Claims {
		fmt.Fprintf(&b, "| %s %s | %s | %s |\n", c.Name, c.Says, c.Line, c.Verdict())
	}
	b.WriteString("\n| part | figures | |\n|---|---|---|\n")
	for _, c := range p.Claims {
		for _, r := range c.Results {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Claim, strings.ReplaceAll(r.Figures, "|", "\\|"), map[bool]string{true: "holds", false: "does not hold"}[r.Holds])
		}
	}
	return b.String()
}
