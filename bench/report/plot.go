package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// The size of a plot and of what surrounds its area, in units of its view box.
const (
	plotWidth    = 560.0
	plotHeight   = 290.0
	marginLeft   = 58.0
	marginRight  = 18.0
	marginTop    = 14.0
	marginBottom = 44.0
)

// scale maps values to positions.
type scale struct {
	min, max float64 // values
	from, to float64 // positions
	log      bool
}

// newScale makes room for the values between least and most; a logarithmic one has only those above 0.
func newScale(least, most, from, to float64, log bool) scale {
	if log {
		least = max(least, math.SmallestNonzeroFloat32)
		most = max(most, least)
		if most < 3*least { // a line that is nearly flat would look like a cliff
			middle := math.Sqrt(least * most)
			least, most = middle/1.75, middle*1.75
		}
		return scale{least / 1.12, most * 1.12, from, to, true}
	}
	if most <= least {
		most = least + max(math.Abs(least)*0.1, 1e-9)
	}
	return scale{least, most, from, to, false}
}

func (s scale) at(v float64) float64 {
	part := (v - s.min) / (s.max - s.min)
	if s.log {
		part = math.Log(max(v, s.min)/s.min) / math.Log(s.max/s.min)
	}
	return s.from + part*(s.to-s.from)
}

// ticks returns round values within the scale, about n of a linear one.
func (s scale) ticks(n int) []float64 {
	if s.log {
		return s.logTicks()
	}
	step := math.Pow(10, math.Floor(math.Log10((s.max-s.min)/float64(n))))
	for _, factor := range []float64{1, 2, 5, 10} {
		if (s.max-s.min)/(step*factor) <= float64(n) {
			step *= factor
			break
		}
	}
	var list []float64
	for i := math.Ceil(s.min/step - 1e-9); i*step <= s.max*(1+1e-12); i++ {
		list = append(list, max(i*step, 0)) // no negative zero; nothing drawn here is below it
	}
	return list
}

func (s scale) logTicks() []float64 {
	digits := []float64{1, 2, 5}
	switch {
	case s.max/s.min > 500:
		digits = digits[:1]
	case s.max/s.min < 12:
		digits = []float64{1, 2, 3, 5, 7}
	}
	var list []float64
	for decade := math.Floor(math.Log10(s.min)); decade <= math.Ceil(math.Log10(s.max)); decade++ {
		for _, digit := range digits {
			if v := digit * math.Pow(10, decade); v >= s.min && v <= s.max {
				list = append(list, v)
			}
		}
	}
	return list
}

// plot is a drawing that grows.
type plot struct {
	svg           strings.Builder
	width, height float64
	x, y          scale
}

// newPlot begins one; what says in a sentence what it shows, for those who do not see it.
func newPlot(what string, width, height float64) *plot {
	p := &plot{width: width, height: height}
	p.write(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, html.EscapeString(what))
	return p
}

func (p *plot) write(form string, args ...any) { fmt.Fprintf(&p.svg, form, args...) }

func (p *plot) end() template.HTML {
	p.write(`</svg>`)
	return template.HTML(p.svg.String()) //nolint:gosec // every text in it was escaped
}

func (p *plot) bottom() float64 { return p.height - marginBottom }

func (p *plot) text(x, y float64, class, text string) {
	p.write(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(text))
}

func (p *plot) rule(x1, y1, x2, y2 float64, class string) {
	p.write(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// dot draws a point that tells what it is when pointed at.
func (p *plot) dot(x, y, radius float64, class, tells string) {
	p.write(`<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s"><title>%s</title></circle>`, x, y, radius, class, html.EscapeString(tells))
}

// bar draws a horizontal bar from the left of the scale to a value.
func (p *plot) bar(to, y, height float64, class, tells string) {
	p.write(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="%s"><title>%s</title></rect>`,
		p.x.from, y, max(p.x.at(to)-p.x.from, 1), height, class, html.EscapeString(tells))
}

// axes draws the grid, the labels and the names of both scales.
func (p *plot) axes(xName, yName string, xLabels map[float64]string, label func(float64) string) {
	for _, v := range p.y.ticks(6) {
		p.rule(p.x.from, p.y.at(v), p.x.to, p.y.at(v), "grid")
		p.text(p.x.from-8, p.y.at(v)+4, "tick end", label(v))
	}
	for v, text := range xLabels {
		p.rule(p.x.at(v), p.bottom(), p.x.at(v), p.bottom()+4, "axis")
		p.text(p.x.at(v), p.bottom()+18, "tick mid", text)
	}
	p.rule(p.x.from, p.bottom(), p.x.to, p.bottom(), "axis")
	p.text((p.x.from+p.x.to)/2, p.height-6, "name mid", xName)
	p.write(`<text x="14" y="%.1f" class="name mid" transform="rotate(-90 14 %.1f)">%s</text>`,
		(marginTop+p.bottom())/2, (marginTop+p.bottom())/2, html.EscapeString(yName))
}

// line joins points; tells is shown when pointed at.
func (p *plot) line(points [][2]float64, class, tells string) {
	if len(points) == 0 {
		return
	}
	p.write(`<polyline class="line %s" points="`, class)
	for _, at := range points {
		p.write("%.1f,%.1f ", p.x.at(at[0]), p.y.at(at[1]))
	}
	p.write(`"><title>%s</title></polyline>`, html.EscapeString(tells))
}

// area returns a plot with scales over its usual area.
func area(what string, x, y scale) *plot {
	p := newPlot(what, plotWidth, plotHeight)
	x.from, x.to = marginLeft, plotWidth-marginRight
	y.from, y.to = p.bottom(), marginTop
	p.x, p.y = x, y
	return p
}

// colours is how many targets are told apart by their colour.
const colours = 6

// series names the class of the nth target.
func series(n int) string { return fmt.Sprintf("s%d", n%colours) }

// short writes a figure with three digits, and k for thousands.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// size writes bytes for people.
func size(v float64) string {
	switch {
	case v >= 1<<30:
		return fmt.Sprintf("%.3g GiB", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.3g MiB", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%.3g KiB", v/(1<<10))
	}
	return fmt.Sprintf("%.0f B", v)
}
