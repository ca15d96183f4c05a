package report

import (
	"fmt"
	"html/template"
	"math"

	"deckle/bench"
)

// overview draws, for every run, the CPU of each target's requests relative to the first target, on a logarithmic scale: a bar to
// the left is cheaper. There is none of a single target, or without a measured CPU.
func overview(s *bench.Suite) template.HTML {
	type row struct {
		run     string
		targets []string
		spreads []bench.Spread
		colours []int
	}
	var list []row
	least, most, lines := 1.0, 1.0, 0
	order := targets(s)
	for _, r := range s.Runs {
		one := row{run: r.Name()}
		for _, result := range r.Results[1:] {
			spread := result.Summary.RatioCPU
			if spread.Median <= 0 {
				continue
			}
			low := spread.Min
			if low <= 0 { // less than a step of the clock
				low = spread.Median
			}
			least, most = min(least, low), max(most, spread.Max)
			one.targets, one.spreads, one.colours = append(one.targets, result.Target), append(one.spreads, spread), append(one.colours, order[result.Target])
			lines++
		}
		if len(one.targets) > 0 {
			list = append(list, one)
		}
	}
	if lines == 0 {
		return ""
	}
	const line, gap, top = 22.0, 16.0, 8.0
	p := newPlot("CPU of a request relative to the first target", overviewWidth, top+line*float64(lines)+gap*float64(len(list))+marginBottom)
	p.x = newScale(max(least, 1e-6), most, 150, overviewWidth-170, true)
	for _, v := range p.x.ticks(6) {
		p.rule(p.x.at(v), top, p.x.at(v), p.bottom(), "grid")
		p.text(p.x.at(v), p.bottom()+18, "tick mid", times(v))
	}
	y := top + gap/2
	for _, one := range list {
		p.text(138, y+line*float64(len(one.targets))/2+4, "label end", one.run)
		for i, spread := range one.spreads {
			from, to := p.x.at(1), p.x.at(spread.Median)
			tells := fmt.Sprintf("%s, %s: %s (%s to %s)", one.run, one.targets[i], times(spread.Median), times(spread.Min), times(spread.Max))
			p.write(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="fill %s"><title>%s</title></rect>`,
				math.Min(from, to), y+3, max(math.Abs(to-from), 1), line-6, series(one.colours[i]), template.HTMLEscapeString(tells))
			p.rule(p.x.at(spread.Min), y+line/2, p.x.at(spread.Max), y+line/2, "whisker")
			p.text(p.x.to+70, y+line/2+4, "value end", times(spread.Median))
			p.text(p.x.to+82, y+line/2+4, "tick", times(spread.Min)+" to "+times(spread.Max))
			y += line
		}
		y += gap
	}
	p.rule(p.x.at(1), top, p.x.at(1), p.bottom(), "axis")
	p.text((p.x.from+p.x.to)/2, p.height-6, "name mid", "CPU of a request, relative to "+s.Runs[0].Results[0].Target+" (less is better)")
	return p.end()
}

// overviewWidth is that of the drawing over the whole page.
const overviewWidth = 860.0

// times writes a ratio so that it can be said.
func times(v float64) string {
	switch {
	case v <= 0:
		return "0"
	case v < 0.0995:
		return "1/" + short(1/v)
	case v < 10:
		return fmt.Sprintf("%.2f×", v)
	}
	return short(v) + "×"
}

// targets numbers the targets of all runs in the order in which they come, so that each keeps its colour.
func targets(s *bench.Suite) map[string]int {
	order := make(map[string]int)
	for _, r := range s.Runs {
		for _, result := range r.Results {
			if _, known := order[result.Target]; !known {
				order[result.Target] = len(order)
			}
		}
	}
	return order
}
