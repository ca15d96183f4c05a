package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// suiteForm numbers the form of the JSON.
const suiteForm = 2

// Suite is what was measured one after the other: the file that a run leaves.
type Suite struct {
	Form    int       `json:"form"`
	Date    time.Time `json:"date"` // of the start, UTC, whole seconds
	Machine Machine   `json:"machine"`
	Command string    `json:"command,omitempty"` // that made it
	Seconds float64   `json:"seconds"`           // it took
	Runs    []*Report `json:"runs"`
	Notes   []string  `json:"notes,omitempty"` // what was left out, and why
}

// turn is the part of a plan that one workload takes.
type turn struct {
	seconds float64 // of a round of one target, about
	config  func(c *Config, seconds time.Duration)
}

// plan is the suite of Plan. Srcsets come first, while no source was asked for. The rate of mixed is one that a server which keeps nothing can follow on two cores.
var plan = []turn{
	{2, func(c *Config, _ time.Duration) { c.Workload, c.Requests = Srcset, srcsetSize() }},
	{1.5, func(c *Config, seconds time.Duration) {
		c.Workload, c.Duration, c.Connections, c.Set = Hit, seconds, 16, planSet
	}},
	{2.5, func(c *Config, seconds time.Duration) { c.Workload, c.Duration, c.Format = Miss, seconds, "jpg" }},
	{2.5, func(c *Config, seconds time.Duration) { c.Workload, c.Duration, c.Format = Miss, seconds, "webp" }},
	{1, func(c *Config, seconds time.Duration) { c.Workload, c.Duration = Upload, seconds }},
	{2, func(c *Config, _ time.Duration) { c.Workload, c.Requests, c.Set = Purge, 4, 10 }},
	{2, func(c *Config, _ time.Duration) { c.Workload, c.Requests = Storm, 100 }},
	{3, func(c *Config, seconds time.Duration) {
		c.Workload, c.Duration, c.Connections, c.Loop, c.Rate, c.Set = Mixed, seconds, 32, Open, 25, planSet
	}},
}

// planSet is how many pictures are fetched before hits: a server that renders slowly takes its time for them.
const planSet = 40

const (
	planOverhead = 30 * time.Second // of a budget: for warming up, making pictures, and comparing them
	budgetGrace  = 40 * time.Second // beyond a budget: what is under way then is given up
)

// Plan returns the workloads of a whole suite, each sized so that all of them take about the budget: a base's targets, sources,
// rounds, sides, quality and seed, and what is usual for the rest.
func Plan(base Config, budget time.Duration) []Config {
	base.setDefaults()
	total := 0.0
	for _, t := range plan {
		total += t.seconds
	}
	turns := float64(max(len(base.Targets), 1) * base.Rounds)
	factor := min(max((budget-planOverhead).Seconds()/(total*turns), 0.2), 3)
	var configs []Config
	for _, t := range plan {
		c := base
		c.Connections, c.WarmUp, c.Requests, c.Set, c.Loop, c.Rate = 0, 0, 0, 0, "", 0
		seconds := time.Duration(t.seconds * factor * float64(time.Second))
		t.config(&c, seconds.Round(10*time.Millisecond))
		c.Within = time.Duration(float64(budget-planOverhead) * t.seconds / total)
		configs = append(configs, c)
	}
	return configs
}

// RunSuite plays one configuration after the other, within a budget: what would begin after it is left out, and what is under
// way 40 seconds later is given up; 0 is no bound. What cannot be played on any target (uploads without a way in, a srcset
// without enough sources) is left out too. All of that becomes notes; of a single configuration such a fault is the error.
func RunSuite(ctx context.Context, configs []Config, budget time.Duration, progress io.Writer) (*Suite, error) {
	start := time.Now()
	s := &Suite{Form: suiteForm, Date: start.UTC().Truncate(time.Second), Machine: thisMachine()}
	for i, c := range configs {
		c.Lane, c.Lanes = i, len(configs) // what one run asked for would be a hit in the next
		if budget > 0 && time.Since(start) > budget {
			s.Notes = append(s.Notes, c.Workload+" was left out: the time was over")
			continue
		}
		if len(configs) > 1 {
			c.Targets = able(c)
		}
		report, err := runUntil(ctx, c, start, budget, progress)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && len(configs) == 1:
			return nil, err
		case err != nil && len(c.Targets) == 0:
			s.Notes = append(s.Notes, fmt.Sprintf("%s was left out: %v", c.Workload, ErrNoUploads))
		case err != nil:
			s.Notes = append(s.Notes, fmt.Sprintf("%s %s was left out: %v", c.Workload, c.Format, err))
		default:
			s.Runs = append(s.Runs, report)
		}
	}
	s.Seconds = time.Since(start).Seconds()
	if len(s.Runs) == 0 {
		return nil, fmt.Errorf("nothing could be measured: %v", s.Notes)
	}
	return s, nil
}

// runUntil is Run with an end.
func runUntil(ctx context.Context, c Config, start time.Time, budget time.Duration, progress io.Writer) (*Report, error) {
	if budget > 0 {
		limited, cancel := context.WithDeadline(ctx, start.Add(budget+budgetGrace))
		defer cancel()
		ctx = limited
	}
	return Run(ctx, c, progress)
}

// able returns the targets that a workload can be played on.
func able(c Config) []Target {
	if c.Workload != Upload && c.Workload != Purge {
		return c.Targets
	}
	return slices.DeleteFunc(slices.Clone(c.Targets), func(t Target) bool { return t.Admin == "" && t.Upload == "" })
}

// WriteTable writes every run's table and what was left out.
func (s *Suite) WriteTable(w io.Writer) error {
	for _, r := range s.Runs {
		if err := r.WriteTable(w); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	for _, note := range s.Notes {
		if _, err := fmt.Fprintln(w, "note:", note); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return nil
}

// WriteJSON writes the suite, indented. ReadSuite reads it back as it was.
func (s *Suite) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return fmt.Errorf("write the suite: %w", err)
	}
	return nil
}

// ReadSuite reads what WriteJSON wrote, or the single report that earlier benches left.
func ReadSuite(from io.Reader) (*Suite, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("read the suite: %w", err)
	}
	var s Suite
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read the suite: %w", err)
	}
	if s.Form == 0 {
		var r Report
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("read the report: %w", err)
		}
		s = Suite{Form: suiteForm, Date: r.Date, Machine: r.Machine, Runs: []*Report{&r}}
	}
	if s.Form != suiteForm {
		return nil, fmt.Errorf("read the suite: form %d is not known", s.Form)
	}
	for _, r := range s.Runs {
		if r == nil || len(r.Results) == 0 {
			return nil, errors.New("read the suite: a run has no results")
		}
	}
	return &s, nil
}
