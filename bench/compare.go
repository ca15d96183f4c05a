package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
)

// Interval is where a median lies in 95 of 100 cases, by the bootstrap.
type Interval struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Verdicts of a comparison.
const (
	Same   = "same"   // no difference beyond noise
	Better = "better" // beyond noise
	Worse  = "worse"  // beyond noise
	TooFew = "too few rounds"
)

// Change is one figure of one target in two suites.
type Change struct {
	Run      string   `json:"run"`
	Target   string   `json:"target"`
	Figure   string   `json:"figure"`
	Relative string   `json:"relative,omitempty"` // the target that the rounds were divided by; empty: the figure as it is
	Before   Interval `json:"before"`
	After    Interval `json:"after"`
	Ratio    float64  `json:"ratio"` // of the medians, after / before
	Verdict  string   `json:"verdict"`
}

// Comparison is all that two suites have in common.
type Comparison struct {
	Changes []Change `json:"changes"`
	Notes   []string `json:"notes,omitempty"` // what differs in how they were made, or is in one alone
}

// The test: two medians differ beyond noise when their 95 % bootstrap intervals do not overlap, and by at least the part that
// Compare is told. With five rounds a side that is all of one side's rounds above all of the other's, which happens by chance once in
// 126 figures (2 of the 252 ways to divide ten); four rounds are the fewest that are judged.
const (
	resamples     = 1000
	fewestRounds  = 4
	ssimTolerance = 0.002 // what a person might see; pictures do not vary from run to run, so that there is no interval
	memoryLeast   = 0.25  // part; memory at the end of one round depends on the rounds before, so that there is none either
)

// compared are the figures that are set beside each other.
var compared = []struct {
	name  string
	of    func(Round) float64
	rises bool // more is better
	loops []string
}{
	{"CPU ms/request", func(m Round) float64 { return m.CPUMillis }, false, []string{Closed, Open, Burst}},
	{"requests/s", func(m Round) float64 { return m.PerSecond }, true, []string{Closed}}, // the rate is given elsewhere
	{"p50 ms", func(m Round) float64 { return m.Latency.P50 }, false, []string{Closed, Open, Burst}},
	{"p99 ms", func(m Round) float64 { return m.Latency.P99 }, false, []string{Closed, Open, Burst}},
	{"bytes", func(m Round) float64 { return m.MeanBytes }, false, []string{Closed, Open, Burst}},
}

// Compare sets the runs of the same name beside each other, and in them the targets of the same name. Every target but the
// first is taken relative to the first of its own suite, round by round, which takes out what else the machine did at the time;
// the first, and all when the firsts differ, is taken as it is. least is the smallest part by which a figure must
// differ, as 0.05.
func Compare(before, after *Suite, least float64) *Comparison {
	c := &Comparison{}
	c.settings("machine", before.Machine.CPU, after.Machine.CPU)
	c.settings("cores", before.Machine.Cores, after.Machine.Cores)
	rest := slices.Clone(after.Runs)
	for _, a := range before.Runs {
		at := slices.IndexFunc(rest, func(b *Report) bool { return b.Name() == a.Name() })
		if at < 0 {
			c.Notes = append(c.Notes, a.Name()+" is in the first alone")
			continue
		}
		c.run(a, rest[at], least)
		rest = slices.Delete(rest, at, at+1)
	}
	for _, b := range rest {
		c.Notes = append(c.Notes, b.Name()+" is in the second alone")
	}
	return c
}

// settings notes what differs and bears on the figures.
func (c *Comparison) settings(name string, before, after any) {
	if a, b := fmt.Sprint(before), fmt.Sprint(after); a != b {
		c.Notes = append(c.Notes, fmt.Sprintf("%s: %s, then %s", name, a, b))
	}
}

func (c *Comparison) run(a, b *Report, least float64) {
	name := a.Name()
	c.settings(name+": connections", a.Config.Connections, b.Config.Connections)
	c.settings(name+": requests", a.Config.Requests, b.Config.Requests)
	if a.Config.Stamp == "" { // it makes the ids new
		c.settings(name+": sources", a.Config.Sources, b.Config.Sources)
	}
	c.settings(name+": sides", a.Config.box(), b.Config.box())
	c.settings(name+": quality", a.Config.Quality, b.Config.Quality)
	c.settings(name+": seed", a.Config.Seed, b.Config.Seed)
	for i, before := range a.Results {
		at := slices.IndexFunc(b.Results, func(r Result) bool { return r.Target == before.Target })
		if at < 0 {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %s is in the first alone", name, before.Target))
			continue
		}
		after := b.Results[at]
		relative := ""
		if i > 0 && at > 0 && a.Results[0].Target == b.Results[0].Target {
			relative = a.Results[0].Target
		}
		c.result(name, relative, [2]*Report{a, b}, [2]Result{before, after}, least)
	}
}

