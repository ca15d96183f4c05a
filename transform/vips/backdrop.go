package vips

import (
	"image"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// The blurred copy of a picture behind it: made this many pixels long, blurred by this part of that, and enlarged. Of a
// picture that is blurred so much, more pixels would show nothing more.
const (
	backdropSide  = 96
	backdropBlurs = 24
)

// backdrop pads the picture to its canvas with a blurred copy of itself, whose middle covers the canvas. What is transparent
// shows the copy below it.
func (r *render) backdrop() error {
	if err := r.settle(); err != nil {
		return err
	}
	size, canvas := imageSize(r.image), r.plan.canvas
	back, err := r.image.Copy(nil)
	if err != nil {
		return malformed(err)
	}
	part := keep(size, ratioSize(size, canvas), transform.Spec{}.Anchor())
	if err := back.ExtractArea(part.Min.X, part.Min.Y, part.Dx(), part.Dy()); err != nil {
		back.Close()
		return malformed(err)
	}
	small := bound(canvas, backdropSide)
	err = weighted(back, func() error {
		if err := resize(back, small.X, small.Y); err != nil {
			return err
		}
		if err := gaussian(back, float64(max(small.X, small.Y))/backdropBlurs); err != nil {
			return err
		}
		return resize(back, canvas.X, canvas.Y)
	})
	if err != nil {
		back.Close()
		return err
	}
	front := r.image
	r.image = back
	defer front.Close()
	if front.HasAlpha() {
		return over(back, front, r.plan.offset)
	}
	return malformedOrNil(back.Insert(front, r.plan.offset.X, r.plan.offset.Y, nil))
}

// over lays one picture on another, both 8-bit and in colour or both grey; with alpha below there is alpha in the result, and
// none without.
func over(below, above *libvips.Image, at image.Point) error {
	alpha := below.HasAlpha()
	o := libvips.Composite2Options{X: at.X, Y: at.Y, CompositingSpace: below.Interpretation()}
	if err := below.Composite2(above, libvips.BlendModeOver, &o); err != nil {
		return malformed(err)
	}
	if err := round(below, 0); err != nil {
		return err
	}
	if alpha {
		return nil
	}
	return malformedOrNil(below.ExtractBand(0, &libvips.ExtractBandOptions{N: below.Bands() - 1}))
}
