package bench

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// WriteTable writes the report for people: a line a target, medians with least and most over the rounds, and the ratios to the
// first target.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// A tabwriter keeps its first error for Flush.
	_, _ = fmt.Fprintf(w, "%s, %s loop, %d rounds of %s, %d connections; %s, %d cores\n", r.Config.Workload, r.Config.Loop,
		r.Config.Rounds, r.roundLength(), r.Config.Connections, r.Machine.CPU, r.Machine.Cores)
	_, _ = fmt.Fprintln(table, "target\treq/s\tCPU ms/req\tp50 ms\tp95 ms\tp99 ms\tp99.9 ms\tbytes\tpeak\tfailed\t")
	for _, result := range r.Results {
		s := result.Summary
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%s\t%d\t\n", result.Target, s.PerSecond, known(s.CPUMillis),
			s.P50, s.P95, s.P99, s.P999, s.MeanBytes.Median, peak(s.PeakBytes), s.Failed)
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
	return nil
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
