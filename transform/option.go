package transform

import (
	"fmt"
	"strconv"
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
		Name: "gravity", Values: strings.Join(gravityNames[:], ", ") + ", fp:X:Y",
		Effect: "what crop keeps, where canvas places; attention and entropy look at the picture, X and Y are 0-1",
		parse:  func(s *Spec, v string) error { return s.setGravity(v) },
		print:  func(s Spec) string { return s.printGravity() },
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
		Name: "trim", Values: "threshold 0-255",
		Effect: "cut borders of the top left pixel's colour first; crop counts from what is left",
		parse:  func(s *Spec, v string) error { return parseTrim(&s.Trim, v) },
		print:  func(s Spec) string { return s.Trim.String() },
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
		Name: "lossless", Values: "false, true",
		Effect: "every pixel as it is: webp, avif, jxl; png and tiff always are",
		parse:  func(s *Spec, v string) error { return parseSwitch(&s.Lossless, v) },
		print:  func(s Spec) string { return printSwitch(s.Lossless) },
	},
	{
		Name: "max_bytes", Values: "100-100000000",
		Effect: "highest quality up to quality that fits; 422 if none does; rounded down, by an eighth at most",
		parse:  func(s *Spec, v string) error { return parseMaxBytes(&s.MaxBytes, v) },
		print:  func(s Spec) string { return printNumber(s.MaxBytes) },
	},
	{
		Name: "blur", Values: "false, true, sigma 0.3-100",
		Effect: "Gaussian blur of the result; true is sigma 7",
		parse:  func(s *Spec, v string) error { return parseBlur(&s.Blur, v) },
		print:  func(s Spec) string { return printFixed(s.Blur, 100) },
	},
	{
		Name: "sharpen", Values: "false, sigma 0.3-10",
		Effect: "unsharp mask on the result's brightness",
		parse:  func(s *Spec, v string) error { return parseSharpen(&s.Sharpen, v) },
		print:  func(s Spec) string { return printFixed(s.Sharpen, 100) },
	},
	{
		Name: "brightness", Values: "100, 0-200",
		Effect: "per cent, as CSS brightness()",
		parse:  func(s *Spec, v string) error { return parsePercent(&s.Brightness, v) },
		print:  func(s Spec) string { return printPercent(s.Brightness) },
	},
	{
		Name: "contrast", Values: "100, 0-200",
		Effect: "per cent, as CSS contrast()",
		parse:  func(s *Spec, v string) error { return parsePercent(&s.Contrast, v) },
		print:  func(s Spec) string { return printPercent(s.Contrast) },
	},
	{
		Name: "saturation", Values: "100, 0-200",
		Effect: "per cent, as CSS saturate()",
		parse:  func(s *Spec, v string) error { return parsePercent(&s.Saturation, v) },
		print:  func(s Spec) string { return printPercent(s.Saturation) },
	},
	{
		Name: "gray", Values: "false, true",
		Effect: "brightness only, as CSS grayscale()",
		parse:  func(s *Spec, v string) error { return parseSwitch(&s.Gray, v) },
		print:  func(s Spec) string { return printSwitch(s.Gray) },
	},
	{
		Name: "background", Values: "white, rgb, rrggbb or rrggbbaa in hex, transparent, blur",
		Effect: "under transparency, around canvas; blur is a blurred copy of the picture, around canvas only",
		parse:  func(s *Spec, v string) error { return parseBackground(&s.Background, v) },
		print:  func(s Spec) string { return s.Background.String() },
	},
	{
		Name: "page", Values: "1-" + strconv.Itoa(maxPage),
		Effect: "frame or page of the source, as a still picture; the first is 1",
		parse:  func(s *Spec, v string) error { return parsePage(&s.Page, v) },
		print:  func(s Spec) string { return printNumber(s.Page) },
	},
	{
		Name: "animate", Values: "auto, false",
		Effect: "auto keeps an animation where the output (gif, webp) can hold it",
		parse:  func(s *Spec, v string) error { return parseAnimate(&s.Still, v) },
		print:  func(s Spec) string { return printStill(s.Still) },
	},
	{
		Name: "watermark", Values: "name[,gravity[,scale[,opacity]]]",
		Effect: "a configured overlay on the result: southeast, 0.25 of its width, opacity 1 unless given",
		parse:  func(s *Spec, v string) error { return parseWatermark(&s.Watermark, v) },
		print:  func(s Spec) string { return s.Watermark.String() },
	},
}

var (
	fitNames     = [...]string{"clip", "crop", "canvas", "cover", "stretch"}
	gravityNames = [...]string{
		"center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest", "attention", "entropy",
	}
	flipNames = [...]string{"none", "h", "v", "hv"}
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
