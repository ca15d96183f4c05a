package report

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"

	"deckle/bench"
)

// drawn is a run, and the number of the colour of each of its results.
type drawn struct {
	*bench.Report
	colours []int
}

// latency draws the distribution of every target's latencies: how long the slowest tenth, hundredth, thousandth took.
func latency(r drawn) template.HTML {
	most, least, high := 0.0, math.Inf(1), 0.0
	for _, result := range r.Results {
		for _, q := range result.Distribution {
			most, least, high = max(most, nines(q.Percent)), min(least, q.Millis), max(high, q.Millis)
		}
	}
	if high == 0 {
		return ""
	}
	p := area("latency by percentile", scale{min: 0, max: max(most, 1)}, scale{})
	p.y = newScale(least, high, p.bottom(), marginTop, true)
	labels := map[float64]string{}
	for _, percent := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999} {
		if nines(percent) <= p.x.max {
			labels[nines(percent)] = fmt.Sprintf("%g", percent)
		}
	}
	p.axes("percentile", "latency, ms", labels, short)
	for i, result := range r.Results {
		var points [][2]float64
		for _, q := range result.Distribution {
			points = append(points, [2]float64{nines(q.Percent), q.Millis})
		}
		s := result.Summary
		p.line(points, series(r.colours[i]), fmt.Sprintf("%s: p50 %s ms, p99 %s ms", result.Target, short(s.P50.Median), short(s.P99.Median)))
	}
	return p.end()
}

// nines is 1 for 90 percent, 2 for 99, 3 for 99.9.
func nines(percent float64) float64 { return -math.Log10(max(1-percent/100, 1e-9)) }

// throughput draws good answers per second. Every round has the same width: the time of the target that took longest in it.
// Targets that are far apart get a logarithmic scale.
func throughput(r drawn) template.HTML {
	var longest []float64
	low, high := math.Inf(1), 0.0
	for _, result := range r.Results {
		for round, m := range result.Rounds {
			if round == len(longest) {
				longest = append(longest, 0)
			}
			longest[round] = max(longest[round], m.Seconds)
			list, _ := rates(m)
			high = max(high, slices.Max(append(list, 0)))
			if m.PerSecond > 0 {
				low = min(low, m.PerSecond)
			}
		}
	}
	if high == 0 {
		return ""
	}
	p := area("answers per second over the rounds", scale{min: 0, max: float64(len(longest))}, scale{min: 0, max: high * 1.05})
	if high > 15*low {
		p.y = newScale(low/2, high, p.y.from, p.y.to, true)
	}
	labels := map[float64]string{}
	for round := range longest {
		labels[float64(round)+0.5] = fmt.Sprint(round + 1)
		if round > 0 {
			p.rule(p.x.at(float64(round)), marginTop, p.x.at(float64(round)), p.bottom(), "grid dash")
		}
	}
	p.axes(fmt.Sprintf("round (the longest took %s s)", short(slices.Max(longest))), "answers per second", labels, short)
	for i, result := range r.Results {
		for round, m := range result.Rounds {
			p.line(path(m, float64(round), longest[round]), series(r.colours[i]), fmt.Sprintf("%s, round %d: %s/s", result.Target, round+1, short(m.PerSecond)))
		}
	}
	return p.end()
}

// fewest answers that steps are joined for: the rate of less says more about chance.
const fewest = 8

// rates returns a round's answers per second over its time, and the seconds that each is of. Of the last step only a part was
// played.
func rates(m bench.Round) (list []float64, width float64) {
	total := int64(0)
	for _, n := range m.Timeline {
		total += n
	}
	if total == 0 {
		return nil, 0
	}
	join := max(1, int(math.Ceil(fewest*float64(len(m.Timeline))/float64(total))))
	width = float64(m.TimelineMillis) / 1000 * float64(join)
	for i := 0; i < len(m.Timeline); i += join {
		n := int64(0)
		for _, more := range m.Timeline[i:min(i+join, len(m.Timeline))] {
			n += more
		}
		seconds := min(width, m.Seconds-float64(i/join)*width)
		if seconds < width/2 && i > 0 { // too short to be a rate
			break
		}
		list = append(list, float64(n)/max(seconds, 1e-3))
	}
	return list, width
}

// path returns a round's line: steps between from and from+1, which are so many seconds.
func path(m bench.Round, from, seconds float64) [][2]float64 {
	list, width := rates(m)
	width /= max(seconds, 1e-9)
	var points [][2]float64
	for i, rate := range list {
		x := from + min(float64(i)*width, 0.98)
		points = append(points, [2]float64{x, rate}, [2]float64{min(x+width, from+0.98), rate})
	}
	return points
}

