package vips

import (
	libvips "github.com/cshum/vipsgen/vips816"
)

// blurSide is the sigma, in pixels, above which a blur works on a smaller copy: what is left of the picture then has no
// detail that the copy could not hold, and the cost no longer grows with sigma.
const blurSide = 8

// blur applies a Gaussian of the asked sigma.
func (r *render) blur() error {
	if r.spec.Blur == 0 {
		return nil
	}
	// The filter looks back over more lines than a streaming source keeps.
	if err := r.settle(); err != nil {
		return err
	}
	return r.weighted(func() error { return gaussian(r.image, float64(r.spec.Blur)/100) })
}

// gaussian blurs 8-bit bands, with a kernel of whole numbers, or floats, which it does exactly and slowly.
func gaussian(img *libvips.Image, sigma float64) error {
	w, h := img.Width(), img.Height()
	exact, side := img.BandFormat() == libvips.BandFormatFloat, float64(blurSide)
	if exact {
		side /= 2
	}
	if sigma > side {
		factor := sigma / (side / 2)
		small := scaled(imageSize(img), 1/factor)
		// A side that cannot shrink by the whole factor keeps its pixels: the blur differs there by less than the rounding.
		if err := resize(img, small.X, small.Y); err != nil {
			return err
		}
		sigma /= factor
	}
	o := libvips.GaussblurOptions{MinAmpl: 0.02}
	if sigma < 1 || exact {
		// Whole numbers are too coarse for so narrow a kernel: below 0.4 they would leave nothing but its middle.
		o = libvips.GaussblurOptions{MinAmpl: 0.001, Precision: libvips.PrecisionFloat}
	}
	if err := img.Gaussblur(sigma, &o); err != nil {
		return malformed(err)
	}
	if !exact {
		if err := round(img, 0); err != nil {
			return err
		}
	}
	if img.Width() == w && img.Height() == h {
		return nil
	}
	return resize(img, w, h)
}
