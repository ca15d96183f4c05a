package vips

import (
	"image"

	libvips "github.com/cshum/vipsgen/vips816"

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
		return r.opened(libvips.NewGifloadBuffer(r.source, &libvips.GifloadBufferOptions{
			Page: r.page(), N: r.pages(), Access: libvips.AccessSequential,
		}))
	},
	transform.TIFF: func(r *render, _ float64) error {
		return r.opened(libvips.NewTiffloadBuffer(r.source, &libvips.TiffloadBufferOptions{
			Page: r.page(), N: 1, Subifd: -1, Access: libvips.AccessSequential,
		}))
	},
	transform.JXL: func(r *render, _ float64) error {
		return r.opened(libvips.NewJxlloadBuffer(r.source, &libvips.JxlloadBufferOptions{N: 1, Access: libvips.AccessSequential}))
	},
	transform.JP2: func(r *render, _ float64) error {
		return r.opened(libvips.NewJp2kloadBuffer(r.source, nil))
	},
	transform.HEIC: (*render).loadHEIF,
	transform.AVIF: (*render).loadHEIF,
	transform.BMP:  (*render).loadBMP,
	transform.ICO:  (*render).loadICO,
	transform.SVG:  (*render).loadSVG,
}

// page is the page that is wanted, as libvips counts: from 0.
func (r *render) page() int { return max(r.spec.Page-1, 0) }

// pages is how many pages are wanted, as libvips says it: -1 for all.
func (r *render) pages() int {
	if r.frames > 1 {
		return -1
	}
	return 1
}

// headroom is how many times larger than the result a picture stays when a decoder shrinks it. Below about 1.4 the loss of
// the decoder's cheap filter shows (PERFORMANCE.md, fidelity against cost); at 2 it is within the noise.
const headroom = 2

// load opens the source and works out the plan.
func (r *render) load() error {
	size, orientation := image.Pt(r.header.Width, r.header.Height), r.orientation()
	if orientation != r.header.Orientation {
		size = image.Pt(r.header.Upright())
	}
	spec := r.spec
	if r.header.Format == transform.SVG {
		spec.Enlarge = true // a drawing has no pixels of its own to be short of
	}
	var err error
	if r.plan, err = newPlan(size, orientation, spec, r.limits); err != nil {
		return err
	}
	part := r.plan.crop.Size()
	shrink := min(float64(part.X)/float64(r.plan.fitted.X), float64(part.Y)/float64(r.plan.fitted.Y)) / headroom
	switch {
	case r.kept != nil:
		return r.useLevel(r.kept, shrink)
	case r.raising != nil:
		err = r.raise(shrink)
	default:
		err = decoders[r.header.Format](r, shrink)
	}
	if err != nil || r.raising != nil && len(r.raising.about.Levels) > 0 {
		return err
	}
	// The plan sees to it; encoders of HEIF would write it into the file a second time.
	if err := r.image.RemoveOrientation(); err != nil {
		return err
	}
	loaded, err := r.frameSize()
	if err != nil {
		return err
	}
	scaled := r.header.Format == transform.SVG || shrink > 1 && (r.header.Format == transform.JPEG || r.header.Format == transform.WebP)
	if loaded == size || scaled {
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

// orientation is what is to be made of what the decoder gives. libheif applies the file's own rotations while decoding; EXIF's
// orientation is not to be applied on top.
func (r *render) orientation() int {
	if r.header.Format == transform.HEIC || r.header.Format == transform.AVIF {
		return 1
	}
	return r.header.Orientation
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

// loadWebP lets the decoder resize while it decodes. It can do so with still pictures only: the frames of an animation lie at
// whole pixels of its canvas.
func (r *render) loadWebP(shrink float64) error {
	source := r.source
	if r.header.Frames > 1 {
		shrink = 1
		if r.frames == 1 && r.page() == 0 {
			source = transform.FirstFrame(source, r.header)
			r.pinner.Pin(&source[0])
		}
	}
	return r.opened(libvips.NewWebploadBuffer(source, &libvips.WebploadBufferOptions{
		Page: r.page(), N: r.pages(), Scale: 1 / max(shrink, 1), Access: libvips.AccessSequential,
	}))
}

// loadHEIF opens the primary picture, or one of the others by its number. How many there are only the decoder tells.
func (r *render) loadHEIF(float64) error {
	o := libvips.HeifloadBufferOptions{N: 1, Access: libvips.AccessSequential}
	if err := r.opened(libvips.NewHeifloadBuffer(r.source, &o)); err != nil || r.spec.Page < 2 {
		return err
	}
	if pages := r.image.Pages(); r.spec.Page > pages {
		return transform.PageError(r.spec.Page, pages)
	}
	r.image.Close()
	o.Page = r.page()
	return r.opened(libvips.NewHeifloadBuffer(r.source, &o))
}
