package transform

import (
	"fmt"
	"strings"
)

// Option is one query option of a URL: a row of the table that the parser, the canonical printer and the lists in the
// documentation are made from.
type Option struct {
	Name   string
	Values string // what it takes, the default first
	Effect string
	parse  func(*Spec, string) error // the error is a hint: what would be accepted
	print  func(Spec) string         // the canonical value; empty for the default
}

// options is the table, in canonical order.
var options = []Option{
	{
		Name: "fit", Values: strings.Join(fitNames[:], ", "),
		Effect: "inside the box; fill and crop to it; inside and padded to it; box as minimum; exact, ratio ignored",
		parse:  func(s *Spec, v string) error { return parseName(&s.Fit, fitNames[:], v) },
		print:  func(s Spec) string { return printName(int(s.Fit), fitNames[:]) },
	},
	{
		Name: "gravity", Values: strings.Join(gravityNames[:], ", "),
		Effect: "what crop keeps, where canvas places",
		parse:  func(s *Spec, v string) error { return parseName(&s.Gravity, gravityNames[:], v) },
		print:  func(s Spec) string { return printName(int(s.Gravity), gravityNames[:]) },
	},
	{
		Name: "enlarge", Values: "false, true",
		Effect: "let clip go beyond the source's size",
		parse:  func(s *Spec, v string) error { return parseSwitch(&s.Enlarge, v) },
		print:  func(s Spec) string { return printSwitch(s.Enlarge) },
	},
	{
		Name: "crop", Values: "x,y,w,h pixels or x0:y0:x1:y1 fractions",
		Effect: "cut from the upright source before fitting",
		parse:  func(s *Spec, v string) error { return parseCrop(&s.Crop, v) },
		print:  func(s Spec) string { return s.Crop.String() },
	},
	{
		Name: "rotate", Values: "0, 90, 180, 270",
		Effect: "degrees clockwise, after EXIF orientation",
		parse:  func(s *Spec, v string) error { return parseRotate(&s.Rotate, v) },
		print:  func(s Spec) string { return printNumber(s.Rotate) },
	},
	{
		Name: "flip", Values: strings.Join(flipNames[1:], ", "),
		Effect: "mirror left-right, top-bottom, or both; after rotate",
		parse:  func(s *Spec, v string) error { return parseName(&s.Flip, flipNames[:], v) },
		print:  func(s Spec) string { return printName(int(s.Flip), flipNames[:]) },
	},
	{
		Name: "quality", Values: "auto, 1-100",
		Effect: "auto keeps a JPEG's own quality, capped; others encode at a tuned default",
		parse:  func(s *Spec, v string) error { return parseQuality(&s.Quality, v) },
		print:  func(s Spec) string { return printNumber(s.Quality) },
	},
	{
		Name: "blur", Values: "false, true, sigma 0.3-100",
		Effect: "Gaussian blur of the result; true is sigma 7",
		parse:  func(s *Spec, v string) error { return parseBlur(&s.Blur, v) },
		print:  func(s Spec) string { return printFixed(s.Blur, 100) },
	},
	{
		Name: "background", Values: "white, rgb, rrggbb or rrggbbaa in hex, transparent",
		Effect: "under transparency, around canvas",
		parse:  func(s *Spec, v string) error { return parseBackground(&s.Background, v) },
		print:  func(s Spec) string { return s.Background.String() },
	},
}

var (
	fitNames     = [...]string{"clip", "crop", "canvas", "cover", "stretch"}
	gravityNames = [...]string{"center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"}
	flipNames    = [...]string{"none", "h", "v", "hv"}
)

// Options returns the table of query options in canonical order. The caller may keep and change the slice.
func Options() []Option { return append([]Option(nil), options...) }

// SpecError says which part of a URL asks for something that cannot be done, and what would be accepted.
type SpecError struct {
	Option string // the option's name, or "size", "ratio", "extension", "query"
	Value  string // as given
	Hint   string // what to write instead
}

func (e *SpecError) Error() string {
	return fmt.Sprintf("transform: %s %q: %s", e.Option, e.Value, e.Hint)
}

// Set reads one option. The error is a *SpecError. Set does not make s canonical; Parse and ParseQuery do.
func (s *Spec) Set(name, value string) error {
	for i := range options {
		if options[i].Name != name {
			continue
		}
		if err := options[i].parse(s, strings.ToLower(value)); err != nil {
			return &SpecError{Option: name, Value: clip(value), Hint: err.Error()}
		}
		return nil
	}
	return &SpecError{Option: clip(name), Value: clip(value), Hint: "unknown option; did you mean " + nearest(name, optionNames()) + "?"}
}

func optionNames() []string {
	names := make([]string, len(options))
	for i := range options {
		names[i] = options[i].Name
	}
	return names
}

// clip bounds what an error repeats of a URL.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:most], "?") + "..."
}

// nearest returns the candidate with the fewest edits from word (Levenshtein distance); the first one of equals.
func nearest(word string, candidates []string) string {
	word = clip(strings.ToLower(word))
	best, bestDistance := "", 1<<30
	for _, c := range candidates {
		if d := edits(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
