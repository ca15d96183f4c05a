package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// family is one metric of a scrape.
type family struct {
	help, kind string
	labels     map[string]map[string]bool // values by name; le is left out
	series     int
}

var (
	seriesLine = regexp.MustCompile(`^([a-z_]+?)(_bucket|_sum|_count)?(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

// scrape reads what Prometheus would, the metrics of the Go runtime and the process left out.
func (d *daemon) scrape() map[string]*family {
	d.t.Helper()
	got := request("GET", d.admin+"/metrics", nil)
	if got.status != 200 {
		d.t.Fatalf("metrics: %d %v", got.status, got.err)
	}
	families := map[string]*family{}
	lines := bufio.NewScanner(bytes.NewReader(got.body))
	for lines.Scan() {
		line := lines.Text()
		if name, help, found := strings.Cut(strings.TrimPrefix(line, "# HELP "), " "); found && strings.HasPrefix(line, "# HELP deckle_") {
			families[name] = &family{help: help, labels: map[string]map[string]bool{}}
			continue
		}
		if name, kind, found := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " "); found && strings.HasPrefix(line, "# TYPE deckle_") {
			families[name].kind = kind
			continue
		}
		if !strings.HasPrefix(line, "deckle_") {
			continue
		}
		parts := seriesLine.FindStringSubmatch(line)
		if parts == nil {
			d.t.Fatalf("no line of a scrape: %s", line)
		}
		f := families[parts[1]+parts[2]]
		if f == nil {
			f = families[parts[1]] // a histogram's
		}
		f.series++
		for _, pair := range labelPair.FindAllStringSubmatch(parts[3], -1) {
			if pair[1] == "le" {
				continue
			}
			if f.labels[pair[1]] == nil {
				f.labels[pair[1]] = map[string]bool{}
			}
			f.labels[pair[1]][pair[2]] = true
		}
	}
	return families
}

// row is a metric's line of the table in docs/metrics.md.
func (f *family) row(name string) string {
	labels := make([]string, 0, len(f.labels))
	for label := range f.labels {
		labels = append(labels, "`"+label+"`")
	}
	slices.Sort(labels)
	return fmt.Sprintf("| `%s` | %s | %s | %s |", name, f.kind, strings.Join(labels, " "), f.help)
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// between cuts out a part of a document that a test holds: the lines between <!-- name --> and <!-- /name -->.
func between(t *testing.T, text, name string) []string {
	t.Helper()
	_, rest, opened := strings.Cut(text, "<!-- "+name+" -->\n")
	part, _, closed := strings.Cut(rest, "<!-- /"+name+" -->")
	if !opened || !closed {
		t.Fatalf("no part %s", name)
	}
	return strings.Split(strings.TrimSpace(part), "\n")
}

// TestMetricsDocument holds docs/metrics.md to a scrape of a node that has every metric: each is in the table as the scrape tells of
// it, and nothing else is. Names end in their unit.
func TestMetricsDocument(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--redis", testserver.Redis(t).URL(), "--label", "builtin",
		"--webhook-url", "shop=http://127.0.0.1:1/never", "--webhook-secret", "s3cret")
	d.upload("cat", photo(), false)
	d.mustGet("/cat_30_20.webp")
	scraped := d.scrape()
	want := []string{"| metric | type | labels | meaning |", "|---|---|---|---|"}
	for _, name := range slices.Sorted(maps.Keys(scraped)) {
		f := scraped[name]
		want = append(want, f.row(name))
		if f.kind == "counter" != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, f.kind)
		}
		if f.kind == "histogram" && !strings.HasSuffix(name, "_seconds") {
			t.Errorf("%s does not end in its unit", name)
		}
	}
	if got := between(t, document(t, "metrics.md"), "metrics"); !slices.Equal(got, want) {
		t.Errorf("docs/metrics.md has\n%s\na scrape has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// documentedLabels reads the table of label values: by metric and label.
func documentedLabels(t *testing.T) map[string]map[string]bool {
	t.Helper()
	documented := map[string]map[string]bool{}
	for _, line := range between(t, document(t, "metrics.md"), "labels")[2:] {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		values := map[string]bool{}
		for _, value := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(cells[1], -1) {
			values[value[1]] = true
		}
		documented[strings.Trim(cells[0], "`")] = values
	}
	return documented
}

