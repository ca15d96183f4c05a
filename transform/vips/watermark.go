package vips

import (
	"image"
	"maps"
	"math"
	"slices"
	"strings"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// markMargin is the distance between a watermark and the edges, as a part of the result's shorter side.
const markMargin = 0.02

// watermark puts a configured overlay on the result: as wide as asked, or as large as the margins leave room for.
func (r *render) watermark() error {
	asked := r.spec.Watermark
	if asked == (transform.Watermark{}) {
		return nil
	}
	mark, err := r.mark(r.overlays[asked.Name], asked)
	if err != nil {
		return err
	}
	defer mark.Close()
	whole := imageSize(r.image)
	margin := marginOf(whole)
	spec := transform.Spec{Gravity: asked.Gravity}
	place := keep(whole.Sub(image.Pt(2*margin, 2*margin)), imageSize(mark), spec.Anchor()).Add(image.Pt(margin, margin))
	if err := r.colourFor(transform.Background{R: 1}); err != nil {
		return err
	}
	// What is not below the mark stays as it is, to the bit: only the part that is gets blended.
	if err := r.settle(); err != nil {
		return err
	}
	part, err := r.image.Copy(nil)
	if err != nil {
		return malformed(err)
	}
	defer part.Close()
	if err := part.ExtractArea(place.Min.X, place.Min.Y, place.Dx(), place.Dy()); err != nil {
		return malformed(err)
	}
	if err := over(part, mark, image.Point{}); err != nil {
		return err
	}
	return malformedOrNil(r.image.Insert(part, place.Min.X, place.Min.Y, nil))
}

// mark returns an overlay in the size and strength that it is asked for. The caller closes it.
func (r *render) mark(o overlay, asked transform.Watermark) (*libvips.Image, error) {
	img, err := r.picture(o.pixels, o.size.X, o.size.Y, 4)
	if err != nil {
		return nil, err
	}
	if r.p3 {
		err := img.IccTransform("p3", &libvips.IccTransformOptions{InputProfile: "srgb", Intent: libvips.IntentRelative, Depth: 8})
		if err != nil {
			img.Close()
			return nil, malformed(err)
		}
		_ = img.RemoveICCProfile() // fails only when there is none
	}
	size := markSize(imageSize(r.image), o.size, asked.Scale)
	if err := weighted(img, func() error { return resize(img, size.X, size.Y) }); err != nil {
		img.Close()
		return nil, err
	}
	if asked.Opacity < 100 {
		strength := keepAlpha([][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}})
		strength[3][3] = float64(asked.Opacity) / 100
		if err := mix(img, strength); err != nil {
			img.Close()
			return nil, err
		}
		if err := round(img, 0); err != nil {
			img.Close()
			return nil, err
		}
	}
	return img, nil
}

func marginOf(whole image.Point) int {
	return int(math.Round(markMargin * float64(min(whole.X, whole.Y))))
}

// markSize returns what an overlay is resized to: hundredths of the result's width, its own ratio kept, within the margins.
func markSize(whole, own image.Point, hundredths int) image.Point {
	margin := marginOf(whole)
	width := float64(whole.X) * float64(hundredths) / 100
	scale := min(width, float64(whole.X-2*margin)) / float64(own.X)
	scale = min(scale, float64(whole.Y-2*margin)/float64(own.Y))
	return scaled(own, scale)
}

// checkWatermark answers a watermark that is not configured with a *transform.SpecError.
func (e *Engine) checkWatermark(w transform.Watermark) error {
	if _, ok := e.overlays[w.Name]; ok || w == (transform.Watermark{}) {
		return nil
	}
	hint := "no overlay is configured here; leave it out"
	if len(e.overlays) > 0 {
		hint = "there is no overlay of that name; known are " + strings.Join(slices.Sorted(maps.Keys(e.overlays)), ", ")
	}
	return &transform.SpecError{Option: "watermark", Value: w.Name, Hint: hint}
}