// rows draws a line a target: a bar to the median, a point a round, and the figure in words.
func rows(what, unit string, r drawn, of func(bench.Round) float64, write func(float64) string) template.HTML {
	const rowHeight, top = 40.0, 8.0
	high := 0.0
	for _, result := range r.Results {
		for _, m := range result.Rounds {
			high = max(high, of(m))
		}
	}
	if high == 0 {
		return ""
	}
	p := newPlot(what, plotWidth, top+rowHeight*float64(len(r.Results))+marginBottom)
	p.x = scale{0, high * 1.02, 118, plotWidth - 128, false}
	for _, v := range p.x.ticks(5) {
		p.rule(p.x.at(v), top, p.x.at(v), p.bottom(), "grid")
		p.text(p.x.at(v), p.bottom()+18, "tick mid", write(v))
	}
	p.text((p.x.from+p.x.to)/2, p.height-6, "name mid", unit)
	for i, result := range r.Results {
		y := top + rowHeight*float64(i)
		var values []float64
		for _, m := range result.Rounds {
			values = append(values, of(m))
		}
		slices.Sort(values)
		median := middle(values)
		p.text(108, y+rowHeight/2+4, "label end", clip(result.Target, 15))
		if len(values) == 0 || values[len(values)-1] == 0 {
			p.text(p.x.from+6, y+rowHeight/2+4, "tick", "not measured")
			continue
		}
		tells := fmt.Sprintf("%s: median %s, %s to %s", result.Target, write(median), write(values[0]), write(values[len(values)-1]))
		p.bar(median, y+10, rowHeight-20, "fill "+series(r.colours[i]), tells)
		p.rule(p.x.at(values[0]), y+rowHeight/2, p.x.at(values[len(values)-1]), y+rowHeight/2, "whisker")
		for j, v := range values {
			p.dot(p.x.at(v), y+rowHeight/2+float64(j%3-1)*4, 2.6, "round", tells)
		}
		p.text(p.x.to+12, y+rowHeight/2-2, "value", write(median))
		p.text(p.x.to+12, y+rowHeight/2+12, "tick", write(values[0])+" – "+write(values[len(values)-1]))
	}
	p.rule(p.x.from, top, p.x.from, p.bottom(), "axis")
	return p.end()
}

// middle returns the median of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func clip(text string, most int) string {
	if letters := []rune(text); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return text
}

// trade is what one quality costs and gives, over all sources.
type trade struct {
	quality     int
	bytes, ssim float64
}

// trades returns the means of every quality, the smallest first.
func trades(list []bench.Fidelity) []trade {
	sums := map[int]trade{}
	counts := map[int]float64{}
	for _, f := range list {
		sum := sums[f.Quality]
		sums[f.Quality] = trade{f.Quality, sum.bytes + float64(f.Bytes), sum.ssim + f.SSIM}
		counts[f.Quality]++
	}
	var means []trade
	for _, quality := range slices.Sorted(maps.Keys(sums)) {
		sum, n := sums[quality], counts[quality]
		means = append(means, trade{quality, sum.bytes / n, sum.ssim / n})
	}
	return means
}

// fidelity draws how like the reference pictures are, against their size.
func fidelity(r drawn) template.HTML {
	small, large, low, high := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, result := range r.Results {
		for _, t := range trades(result.Fidelity) {
			small, large, low, high = min(small, t.bytes), max(large, t.bytes), min(low, t.ssim), max(high, t.ssim)
		}
	}
	if large == 0 {
		return ""
	}
	pad := max((high-low)*0.08, 0.001)
	p := area("similarity to the reference against size", scale{}, scale{min: low - pad, max: min(high+pad, 1)})
	p.x = newScale(small, large, p.x.from, p.x.to, true)
	labels := map[float64]string{}
	for _, v := range p.x.ticks(6) {
		labels[v] = short(v/1000) + " kB"
	}
	p.axes("mean size of a picture (up and to the left is better)", "SSIM of luma", labels, func(v float64) string { return fmt.Sprintf("%.4g", v) })
	for i, result := range r.Results {
		var points [][2]float64
		list := trades(result.Fidelity)
		for _, t := range list {
			points = append(points, [2]float64{t.bytes, t.ssim})
		}
		p.line(points, series(r.colours[i]), result.Target)
		for _, t := range list {
			radius := 3.2
			if t.quality == r.Config.Quality {
				radius = 5.5
			}
			p.dot(p.x.at(t.bytes), p.y.at(t.ssim), radius, "point "+series(r.colours[i]), fmt.Sprintf("%s, quality %d: %s, SSIM %.4f", result.Target, t.quality, size(t.bytes), t.ssim))
		}
	}
	return p.end()
}