// TestMetricLabels: whatever strangers send, labels have the values that docs/metrics.md lists, so that there is a bound on series.
func TestMetricLabels(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", testimage.JPEG(testimage.Demo(90, 60), 90), false)
	for _, ext := range []string{"jpg", "webp", "png", "auto", "json", "svg", "pdf", "tiff", "gif", "PNG", "jfif", "%00"} {
		for i, path := range []string{"/cat_30_20.", "/cat.", "/cat_0_9_3x.", "/none_1_2.", "/cat_99999_1.", "/" + strings.Repeat("x", 300) + "."} {
			d.get(path+ext+"?utm_x="+fmt.Sprint(i), "Accept", "image/odd"+ext, "User-Agent", path+ext, "If-None-Match", `"`+ext+`"`)
			d.get(path + ext + "?blur=" + ext)
		}
	}
	for i, method := range []string{"GET", "BREW", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"} {
		d.raw(method, fmt.Sprintf("/odd%d/../%%2e%%2e/%s_1_1.jpg", i, method), "token"+method, "")
		d.raw(method, "http://elsewhere.example/"+method+"?x="+method, "", "")
	}
	documented := documentedLabels(t)
	series := 0
	for name, f := range d.scrape() {
		series += f.series
		for label, values := range f.labels {
			for value := range values {
				if label == "status" && regexp.MustCompile(`^[2345][0-9][0-9]$`).MatchString(value) {
					continue
				}
				if !documented[label][value] {
					t.Errorf("%s has %s=%q, which docs/metrics.md does not know", name, label, value)
				}
			}
		}
	}
	if series > 1000 { // some 500: histograms have 20 each
		t.Errorf("%d series", series)
	}
}

// statsLine is what the log says every so often.
type statsLine struct {
	Time, Level, Msg string
	Seconds          float64
	Requests         float64
	Refused          float64
	Errors           float64
	HitRatio         map[string]float64 `json:"hit_ratio"`
	From             map[string]float64
	Renders          float64
	Queue, Running   *int
	MemoryBytes      int64 `json:"memory_bytes"`
}

// TestStatsLine: a line every so often, and one at the end, add up to all that was answered.
func TestStatsLine(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--stats-every", "300ms")
	d.upload("cat", photo(), false)
	d.mustGet("/cat_30_20.webp", "render")
	for range 5 {
		d.mustGet("/cat_30_20.webp", "memory")
	}
	d.get("/none_30_20.webp")
	if _, ok := d.log.await(`"stats"`, time.Minute); !ok {
		t.Fatal("no line")
	}
	d.stop()
	sum := statsLine{From: map[string]float64{}}
	for line := range strings.Lines(d.log.String()) {
		var s statsLine
		var every struct{ Time, Level, Msg string } // the shape of every line
		if err := json.Unmarshal([]byte(line), &every); err != nil || every.Time == "" || every.Level == "" || every.Msg == "" {
			t.Errorf("%v: %s", err, line)
		}
		if !strings.Contains(line, `"msg":"stats"`) {
			continue
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if _, err := time.Parse(time.RFC3339Nano, s.Time); err != nil || s.Level != "INFO" || s.Queue == nil || s.Running == nil || s.MemoryBytes < 1<<20 || s.Seconds <= 0 {
			t.Errorf("%v %s", err, line)
		}
		sum.Requests, sum.Refused, sum.Renders, sum.Errors = sum.Requests+s.Requests, sum.Refused+s.Refused, sum.Renders+s.Renders, sum.Errors+s.Errors
		for from, n := range s.From {
			sum.From[from] += n
		}
	}
	if sum.Refused != 1 || sum.Renders != 1 || sum.Errors != 0 || sum.From["render"] != 1 || sum.From["memory"] < 5 || sum.Requests < 8 {
		t.Errorf("%+v", sum)
	}
}

func TestHitRatio(t *testing.T) {
	got := hitRatio(map[string]float64{"memory": 6, "disk": 1, "render": 1, "none": 90}, []string{"memory", "disk"})
	if want := map[string]float64{"memory": .75, "disk": .125, "all": .875}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := hitRatio(map[string]float64{"none": 3}, []string{"memory"}); len(got) > 0 {
		t.Errorf("%v of no pictures", got)
	}
}
