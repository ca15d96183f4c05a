package vips

import (
	"image"
	"image/color"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// A dark ramp in 16 bits, averaged over many pixels, comes out at its true level. Cut to 8 bits before the resize, each pixel
// would have lost up to a level, always downwards.
func TestSixteenBitsLastUntilTheResult(t *testing.T) {
	const side, scale = 256, 16
	for _, alpha := range []uint16{0xffff, 0x8000} {
		img := image.NewNRGBA64(image.Rect(0, 0, side, side))
		for i := range side * side {
			// 30 and 31, nine times in ten a hair below 31: the mean is 30.9 of 255.
			v := uint16(31*257 - 26)
			img.SetNRGBA64(i%side, i/side, color.NRGBA64{R: v, G: v, B: v, A: alpha})
		}
		p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG, Width: side / scale})
		got := decode(t, p)
		for i := range got.Rect.Dx() * got.Rect.Dy() {
			if c := got.Pix[4*i]; c != 31 {
				t.Fatalf("alpha %d: level %d, want 31", alpha, c)
			}
		}
	}
}

// What lies unseen under transparent pixels stays unseen: between red that shows and green that does not, no edge turns green
// or dark.
func TestNoHalosAtHardEdges(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 200, 200))
	for i := range 200 * 200 {
		c := color.NRGBA{G: 255}
		if x, y := i%200-100, i/200-100; x*x+y*y < 70*70 {
			c = color.NRGBA{R: 255, A: 255}
		}
		img.SetNRGBA(i%200, i/200, c)
	}
	deep := image.NewNRGBA64(img.Rect)
	for i := range 200 * 200 {
		deep.Set(i%200, i/200, img.At(i%200, i/200))
	}
	blue := transform.Background{Set: true, B: 255, A: 255}
	for name, source := range map[string][]byte{"8 bits": testimage.PNG(img), "16 bits": testimage.PNG(deep)} {
		for _, spec := range []transform.Spec{
			{Width: 57}, {Width: 333, Enlarge: true}, {Blur: 300}, {Width: 57, Blur: 200}, {Width: 57, Background: blue}, {Width: 57, Sharpen: 100},
		} {
			spec.Format = transform.PNG
			got := decode(t, mustRender(t, source, spec))
			seen := 0
			for i := 0; i < len(got.Pix); i += 4 {
				r, g, b, a := got.Pix[i], got.Pix[i+1], got.Pix[i+2], got.Pix[i+3]
				if a < 8 { // too little to tell a colour by
					continue
				}
				seen++
				if g > 8 || int(r)+int(b) < 240 {
					t.Fatalf("%s, %s: %d,%d,%d,%d at an edge", name, spec, r, g, b, a)
				}
			}
			if seen == 0 {
				t.Errorf("%s, %s: nothing is seen", name, spec)
			}
		}
	}
}