// result compares every figure of one target.
func (c *Comparison) result(run, relative string, reports [2]*Report, results [2]Result, least float64) {
	for _, figure := range compared {
		if !slices.Contains(figure.loops, reports[0].Config.Loop) {
			continue
		}
		var values [2][]float64
		of := relative
		if figure.name == "bytes" {
			of = "" // they do not drift with the machine
		}
		for i, r := range results {
			values[i] = valuesOf(r.Rounds, reports[i].Results[0].Rounds, figure.of, of != "")
		}
		change := Change{Run: run, Target: results[0].Target, Figure: figure.name, Relative: of}
		if change.judge(values, figure.rises, least) {
			c.Changes = append(c.Changes, change)
		}
	}
	c.single(run, "MiB at most", results, func(s Summary) float64 { return float64(s.PSSBytes) / (1 << 20) }, func(a, b float64) (worse, better bool) {
		return b > a*(1+max(least, memoryLeast)), b < a*(1-max(least, memoryLeast))
	})
	c.single(run, "SSIM", results, func(s Summary) float64 { return s.SSIM }, func(a, b float64) (worse, better bool) {
		return b < a-ssimTolerance, b > a+ssimTolerance
	})
}

// single compares a figure of which a run has one alone.
func (c *Comparison) single(run, name string, results [2]Result, of func(Summary) float64, differ func(a, b float64) (worse, better bool)) {
	a, b := of(results[0].Summary), of(results[1].Summary)
	if a <= 0 || b <= 0 {
		return
	}
	change := Change{Run: run, Target: results[0].Target, Figure: name, Before: Interval{a, a, a}, After: Interval{b, b, b}, Ratio: b / a, Verdict: Same}
	switch worse, better := differ(a, b); {
	case worse:
		change.Verdict = Worse
	case better:
		change.Verdict = Better
	}
	c.Changes = append(c.Changes, change)
}

// valuesOf returns a figure's rounds, divided by the first target's when they are to be relative. Rounds in which it was not
// measured are left out.
func valuesOf(rounds, first []Round, of func(Round) float64, relative bool) []float64 {
	var values []float64
	for i, m := range rounds {
		value := of(m)
		if relative {
			if i >= len(first) || of(first[i]) <= 0 {
				continue
			}
			value /= of(first[i])
		}
		if value > 0 {
			values = append(values, value)
		}
	}
	return values
}

// judge fills the change in; false when there is nothing to compare.
func (c *Change) judge(values [2][]float64, rises bool, least float64) bool {
	if len(values[0]) == 0 || len(values[1]) == 0 {
		return false
	}
	c.Before, c.After = medianInterval(values[0]), medianInterval(values[1])
	c.Ratio = c.After.Median / c.Before.Median
	up, down := c.After.Low > c.Before.High && c.Ratio >= 1+least, c.After.High < c.Before.Low && c.Ratio <= 1-least
	switch {
	case len(values[0]) < fewestRounds || len(values[1]) < fewestRounds:
		c.Verdict = TooFew
	case up == rises && (up || down):
		c.Verdict = Better
	case up || down:
		c.Verdict = Worse
	default:
		c.Verdict = Same
	}
	return true
}

// medianInterval bootstraps the median (Efron, Annals of Statistics 7, 1979; percentile intervals). The same values give the
// same interval.
func medianInterval(values []float64) Interval {
	random := rand.New(rand.NewPCG(uint64(len(values)), 1))
	medians := make([]float64, resamples)
	drawn := make([]float64, len(values))
	for i := range medians {
		for j := range drawn {
			drawn[j] = values[random.IntN(len(values))]
		}
		medians[i] = newSpread(drawn).Median
	}
	slices.Sort(medians)
	return Interval{Median: newSpread(slices.Clone(values)).Median, Low: medians[resamples*25/1000], High: medians[resamples*975/1000-1]}
}

// Regressions returns the changes for the worse.
func (c *Comparison) Regressions() []Change {
	var worse []Change
	for _, change := range c.Changes {
		if change.Verdict == Worse {
			worse = append(worse, change)
		}
	}
	return worse
}

// WriteTable writes what changed beyond noise, or everything, and the notes.
func (c *Comparison) WriteTable(w io.Writer, all bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	// A tabwriter keeps its first error for Flush.
	_, _ = fmt.Fprintln(table, "run\ttarget\tfigure\tbefore\tafter\tratio\t")
	changed, shown := 0, 0
	for _, change := range c.Changes {
		if beyond := change.Verdict == Better || change.Verdict == Worse; beyond {
			changed++
		} else if !all {
			continue
		}
		shown++
		figure := change.Figure
		if change.Relative != "" {
			figure += " / " + change.Relative
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%.3f\t%s\n", change.Run, change.Target, figure, change.Before, change.After, change.Ratio, change.Verdict)
	}
	var err error
	if shown > 0 {
		err = table.Flush()
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%d of %d figures changed beyond noise; about %.1f would by chance.\n", changed, len(c.Changes), float64(len(c.Changes))/126)
	}
	for _, note := range c.Notes {
		if err == nil {
			_, err = fmt.Fprintln(w, "note:", note)
		}
	}
	if err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// String returns the median and, behind it, the interval.
func (i Interval) String() string {
	return fmt.Sprintf("%s [%s, %s]", figure(i.Median), figure(i.Low), figure(i.High))
}
