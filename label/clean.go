package label

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The bounds of what one labeler says of one picture.
const (
	MaxLabels = 100 // those of the highest confidence are kept
	MaxName   = 128 // bytes of UTF-8; a longer name ends at the last word, or character, that fits
)

// Clean returns labels as they are kept: names by CleanName, those that are empty then left out, confidences with four decimals; of
// two of one name and category the surer one; the surest first, at most MaxLabels. An unknown category, and a confidence that is
// none, is an error that wraps ErrRefused: better no labels than those of somebody who speaks another language.
func Clean(labels []Label) ([]Label, error) {
	type key struct{ category, name string }
	seen := map[key]int{}
	var kept []Label
	for i, l := range labels {
		switch {
		case !slices.Contains(Categories(), l.Category):
			return nil, fmt.Errorf("%w: label %d has a category that is none of %s", ErrRefused, i, strings.Join(Categories(), ", "))
		case !(l.Confidence >= 0 && l.Confidence <= 100): // NaN is neither
			return nil, fmt.Errorf("%w: label %d has a confidence that is not from 0 to 100", ErrRefused, i)
		}
		l.Name = CleanName(l.Name)
		l.Confidence = math.Round(l.Confidence*1e4) / 1e4
		at, known := seen[key{l.Category, l.Name}]
		switch {
		case l.Name == "":
		case known:
			kept[at].Confidence = max(kept[at].Confidence, l.Confidence)
		default:
			seen[key{l.Category, l.Name}] = len(kept)
			kept = append(kept, l)
		}
	}
	slices.SortFunc(kept, func(a, b Label) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), strings.Compare(a.Category, b.Category), strings.Compare(a.Name, b.Name))
	})
	return kept[:min(len(kept), MaxLabels)], nil
}

// CleanName returns a name as it is kept and looked for: compatibility forms made one (NFKC), letters folded as for comparison without
// case, whatever is not printed taken for a space, runs of spaces made one, none at the ends, at most MaxName bytes. Cleaning a clean
// name changes nothing.
func CleanName(name string) string {
	if len(name) > 8*MaxName { // what follows would be cut, whatever it folds to
		name = name[:8*MaxName]
	}
	// Folding and composing undo one another for a few letters, which the second round settles.
	for range 2 {
		name = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.ToValidUTF8(name, " "))))
	}
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }), " ")
	if len(name) <= MaxName {
		return name
	}
	end := MaxName
	for !utf8.RuneStart(name[end]) {
		end--
	}
	if space := strings.LastIndexByte(name[:end+1], ' '); space > 0 {
		end = space
	}
	return name[:end]
}

// Thresholds are the least confidences at which labels are kept, by category; a category without one keeps all.
type Thresholds map[string]float64

// Keep returns those labels that reach their thresholds. The slice is reused.
func (t Thresholds) Keep(labels []Label) []Label {
	return slices.DeleteFunc(labels, func(l Label) bool { return l.Confidence < t[l.Category] })
}
