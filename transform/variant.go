package transform

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrNoVariant says that a name is none that the path form has.
var ErrNoVariant = errors.New("transform: no variant has such a name")

// fullSize is the name of the variant that keeps the source's size.
const fullSize = "full_size"

// ParseVariant reads the last segment of a URL in path form (URLS.md section 3): WxH, xN, wN or full_size, with an optional
// -qN and an optional extension, which is jpg where there is none; or cX0_Y0_X1_Y1 with optional -wN and -qN, and an extension.
// A side or a quality of 0 is left to the picture, and a quality above 100 is 100. The Spec still wants ParseQuery. Errors are
// ErrNoVariant, and *SpecError for an extension or a crop that is none.
func ParseVariant(name string) (Spec, error) {
	if likeCrop(name) {
		return parseCropVariant(name)
	}
	stem, ext, dotted := cutExt(name)
	if !dotted {
		ext = JPEG.Ext()
	}
	var s Spec
	if rest, n, found := cutNumber(stem, "-q"); found {
		stem, s.Quality = rest, min(n, 100)
	}
	if !s.setBox(stem) {
		return Spec{}, ErrNoVariant
	}
	return s, s.setExt(ext)
}

func cutExt(name string) (stem, ext string, dotted bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name, "", false
	}
	return name[:dot], name[dot+1:], true
}

// cutNumber takes a mark and the number behind it off the end of a name.
func cutNumber(name, mark string) (rest string, n int, found bool) {
	i := strings.LastIndex(name, mark)
	if i < 0 {
		return name, 0, false
	}
	n, found = plainNumber(name[i+len(mark):])
	return name[:i], n, found
}

// plainNumber reads one to five digits. Leading zeros say nothing.
func plainNumber(s string) (int, bool) {
	if s == "" || len(s) > sizeDigits || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// setBox reads WxH, xN, wN or full_size.
func (s *Spec) setBox(box string) bool {
	if box == fullSize {
		return true
	}
	before, after, crossed := strings.Cut(box, "x")
	width, okW := plainNumber(strings.TrimPrefix(before, "w"))
	switch height, okH := plainNumber(after); {
	case !crossed:
		s.Width = width
		return okW && strings.HasPrefix(before, "w")
	case !okH:
		return false
	case before == "":
		s.Width, s.Height = height, height
	case !okW || before[0] == 'w':
		return false
	default:
		s.Width, s.Height = width, height
	}
	if s.Width == 0 { // what a free width means in the path form: no box at all
		s.Height = 0
	}
	if s.Height > 0 {
		s.Fit = FitCrop
	}
	return true
}

// likeCrop tells the names that are meant as a crop, well formed or not: c, what a number begins with, and three underscores.
func likeCrop(name string) bool {
	return len(name) > 1 && name[0] == 'c' && strings.IndexByte("+-.0123456789", name[1]) >= 0 && strings.Count(name, "_") == 3
}

// parseCropVariant reads cX0_Y0_X1_Y1[-wN][-qN].EXT: fractions with three decimals each, numbers without leading zeros.
func parseCropVariant(name string) (Spec, error) {
	invalid := func(hint string) (Spec, error) {
		return Spec{}, &SpecError{Option: "crop", Value: clip(name), Hint: hint}
	}
	stem, ext, _ := cutExt(name)
	if strings.Trim(ext, "0123456789") == "" {
		return invalid("it ends in an extension, as in c0.000_0.250_1.000_0.750.jpg")
	}
	corners, numbers, more := strings.Cut(stem[1:], "-")
	var s Spec
	if more && !s.setCropNumbers("-"+numbers) {
		return invalid("behind the corners there may be -w and a width from 1 to 99999, then -q and a quality from 1 to 100")
	}
	var edge [4]int
	for i, text := range strings.Split(corners, "_") {
		var ok bool
		if edge[i], ok = parseEdge(text); !ok {
			return invalid("corners are fractions of the sides with three decimals, from 0.000 to 1.000")
		}
	}
	if edge[0] >= edge[2] || edge[1] >= edge[3] {
		return invalid("the first corner lies above and to the left of the second")
	}
	s.Crop = Crop{Fraction: true, X: edge[0], Y: edge[1], W: edge[2] - edge[0], H: edge[3] - edge[1]}
	return s, s.setExt(ext)
}

// setCropNumbers reads [-wN][-qN].
func (s *Spec) setCropNumbers(text string) bool {
	if before, quality, found := strings.Cut(text, "-q"); found {
		n, ok := parseDigits(quality, 3)
		if !ok || n < 1 || n > 100 {
			return false
		}
		text, s.Quality = before, n
	}
	width, found := strings.CutPrefix(text, "-w")
	if !found {
		return text == ""
	}
	n, ok := parseDigits(width, sizeDigits)
	s.Width = n
	return ok && n > 0
}

// parseEdge reads 0.ddd or 1.000 as millionths.
func parseEdge(s string) (int, bool) {
	n, ok := parseFixed(s, 3)
	return n * (millionths / 1000), ok && len(s) == len("0.000") && n <= 1000
}

// Variant returns the name by which the path form asks for s, in the form that it needs no query; ok is false where it has
// none. ParseVariant reads the name back.
func (s Spec) Variant() (name string, ok bool) {
	if s != (Spec{Format: s.Format, Width: s.Width, Height: s.Height, Fit: s.Fit, Quality: s.Quality, Crop: s.Crop}) || s.Format == Source {
		return "", false
	}
	boxed := s.Width > 0 && s.Height > 0
	switch {
	case s.Crop != (Crop{}):
		if name, ok = s.cropVariant(); !ok {
			return "", false
		}
	case s.Width == 0 && s.Height == 0:
		name = fullSize
	case s.Height == 0 && s.Fit == FitClip:
		name = "w" + strconv.Itoa(s.Width)
	case boxed && s.Fit == FitCrop && s.Width == s.Height:
		name = "x" + strconv.Itoa(s.Width)
	case boxed && s.Fit == FitCrop:
		name = strconv.Itoa(s.Width) + "x" + strconv.Itoa(s.Height)
	default:
		return "", false
	}
	if s.Quality > 0 {
		name += "-q" + strconv.Itoa(s.Quality)
	}
	return name + "." + s.Format.Ext(), true
}

// cropVariant spells the crop and the width.
func (s Spec) cropVariant() (name string, ok bool) {
	const thousandth = millionths / 1000
	c := s.Crop
	if !c.Fraction || c.X%thousandth+c.Y%thousandth+c.W%thousandth+c.H%thousandth > 0 || s.Height > 0 || s.Fit != FitClip {
		return "", false
	}
	separator := "c"
	for _, edge := range [...]int{c.X, c.Y, c.X + c.W, c.Y + c.H} {
		name += fmt.Sprintf("%s%d.%03d", separator, edge/millionths, edge%millionths/thousandth)
		separator = "_"
	}
	if s.Width > 0 {
		name += "-w" + strconv.Itoa(s.Width)
	}
	return name, true
}
