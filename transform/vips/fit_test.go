package vips

import (
	"image"
	"image/color"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// TestFlatStaysFlat: one colour stays that colour at every ratio, and what is opaque stays opaque where there is transparency
// in the file.
func TestFlatStaysFlat(t *testing.T) {
	for name, source := range map[string][]byte{
		"white":       testimage.PNG(testimage.Flat(2400, 300, color.NRGBA{255, 255, 255, 255})),
		"a colour":    testimage.PNG(testimage.Flat(2400, 300, color.NRGBA{200, 128, 60, 255})),
		"translucent": testimage.PNG(testimage.Flat(2400, 300, color.NRGBA{255, 255, 255, 100})),
		"opaque gif":  testimage.GIF(testimage.Flat(2400, 300, color.NRGBA{255, 255, 255, 255})),
	} {
		want := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG})).NRGBAAt(1, 1)
		for _, width := range []int{2000, 599, 400, 360, 180, 78, 36, 11, 1} {
			img := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: width}))
			for _, at := range []image.Point{{}, img.Rect.Max.Div(2), img.Rect.Max.Sub(image.Pt(1, 1))} {
				if got := img.NRGBAAt(at.X, at.Y); !near(got, want, 1) || want.A == 255 && got.A != 255 {
					t.Errorf("%s, %d wide: %v at %v; want %v", name, width, got, at, want)
				}
			}
		}
	}
}
