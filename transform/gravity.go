package transform

import (
	"errors"
	"strings"
)

// Focus is a point of a picture. The zero value is unset.
type Focus struct {
	Set  bool
	X, Y int // millionths of the sides, from the left and from the top: 0 to 1,000,000
}

// anchors are the points that the names of Gravity stand for.
var anchors = [...]Focus{
	Center:    {Set: true, X: half, Y: half},
	North:     {Set: true, X: half},
	NorthEast: {Set: true, X: millionths},
	East:      {Set: true, X: millionths, Y: half},
	SouthEast: {Set: true, X: millionths, Y: millionths},
	South:     {Set: true, X: half, Y: millionths},
	SouthWest: {Set: true, Y: millionths},
	West:      {Set: true, Y: half},
	NorthWest: {Set: true},
}

const half = millionths / 2

// Anchor returns the point that a crop keeps as near to its middle as the picture's edges allow, and at which a canvas places
// the middle of a picture. For a gravity that looks at the pixels it is the middle.
func (s Spec) Anchor() Focus {
	switch {
	case s.Focus.Set:
		return s.Focus
	case int(s.Gravity) < len(anchors):
		return anchors[s.Gravity]
	}
	return anchors[Center]
}

// setGravity reads the name of a point, of what to look for, or a focal point.
func (s *Spec) setGravity(value string) error {
	point, focal := strings.CutPrefix(value, "fp:")
	if !focal {
		s.Focus = Focus{}
		if err := parseName(&s.Gravity, gravityNames[:], value); err != nil {
			return errors.New(err.Error() + ", or fp:X:Y")
		}
		return nil
	}
	left, top, _ := strings.Cut(point, ":")
	x, okX := parseFixed(left, 6)
	y, okY := parseFixed(top, 6)
	if !okX || !okY || x > millionths || y > millionths {
		return errors.New("it is fp:X:Y with X and Y from 0 to 1 and at most six decimals, as in fp:0.5:0.25")
	}
	s.Gravity, s.Focus = Center, Focus{Set: true, X: x, Y: y}
	return nil
}

func (s Spec) printGravity() string {
	if s.Focus.Set {
		return "fp:" + fixed(s.Focus.X, millionths) + ":" + fixed(s.Focus.Y, millionths)
	}
	return printName(int(s.Gravity), gravityNames[:])
}

// canonicalGravity: where nothing is cut or padded there is no gravity; a focal point that has a name goes by it.
func (s *Spec) canonicalGravity() error {
	if s.Fit != FitCrop && s.Fit != FitCanvas {
		s.Gravity, s.Focus = Center, Focus{}
		return nil
	}
	if s.Fit == FitCanvas && (s.Gravity == Attention || s.Gravity == Entropy) {
		return &SpecError{
			Option: "gravity", Value: s.printGravity(),
			Hint: "fit=canvas shows the whole picture, there is nothing to choose; ask for fit=crop, or for a point such as center",
		}
	}
	for g, anchor := range anchors {
		if s.Focus == anchor {
			s.Gravity, s.Focus = Gravity(g), Focus{}
		}
	}
	return nil
}
