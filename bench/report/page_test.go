package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/bench"
)

// suite is a made run of every workload, of two targets.
func suite() *bench.Suite {
	s := &bench.Suite{Form: 2, Date: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), Seconds: 61, Command: "deckle bench 'a=http://h' --seed 1", Notes: []string{"something was left out"}}
	s.Machine = bench.Machine{CPU: "a processor", Cores: 2, System: "linux/amd64"}
	for _, workload := range bench.Workloads {
		r := &bench.Report{Config: bench.Config{
			Workload: workload, Loop: bench.Closed, Format: "jpg", Quality: 75, Rounds: 5, Connections: 4, Duration: time.Second, MinSide: 1, MaxSide: 9, Fidelity: 1,
			Targets: []bench.Target{{Name: "first", URLs: "plain"}, {Name: "<b>second</b> & \"more\"", URLs: "deckle"}},
		}}
		for i, target := range r.Config.Targets {
			result := bench.Result{Target: target.Name, Distribution: []bench.Quantile{{Percent: 0, Millis: 1}, {Percent: 90, Millis: 2}, {Percent: 99, Millis: float64(9 + i)}}}
			for round := range 5 {
				m := bench.Round{
					Requests: 50, Good: 50, Seconds: 0.95, PerSecond: 50, MeanBytes: 9000, CPUMillis: float64(10*(i+1) + round), PSSBytes: 9 << 20, PeakBytes: 10 << 20,
					Latency: bench.Latency{P50: 2, P99: 9}, Timeline: []int64{10, 20, 15, 5}, TimelineMillis: 250,
				}
				if workload == bench.Storm {
					m.Storm = &bench.StormFigures{CPUOfLone: 1.5, P99OfLone: 2}
				}
				result.Rounds = append(result.Rounds, m)
			}
			if workload == bench.Miss {
				result.Fidelity = []bench.Fidelity{{Source: "s", Quality: 40, Bytes: 4000, SSIM: 0.9}, {Source: "s", Quality: 75, Bytes: 9000, SSIM: 0.95}}
				result.Summary.SSIM = 0.95
			}
			result.Summary.CPUMillis = bench.Spread{Median: 12, Min: 10, Max: 14}
			result.Summary.RatioCPU = bench.Spread{Median: 1 + float64(i), Min: 1, Max: 2.5}
			r.Results = append(r.Results, result)
		}
		if workload == bench.Miss {
			r.Sources = []bench.Source{{ID: "s", Bytes: 1, Width: 2, Height: 3, SHA256: "abc"}}
			r.Notes = []string{"a note of a run"}
		}
		s.Runs = append(s.Runs, r)
	}
	return s
}

func write(t *testing.T, s *bench.Suite) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPageNeedsNothingElse: no script, and no reference but to places in the page and to data in it.
func TestPageNeedsNothingElse(t *testing.T) {
	text := write(t, suite())
	for _, reference := range regexp.MustCompile(`(?i)(?:src|href|url|@import)\s*[=(]\s*["']?([^"')\s>]*)`).FindAllStringSubmatch(text, -1) {
		if to := reference[1]; !strings.HasPrefix(to, "#") && !strings.HasPrefix(to, "data:") {
			t.Errorf("the page refers to %q", to)
		}
	}
	for _, never := range []string{"<script", "<b>second", "NaN", "Inf", "ZgotmplZ", "%!"} {
		if strings.Contains(text, never) {
			t.Errorf("%q is in the page", never)
		}
	}
	for _, always := range []string{"prefers-color-scheme: dark", "default-src 'none'", "something was left out", "a note of a run", "deckle bench", "abc", "&lt;b&gt;second&lt;/b&gt;"} {
		if !strings.Contains(text, always) {
			t.Errorf("%q is not in the page", always)
		}
	}
}

// TestPlotsAreThere: what each workload draws, all of it well-formed, and every point within its drawing.
func TestPlotsAreThere(t *testing.T) {
	text := write(t, suite())
	want := map[string]int{"CPU of a request": 4, "CPU of an upload": 1, "CPU of a replacement": 1, "CPU of the whole storm": 1, "Size against fidelity": 1, "Latency": 7, "Throughput over time": 6, "Memory": 7, "At a glance": 1}
	for title, times := range want {
		if got := strings.Count(text, "<b>"+title+"</b>"); got != times {
			t.Errorf("%s is there %d times, want %d", title, got, times)
		}
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
		decoder := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
		}
		var width, height float64
		if _, err := fmt.Sscanf(svg, `<svg viewBox="0 0 %f %f"`, &width, &height); err != nil {
			t.Fatal(err)
		}
		for _, at := range regexp.MustCompile(`(?:cx|x|x1|x2)="([-\d.]+)"|(?:[\s"])([-\d.]+),[-\d.]+ `).FindAllStringSubmatch(svg, -1) {
			var x float64
			if _, err := fmt.Sscan(at[1]+at[2], &x); err != nil || x < 0 || x > width {
				t.Errorf("x = %s is out of 0 to %.0f in\n%.300s", at[0], width, svg)
			}
		}
	}
}

// TestPageOfLittle: one target of which neither CPU nor memory is known, and nothing answered.
func TestPageOfLittle(t *testing.T) {
	s := &bench.Suite{Runs: []*bench.Report{{Config: bench.Config{Workload: bench.Hit, Targets: []bench.Target{{Name: "a"}}}, Results: []bench.Result{{Target: "a", Rounds: []bench.Round{{}}}}}}}
	text := write(t, s)
	if strings.Contains(text, "<svg") || strings.Contains(text, "NaN") {
		t.Errorf("something was drawn of nothing:\n%s", text)
	}
}

func TestTicksAreRoundAndWithin(t *testing.T) {
	for _, s := range []scale{{min: 0, max: 97}, {min: 0.91, max: 0.993}, {min: 0, max: 1e-4}, {min: 0.3, max: 4000, log: true}, {min: 7, max: 21, log: true}} {
		ticks := s.ticks(6)
		if len(ticks) < 2 || len(ticks) > 12 {
			t.Errorf("%+v: %v", s, ticks)
		}
		for i, v := range ticks {
			if v < s.min-1e-9 || v > s.max*1.0001 || i > 0 && v <= ticks[i-1] {
				t.Errorf("%+v: %v", s, ticks)
			}
		}
	}
}
