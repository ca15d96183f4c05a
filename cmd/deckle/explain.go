package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"deckle/proxy"
)

// explainCommand says how a URL is read, and what a running Deckle has for it.
type explainCommand struct {
	URL string `arg:"" help:"Path and query, as in '/cat_300_200.webp?fit=crop', or a whole URL."`

	Admin  string `help:"URL of the operator's listener of a running Deckle, which is asked for its tiers. Default: the URL is read here, and nobody is asked." placeholder:"URL"`
	APIKey string `name:"api-key" help:"Key for it." placeholder:"KEY"`
	Accept string `help:"What the viewer's Accept header says, for .auto." placeholder:"TYPES"`
	JSON   bool   `name:"json" help:"Print JSON."`

	Ignore        string `default:"v,_,utm_*,fbclid,gclid" help:"Query options to pass over, as the server does; used when no server is asked."`
	Presets       string `help:"Bundles of options, as the server has them; likewise." placeholder:"NAME=OPTIONS;..."`
	Sizes         string `help:"Sides that are rendered, as the server has them; likewise." placeholder:"SIDE,..."`
	MaxOutputSide string `default:"4096" help:"Longest side of a result, as the server has it; likewise."`
	Signed        string `help:"What needs a signature, as the server has it; likewise." placeholder:"WHAT"`
	Private       string `help:"Sources that are private, as the server has them; likewise." placeholder:"ID,..."`
}

// explained is what is known of a URL; a server says it in the same words.
type explained struct {
	Status    int    `json:"status,omitempty"`
	Problem   string `json:"problem,omitempty"`
	Source    string `json:"source,omitempty"`
	Canonical string `json:"canonical,omitempty"`
	Redirect  string `json:"redirect,omitempty"`
	Signature struct {
		Needed  bool   `json:"needed"`
		Why     string `json:"why,omitempty"`
		Problem string `json:"problem,omitempty"`
	} `json:"signature"`
	Key *struct {
		Source  string `json:"source"`
		Version string `json:"version"`
		Variant string `json:"variant"`
		Name    string `json:"name"`
	} `json:"key,omitempty"`
	Stored bool            `json:"stored,omitempty"`
	Tiers  []explainedTier `json:"tiers,omitempty"`
}

type explainedTier struct {
	Tier     string     `json:"tier"`
	Held     bool       `json:"held"`
	Outdated bool       `json:"outdated,omitempty"`
	Bytes    int        `json:"bytes,omitempty"`
	Type     string     `json:"type,omitempty"`
	Width    int        `json:"width,omitempty"`
	Height   int        `json:"height,omitempty"`
	Rendered *time.Time `json:"rendered,omitempty"`
	Took     float64    `json:"render_ms,omitempty"`
	Problem  string     `json:"problem,omitempty"`
}

// Run fails when the URL would be refused.
func (c *explainCommand) Run(stdout io.Writer) error {
	u, err := url.Parse(c.URL)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return fmt.Errorf("%w: %q is neither a path that begins with a slash nor a URL with one", errUsage, c.URL)
	}
	var x explained
	if c.Admin == "" {
		x, err = c.read(u.EscapedPath(), u.RawQuery)
	} else {
		x, err = c.ask()
	}
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(x)
	} else {
		err = x.print(stdout)
	}
	if err == nil && x.Problem != "" {
		err = errors.New(x.Problem)
	}
	return err
}

// ask has a server explain.
func (c *explainCommand) ask() (x explained, err error) {
	operator := operatorFlags{Admin: c.Admin, APIKey: c.APIKey}
	request, err := operator.request(context.Background(), http.MethodGet, "/explain?"+url.Values{"url": {c.URL}, "accept": {c.Accept}}.Encode(), nil)
	if err != nil {
		return x, err
	}
	var answer json.RawMessage
	if err := operator.callWithin(time.Minute, request, &answer); err != nil {
		return x, err
	}
	var refused struct{ Error string }
	if json.Unmarshal(answer, &refused) == nil && refused.Error != "" {
		return x, errors.New(refused.Error)
	}
	return x, json.Unmarshal(answer, &x)
}

// read explains what can be known without a server.
func (c *explainCommand) read(path, query string) (x explained, err error) {
	var r reader
	most := r.number("max-output-side", c.MaxOutputSide, 0, 16384)
	rules := proxy.Rules{Ignore: list(c.Ignore)}
	if rules.Presets, err = proxy.ParsePresets(c.Presets, most); err != nil {
		r.fault("presets", c.Presets, err.Error())
	}
	if rules.Sizes, err = proxy.ParseLadder(list(c.Sizes), most); err != nil {
		r.fault("sizes", c.Sizes, err.Error())
	}
	if len(r.faults) > 0 {
		return x, fmt.Errorf("%w: %w", errUsage, joinLines(r.faults))
	}
	asked, err := proxy.ParseRequest(path, query, rules)
	if err != nil {
		x.Problem, _ = publicReason(err)
		return x, nil
	}
	x.Source, x.Canonical = asked.Source, asked.Canonical()
	signed := list(c.Signed)
	x.Signature.Needed = slices.Contains(signed, "reads") || slices.Contains(signed, "all")
	for _, prefix := range list(c.Private) {
		rest, below := strings.CutPrefix(asked.Source, prefix)
		x.Signature.Needed = x.Signature.Needed || below && (rest == "" || rest[0] == '/')
	}
	if bounded, changed := rules.Bound(asked, most); changed {
		x.Redirect = "/" + asked.Source + bounded.String()
	}
	return x, nil
}

// print says it in lines.
func (x *explained) print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	line := func(name, format string, values ...any) {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, values...)) // Flush tells of errors
	}
	if x.Source != "" {
		line("source", "%s", x.Source)
		line("canonical", "%s", x.Canonical)
	}
	if x.Status != 0 {
		line("answer", "%d", x.Status)
	}
	if x.Redirect != "" {
		line("redirect", "%s", x.Redirect)
	}
	line("signature", "%s", x.signature())
	if x.Key != nil {
		line("version", "%s", x.Key.Version)
		line("variant", "%s", x.Key.Variant)
		line("name in tiers", "%s", x.Key.Name)
	}
	if x.Stored {
		line("stored", "the answer is the stored source itself, which no tier holds")
	}
	for _, t := range x.Tiers {
		line(t.Tier, "%s", t)
	}
	return table.Flush()
}

func (x *explained) signature() string {
	switch {
	case !x.Signature.Needed:
		return "not needed"
	case x.Signature.Problem != "":
		return fmt.Sprintf("needed: %s; %s. deckle sign %q makes one", x.Signature.Why, x.Signature.Problem, x.Canonical)
	case x.Status == 0:
		return fmt.Sprintf("needed; deckle sign %q makes one", x.Canonical)
	}
	return "needed, and good: " + x.Signature.Why
}

// String says what a tier has.
func (t explainedTier) String() string {
	switch {
	case t.Problem != "":
		return "cannot be asked: " + t.Problem
	case !t.Held:
		return "does not hold it"
	}
	said := fmt.Sprintf("holds it: %d x %d, %s, %d bytes, rendered %s in %.1f ms", t.Width, t.Height, t.Type, t.Bytes, t.Rendered.Local().Format(time.RFC3339), t.Took)
	if t.Outdated {
		said += ", marked as out of date"
	}
	return said
}
