package vips

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

// remade returns img after a change made with libvips, as a file that keeps its profile.
func remade(t *testing.T, img image.Image, save func(*libvips.Image) ([]byte, error)) []byte {
	t.Helper()
	v, err := libvips.NewPngloadBuffer(testimage.PNG(img), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	b, err := save(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func saveAs(profile string, jpeg bool) func(*libvips.Image) ([]byte, error) {
	return func(v *libvips.Image) ([]byte, error) {
		if err := v.IccTransform(profile, &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 8}); err != nil {
			return nil, err
		}
		if jpeg {
			return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 98, Keep: libvips.KeepIcc, SubsampleMode: libvips.SubsampleOff})
		}
		return v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Keep: libvips.KeepIcc, Compression: 1})
	}
}

// Wide colours and inks must come out as the colours that went in; read as if they were sRGB they would be off by 10 and
// more.
func TestProfilesBecomeSRGB(t *testing.T) {
	original := testimage.Flat(64, 64, color.NRGBA{R: 180, G: 95, B: 75, A: 255})
	tests := []struct {
		name      string
		source    []byte
		tolerance int
	}{
		{"display p3 png", remade(t, original, saveAs("p3", false)), 3},
		{"display p3 jpeg", remade(t, original, saveAs("p3", true)), 4},
		{"cmyk jpeg with profile", remade(t, original, saveAs("cmyk", true)), 12},
		{"cmyk jpeg without", remade(t, original, func(v *libvips.Image) ([]byte, error) {
			if err := v.IccTransform("cmyk", &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 8}); err != nil {
				return nil, err
			}
			return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 98, Keep: libvips.KeepNone})
		}), 12},
	}
	for _, tt := range tests {
		for _, f := range []transform.Format{transform.PNG, transform.JPEG, transform.WebP} {
			p := mustRender(t, tt.source, transform.Spec{Format: f, Width: 32, Quality: 95})
			if got := decode(t, p).NRGBAAt(16, 16); !near(got, original.NRGBAAt(0, 0), tt.tolerance) {
				t.Errorf("%s to %s: %v, want %v", tt.name, f, got, original.NRGBAAt(0, 0))
			}
		}
	}
	// The tolerance means something only if ignoring the profile is out of it.
	raw, err := png.Decode(bytes.NewReader(tests[0].source))
	if err != nil {
		t.Fatal(err)
	}
	if near(color.NRGBAModel.Convert(raw.At(3, 3)).(color.NRGBA), original.NRGBAAt(0, 0), 8) {
		t.Error("the P3 picture has the same numbers as the sRGB one")
	}
}

func TestBrokenProfileIsIgnored(t *testing.T) {
	original := testimage.Flat(64, 64, color.NRGBA{R: 200, G: 60, B: 40, A: 255})
	source := remade(t, original, func(v *libvips.Image) ([]byte, error) {
		if err := v.IccTransform("p3", &libvips.IccTransformOptions{InputProfile: "srgb"}); err != nil {
			return nil, err
		}
		return v.TiffsaveBuffer(&libvips.TiffsaveBufferOptions{Keep: libvips.KeepIcc})
	})
	at := bytes.Index(source, []byte("acsp"))
	if at < 0 {
		t.Fatal("no profile in the TIFF")
	}
	copy(source[at:], "xxxx")
	p := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 32})
	if got := decode(t, p).NRGBAAt(16, 16); !near(got, original.NRGBAAt(0, 0), 40) {
		t.Errorf("colour %v", got)
	}
}

func TestGreyStaysGrey(t *testing.T) {
	photo := testimage.Photo(200, 150, 8)
	grey := image.NewGray(photo.Rect)
	for i := range grey.Pix {
		grey.Pix[i] = uint8(math.Round(luma(photo, i%200, i/200)))
	}
	for name, source := range map[string][]byte{"png": testimage.PNG(grey), "jpeg": testimage.JPEG(grey, 95)} {
		p := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 100})
		config, err := png.DecodeConfig(bytes.NewReader(p.Body))
		if err != nil || config.ColorModel != color.GrayModel {
			t.Errorf("%s: not a grey PNG: %v", name, err)
		}
		if got := mssim(decode(t, p), reference(grey, 100, 75)); got < 0.97 {
			t.Errorf("%s: similarity %.3f", name, got)
		}
		// A coloured canvas needs colour.
		p = mustRender(t, source, transform.Spec{
			Format: transform.PNG, Fit: transform.FitCanvas, Width: 100, Height: 100,
			Background: transform.Background{Set: true, R: 250, G: 10, B: 20, A: 255},
		})
		if got := decode(t, p).NRGBAAt(50, 2); got != (color.NRGBA{R: 250, G: 10, B: 20, A: 255}) {
			t.Errorf("%s: canvas is %v", name, got)
		}
	}
}

func TestSixteenBits(t *testing.T) {
	const w, h = 64, 64
	img := image.NewNRGBA64(image.Rect(0, 0, w, h))
	want := image.NewNRGBA(img.Rect)
	for i := range w * h {
		x, y := i%w, i/w
		c := color.NRGBA64{R: uint16(x * 1023), G: uint16(y * 1023), B: 30000, A: uint16(0xffff - 400*y)}
		img.SetNRGBA64(x, y, c)
		want.SetNRGBA(x, y, color.NRGBA{R: uint8(c.R >> 8), G: uint8(c.G >> 8), B: uint8(c.B >> 8), A: uint8(c.A >> 8)})
	}
	for name, f := range map[string]transform.Format{"png": transform.PNG, "webp": transform.WebP} {
		p := mustRender(t, testimage.PNG(img), transform.Spec{Format: f, Quality: 100})
		got := decode(t, p)
		if e := meanError(got, want); e > 2 {
			t.Errorf("%s: mean error %.2f", name, e)
		}
	}
	p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG})
	if depth := p.Body[24]; depth != 8 {
		t.Errorf("PNG of %d bits", depth)
	}
}
