package vips

import (
	"fmt"
	"image"
	"math"

	libvips "github.com/cshum/vipsgen/vips816"
)

// crop cuts the asked part. Where the decoder has shrunk the picture already, its edges fall on whole pixels of what was
// decoded: with headroom 2 at most a quarter of a pixel of the result away from where they were asked for.
func (r *render) crop() error {
	area, loaded := r.plan.crop, image.Pt(r.image.Width(), r.image.Height())
	if area.Size() == r.plan.source {
		return nil
	}
	x, y := float64(loaded.X)/float64(r.plan.source.X), float64(loaded.Y)/float64(r.plan.source.Y)
	left, width := span(area.Min.X, area.Max.X, x, loaded.X)
	top, height := span(area.Min.Y, area.Max.Y, y, loaded.Y)
	return r.extract(left, top, width, height)
}

// span scales the stretch from low to high to a side, rounded, at least one pixel.
func span(low, high int, scale float64, side int) (at, length int) {
	at = min(int(math.Round(float64(low)*scale)), side-1)
	end := min(int(math.Round(float64(high)*scale)), side)
	return at, max(1, end-at)
}

// window cuts what a filled box does not show.
func (r *render) window() error {
	if err := r.look(); err != nil {
		return err
	}
	w := r.plan.window
	if w.Size() == r.plan.fitted {
		return nil
	}
	return r.extract(w.Min.X, w.Min.Y, w.Dx(), w.Dy())
}

func (r *render) extract(left, top, width, height int) error {
	if err := r.image.ExtractArea(left, top, width, height); err != nil {
		return malformed(err)
	}
	return nil
}

// fit resizes.
func (r *render) fit() error {
	w, h := r.plan.fitted.X, r.plan.fitted.Y
	if r.image.Width() == w && r.image.Height() == h {
		return nil
	}
	if r.held() {
		return r.fitFrame(w, h)
	}
	return r.weighted(func() error {
		return precise(r.image, func() error { return resize(r.image, w, h) })
	})
}

// precise runs a filter on 16-bit pixels as floats. The weights of libvips' whole-number kernels for them do not add up to one:
// white would come out 0.4 % darker.
func precise(img *libvips.Image, filter func() error) error {
	if img.BandFormat() != libvips.BandFormatUshort {
		return filter()
	}
	if err := img.Cast(libvips.BandFormatFloat, nil); err != nil {
		return malformed(err)
	}
	if err := filter(); err != nil {
		return err
	}
	return whole(img, libvips.BandFormatUshort)
}

// weighted runs a filter on the picture's colours multiplied by their alpha, so that what is transparent does not bleed into
// what is not.
func (r *render) weighted(filter func() error) error { return weighted(r.image, filter) }

func weighted(img *libvips.Image, filter func() error) error {
	if !img.HasAlpha() {
		return filter()
	}
	// Products are floats; back at whole numbers the vectorised filters apply.
	depth := img.BandFormat()
	if err := img.Premultiply(nil); err != nil {
		return malformed(err)
	}
	if err := whole(img, depth); err != nil {
		return err
	}
	if err := filter(); err != nil {
		return err
	}
	if err := img.Unpremultiply(nil); err != nil {
		return malformed(err)
	}
	return whole(img, depth)
}

// whole rounds floats to the nearest numbers of a depth. A cast alone cuts them off, and what is nearly transparent would come
// out darker.
func whole(img *libvips.Image, depth libvips.BandFormat) error {
	if err := img.Round(libvips.OperationRoundRint); err != nil {
		return malformed(err)
	}
	return malformedOrNil(img.Cast(depth, nil))
}

// maxReduce is the largest factor of one reduction. libvips rounds the weights of its 8-bit kernels, and the more of them there
// are, the farther their sum is from one: in one step from 4,000 pixels to 60 white comes out as 247.
const maxReduce = 4

// resize brings img to w x h: smaller by Lanczos3 alone, without the box filter that libvips can put before it (slower than
// the vectorised kernel, and blunter), larger by bicubic interpolation.
func resize(img *libvips.Image, w, h int) error {
	x, y := float64(img.Width())/float64(w), float64(img.Height())/float64(h)
	for x > maxReduce || y > maxReduce {
		if err := reduce(img, part(x), part(y)); err != nil {
			return err
		}
		x, y = float64(img.Width())/float64(w), float64(img.Height())/float64(h)
	}
	if x > 1 || y > 1 {
		if err := reduce(img, max(x, 1), max(y, 1)); err != nil {
			return err
		}
	}
	if x < 1 || y < 1 {
		o := libvips.ResizeOptions{Kernel: libvips.KernelCubic, Vscale: float64(h) / float64(img.Height())}
		if err := img.Resize(float64(w)/float64(img.Width()), &o); err != nil {
			return malformed(err)
		}
	}
	if img.Width() != w || img.Height() != h {
		return fmt.Errorf("resized to %dx%d instead of %dx%d", img.Width(), img.Height(), w, h)
	}
	return nil
}

// part returns the factor of a reduction that others follow: what is left for them is at least two.
func part(whole float64) float64 {
	switch {
	case whole > 2*maxReduce:
		return maxReduce
	case whole > maxReduce:
		return 2
	}
	return 1
}

func reduce(img *libvips.Image, x, y float64) error {
	return malformedOrNil(img.Reduce(x, y, &libvips.ReduceOptions{Kernel: libvips.KernelLanczos3}))
}
