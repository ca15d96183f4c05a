package vips

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"
	"golang.org/x/image/bmp"

	"deckle/internal/testimage"
	"deckle/transform"
)

// kept returns the levels of a source from first on, and its header.
func kept(t testing.TB, source []byte, first int) (transform.Header, []byte) {
	t.Helper()
	header, err := engine.limits.ReadHeader(source)
	if err != nil {
		t.Fatal(err)
	}
	memory := make([]byte, transform.KeptSize(header, first))
	_, size, err := engine.Keep(context.Background(), source, transform.Spec{Format: transform.JPEG, Width: 40}, first, memory)
	if err != nil {
		t.Fatal(err)
	}
	return header, memory[:size]
}

// TestKeptRendersAlike: whatever the source is and whatever is asked of it, a rendering from levels shows what one from the
// source shows.
func TestKeptRendersAlike(t *testing.T) {
	original := testimage.Photo(1153, 911, 31)
	var b bytes.Buffer
	if err := bmp.Encode(&b, original); err != nil {
		t.Fatal(err)
	}
	list := map[string][]byte{
		"jpeg": testimage.JPEG(original, 92), "turned jpeg": testimage.WithEXIF(testimage.JPEG(original, 92), 6),
		"png": testimage.PNG(original), "bmp": b.Bytes(), "alpha": testimage.PNG(testimage.Alpha(1153, 911)),
		"webp":      mustRender(t, testimage.PNG(original), transform.Spec{Format: transform.WebP, Quality: 90}).Body,
		"avif":      mustRender(t, testimage.PNG(original), transform.Spec{Format: transform.AVIF, Quality: 80}).Body,
		"grey":      mustRender(t, testimage.PNG(original), transform.Spec{Format: transform.JPEG, Gray: true}).Body,
		"p3 jpeg":   remade(t, original, saveAs("p3", true)),
		"cmyk jpeg": remade(t, original, saveAs("cmyk", true)),
		"p3 png":    remade(t, original, saveAs("p3", false)),
		"bare cmyk": remade(t, original, bareInks),
		"animation": testimage.GIF(testimage.Quadrants(1153, 911), testimage.Flat(1153, 911, color.NRGBA{R: 9, A: 255})),
	}
	specs := []transform.Spec{
		{Width: 300}, {Width: 120}, {Width: 640}, {Width: 200, Height: 200, Fit: transform.FitCrop, Gravity: transform.North},
		{Width: 160, Crop: transform.Crop{X: 401, Y: 203, W: 499, H: 400}}, {Width: 90, Height: 90, Fit: transform.FitCanvas, Rotate: 90},
		{Width: 250, Height: 120, Fit: transform.FitStretch, Flip: transform.FlipHorizontal, Blur: 150},
	}
	for name, source := range list {
		for first := range 2 {
			header, levels := kept(t, source, first)
			if len(levels) == 0 {
				t.Errorf("%s is not kept", name)
				continue
			}
			for _, spec := range specs {
				spec.Format = transform.PNG
				if level, ok := transform.LevelOf(header, spec, engine.limits); !ok || level < first {
					continue
				}
				plain := mustRender(t, source, spec)
				p, err := engine.RenderKept(context.Background(), header, levels, spec)
				if err != nil {
					t.Errorf("%s%s: %v", name, spec, err)
					continue
				}
				if p.Width != plain.Width || p.Height != plain.Height {
					t.Errorf("%s%s: %dx%d; from the source %dx%d", name, spec, p.Width, p.Height, plain.Width, plain.Height)
					continue
				}
				if got := mssim(decode(t, p), decode(t, plain)); got < 0.985 {
					t.Errorf("%s%s from level %d: similarity %.4f to a rendering from the source", name, spec, first, got)
				}
				if a, b := meanColour(decode(t, p)), meanColour(decode(t, plain)); distant(a, b) > 1.5 {
					t.Errorf("%s%s: mean colour %v, from the source %v", name, spec, a, b)
				}
			}
		}
	}
}

// bareInks saves a picture in inks, without saying which.
func bareInks(v *libvips.Image) ([]byte, error) {
	if err := v.IccTransform("cmyk", &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 8}); err != nil {
		return nil, err
	}
	return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 92, Keep: libvips.KeepNone})
}

func meanColour(img *image.NRGBA) (mean [4]float64) {
	for i, v := range img.Pix {
		mean[i%4] += float64(v) / float64(len(img.Pix)/4)
	}
	return mean
}

func distant(a, b [4]float64) (most float64) {
	for i := range a {
		most = max(most, a[i]-b[i], b[i]-a[i])
	}
	return most
}

// TestNotKept: what cannot be kept is rendered as if nothing had been asked.
func TestNotKept(t *testing.T) {
	source := testimage.PNG(testimage.Photo(1200, 900, 3))
	deep := remade(t, testimage.Photo(1200, 900, 3), func(v *libvips.Image) ([]byte, error) {
		if err := v.Colourspace(libvips.InterpretationRgb16, nil); err != nil {
			return nil, err
		}
		return v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Bitdepth: 16})
	})
	for name, test := range map[string]struct {
		source []byte
		room   int
	}{"16 bits": {deep, 64 << 20}, "no room": {source, 1 << 10}, "no room to describe it": {source, 300 * 225 * 3}} {
		spec := transform.Spec{Format: transform.PNG, Width: 100}
		p, size, err := engine.Keep(context.Background(), test.source, spec, 2, make([]byte, test.room))
		if err != nil || size != 0 {
			t.Errorf("%s: %d bytes, %v", name, size, err)
			continue
		}
		plain := mustRender(t, test.source, spec)
		if got := mssim(decode(t, p), decode(t, plain)); got < 0.98 {
			t.Errorf("%s: similarity %.4f", name, got)
		}
	}
}

// TestKeptRefuses: levels of another size, cut short or made up are an error, and so is what needs more than they hold.
func TestKeptRefuses(t *testing.T) {
	header, levels := kept(t, testimage.JPEG(testimage.Photo(1200, 900, 3), 90), 1)
	spec := transform.Spec{Format: transform.JPEG, Width: 100}
	other := header
	other.Width = 1400
	for name, test := range map[string]struct {
		header transform.Header
		levels []byte
		spec   transform.Spec
	}{
		"another size":  {other, levels, spec},
		"cut":           {header, levels[:len(levels)-1], spec},
		"empty":         {header, nil, spec},
		"start cut off": {header, levels[1000:], spec},
		"too fine":      {header, levels, transform.Spec{Format: transform.JPEG, Width: 590}},
		"trim":          {header, levels, transform.Spec{Format: transform.JPEG, Width: 100, Trim: transform.Trim{Set: true}}},
		"page":          {header, levels, transform.Spec{Format: transform.JPEG, Width: 100, Page: 2}},
	} {
		if _, err := engine.RenderKept(context.Background(), test.header, test.levels, test.spec); !errors.Is(err, transform.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOpenPyramid: whatever memory holds, what is read from it lies within it.
func FuzzOpenPyramid(f *testing.F) {
	header, levels := kept(f, testimage.JPEG(testimage.Photo(1200, 900, 3), 90), 3)
	f.Add(levels[len(levels)-100:])
	f.Add(levels)
	f.Fuzz(func(t *testing.T, memory []byte) {
		p, err := openPyramid(memory, header)
		if err != nil {
			return
		}
		for _, l := range p.about.Levels {
			if l.At < 0 || l.Width < 1 || l.Height < 1 || l.At+l.Width*l.Height*p.about.Bands > len(memory) {
				t.Errorf("level %+v of %d bytes", l, len(memory))
			}
		}
	})
}
