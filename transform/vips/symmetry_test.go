package vips

import (
	"image"
	"testing"

	"deckle/transform"
)

// at returns where s takes a pixel of a picture of size p, worked out one move at a time.
func (s symmetry) at(x, y int, p image.Point) (int, int) {
	if s.mirror {
		x = p.X - 1 - x
	}
	for range s.quarters {
		x, y = p.Y-1-y, x
		p = image.Pt(p.Y, p.X)
	}
	return x, y
}

func allSymmetries() []symmetry {
	var list []symmetry
	for q := range 4 {
		list = append(list, symmetry{quarters: q}, symmetry{mirror: true, quarters: q})
	}
	return list
}

func TestSymmetryComposes(t *testing.T) {
	size := image.Pt(5, 3)
	for _, s := range allSymmetries() {
		for q := range 4 {
			for f := transform.FlipNone; f <= transform.FlipBoth; f++ {
				got := s.rotate(q).flip(f)
				middle := symmetry{quarters: q}
				turned := middle.size(s.size(size))
				for i := range size.X * size.Y {
					x, y := s.at(i%size.X, i/size.X, size)
					x, y = middle.at(x, y, s.size(size))
					if f == transform.FlipHorizontal || f == transform.FlipBoth {
						x = turned.X - 1 - x
					}
					if f == transform.FlipVertical || f == transform.FlipBoth {
						y = turned.Y - 1 - y
					}
					if gx, gy := got.at(i%size.X, i/size.X, size); gx != x || gy != y {
						t.Fatalf("%v, %d quarters, flip %d: pixel %d goes to %d,%d instead of %d,%d", s, q, f, i, gx, gy, x, y)
					}
				}
			}
		}
	}
}

func TestSymmetryInverseAndRect(t *testing.T) {
	size := image.Pt(7, 4)
	part := image.Rect(1, 0, 4, 3)
	for _, s := range allSymmetries() {
		moved := s.rect(part, size)
		if back := s.inverse().rect(moved, s.size(size)); back != part {
			t.Errorf("%v: %v goes to %v and back to %v", s, part, moved, back)
		}
		for i := range size.X * size.Y {
			p := image.Pt(i%size.X, i/size.X)
			x, y := s.at(p.X, p.Y, size)
			if p.In(part) != image.Pt(x, y).In(moved) {
				t.Errorf("%v: pixel %v goes to %d,%d, the rectangle to %v", s, p, x, y, moved)
			}
		}
	}
}

// EXIF says where the stored picture's first row and first column belong (CIPA DC-008, tag 0x0112).
func TestOrientationsAsTheStandardSays(t *testing.T) {
	size := image.Pt(4, 3)
	tests := []struct {
		orientation int
		corner      string // where the stored top left pixel is seen
		row         string // the side where the stored first row is seen
	}{
		{1, "top left", "top"}, {2, "top right", "top"}, {3, "bottom right", "bottom"}, {4, "bottom left", "bottom"},
		{5, "top left", "left"}, {6, "top right", "right"}, {7, "bottom right", "right"}, {8, "bottom left", "left"},
	}
	for _, tt := range tests {
		s := orientations[tt.orientation]
		seen := s.size(size)
		corners := map[string]image.Point{
			"top left": {}, "top right": {X: seen.X - 1}, "bottom left": {Y: seen.Y - 1}, "bottom right": {X: seen.X - 1, Y: seen.Y - 1},
		}
		x, y := s.at(0, 0, size)
		if image.Pt(x, y) != corners[tt.corner] {
			t.Errorf("orientation %d: first pixel at %d,%d, want %s", tt.orientation, x, y, tt.corner)
		}
		ex, ey := s.at(size.X-1, 0, size)
		side := map[bool]string{true: "top", false: "bottom"}[y == 0]
		if x == ex {
			side = map[bool]string{true: "left", false: "right"}[x == 0]
		} else if y != ey {
			t.Fatalf("orientation %d: the first row is not straight", tt.orientation)
		}
		if side != tt.row {
			t.Errorf("orientation %d: first row on the %s, want %s", tt.orientation, side, tt.row)
		}
	}
}
