package vips

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"

	libvips "github.com/cshum/vipsgen/vips816"
	"golang.org/x/image/bmp"

	"deckle/transform"
)

// decoders says how each source format is opened: always by the format that the header showed, never by libvips' own
// guess. shrink is by how much the caller will shrink the picture at least; a decoder may do part of it.
var decoders = map[transform.Format]func(r *render, shrink float64) error{
	transform.JPEG: (*render).loadJPEG,
	transform.WebP: (*render).loadWebP,
	transform.PNG: func(r *render, _ float64) error {
		return r.opened(libvips.NewPngloadBuffer(r.source, &libvips.PngloadBufferOptions{Access: libvips.AccessSequential}))
	},
	transform.GIF: func(r *render, _ float64) error {
		return r.opened(libvips.NewGifloadBuffer(r.source, &libvips.GifloadBufferOptions{N: 1, Access: libvips.AccessSequential}))
	},
	transform.TIFF: func(r *render, _ float64) error {
		return r.opened(libvips.NewTiffloadBuffer(r.source, &libvips.TiffloadBufferOptions{
			N: 1, Subifd: -1, Access: libvips.AccessSequential,
		}))
	},
	transform.HEIC: (*render).loadHEIF,
	transform.AVIF: (*render).loadHEIF,
	transform.BMP:  (*render).loadBMP,
}

// headroom is how many times larger than the result a picture stays when a decoder shrinks it. Below about 1.4 the loss of
// the decoder's cheap filter shows (PERFORMANCE.md, fidelity against cost); at 2 it is within the noise.
const headroom = 2

// load opens the source and works out the plan.
func (r *render) load() error {
	size, orientation := image.Pt(r.header.Width, r.header.Height), r.header.Orientation
	if r.header.Format == transform.HEIC || r.header.Format == transform.AVIF {
		// libheif applies the file's own rotations while decoding; EXIF's orientation is not to be applied on top.
		size = image.Pt(r.header.Upright())
		orientation = 1
	}
	var err error
	if r.plan, err = newPlan(size, orientation, r.spec, r.limits); err != nil {
		return err
	}
	part := r.plan.crop.Size()
	shrink := min(float64(part.X)/float64(r.plan.fitted.X), float64(part.Y)/float64(r.plan.fitted.Y)) / headroom
	if err := decoders[r.header.Format](r, shrink); err != nil {
		return err
	}
	// The plan sees to it; encoders of HEIF would write it into the file a second time.
	if err := r.image.RemoveOrientation(); err != nil {
		return err
	}
	loaded := image.Pt(r.image.Width(), r.image.Height())
	if loaded == size || shrink > 1 && (r.header.Format == transform.JPEG || r.header.Format == transform.WebP) {
		return nil
	}
	// The decoder knows better than the header, as in HEIF files with a clean aperture; it may not get round the limits.
	h := r.header
	h.Width, h.Height = loaded.X, loaded.Y
	if err := r.limits.CheckHeader(h); err != nil {
		return err
	}
	r.plan, err = newPlan(loaded, orientation, r.spec, r.limits)
	return err
}

func (r *render) opened(image *libvips.Image, err error) error {
	if err != nil {
		return malformed(err)
	}
	r.image = image
	return nil
}

// loadJPEG lets the decoder leave out the high frequencies: scales of 1/2, 1/4 and 1/8 cost a fraction of the whole.
func (r *render) loadJPEG(shrink float64) error {
	factor := 1
	for factor < 8 && float64(2*factor) <= shrink {
		factor *= 2
	}
	return r.opened(libvips.NewJpegloadBuffer(r.source, &libvips.JpegloadBufferOptions{
		Shrink: factor, Access: libvips.AccessSequential,
	}))
}

// loadWebP lets the decoder resize while it decodes.
func (r *render) loadWebP(shrink float64) error {
	return r.opened(libvips.NewWebploadBuffer(r.source, &libvips.WebploadBufferOptions{
		N: 1, Scale: 1 / max(shrink, 1), Access: libvips.AccessSequential,
	}))
}

func (r *render) loadHEIF(float64) error {
	return r.opened(libvips.NewHeifloadBuffer(r.source, &libvips.HeifloadBufferOptions{N: 1, Access: libvips.AccessSequential}))
}

// loadBMP decodes in Go: libvips reads BMP only through ImageMagick, which stays blocked.
func (r *render) loadBMP(float64) error {
	decoded, err := bmp.Decode(bytes.NewReader(r.source))
	if err != nil {
		return fmt.Errorf("%w: %w", transform.ErrMalformed, err)
	}
	pixels := image.NewNRGBA(decoded.Bounds())
	draw.Draw(pixels, pixels.Rect, decoded, decoded.Bounds().Min, draw.Src)
	size := pixels.Rect.Size()
	if err := r.adopt(pixels.Pix, size.X, size.Y, 4); err != nil {
		return err
	}
	if pixels.Opaque() {
		return r.image.ExtractBand(0, &libvips.ExtractBandOptions{N: 3})
	}
	return nil
}
