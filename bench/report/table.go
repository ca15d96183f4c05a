package report

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"deckle/bench"
)

// figures are the columns of a run's table.
type figures struct {
	name string
	of   func(bench.Result) cell
}

func table(r *bench.Report, order map[string]int) (head []string, rows []tableRow) {
	columns := []figures{
		{"CPU ms", spread(func(s bench.Summary) bench.Spread { return s.CPUMillis })},
		{"answers/s", spread(func(s bench.Summary) bench.Spread { return s.PerSecond })},
		{"p50 ms", spread(func(s bench.Summary) bench.Spread { return s.P50 })},
		{"p99 ms", spread(func(s bench.Summary) bench.Spread { return s.P99 })},
	}
	switch r.Config.Workload {
	case bench.Mixed:
		columns = append(columns, figures{"p99 of hits, ms", spread(func(s bench.Summary) bench.Spread { return s.WarmP99 })})
	case bench.Storm:
		columns = append(columns,
			figures{"CPU / one miss", spread(func(s bench.Summary) bench.Spread { return s.StormCPU })},
			figures{"p99 / one miss", spread(func(s bench.Summary) bench.Spread { return s.StormP99 })})
	case bench.Purge:
		columns = append(columns, figures{"stale after acknowledgement", func(r bench.Result) cell { return cell{Main: humanize.Comma(r.Summary.StaleAfterAck)} }})
	}
	columns = append(columns, figures{"bytes", func(r bench.Result) cell { return cell{Main: size(r.Summary.MeanBytes.Median)} }})
	if r.Config.Workload == bench.Miss && r.Config.Fidelity > 0 {
		columns = append(columns, figures{"SSIM", func(r bench.Result) cell {
			if r.Summary.SSIM == 0 {
				return cell{Main: "–"}
			}
			return cell{Main: fmt.Sprintf("%.4f", r.Summary.SSIM)}
		}})
	}
	columns = append(columns,
		figures{"peak memory", func(r bench.Result) cell { return bytesCell(r.Summary.PeakBytes) }},
		figures{"failed", func(r bench.Result) cell { return cell{Main: humanize.Comma(r.Summary.Failed)} }})
	if len(r.Results) > 1 {
		columns = append(columns, figures{"CPU, relative", ratio})
	}
	for _, c := range columns {
		head = append(head, c.name)
	}
	for _, result := range r.Results {
		row := tableRow{Class: series(order[result.Target]), Cells: []cell{{Main: result.Target}}}
		for _, c := range columns {
			row.Cells = append(row.Cells, c.of(result))
		}
		rows = append(rows, row)
	}
	return head, rows
}

func spread(of func(bench.Summary) bench.Spread) func(bench.Result) cell {
	return func(r bench.Result) cell {
		s := of(r.Summary)
		if s == (bench.Spread{}) || s.Max == 0 {
			return cell{Main: "–"}
		}
		return cell{short(s.Median), short(s.Min) + " – " + short(s.Max)}
	}
}

// ratio is a target's CPU over the first one's.
func ratio(r bench.Result) cell {
	s := r.Summary.RatioCPU
	if s.Median == 0 {
		return cell{Main: "–"}
	}
	return cell{times(s.Median), times(s.Min) + " – " + times(s.Max)}
}

func bytesCell(bytes int64) cell {
	if bytes <= 0 {
		return cell{Main: "–"}
	}
	return cell{Main: size(float64(bytes))}
}
