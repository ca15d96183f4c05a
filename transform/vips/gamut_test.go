package vips

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

func wideEngine(t *testing.T) *Engine {
	t.Helper()
	e, err := New(Config{Limits: transform.DefaultLimits(), WideGamut: true})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// p3 returns a picture of numbers that mean Display P3 colours, as a PNG or JPEG that says so.
func p3(t *testing.T, img image.Image, jpeg bool) []byte {
	t.Helper()
	v, err := libvips.NewPngloadBuffer(testimage.PNG(img), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	r := render{image: v, p3: true}
	if err := r.attach(); err != nil {
		t.Fatal(err)
	}
	var file []byte
	if jpeg {
		file, err = v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 98, Keep: libvips.KeepIcc, SubsampleMode: libvips.SubsampleOff})
	} else {
		file, err = v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Keep: libvips.KeepIcc})
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// openPicture lets libvips find out by itself what a rendering is.
func openPicture(t *testing.T, file []byte) *libvips.Image {
	t.Helper()
	var v *libvips.Image
	var err error
	switch transform.Sniff(file) {
	case transform.JPEG:
		v, err = libvips.NewJpegloadBuffer(file, nil)
	case transform.PNG:
		v, err = libvips.NewPngloadBuffer(file, nil)
	case transform.WebP:
		v, err = libvips.NewWebploadBuffer(file, nil)
	case transform.TIFF:
		v, err = libvips.NewTiffloadBuffer(file, nil)
	case transform.JXL:
		allow(optionalLoaders[transform.JXL], true)
		defer allow(optionalLoaders[transform.JXL], false)
		v, err = libvips.NewJxlloadBuffer(file, nil)
	default:
		v, err = libvips.NewHeifloadBuffer(file, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// The profile that is made here must mean what libvips means by Display P3, and be good enough to convert with.
func TestProfileIsDisplayP3(t *testing.T) {
	for _, c := range []color.NRGBA{{R: 255, A: 255}, {G: 255, A: 255}, {B: 255, A: 255}, {R: 128, G: 128, B: 128, A: 255}, {R: 20, G: 180, B: 90, A: 255}} {
		ours := openPicture(t, p3(t, testimage.Flat(4, 4, c), false))
		if profile, _ := ours.GetICCProfile(); !bytes.Equal(profile, transform.DisplayP3Profile()) {
			t.Fatalf("%d bytes of profile", len(profile))
		}
		if err := ours.IccTransform("p3", &libvips.IccTransformOptions{Embedded: true, Intent: libvips.IntentRelative, Depth: 8}); err != nil {
			t.Fatal(err)
		}
		got, err := ours.Getpoint(1, 1, nil)
		if err != nil || !near(color.NRGBA{R: uint8(got[0]), G: uint8(got[1]), B: uint8(got[2]), A: 255}, c, 1) {
			t.Errorf("%v comes back as %v (%v)", c, got, err)
		}
	}
}

func TestWideGamutStays(t *testing.T) {
	e := wideEngine(t)
	red := color.NRGBA{R: 250, G: 10, B: 10, A: 255}
	sources := map[string][]byte{"png": p3(t, testimage.Flat(64, 64, red), false), "jpeg": p3(t, testimage.Flat(64, 64, red), true)}
	for name, source := range sources {
		for _, f := range transform.OutputFormats() {
			spec := transform.Spec{Format: f, Width: 32, Quality: 95}
			if f == transform.JXL {
				spec.Quality = 100
			}
			p, err := e.Render(context.Background(), source, spec)
			if err != nil {
				t.Fatal(err)
			}
			narrow := mustRender(t, source, spec)
			if bytes.Contains(narrow.Body, []byte("acsp")) || bytes.Contains(narrow.Body, []byte("iCCP")) || bytes.Contains(narrow.Body, []byte("ICCP")) {
				t.Errorf("%s to %s: the default has a profile", name, f)
			}
			if f == transform.GIF {
				if !bytes.Equal(p.Body, narrow.Body) {
					t.Errorf("%s to gif: not as by default", name)
				}
				continue
			}
			v := openPicture(t, p.Body)
			profile, _ := v.GetICCProfile()
			if f != transform.JXL && !bytes.Equal(profile, transform.DisplayP3Profile()) {
				t.Errorf("%s to %s: %d bytes of profile", name, f, len(profile))
			}
			got, err := v.Getpoint(16, 16, nil)
			if err != nil || !near(color.NRGBA{R: uint8(got[0]), G: uint8(got[1]), B: uint8(got[2]), A: 255}, red, 5) {
				t.Errorf("%s to %s: %v (%v)", name, f, got, err)
			}
		}
	}
}

// What is sRGB, has no profile, or is asked for in grey is not touched by the switch.
func TestWideGamutChangesNothingElse(t *testing.T) {
	e := wideEngine(t)
	photo := testimage.Photo(120, 90, 5)
	srgb := remade(t, photo, saveAs("srgb", true))
	for name, source := range map[string][]byte{"no profile": testimage.JPEG(photo, 85), "sRGB profile": srgb, "gif": movingSquare(60, 40).gif(t)} {
		for _, f := range transform.OutputFormats() {
			spec := transform.Spec{Format: f, Width: 50}
			p, err := e.Render(context.Background(), source, spec)
			if err != nil {
				t.Fatal(err)
			}
			if f != transform.JXL && f != transform.HEIC && !bytes.Equal(p.Body, mustRender(t, source, spec).Body) { // their encoders vary
				t.Errorf("%s to %s differs", name, f)
			}
		}
	}
	p, err := e.Render(context.Background(), p3(t, photo, true), transform.Spec{Format: transform.PNG, Width: 50, Gray: true})
	if err != nil || bytes.Contains(p.Body, []byte("iCCP")) {
		t.Errorf("grey has a profile (%v)", err)
	}
	plain, err := New(Config{Limits: transform.DefaultLimits()})
	if err != nil || plain.Generation() == e.Generation() {
		t.Errorf("one generation for both: %v", err)
	}
}

// Colours that URLs name are sRGB, and overlays are, whatever the picture is.
func TestWideGamutTakesColoursAsTheyAreMeant(t *testing.T) {
	mark := color.NRGBA{G: 200, B: 40, A: 255}
	e, err := New(Config{
		Limits: transform.DefaultLimits(), WideGamut: true, Overlays: map[string][]byte{"m": testimage.PNG(testimage.Flat(10, 10, mark))},
	})
	if err != nil {
		t.Fatal(err)
	}
	spec := transform.Spec{
		Format: transform.PNG, Width: 100, Height: 200, Fit: transform.FitCanvas,
		Background: transform.Background{Set: true, R: 200, G: 30, B: 20, A: 255},
		Watermark:  transform.Watermark{Name: "m", Gravity: transform.SouthEast, Scale: 20, Opacity: 100},
	}
	p, err := e.Render(context.Background(), p3(t, testimage.Flat(100, 100, color.NRGBA{R: 250, A: 255}), false), spec)
	if err != nil {
		t.Fatal(err)
	}
	v := openPicture(t, p.Body)
	if profile, _ := v.GetICCProfile(); !bytes.Equal(profile, transform.DisplayP3Profile()) {
		t.Fatalf("%d bytes of profile", len(profile))
	}
	if err := v.IccTransform("srgb", &libvips.IccTransformOptions{Embedded: true, Intent: libvips.IntentRelative, Depth: 8}); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[image.Point]color.NRGBA{{X: 10, Y: 10}: {R: 200, G: 30, B: 20, A: 255}, {X: 90, Y: 190}: mark} {
		got, err := v.Getpoint(at.X, at.Y, nil)
		if err != nil || !near(color.NRGBA{R: uint8(got[0]), G: uint8(got[1]), B: uint8(got[2]), A: 255}, want, 3) {
			t.Errorf("at %v: %v, want %v (%v)", at, got, want, err)
		}
	}
}
