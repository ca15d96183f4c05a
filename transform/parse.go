package transform

import (
	"errors"
	"net/url"
	"strings"
)

// ErrNoExtension says that a name does not end in an extension, so that it names no picture.
var ErrNoExtension = errors.New("transform: the name has no extension")

// The bounds of the size in a name.
const (
	sizeDigits = 5     // digits of a side in CSS pixels; a longer number is part of the id, as in IMG_20261121_142301.jpg
	maxRatio   = 20_00 // hundredths of device pixels per CSS pixel
	maxSide    = 99_999
)

// Parse reads the spelling that String prints: [_{w}_{h}[_{n}x]][.ext][?options]. The result is canonical. Errors are
// *SpecError.
func Parse(s string) (Spec, error) {
	tail, query, _ := strings.Cut(s, "?")
	var spec Spec
	if dot := strings.LastIndexByte(tail, '.'); dot >= 0 {
		if err := spec.setExt(tail[dot+1:]); err != nil {
			return Spec{}, err
		}
		tail = tail[:dot]
	}
	rest, err := spec.cutSize(tail)
	if err != nil {
		return Spec{}, err
	}
	if rest != "" {
		return Spec{}, &SpecError{Option: "size", Value: clip(rest), Hint: "it is _{w}_{h} or _{w}_{h}_{n}x"}
	}
	return ParseQuery(spec, query, nil)
}

// ParseName splits the decoded path of a URL, without its leading slash, into the id of a source and what the name says of
// the rendering: size, ratio and format. The size is read from the right, so that ids may hold underscores; a name that would
// be misread is written with a free size, {id}_0_0.{ext}. The id is not checked (origin.CheckID). The Spec still wants
// ParseQuery. Errors are ErrNoExtension and *SpecError.
func ParseName(name string) (id string, spec Spec, err error) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || strings.Contains(name[dot:], "/") {
		return "", Spec{}, ErrNoExtension
	}
	if err := spec.setExt(name[dot+1:]); err != nil {
		return "", Spec{}, err
	}
	id, err = spec.cutSize(name[:dot])
	return id, spec, err
}

// ParseQuery reads the options of a raw query string into spec and returns it canonical. Names for which ignore (if given)
// answers true are passed over. Errors are *SpecError.
func ParseQuery(spec Spec, query string, ignore func(name string) bool) (Spec, error) {
	seen := 0
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, errName := url.QueryUnescape(rawName)
		if errName == nil && ignore != nil && ignore(name) {
			continue
		}
		value, errValue := url.QueryUnescape(rawValue)
		if errName != nil || errValue != nil {
			return Spec{}, &SpecError{Option: "query", Value: clip(pair), Hint: "a % is written %25"}
		}
		bit := optionBit(name)
		if seen&bit != 0 {
			return Spec{}, &SpecError{Option: name, Value: clip(value), Hint: "it is given twice; give it once"}
		}
		seen |= bit
		if err := spec.Set(name, value); err != nil {
			return Spec{}, err
		}
	}
	return spec.canonical()
}

// optionBit returns a bit of its own for each row of the table, 0 for an unknown name.
func optionBit(name string) int {
	for i := range options {
		if options[i].Name == name {
			return 1 << i
		}
	}
	return 0
}

func (s *Spec) setExt(ext string) error {
	f, ok := FormatByExt(ext)
	if !ok {
		known := knownExts()
		return &SpecError{Option: "extension", Value: clip(ext), Hint: "did you mean " + nearest(ext, known) + "? known are " + strings.Join(known, ", ")}
	}
	s.Format = f
	return nil
}

func knownExts() []string {
	var list []string
	for _, row := range formats {
		list = append(list, row.exts...)
	}
	return list
}

// cutSize takes _{w}_{h} or _{w}_{h}_{n}x off the end of name, if it is there, and returns what is left.
func (s *Spec) cutSize(name string) (rest string, err error) {
	head, ratio := name, 100
	if before, last, ok := cutLast(name); ok && strings.HasSuffix(last, "x") {
		if n, isRatio := parseRatio(strings.TrimSuffix(last, "x")); isRatio {
			head, ratio = before, n
		}
	}
	head, h, okH := cutSide(head)
	head, w, okW := cutSide(head)
	if !okH || !okW {
		return name, nil
	}
	if ratio < 1 || ratio > maxRatio {
		return "", &SpecError{Option: "ratio", Value: clip(name[strings.LastIndexByte(name, '_')+1:]), Hint: "it is a number above 0 and up to 20 with at most two decimals, as in _2x or _1.5x"}
	}
	s.Width, s.Height = w*ratio, h*ratio
	if over := max(s.Width, s.Height); over > maxSide*100 {
		s.Width, s.Height = scaleSide(s.Width, maxSide*100, over), scaleSide(s.Height, maxSide*100, over)
	}
	s.Width, s.Height = fromHundredths(s.Width), fromHundredths(s.Height)
	return head, nil
}

// scaleSide returns side x numerator / denominator rounded to the nearest, 0 for a free side and at least 1 for others.
func scaleSide(side, numerator, denominator int) int {
	if side == 0 {
		return 0
	}
	return max(1, (side*numerator+denominator/2)/denominator)
}

func fromHundredths(n int) int { return scaleSide(n, 1, 100) }

func cutLast(name string) (before, last string, ok bool) {
	i := strings.LastIndexByte(name, '_')
	if i < 0 {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}

func cutSide(name string) (before string, side int, ok bool) {
	before, last, ok := cutLast(name)
	if !ok {
		return name, 0, false
	}
	side, ok = parseDigits(last, sizeDigits)
	return before, side, ok
}

// parseRatio reads digits with an optional fraction as hundredths; 0 stands for a number out of bounds. ok tells whether it
// has the shape of a ratio at all.
func parseRatio(s string) (hundredths int, ok bool) {
	whole, part, dotted := strings.Cut(s, ".")
	for _, digits := range []string{whole, part} {
		if strings.Trim(digits, "0123456789") != "" {
			return 0, false
		}
	}
	if whole == "" || (dotted && part == "") {
		return 0, false
	}
	n, _ := parseFixed(s, 2)
	return n, true
}
