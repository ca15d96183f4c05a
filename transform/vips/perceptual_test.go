package vips

import (
	"context"
	"image/color"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

// Inks come out as the colours that went in, and by another intent than the binding can ask for.
func TestInksArePerceptual(t *testing.T) {
	differs := false
	for _, ink := range []color.NRGBA{{R: 10, G: 160, B: 60, A: 255}, {R: 128, G: 128, B: 128, A: 255}, {G: 90, B: 160, A: 255}} {
		source := remade(t, testimage.Flat(64, 64, ink), saveAs("cmyk", true))
		got := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 32})).NRGBAAt(16, 16)
		if !near(got, ink, 14) {
			t.Errorf("%v became %v", ink, got)
		}
		relative, err := libvips.NewJpegloadBuffer(source, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = relative.IccTransform("srgb", &libvips.IccTransformOptions{
			Embedded: true, InputProfile: "cmyk", Intent: libvips.IntentRelative, BlackPointCompensation: true, Depth: 8,
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := relative.Getpoint(16, 16, nil)
		if err != nil {
			t.Fatal(err)
		}
		relative.Close()
		t.Logf("%v: %v, by relative colorimetry %v", ink, got, c)
		differs = differs || !near(got, color.NRGBA{R: uint8(c[0]), G: uint8(c[1]), B: uint8(c[2]), A: 255}, 1)
	}
	if !differs {
		t.Error("the intents do not differ")
	}
	checkMemory(t, Memory{}) // at rest libvips holds nothing
}

// A picture in inks costs no more memory for its colours than its result has, and gives it back.
func TestInksGiveTheirMemoryBack(t *testing.T) {
	source := remade(t, testimage.Photo(400, 300, 2), saveAs("cmyk", true))
	for _, spec := range []transform.Spec{{Width: 100}, {Rotate: 90, Width: 50}, {Trim: transform.Trim{Set: true}}, {Format: transform.WebP, Blur: 100}} {
		if _, err := engine.Render(context.Background(), source, spec); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	checkMemory(t, Memory{}) // at rest libvips holds nothing
}

func TestProfilesWithIntents(t *testing.T) {
	tests := map[string]struct {
		source []byte
		want   bool
	}{
		"inks":   {remade(t, testimage.Photo(40, 30, 1), saveAs("cmyk", true)), true},
		"matrix": {remade(t, testimage.Photo(40, 30, 1), saveAs("p3", true)), false},
		"none":   {testimage.JPEG(testimage.Photo(40, 30, 1), 90), false},
	}
	for name, tt := range tests {
		img, err := libvips.NewJpegloadBuffer(tt.source, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &render{image: img}
		if got := r.hasIntents(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
		img.Close()
	}
}
