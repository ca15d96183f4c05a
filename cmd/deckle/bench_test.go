package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"deckle/bench"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// TestBench plays every workload on a real server, and has the page of it shown by a real browser.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	sources := filepath.Join(dir, "sources")
	var ids strings.Builder
	if err := (&benchSourcesCommand{Dir: sources, Count: 5, Megapixels: 0.3, Seed: 1}).Run(&ids); err != nil {
		t.Fatal(err)
	}
	d := start(t, "--data", filepath.Join(dir, "data"), "--origin", "file://"+sources, "--source-budget", "off", "--access-log", "errors")
	target := fmt.Sprintf("deckle=%s,admin=%s,pid=%d,edge=%s", d.edge, d.admin, d.command.Process.Pid, d.edge)
	figures, page := filepath.Join(dir, "run.json"), filepath.Join(dir, "run.html")
	common := []string{"bench", target, "second=" + d.edge + ",urls=plain", "--id", strings.TrimSpace(ids.String()), "--rounds", "3", "--originals", sources, "--format", "webp", "--upload-side", "100"}
	runBench(t, append(common, "--workload", "hit,mixed,miss,storm,upload", "--requests", "16", "--connections", "4", "--max-side", "300", "--json", figures, "--html", page)...)
	suite, err := readSuite(figures)
	if err != nil {
		t.Fatal(err)
	}
	checkSuite(t, suite)
	showPage(t, page)

	for workload, requests := range map[string]string{bench.Srcset: "16", bench.Purge: "2"} {
		file := filepath.Join(dir, workload+".json")
		runBench(t, append(common[:2:2], append(common[3:], "--workload", workload, "--requests", requests, "--set", "5", "--json", file)...)...)
		if suite, err = readSuite(file); err != nil {
			t.Fatal(err)
		}
		if got := suite.Runs[0].Results[0].Summary; got.Failed != 0 || got.CPUMillis.Median <= 0 || got.StaleAfterAck != 0 {
			t.Errorf("%s: %+v", workload, got)
		}
	}
}

// runBench runs the real command.
func runBench(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	command := deckle(nil, args...)
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("deckle %v: %v\n%s", args, err, stderr.String())
	}
	return string(output)
}

// checkSuite wants every workload, without a failure, and what is the workload's own.
func checkSuite(t *testing.T, suite *bench.Suite) {
	t.Helper()
	var names []string
	for _, r := range suite.Runs {
		names = append(names, r.Config.Workload)
		for _, result := range r.Results {
			s := result.Summary
			if s.Failed != 0 || s.PerSecond.Median <= 0 {
				t.Errorf("%s of %s: %+v", r.Name(), result.Target, s)
			}
			if result.Target == "deckle" && (s.PSSBytes == 0 || s.PeakBytes == 0) {
				t.Errorf("%s: no memory is known", r.Name())
			}
		}
		first := r.Results[0]
		if s := first.Summary.SSIM; r.Config.Workload == bench.Miss && (s < 0.85 || s > 1 || len(r.Sources) != 3 || len(r.Notes) > 0) {
			t.Errorf("SSIM %.4f of %d sources, notes %q", s, len(r.Sources), r.Notes)
		}
	}
	for _, want := range []string{bench.Hit, bench.Mixed, bench.Miss, bench.Storm, bench.Upload} {
		if !slices.Contains(names, want) {
			t.Errorf("%s was left out: %q", want, suite.Notes)
		}
	}
	if !strings.HasPrefix(suite.Command, "deckle bench ") {
		t.Errorf("command %q", suite.Command)
	}
}

