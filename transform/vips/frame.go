package vips

import (
	"math"
	"slices"

	libvips "github.com/cshum/vipsgen/vips816"
)

// maxHeldFrame bounds a frame that is held in memory for its resize, bytes. Larger ones stream.
const maxHeldFrame = 16 << 20

// held tells whether the picture so far is to be resized as a frame in memory.
func (r *render) held() bool {
	space := r.image.Interpretation()
	return r.frames > 1 && r.image.BandFormat() == libvips.BandFormatUchar &&
		(space == libvips.InterpretationSrgb || space == libvips.InterpretationBW) &&
		r.image.Width()*r.image.Height() <= maxHeldFrame/r.image.Bands()
}

// fitFrame resizes a frame of an animation to w x h, in memory: frames are small and many, so that what libvips spends on each
// operation is more than what it spends on the pixels. A frame that hides all that lies below it loses its alpha.
func (r *render) fitFrame(w, h int) error {
	profile, _ := r.image.GetICCProfile()
	bands := r.image.Bands()
	r.cel = slices.Grow(r.cel[:0], r.image.Width()*r.image.Height()*bands)
	pixels := r.cel[:r.image.Width()*r.image.Height()*bands]
	if err := readRows(r.image, pixels); err != nil {
		return err
	}
	alpha := bands%2 == 0
	switch {
	case alpha && opaque(pixels, bands):
		pixels, bands, alpha = dropAlpha(pixels, bands), bands-1, false
	case alpha:
		premultiply(pixels, bands)
	}
	if err := r.adopt(pixels, r.image.Width(), r.image.Height(), bands); err != nil {
		return err
	}
	if err := resize(r.image, w, h); err != nil {
		return err
	}
	small := make([]byte, w*h*bands)
	if err := readRows(r.image, small); err != nil {
		return err
	}
	if alpha {
		unpremultiply(small, bands)
	}
	if err := r.adopt(small, w, h, bands); err != nil {
		return err
	}
	attachProfile(r.image, profile)
	return nil
}

// opaque tells whether pixels of so many bands, alpha being the last, hide all that lies below them.
func opaque(pixels []byte, bands int) bool {
	for i := bands - 1; i < len(pixels); i += bands {
		if pixels[i] != 255 {
			return false
		}
	}
	return true
}

// dropAlpha takes the last of so many bands off pixels, which it moves together.
func dropAlpha(pixels []byte, bands int) []byte {
	if bands == 4 { // in a third of the time
		for from, to := 0, 0; from+4 <= len(pixels); from, to = from+4, to+3 {
			pixels[to], pixels[to+1], pixels[to+2] = pixels[from], pixels[from+1], pixels[from+2]
		}
		return pixels[:len(pixels)/4*3]
	}
	to := 0
	for from := 0; from < len(pixels); from += bands {
		to += copy(pixels[to:], pixels[from:from+bands-1])
	}
	return pixels[:to]
}

// premultiply multiplies colours by their alpha, the last of so many bands, to the nearest whole number.
func premultiply(pixels []byte, bands int) {
	for i := 0; i < len(pixels); i += bands {
		pixel := pixels[i : i+bands]
		a := uint(pixel[bands-1])
		switch a {
		case 255:
			continue
		case 0:
			clear(pixel)
			continue
		}
		for j := range bands - 1 {
			pixel[j] = uint8((uint(pixel[j])*a + 127) / 255)
		}
	}
}

// unpremultiply undoes premultiply, as far as whole numbers can. What shows nothing is black. It rounds as libvips' operations
// do, by whose results caches are filled.
func unpremultiply(pixels []byte, bands int) {
	for i := 0; i < len(pixels); i += bands {
		pixel := pixels[i : i+bands]
		a := pixel[bands-1]
		switch a {
		case 255:
			continue
		case 0:
			clear(pixel)
			continue
		}
		scale := 255 / float32(a)
		for j, colour := range pixel[:bands-1] {
			pixel[j] = uint8(min(255, math.RoundToEven(float64(scale*float32(colour)))))
		}
	}
}

// addAlpha appends to to pixels of so many bands, each with the alpha of what hides all below it.
func addAlpha(to, pixels []byte, bands int) []byte {
	for i := 0; i < len(pixels); i += bands {
		to = append(append(to, pixels[i:i+bands]...), 255)
	}
	return to
}
