package vips

import (
	"image"
	"image/color"
	"math"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

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

// A gradient finer than eight bits, stretched by options, comes out as smooth as eight bits can show it, not in bands of what it
// would have been rounded to before.
func TestSixteenBitsAreRoundedLast(t *testing.T) {
	const w, h, low, high = 512, 32, 16000, 17000 // four levels of eight bits
	colour, grey := image.NewNRGBA64(image.Rect(0, 0, w, h)), image.NewGray16(image.Rect(0, 0, w, h))
	level := func(x float64) float64 { return low + (high-low)*x/w }
	for i := range w * h {
		x, y := i%w, i/w
		v := uint16(math.Round(level(float64(x) + 0.5)))
		colour.SetNRGBA64(x, y, color.NRGBA64{R: v, G: v, B: v, A: 0xffff - 257*20})
		grey.SetGray16(x, y, color.Gray16{Y: v})
	}
	profiled := remade(t, colour, func(v *libvips.Image) ([]byte, error) {
		if err := v.IccTransform("p3", &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 16}); err != nil {
			return nil, err
		}
		return v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Keep: libvips.KeepIcc, Bitdepth: 16})
	})
	tests := map[string]struct {
		spec transform.Spec
		want func(v float64) float64 // both from 0 to 1
	}{
		"as it is":  {transform.Spec{}, func(v float64) float64 { return v }},
		"stretched": {transform.Spec{Brightness: 100, Contrast: 100}, func(v float64) float64 { return 4*v - 0.5 }},
		"turned":    {transform.Spec{Rotate: 180, Contrast: 50}, func(v float64) float64 { return 1.5*v - 0.25 }},
		"grey":      {transform.Spec{Gray: true, Brightness: 100}, func(v float64) float64 { return 2 * v }},
	}
	for source, file := range map[string][]byte{"colour": testimage.PNG(colour), "grey": testimage.PNG(grey), "profiled": profiled} {
		for name, tt := range tests {
			tt.spec.Format, tt.spec.Width = transform.PNG, w/2
			got := decode(t, mustRender(t, file, tt.spec))
			for x := 8; x < w/2-8; x++ {
				at := x
				if tt.spec.Rotate == 180 {
					at = w/2 - 1 - x
				}
				want := 255 * tt.want(level(2*(float64(x)+0.5))/0xffff)
				if d := math.Abs(float64(got.NRGBAAt(at, h/4).G) - want); d > 0.6 {
					t.Fatalf("%s, %s, at %d: %d, want %.2f", source, name, x, got.NRGBAAt(at, h/4).G, want)
				}
			}
			if a := got.NRGBAAt(w/4, h/4).A; source != "grey" && a != 235 {
				t.Errorf("%s, %s: alpha %d", source, name, a)
			}
		}
	}
}
