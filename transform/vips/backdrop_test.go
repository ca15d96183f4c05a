package vips

import (
	"image"
	"image/color"
	"image/draw"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// TestBackdrop: in the middle the picture as it is, around it what Go makes of a copy that covers the canvas, blurred.
func TestBackdrop(t *testing.T) {
	img := testimage.Photo(240, 120, 12)
	spec := transform.Spec{Format: transform.PNG, Fit: transform.FitCanvas, Width: 240, Height: 240, Background: transform.Background{Blur: true}}
	got := decode(t, mustRender(t, testimage.PNG(img), spec))
	where := image.Rect(0, 60, 240, 180)
	// The cover is the middle half of the picture, at twice its size; in Go it is blurred before it is enlarged.
	want := image.NewNRGBA(image.Rect(0, 0, 240, 240))
	draw.Draw(want, want.Rect, reference(softened(reference(img.SubImage(image.Rect(60, 0, 180, 120)), 60, 60), 2.5), 240, 240), image.Point{}, draw.Src)
	var worst int
	for i := range 240 * 240 {
		at := image.Pt(i%240, i/240)
		if at.In(where) {
			if is, was := got.NRGBAAt(at.X, at.Y), img.NRGBAAt(at.X, at.Y-60); is != was {
				t.Fatalf("the picture's %v is %v, was %v", at, is, was)
			}
			want.SetNRGBA(at.X, at.Y, got.NRGBAAt(at.X, at.Y))
			continue
		}
		for tolerance := worst; !near(got.NRGBAAt(at.X, at.Y), want.NRGBAAt(at.X, at.Y), tolerance); tolerance++ {
			worst = tolerance + 1
		}
	}
	if worst > 24 || meanError(got, want) > 2 {
		t.Errorf("mean error %.2f, worst %d", meanError(got, want), worst)
	}
}

// softened blurs each channel by a Gaussian.
func softened(img *image.NRGBA, sigma float64) *image.NRGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := image.NewNRGBA(img.Rect)
	clamp := func(v, most int) int { return min(max(v, 0), most-1) }
	for c := range 4 {
		plane := make([]float64, w*h)
		for i := range plane {
			plane[i] = float64(img.Pix[4*i+c])
		}
		plane = smooth(plane, sigma, func(i, d int) int { return i/w*w + clamp(i%w+d, w) })
		plane = smooth(plane, sigma, func(i, d int) int { return clamp(i/w+d, h)*w + i%w })
		for i := range plane {
			out.Pix[4*i+c] = uint8(plane[i] + 0.5)
		}
	}
	return out
}

// TestBackdropUnderTransparency: what is transparent shows the copy where the output holds transparency, white where not.
func TestBackdropUnderTransparency(t *testing.T) {
	shape := color.NRGBA{R: 200, G: 40, B: 40, A: 255}
	img := testimage.Flat(100, 100, shape)
	draw.Draw(img, image.Rect(46, 46, 54, 54), image.Transparent, image.Point{}, draw.Src)
	spec := transform.Spec{Fit: transform.FitCanvas, Width: 200, Height: 100, Background: transform.Background{Blur: true}}
	white := color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	for format, hole := range map[transform.Format]color.NRGBA{transform.PNG: shape, transform.JPEG: white} {
		spec.Format, spec.Quality = format, 95
		got := decode(t, mustRender(t, testimage.PNG(img), spec))
		seen := got.NRGBAAt(100, 50)
		if format == transform.PNG {
			if seen.A < 60 { // the hole is in the copy as well, but blurred
				t.Errorf("the hole shows nothing: %v", seen)
			}
			seen.A = 255
		}
		if !near(seen, hole, 12) || !near(got.NRGBAAt(60, 10), shape, 6) {
			t.Errorf("%s: the hole is %v, want %v; beside it %v", format, seen, hole, got.NRGBAAt(60, 10))
		}
	}
}

// TestBackdropOfThreads: the shape of the picture does not matter, and greys stay greys.
func TestBackdropOfThreads(t *testing.T) {
	for _, size := range []image.Point{{X: 1, Y: 1}, {X: 1, Y: 10000}, {X: 10000, Y: 1}, {X: 7, Y: 3}} {
		for _, f := range []transform.Format{transform.JPEG, transform.PNG} {
			grey := image.NewGray(image.Rectangle{Max: size})
			spec := transform.Spec{Format: f, Fit: transform.FitCanvas, Width: 30, Height: 20, Background: transform.Background{Blur: true}}
			if p := mustRender(t, testimage.PNG(grey), spec); p.Width != 30 || p.Height != 20 {
				t.Errorf("%v: %dx%d", size, p.Width, p.Height)
			}
		}
	}
}
