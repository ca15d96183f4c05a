package vips

import (
	"image"

	libvips "github.com/cshum/vipsgen/vips816"
)

// loadSVG draws at the size that is asked for, so that next to nothing is left to resize.
func (r *render) loadSVG(float64) error {
	// The decoder takes inches and millimetres for a 72nd of an inch a pixel; the header says what CSS takes them for.
	if err := r.openSVG(1); err != nil {
		return err
	}
	natural := imageSize(r.image)
	own := max(float64(r.header.Width)/float64(natural.X), float64(r.header.Height)/float64(natural.Y))

	part, source := r.plan.crop.Size(), r.plan.source
	scale := max(float64(r.plan.fitted.X)/float64(part.X), float64(r.plan.fitted.Y)/float64(part.Y))
	// A small part at a large size would need a whole that is larger than any source may be.
	scale = min(scale, float64(r.limits.SourceSide)/float64(max(source.X, source.Y)))
	return r.openSVG(scale * own)
}

// drawingSize opens a drawing at its own size, and returns that.
func (r *render) drawingSize() (image.Point, error) {
	size := image.Pt(r.header.Width, r.header.Height)
	r.plan = plan{source: size, crop: image.Rectangle{Max: size}, fitted: size}
	if err := r.loadSVG(1); err != nil {
		return image.Point{}, err
	}
	return imageSize(r.image), nil
}

func (r *render) openSVG(scale float64) error {
	img, err := libvips.NewSvgloadBuffer(r.source, &libvips.SvgloadBufferOptions{Scale: scale})
	if err != nil {
		return malformed(err)
	}
	r.replace(img)
	return nil
}
