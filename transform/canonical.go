package transform

import (
	"strconv"
	"strings"
)

// String returns the canonical spelling: [_{w}_{h}][.ext][?options], device pixels, options in the table's order and only
// where they differ from the default. For every canonical Spec, Parse(s.String()) == s. The spelling appended to /{id} is
// the canonical URL.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(s.Size())
	if ext := s.Format.Ext(); ext != "" {
		b.WriteByte('.')
		b.WriteString(ext)
	}
	separator := byte('?')
	for i := range options {
		value := options[i].print(s)
		if value == "" {
			continue
		}
		b.WriteByte(separator)
		b.WriteString(options[i].Name)
		b.WriteByte('=')
		b.WriteString(value) // letters, digits and . , : only: nothing to escape
		separator = '&'
	}
	return b.String()
}

// As returns s for another format, canonical again: what has no effect in that format is reset. Errors are *SpecError.
func (s Spec) As(f Format) (Spec, error) {
	s.Format = f
	return s.canonical()
}

// Size returns the size as a name spells it, _{w}_{h} in device pixels; empty when both sides are free.
func (s Spec) Size() string {
	if s.Width == 0 && s.Height == 0 {
		return ""
	}
	return "_" + strconv.Itoa(s.Width) + "_" + strconv.Itoa(s.Height)
}

// Bare tells whether s asks for nothing but a format: when that is the source's own, the stored bytes are the answer.
func (s Spec) Bare() bool { return s == Spec{Format: s.Format} }

// Clamp returns s with no side above most device pixels, and whether anything changed. Where the box's shape shows in the
// result (every fit but clip) both sides shrink together; clip bounds each side by itself.
func (s Spec) Clamp(most int) (Spec, bool) {
	over := max(s.Width, s.Height)
	if over <= most {
		return s, false
	}
	if s.Fit == FitClip {
		s.Width, s.Height = min(s.Width, most), min(s.Height, most)
		return s, true
	}
	s.Width, s.Height = scaleSide(s.Width, most, over), scaleSide(s.Height, most, over)
	return s, true
}

// canonical gives every spelling of one picture the same Spec: what has no effect is reset, what has two forms takes one.
// Combinations that cannot be made are a *SpecError.
func (s Spec) canonical() (Spec, error) {
	s.canonicalFit()
	if err := s.canonicalGravity(); err != nil {
		return Spec{}, err
	}
	s.canonicalTurn()
	s.canonicalPage()
	if s.Crop.Fraction && s.Crop.X == 0 && s.Crop.Y == 0 && s.Crop.W == millionths && s.Crop.H == millionths {
		s.Crop = Crop{}
	}
	if s.Trim.Threshold == 255 {
		s.Trim = Trim{} // no two pixels are farther apart
	}
	if s.Gray || s.Saturation == -100 {
		s.Gray, s.Saturation = true, 0
	}
	if err := s.canonicalLossless(); err != nil {
		return Spec{}, err
	}
	if s.Format != Source && !s.Format.Lossy() {
		s.Quality = 0
	}
	if err := s.canonicalBackground(); err != nil {
		return Spec{}, err
	}
	return s, nil
}

// canonicalBackground: padding needs a canvas, transparency a format that holds it; white is what the others get anyway.
func (s *Spec) canonicalBackground() error {
	if s.Background.Blur && s.Fit != FitCanvas {
		return &SpecError{
			Option: "background", Value: "blur",
			Hint: "it fills the padding of fit=canvas in a box with both sides given; ask for that, or for a colour",
		}
	}
	if s.Format != Source && !s.Format.Alpha() {
		if s.Background.Set && s.Background.A == 0 {
			return &SpecError{
				Option: "background", Value: "transparent",
				Hint: s.Format.Ext() + " holds no transparency; ask for png, webp or avif, or for a colour",
			}
		}
		if s.Background == (Background{Set: true, R: 255, G: 255, B: 255, A: 255}) {
			s.Background = Background{}
		}
	}
	return nil
}

// canonicalFit: without a box there is no fit; with one free side every fit that reaches its box is clip with enlarge.
func (s *Spec) canonicalFit() {
	boxed := s.Width > 0 && s.Height > 0
	switch {
	case s.Width == 0 && s.Height == 0:
		s.Fit, s.Enlarge = FitClip, false
	case s.Fit == FitClip:
	case !boxed:
		s.Fit, s.Enlarge = FitClip, true
	default:
		s.Enlarge = false
	}
}

// canonicalPage: a page is a still picture by itself, and the first one is what a still picture shows anyway.
func (s *Spec) canonicalPage() {
	switch {
	case s.Page == 1:
		s.Page, s.Still = 0, true
	case s.Page > 1:
		s.Still = false
	}
	if s.Format != Source && s.Format != Auto && !s.Format.Animated() {
		s.Still = false // holds no animation
	}
}

// canonicalLossless: without loss there is no quality, and formats that know no loss need not be asked.
func (s *Spec) canonicalLossless() error {
	if !s.Lossless {
		return nil
	}
	s.Quality = 0
	switch s.Format {
	case Source, Auto, WebP, AVIF, JXL:
		return nil
	case PNG, TIFF:
		s.Lossless = false
		return nil
	}
	return s.LosslessError()
}

// LosslessError returns the *SpecError that answers a request for lossless in a format that always loses something, with the
// formats to ask for instead.
func (s Spec) LosslessError() error {
	return &SpecError{
		Option: "lossless", Value: "true",
		Hint: s.Format.Ext() + " cannot keep every pixel as it is; ask for png, webp or jxl",
	}
}

// canonicalTurn: rotations and mirrorings make the eight symmetries of a rectangle, but can be spelled in sixteen ways.
// Mirroring both ways is half a turn; with one mirroring, half a turn is the other mirroring.
func (s *Spec) canonicalTurn() {
	if s.Flip == FlipBoth {
		s.Flip, s.Rotate = FlipNone, (s.Rotate+180)%360
	}
	if s.Flip != FlipNone && s.Rotate >= 180 {
		s.Rotate -= 180
		s.Flip = FlipHorizontal + FlipVertical - s.Flip
	}
}
