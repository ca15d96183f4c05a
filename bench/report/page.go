// Package report draws what a bench measured as one page of HTML that needs nothing else: no script, no font, no other host.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"deckle/bench"
)

//go:embed page.html
var pageText string

//go:embed style.css
var style string

var page = template.Must(template.New("page").Parse(pageText))

// view is what the page shows.
type view struct {
	Style    template.CSS
	Title    string
	Suite    *bench.Suite
	Date     string
	Took     string
	Legend   []key
	Overview template.HTML
	Runs     []section
	Sources  []bench.Source
	Notes    []string
}

// key is a target and its colour.
type key struct{ Class, Name, URLs string }

// section is a run.
type section struct {
	ID, Name, Says, Settings string
	Head                     []string
	Rows                     []tableRow
	Plots                    []drawing
	Notes                    []string
}

type tableRow struct {
	Class string
	Cells []cell
}

// cell is a median and, below it, the spread.
type cell struct{ Main, Sub string }

type drawing struct {
	Title, Note string
	SVG         template.HTML
}

// Write writes the page of a suite.
func Write(w io.Writer, s *bench.Suite) error {
	order := targets(s)
	names := make([]string, len(order))
	urls := make(map[string]string)
	for name, at := range order {
		names[at] = name
	}
	v := view{Style: template.CSS(style), Suite: s, Title: strings.Join(names, ", "), Date: s.Date.Format("2 January 2006, 15:04 UTC"), Overview: overview(s), Notes: s.Notes}
	if s.Seconds > 0 {
		v.Took = time.Duration(s.Seconds * float64(time.Second)).Round(time.Second).String()
	}
	for i, r := range s.Runs {
		for _, t := range r.Config.Targets {
			urls[t.Name] = t.URLs
		}
		v.Runs = append(v.Runs, newSection(i, r, order))
		for _, source := range r.Sources {
			if !slices.Contains(v.Sources, source) {
				v.Sources = append(v.Sources, source)
			}
		}
	}
	for i, name := range names {
		v.Legend = append(v.Legend, key{series(i), name, urls[name]})
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// says explains a workload in a sentence.
var says = map[string]string{
	bench.Hit:    "Pictures of a warm set, the popular ones more often (Zipf). A server that keeps no results renders them again.",
	bench.Miss:   "Every URL is asked for once: nothing can be answered from what was rendered before.",
	bench.Srcset: "All that a page's srcset names of one source that was not asked for before: eight widths in two formats, at once.",
	bench.Storm:  "One picture that nobody asked for before, over all connections at the same moment. CPU / one miss tells how often it was rendered.",
	bench.Mixed:  "Hits with a few misses in between, at a fixed rate: do those who ask for what is there wait for those who do not?",
	bench.Upload: "New sources, from the request for the right to upload to the acknowledgement.",
	bench.Purge:  "A source is replaced while its pictures are asked for. Latency is from the replacement to the last stale byte, over all sizes.",
}

func newSection(number int, r *bench.Report, order map[string]int) section {
	s := section{ID: fmt.Sprintf("run%d", number), Name: r.Name(), Says: says[r.Config.Workload], Settings: settings(r), Notes: r.Notes}
	s.Head, s.Rows = table(r, order)
	coloured := colour(r, order)
	add := func(title, note string, svg template.HTML) {
		if svg != "" {
			s.Plots = append(s.Plots, drawing{title, note, svg})
		}
	}
	what := "CPU of a request"
	switch r.Config.Workload {
	case bench.Upload:
		what = "CPU of an upload"
	case bench.Purge:
		what = "CPU of a replacement"
	}
	if r.Config.Workload == bench.Storm {
		add("CPU of the whole storm", "As a multiple of one lone miss: 1 is rendered once, and answered for nothing",
			rows("CPU of the storm", "lone misses", coloured, stormCPU, short))
	} else {
		add(what, "Server processes and their children, user and system; bar: median, points: rounds",
			rows(what, "ms", coloured, func(m bench.Round) float64 { return m.CPUMillis }, short))
	}
	add("Memory", "At the end of each round; pages shared by processes counted once (PSS)", rows("memory", "MiB", coloured, memory, short))
	add("Size against fidelity", fmt.Sprintf("%d px box, several qualities; the large point is quality %d", bench.FidelitySide, r.Config.Quality), fidelity(coloured))
	add("Latency", latencyNote(r), latency(coloured))
	if r.Config.Workload != bench.Purge {
		add("Throughput over time", "Good answers, round by round", throughput(coloured))
	}
	return s
}

func stormCPU(m bench.Round) float64 {
	if m.Storm == nil {
		return 0
	}
	return m.Storm.CPUOfLone
}

// memory is in MiB.
func memory(m bench.Round) float64 { return float64(m.PSSBytes) / (1 << 20) }

func latencyNote(r *bench.Report) string {
	switch r.Config.Loop {
	case bench.Open:
		return "Counted from when a request was due, so that a stall counts for all who would have met it"
	case bench.Burst:
		return "All requests were due at the same moment"
	}
	return "Closed loop: counted from when a request was sent; a stall holds back what would have met it"
}

// colour gives a run's targets the colours that they have in the legend.
func colour(r *bench.Report, order map[string]int) drawn {
	d := drawn{Report: r}
	for _, result := range r.Results {
		d.colours = append(d.colours, order[result.Target])
	}
	return d
}

// settings are a run's, in a line.
func settings(r *bench.Report) string {
	c := r.Config
	parts := []string{fmt.Sprintf("%d rounds", len(r.Results[0].Rounds))}
	if c.Requests > 0 {
		parts = append(parts, fmt.Sprintf("%s requests each", humanize.Comma(int64(c.Requests))))
	} else {
		parts = append(parts, c.Duration.String()+" each")
	}
	parts = append(parts, fmt.Sprintf("%d connections", c.Connections))
	if c.Loop == bench.Open {
		parts = append(parts, fmt.Sprintf("%g requests/s", c.Rate))
	}
	if c.Workload != bench.Upload && c.Workload != bench.Srcset {
		parts = append(parts, fmt.Sprintf("%d–%d px", c.MinSide, c.MaxSide))
	}
	if c.Workload != bench.Upload {
		parts = append(parts, fmt.Sprintf("quality %d", c.Quality))
	}
	if c.Workload == bench.Mixed {
		parts = append(parts, fmt.Sprintf("%g %% misses", 100*c.Misses))
	}
	return strings.Join(append(parts, fmt.Sprintf("seed %d", c.Seed)), " · ")
}
