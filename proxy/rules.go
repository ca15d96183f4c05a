package proxy

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"deckle/transform"
)

// Rules are what the configuration says of URLs. The zero value takes every option and size, and knows no presets.
type Rules struct {
	Ignore      []string // query options passed over; name* matches a prefix; the first marks a versioned URL
	Presets     Presets
	PresetsOnly bool   // sizes and options come from presets and from nowhere else
	Sizes       Ladder // sides that are rendered; empty for all
	Snap        bool   // a size between two rungs is served as the next one, instead of being redirected there
	Namespaces  Namespaces
	Suffixes    Suffixes
}

// Ladder lists the sides that pictures are rendered at, device pixels, ascending.
type Ladder []int

// ParseLadder reads sides; none may be above most.
func ParseLadder(sides []string, most int) (Ladder, error) {
	var l Ladder
	for _, text := range sides {
		side, err := strconv.Atoi(text)
		if err != nil || side < 1 || side > most {
			return nil, fmt.Errorf("%q is no side: want a whole number from 1 to %d", text, most)
		}
		l = append(l, side)
	}
	slices.Sort(l)
	return slices.Compact(l), nil
}

// Climb returns s with each side that is given on the next rung up, or on the last one, and whether anything changed. Sides
// climb each by themselves: a crop keeps its shape only where both of its sides are rungs.
func (l Ladder) Climb(s transform.Spec) (transform.Spec, bool) {
	if len(l) == 0 {
		return s, false
	}
	climbed := s
	climbed.Width, climbed.Height = l.rung(s.Width), l.rung(s.Height)
	return climbed, climbed != s
}

func (l Ladder) rung(side int) int {
	if side == 0 {
		return 0
	}
	i, _ := slices.BinarySearch(l, side)
	return l[min(i, len(l)-1)]
}

// Bound returns what r asks for within the bounds of sizes, and whether that is something else: on the ladder where there is one,
// else with sides of at most most device pixels.
func (rules *Rules) Bound(r Request, most int) (transform.Spec, bool) {
	switch {
	case !r.Sized:
		return r.Spec, false
	case len(rules.Sizes) > 0:
		return rules.Sizes.Climb(r.Spec)
	}
	return r.Spec.Clamp(most)
}

func (p *Proxy) bound(r Request) (transform.Spec, bool) { return p.Bound(r, p.Limits.OutputSide) }

// snaps tells whether a size out of bounds is served as the nearest one within.
func (p *Proxy) snaps() bool { return p.Snap && len(p.Sizes) > 0 }

// boundsInfo says what the bounds are.
func (p *Proxy) boundsInfo() string {
	if len(p.Sizes) > 0 {
		return fmt.Sprintf("sides are one of %d device pixels", p.Sizes)
	}
	return fmt.Sprintf("sides are at most %d device pixels", p.Limits.OutputSide)
}

// ignores tells whether an option is passed over, and whether it marks a versioned URL.
func (rules *Rules) ignores(name string) (ignored, versioned bool) {
	for i, pattern := range rules.Ignore {
		prefix, isPrefix := strings.CutSuffix(pattern, "*")
		if name == pattern || (isPrefix && strings.HasPrefix(name, prefix)) {
			return true, i == 0
		}
	}
	return false, false
}

// check refuses what presets-only forbids: a size in the name, and options in the query. The error is a *transform.SpecError.
func (rules *Rules) check(spec transform.Spec, query string, passedOver func(name string) bool) error {
	if !rules.PresetsOnly {
		return nil
	}
	hint := "only presets are served here"
	if names := rules.Presets.names(); len(names) > 0 {
		hint += ", as in preset=" + names[0]
	}
	if size := spec.Size(); size != "" {
		return &transform.SpecError{Option: "size", Value: size, Hint: hint}
	}
	for _, pair := range pairsOf(query) {
		if name := optionName(pair); !passedOver(name) {
			_, value, _ := strings.Cut(pair, "=")
			return &transform.SpecError{Option: bounded(name), Value: bounded(value), Hint: hint}
		}
	}
	return nil
}

// optionName returns the name of one pair of a raw query, as it is when its encoding is broken.
func optionName(pair string) string {
	raw, _, _ := strings.Cut(pair, "=")
	if name, err := url.QueryUnescape(raw); err == nil {
		return name
	}
	return raw
}

// bounded bounds what an error repeats of a URL.
func bounded(text string) string {
	const most = 64
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}
