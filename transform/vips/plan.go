package vips

import (
	"fmt"
	"image"
	"math"

	"deckle/transform"
)

// plan is the geometry of a rendering, worked out before a pixel is touched.
type plan struct {
	source image.Point     // size of the whole source as stored
	crop   image.Rectangle // part of it that is used, as stored
	fitted image.Point     // what the part is resized to, as stored
	window image.Rectangle // what of that is kept, as stored
	turn   symmetry        // what makes the stored picture the asked one
	canvas image.Point     // size of the result
	offset image.Point     // of the picture within it
}

// maxFitted bounds a side of the resized picture before a box cuts it, pixels. Only pictures of a ratio of hundreds and more
// that are enlarged to fill a box get there; libvips stops at ten million.
const maxFitted = 4 << 20

// newPlan works out what spec does to a source of a stored size and orientation. The error is a *transform.SpecError when
// the crop misses the picture.
func newPlan(source image.Point, orientation int, spec transform.Spec, limits transform.Limits) (plan, error) {
	p := plan{source: source}
	upright := orientations[orientation]
	size := upright.size(source)
	part, err := cropArea(spec.Crop, size)
	if err != nil {
		return plan{}, err
	}
	turned := symmetry{}.rotate(spec.Rotate / 90).flip(spec.Flip)
	p.turn = upright.rotate(spec.Rotate / 90).flip(spec.Flip)

	box := boxSize(spec, limits.OutputSide)
	fitted := fitSize(turned.size(part.Size()), box, spec)
	if long := max(fitted.X, fitted.Y); spec.Fit == transform.FitCrop && long > maxFitted {
		// Cut before resizing instead of after it, to whole pixels of the source; nobody sees them at this enlargement.
		area := turned.rect(part.Sub(part.Min), part.Size())
		area = keep(area.Size(), ratioSize(area.Size(), box), spec.Anchor())
		part = turned.inverse().rect(area, turned.size(part.Size())).Add(part.Min)
		fitted = box
	}
	p.crop = upright.inverse().rect(part, size)

	p.canvas, p.window = fitted, image.Rectangle{Max: fitted}
	boxed := box.X > 0 && box.Y > 0
	switch {
	case boxed && spec.Fit == transform.FitCrop:
		p.canvas, p.window = box, keep(fitted, box, spec.Anchor())
	case boxed && spec.Fit == transform.FitCanvas:
		p.canvas = box
		p.offset = keep(box, fitted, spec.Anchor()).Min
	case !boxed || spec.Fit != transform.FitStretch:
		fitted = bound(fitted, limits.OutputSide)
		p.canvas, p.window = fitted, image.Rectangle{Max: fitted}
	}
	p.window = p.turn.inverse().rect(p.window, fitted)
	p.fitted = p.turn.inverse().size(fitted)
	return p, nil
}

// boxSize returns the asked box with no side above most, as far as the box shows in the result; cover's result is bounded
// later.
func boxSize(spec transform.Spec, most int) image.Point {
	box := image.Pt(spec.Width, spec.Height)
	switch {
	case spec.Fit == transform.FitClip:
		return image.Pt(min(box.X, most), min(box.Y, most))
	case spec.Fit == transform.FitCover || box.X == 0 || box.Y == 0:
		return box
	}
	return bound(box, most)
}

// fitSize returns what a picture is resized to before a box cuts or pads it. With both sides free it keeps its size; with
// one free the ratio decides it.
func fitSize(size, box image.Point, spec transform.Spec) image.Point {
	x, y := float64(box.X)/float64(size.X), float64(box.Y)/float64(size.Y)
	var scale float64
	switch {
	case box.X == 0 && box.Y == 0:
		return size
	case box.X == 0:
		scale = y
	case box.Y == 0:
		scale = x
	case spec.Fit == transform.FitStretch:
		return box
	case spec.Fit == transform.FitCrop, spec.Fit == transform.FitCover:
		scale = max(x, y)
	default:
		scale = min(x, y)
	}
	if spec.Fit == transform.FitClip && !spec.Enlarge {
		scale = min(scale, 1)
	}
	return scaled(size, scale)
}

// scaled rounds to whole pixels, at least one.
func scaled(size image.Point, scale float64) image.Point {
	return image.Pt(max(1, int(math.Round(float64(size.X)*scale))), max(1, int(math.Round(float64(size.Y)*scale))))
}

// bound shrinks a size in proportion until no side is longer than most.
func bound(size image.Point, most int) image.Point {
	if long := max(size.X, size.Y); long > most {
		return scaled(size, float64(most)/float64(long))
	}
	return size
}

// ratioSize returns the largest size within size that has box's ratio.
func ratioSize(size, box image.Point) image.Point {
	scale := min(float64(size.X)/float64(box.X), float64(size.Y)/float64(box.Y))
	r := scaled(box, scale)
	return image.Pt(min(r.X, size.X), min(r.Y, size.Y))
}

// keep places a rectangle of size inner in one of size outer, which is no smaller: its middle as near to a point of outer as
// the edges allow, half pixels to the upper left.
func keep(outer, inner image.Point, at transform.Focus) image.Rectangle {
	low := image.Pt(keepSide(outer.X, inner.X, at.X), keepSide(outer.Y, inner.Y, at.Y))
	return image.Rectangle{Min: low, Max: low.Add(inner)}
}

// keepSide does so for one side; at is in millionths of outer.
func keepSide(outer, inner, at int) int {
	const whole = 1_000_000
	low := (2*at*outer - whole*inner) / (2 * whole)
	return min(max(low, 0), outer-inner)
}

// cropArea returns the part of an upright picture that crop asks for: all of it for the zero Crop, else what of the rectangle
// lies within, at least one pixel.
func cropArea(c transform.Crop, size image.Point) (image.Rectangle, error) {
	whole := image.Rectangle{Max: size}
	if c == (transform.Crop{}) {
		return whole, nil
	}
	if c.Fraction {
		x0, x1 := fraction(c.X, c.W, size.X)
		y0, y1 := fraction(c.Y, c.H, size.Y)
		return image.Rect(x0, y0, x1, y1), nil
	}
	area := whole.Intersect(image.Rect(c.X, c.Y, c.X+c.W, c.Y+c.H))
	if area.Empty() {
		return area, &transform.SpecError{
			Option: "crop", Value: fmt.Sprintf("%d,%d,%d,%d", c.X, c.Y, c.W, c.H),
			Hint: fmt.Sprintf("the source is %dx%d pixels", size.X, size.Y),
		}
	}
	return area, nil
}

// fraction returns the pixels of a side that millionths of it cover, both ends rounded down as image-server does, at least one.
func fraction(at, length, side int) (low, high int) {
	const whole = 1_000_000
	low = min(at*side/whole, side-1)
	high = (at + length) * side / whole
	return low, min(max(high, low+1), side)
}
