package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// column is one figure of a target in the table for people.
type column struct {
	name  string
	value func(*Result) string
}

// columns are those of a workload: what every request has, and what is the workload's own.
func (r *Report) columns() []column {
	spread := func(name string, of func(Summary) Spread) column {
		return column{name, func(result *Result) string { return known(of(result.Summary)) }}
	}
	all := []column{
		{"target", func(result *Result) string { return result.Target }},
		spread("req/s", func(s Summary) Spread { return s.PerSecond }),
		spread("CPU ms/req", func(s Summary) Spread { return s.CPUMillis }),
		spread("p50 ms", func(s Summary) Spread { return s.P50 }),
		spread("p95 ms", func(s Summary) Spread { return s.P95 }),
		spread("p99 ms", func(s Summary) Spread { return s.P99 }),
		spread("p99.9 ms", func(s Summary) Spread { return s.P999 }),
	}
	switch r.Config.Workload {
	case Mixed:
		all = append(all, spread("p99 of hits", func(s Summary) Spread { return s.WarmP99 }))
	case Storm:
		all = append(all, spread("CPU / one miss", func(s Summary) Spread { return s.StormCPU }),
			spread("p99 / one miss", func(s Summary) Spread { return s.StormP99 }))
	case Purge:
		all = append(all, column{"stale after ack", func(result *Result) string { return humanize.Comma(result.Summary.StaleAfterAck) }})
	}
	all = append(all, column{"bytes", func(result *Result) string { return fmt.Sprintf("%.0f", result.Summary.MeanBytes.Median) }})
	if r.Config.Fidelity > 0 && r.Config.Workload == Miss {
		all = append(all, column{"SSIM", func(result *Result) string { return orDash(result.Summary.SSIM) }})
	}
	return append(all,
		column{"peak", func(result *Result) string { return peak(result.Summary.PeakBytes) }},
		column{"PSS", func(result *Result) string { return peak(result.Summary.PSSBytes) }},
		column{"failed", func(result *Result) string { return humanize.Comma(result.Summary.Failed) }})
}

// WriteTable writes the report for people: a line a target, medians with least and most over the rounds, and the ratios to the
// first target.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// A tabwriter keeps its first error for Flush.
	_, _ = fmt.Fprintf(w, "%s loop, %d rounds of %s, %d connections; %s, %d cores\n", r.Name(),
		r.played(), r.roundLength(), r.Config.Connections, r.Machine.CPU, r.Machine.Cores)
	columns := r.columns()
	var head strings.Builder
	for _, c := range columns {
		head.WriteString(c.name + "\t")
	}
	_, _ = fmt.Fprintln(table, head.String())
	for i := range r.Results {
		for _, c := range columns {
			_, _ = fmt.Fprint(table, c.value(&r.Results[i])+"\t")
		}
		_, _ = fmt.Fprintln(table)
	}
	if len(r.Results) > 1 {
		_, _ = fmt.Fprintf(table, "\nratio to %s\treq/s\tCPU\t\t\tp99\t\n", r.Results[0].Target)
		for _, result := range r.Results[1:] {
			s := result.Summary
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t\t\t%s\t\n", result.Target, s.RatioPerSecond, known(s.RatioCPU), s.RatioP99)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	for _, note := range r.Notes {
		if _, err := fmt.Fprintln(w, "note:", note); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return nil
}

// played returns how many rounds there were: fewer than asked for when the time was over.
func (r *Report) played() int {
	if len(r.Results) == 0 {
		return 0
	}
	return len(r.Results[0].Rounds)
}

func (r *Report) roundLength() string {
	if r.Config.Requests > 0 {
		return humanize.Comma(int64(r.Config.Requests)) + " requests"
	}
	return r.Config.Duration.String()
}

// peak marks a size that was not measured.
func peak(bytes int64) string {
	if bytes <= 0 {
		return "-"
	}
	return humanize.IBytes(uint64(bytes))
}

// String returns the median and, behind it, the least and the most.
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s-%s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

// figure keeps three digits of what is small.
func figure(x float64) string {
	if x >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

// known marks a figure that was not measured.
func known(s Spread) string {
	if s == (Spread{}) {
		return "-"
	}
	return s.String()
}
