package transform

import (
	"errors"
	"strings"
	"testing"
)

// TestSVGCost has drawings in which few bytes make a renderer work for seconds.
func TestSVGCost(t *testing.T) {
	repeat := strings.Repeat
	blurred := `<filter id="f"><feGaussianBlur stdDeviation="9"/></filter>`
	for name, c := range map[string]struct {
		inner string
		err   error
	}{
		"rules":                           {"<style>" + repeat("g{fill:red}", 1000) + "</style>" + repeat("<g/>", 10_000), nil},
		"too many rules":                  {"<style>" + repeat("g{fill:red}", 10_000) + "</style>" + repeat("<g/>", 10_000), ErrLimit},
		"too many rules in lists":         {"<style>" + repeat("g,", 10_000) + "g{fill:red}</style>" + repeat("<g/>", 10_000), ErrLimit},
		"places":                          {"<style>" + repeat("g:nth-child(2){fill:red}", 20) + "</style>" + repeat("<g/>", 1000), nil},
		"places among too many":           {"<style>g:nth-child(2){fill:red}</style>" + repeat("<g/>", 10_000), ErrLimit},
		"places in two sheets":            {repeat("<style>g ~ b{fill:red}</style>", 20) + repeat("<g/>", 2000), ErrLimit},
		"text":                            {"<text><tspan>" + repeat("a", maxSVGText) + "</tspan></text>", nil},
		"too much text":                   {"<text>" + repeat("a", maxSVGText) + "<tspan>b</tspan></text>", ErrLimit},
		"words that nobody sets":          {"<desc>" + repeat("a", 2*maxSVGText) + "</desc>", nil},
		"stops":                           {"<linearGradient>" + repeat("<stop/>", maxSVGStops) + "</linearGradient>", nil},
		"too many stops":                  {"<linearGradient>" + repeat("<stop/>", maxSVGStops+1) + "</linearGradient>", ErrLimit},
		"noise":                           {`<filter><feTurbulence numOctaves="16"/></filter>`, nil},
		"too fine a noise":                {`<filter><feTurbulence numOctaves=" 1e6"/></filter>`, ErrLimit},
		"blurs":                           {blurred + repeat(`<g filter="url(#f)"/>`, 3000), nil},
		"too many blurs":                  {blurred + repeat(`<g filter="url(#f)"/>`, 6000), ErrLimit},
		"blurs as functions":              {`<g filter="` + repeat("blur(5px) ", 3000) + `"/>`, nil},
		"too many blurs as functions":     {`<g filter="` + repeat("blur(5px) ", 6000) + `"/>`, ErrLimit},
		"too many shadows, of each other": {repeat(`<g style="filter:Drop-Shadow(1px 1px)"/>`, 6000), ErrLimit},
		"too many patterns":               {`<pattern id="p"/>` + repeat(`<g fill="url(#p)"/>`, 6000), ErrLimit},
	} {
		if _, err := everyInput().ReadHeader(svgOf(`width="9" height="5"`, c.inner)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}
