package transform

import (
	"strconv"
	"strings"
)

// What of an SVG costs more than the elements that are drawn.
const (
	maxSVGMatches = 50_000_000 // style rules times elements; for rules on an element's place, times its siblings too
	maxSVGStops   = 256        // of a gradient
	maxSVGText    = 100_000    // bytes that are set as text
	maxSVGOctaves = 16         // of noise; what is beyond eight of them is finer than a step of colour

	// svgSurface is as how many elements what needs a surface of its own counts: the steps of a filter, and patterns.
	svgSurface = 20
)

// svgWeight is as how many elements one counts, without those in it.
func svgWeight(name string) int {
	switch {
	case name == "stop": // colours of a gradient, and not drawn
		return 0
	case name == "pattern", strings.HasPrefix(name, "fe"):
		return svgSurface
	}
	return 1
}

// svgFunctions is as how many elements the filters count that a value spells as functions, one after the other.
func svgFunctions(value string) int {
	if !strings.Contains(value, ")") {
		return 0
	}
	lower := strings.ToLower(value)
	return svgSurface * (strings.Count(lower, "blur(") + strings.Count(lower, "drop-shadow("))
}

// octaves checks how fine noise is.
func octaves(value string) error {
	if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n > maxSVGOctaves {
		return tooMuch(SVG, "its noise has more than %d octaves", maxSVGOctaves)
	}
	return nil
}

// within tells whether the next token is in an element of a name.
func (r *svgReader) within(name string) bool {
	for _, i := range r.open {
		if r.elements[i].name == name {
			return true
		}
	}
	return false
}

// selectors counts a style sheet's rules.
func (r *svgReader) selectors(lower string) {
	r.rules += strings.Count(lower, "{") + strings.Count(lower, ",")
	for _, place := range []string{":nth", "-of-type", "~"} {
		r.placed += strings.Count(lower, place)
	}
}

// checkMatches bounds the time it takes to find out which rules are for which elements.
func (r *svgReader) checkMatches() error {
	siblings := 1
	for i := range r.elements {
		siblings = max(siblings, len(r.elements[i].children))
	}
	if (r.rules+min(r.placed, maxSVGMatches)*siblings)*len(r.elements) > maxSVGMatches {
		return tooMuch(SVG, "its style sheet has too many rules for so many elements")
	}
	return nil
}
