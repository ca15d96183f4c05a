package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"deckle/transform"
)

// Presets are configured bundles of options, by name.
type Presets struct {
	byName map[string]preset
}

// preset is one bundle.
type preset struct {
	sized transform.Spec // its size, and nothing else
	pairs []string       // its options, name=value as in a query
}

// maxPresetName bounds a preset's name, bytes.
const maxPresetName = 64

// ParsePresets reads name=bundle;name=bundle. A bundle is what stands in a URL behind the id, without an extension:
// fit=crop&quality=70, or with a size _300_200?fit=crop. Names are made of a-z 0-9 - and _. mostSide bounds the sizes,
// device pixels.
func ParsePresets(text string, mostSide int) (Presets, error) {
	p := Presets{byName: map[string]preset{}}
	for entry := range strings.SplitSeq(text, ";") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		name, bundle, found := strings.Cut(entry, "=")
		if name = strings.TrimSpace(name); !found || !isPresetName(name) {
			return Presets{}, fmt.Errorf("preset %q: want name=options with a name of a-z 0-9 - _", entry)
		}
		if _, twice := p.byName[name]; twice {
			return Presets{}, fmt.Errorf("preset %s is given twice", name)
		}
		read, err := parsePreset(strings.TrimSpace(bundle), mostSide)
		if err != nil {
			return Presets{}, fmt.Errorf("preset %s: %w", name, err)
		}
		p.byName[name] = read
	}
	return p, nil
}

func isPresetName(name string) bool {
	return name != "" && len(name) <= maxPresetName && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func parsePreset(bundle string, mostSide int) (preset, error) {
	size, query, found := strings.Cut(bundle, "?")
	if !found && !strings.HasPrefix(bundle, "_") {
		size, query = "", bundle
	}
	sized, err := transform.Parse(size)
	if err != nil {
		return preset{}, err
	}
	whole, err := transform.Parse(size + "?" + query)
	switch {
	case err != nil:
		return preset{}, err
	case sized.Format != transform.Source:
		return preset{}, fmt.Errorf("%s: the format is the URL's own", bundle)
	case whole == transform.Spec{}:
		return preset{}, fmt.Errorf("%q asks for nothing", bundle)
	case max(sized.Width, sized.Height) > mostSide:
		return preset{}, fmt.Errorf("%s: sides are at most %d device pixels", size, mostSide)
	}
	return preset{sized: sized, pairs: pairsOf(query)}, nil
}

// pairsOf splits a query and drops what is empty.
func pairsOf(query string) []string {
	return strings.FieldsFunc(query, func(r rune) bool { return r == '&' })
}

// names lists the presets in alphabetical order.
func (p Presets) names() []string { return slices.Sorted(maps.Keys(p.byName)) }

// expand adds what a preset asks for to a spec and a query: the size where spec has none, and the options that query does
// not name. The error is a *transform.SpecError.
func (p Presets) expand(name string, spec transform.Spec, query string) (transform.Spec, string, error) {
	found, ok := p.byName[name]
	if !ok {
		hint := "no presets are configured here"
		if len(p.byName) > 0 {
			hint = "unknown preset; did you mean " + transform.Nearest(name, p.names()) + "?"
		}
		return spec, query, &transform.SpecError{Option: "preset", Value: bounded(name), Hint: hint}
	}
	if spec.Width == 0 && spec.Height == 0 {
		spec.Width, spec.Height = found.sized.Width, found.sized.Height
	}
	given := map[string]bool{}
	for _, pair := range pairsOf(query) {
		given[optionName(pair)] = true
	}
	merged := query
	for _, pair := range found.pairs {
		if !given[optionName(pair)] {
			merged += "&" + pair
		}
	}
	return spec, merged, nil
}
