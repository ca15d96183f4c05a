package vips

import (
	"image"

	"deckle/transform"
)

// symmetry is one of the eight ways to lay a rectangle on itself: mirrored left-right if mirror says so, then turned by
// quarters clockwise.
type symmetry struct {
	mirror   bool
	quarters int // 0-3
}

// orientations maps EXIF orientations to what makes a stored picture upright (CIPA DC-008 section 4.6.4, tag 0x0112).
var orientations = [9]symmetry{
	2: {mirror: true},
	3: {quarters: 2},
	4: {mirror: true, quarters: 2},
	5: {mirror: true, quarters: 3},
	6: {quarters: 1},
	7: {mirror: true, quarters: 1},
	8: {quarters: 3},
}

// rotate returns s followed by quarters of a turn clockwise.
func (s symmetry) rotate(quarters int) symmetry {
	s.quarters = (s.quarters + quarters) & 3
	return s
}

// flip returns s followed by a mirroring. A mirroring after a turn is the opposite turn after the mirroring.
func (s symmetry) flip(f transform.Flip) symmetry {
	switch f {
	case transform.FlipHorizontal:
		return symmetry{!s.mirror, -s.quarters & 3}
	case transform.FlipVertical:
		return symmetry{!s.mirror, (2 - s.quarters) & 3}
	case transform.FlipBoth:
		return s.rotate(2)
	}
	return s
}

// inverse returns what undoes s. A mirrored symmetry undoes itself.
func (s symmetry) inverse() symmetry {
	if !s.mirror {
		s.quarters = -s.quarters & 3
	}
	return s
}

// size returns what a picture of size p becomes.
func (s symmetry) size(p image.Point) image.Point {
	if s.quarters%2 == 1 {
		return image.Pt(p.Y, p.X)
	}
	return p
}

// rect returns where a rectangle within a picture of size p comes to lie.
func (s symmetry) rect(r image.Rectangle, p image.Point) image.Rectangle {
	if s.mirror {
		r.Min.X, r.Max.X = p.X-r.Max.X, p.X-r.Min.X
	}
	for range s.quarters {
		r = image.Rect(p.Y-r.Max.Y, r.Min.X, p.Y-r.Min.Y, r.Max.X)
		p = image.Pt(p.Y, p.X)
	}
	return r
}