// showPage opens the page: it asks for nothing, complains of nothing, and its drawings have a size in both schemes of colour.
func showPage(t *testing.T, file string) {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(file))))
	t.Cleanup(server.Close)
	address := server.URL + "/" + filepath.Base(file)
	var mu sync.Mutex
	var asked, heard []string
	ctx := browser(t, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if to := e.Request.URL; !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "about:") {
				asked = append(asked, to)
			}
		case *cdplog.EventEntryAdded:
			heard = append(heard, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			heard = append(heard, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			heard = append(heard, string(e.Type))
		}
	})
	if _, err := chromedp.Call(ctx, runtime.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	papers := make(map[string]string)
	for _, scheme := range []string{"light", "dark"} {
		_, noMedia := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		drawn, noCount := chromedp.Run(ctx, chromedp.Evaluate[int](`[...document.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().height > 50).length`))
		paper, noPaper := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`))
		if err := errors.Join(noMedia, noCount, noPaper); err != nil {
			t.Fatal(err)
		}
		if papers[scheme] = paper; drawn < 20 {
			t.Errorf("%s: %d drawings", scheme, drawn)
		}
	}
	if papers["light"] == papers["dark"] {
		t.Errorf("both schemes are on %q", papers["light"])
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 1 || asked[0] != address {
		t.Errorf("the page asked for %q", asked)
	}
	if len(heard) > 0 {
		t.Errorf("the browser says %q", heard)
	}
}

// TestBenchCompare: the same run twice is no change; one that costs twice as much is a regression, and says so by its exit code.
func TestBenchCompare(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, cost float64) string {
		r := &bench.Report{Config: bench.Config{Workload: bench.Hit, Format: "webp", Loop: bench.Closed}, Results: []bench.Result{{Target: "a"}}}
		for i := range 5 {
			r.Results[0].Rounds = append(r.Results[0].Rounds, bench.Round{CPUMillis: cost * (1 + float64(i)/100)})
		}
		path := filepath.Join(dir, name)
		if err := writeTo(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }); err != nil { // as earlier benches left it
			t.Fatal(err)
		}
		return path
	}
	before, after := write("before.json", 10), write("after.json", 20)
	for _, test := range []struct {
		args  []string
		code  int
		wants string
	}{
		{[]string{before, before, "--fail-on-regression"}, exitOK, "0 of 1 figures changed"},
		{[]string{before, after}, exitOK, "worse"},
		{[]string{before, after, "--json"}, exitOK, `"verdict": "worse"`},
		{[]string{before, after, "--fail-on-regression"}, exitFailed, "1 figures are worse beyond noise"},
		{[]string{after, before, "--fail-on-regression"}, exitOK, "better"},
		{[]string{before, filepath.Join(dir, "absent.json")}, exitUsage, "absent.json"},
		{[]string{before, after, "--least", "-1"}, exitUsage, "--least"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"bench", "compare"}, test.args...), &stdout, &stderr)
		if said := stdout.String() + stderr.String(); code != test.code || !strings.Contains(said, test.wants) {
			t.Errorf("%v: exit code %d, want %d, and %q in\n%s", test.args, code, test.code, test.wants, said)
		}
	}
	page := filepath.Join(dir, "page.html")
	if code := run([]string{"bench", "report", before, page}, io.Discard, io.Discard); code != exitOK {
		t.Errorf("report: exit code %d", code)
	}
	if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("hit webp, closed")) {
		t.Errorf("%v: %.200s", err, text)
	}
}

func TestBenchTargets(t *testing.T) {
	got, err := parseTarget("a=http://h:1/x,urls=/{id}_{w}_{h},pid=" + strconv.Itoa(7) + ",admin=http://h:2,edge=http://h:3,edge=http://h:4,upload=PUT /{id},original=/{id}")
	if err != nil || got.Name != "a" || got.Base != "http://h:1/x" || got.PID != 7 || got.Admin != "http://h:2" || len(got.Edges) != 2 || got.Upload != "PUT /{id}" || got.Original != "/{id}" || got.URLs != "/{id}_{w}_{h}" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, wrong := range []string{"http://h,pid=0", "http://h,pid=x", "http://h,colour=red"} {
		if _, err := parseTarget(wrong); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
	if line := benchLine([]string{"/x/deckle", "bench", "a,urls=/{w}", "--api-key", "s3cret", "--api-key=s3cret", "--seed", "1"}); line != "deckle bench 'a,urls=/{w}' --api-key *** --api-key=*** --seed 1" && line != "deckle bench 'a,urls=/{w}' --api-key '***' '--api-key=***' --seed 1" {
		t.Error(line)
	}
}
