package vips

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"slices"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

var frameColour = color.NRGBA{R: 250, G: 240, B: 230, A: 255}

// framed returns img within borders of 30, 20, 10 and 40 pixels: left, top, right and bottom.
func framed(img *image.NRGBA) *image.NRGBA {
	out := testimage.Flat(img.Rect.Dx()+40, img.Rect.Dy()+60, frameColour)
	draw.Draw(out, img.Rect.Add(image.Pt(30, 20)), img, image.Point{}, draw.Src)
	return out
}

func trimmed(threshold uint8, s transform.Spec) transform.Spec {
	s.Trim = transform.Trim{Set: true, Threshold: threshold}
	return s
}

func TestTrim(t *testing.T) {
	inner := testimage.Quadrants(200, 150)
	stained := framed(inner)
	stain := image.NewUniform(color.NRGBA{R: 250, G: 246, B: 230, A: 255}) // 6 levels off
	for _, at := range []image.Rectangle{image.Rect(0, 100, 5, 105), image.Rect(235, 205, 240, 210), image.Rect(100, 0, 105, 5)} {
		draw.Draw(stained, at, stain, image.Point{}, draw.Src)
	}
	tests := []struct {
		name   string
		source *image.NRGBA
		spec   transform.Spec
		want   image.Image
	}{
		{"exact", framed(inner), trimmed(0, transform.Spec{}), inner},
		{"no border", inner, trimmed(0, transform.Spec{}), inner.SubImage(image.Rect(0, 0, 200, 150))},
		{"threshold above the stains", stained, trimmed(6, transform.Spec{}), inner},
		{"threshold below the stains", stained, trimmed(5, transform.Spec{}), stained},
		{"all of one colour", testimage.Flat(60, 40, frameColour), trimmed(9, transform.Spec{}), testimage.Flat(60, 40, frameColour)},
		{"one pixel", testimage.Flat(1, 1, frameColour), trimmed(0, transform.Spec{}), testimage.Flat(1, 1, frameColour)},
		{
			"crop counts from what is left", framed(inner),
			trimmed(0, transform.Spec{Crop: transform.Crop{X: 50, Y: 25, W: 400, H: 50}}), inner.SubImage(image.Rect(50, 25, 200, 75)),
		},
		{
			"fractions too", framed(inner),
			trimmed(0, transform.Spec{Crop: transform.Crop{Fraction: true, W: 500_000, H: 1_000_000}}), inner.SubImage(image.Rect(0, 0, 100, 150)),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Format = transform.PNG
			got := decode(t, mustRender(t, testimage.PNG(tt.source), tt.spec))
			want := image.NewNRGBA(image.Rectangle{Max: tt.want.Bounds().Size()})
			draw.Draw(want, want.Rect, tt.want, tt.want.Bounds().Min, draw.Src)
			if got.Rect != want.Rect {
				t.Fatalf("%v is left, want %v", got.Rect, want.Rect)
			}
			if e := meanError(got, want); e != 0 {
				t.Errorf("mean error %.2f", e)
			}
		})
	}
	var miss *transform.SpecError
	_, err := engine.Render(context.Background(), testimage.PNG(framed(inner)), trimmed(0, transform.Spec{Crop: transform.Crop{X: 210, W: 1, H: 1}}))
	if !errors.As(err, &miss) {
		t.Errorf("a crop beside what is left: %v", err)
	}
}

// TestScanTakesAnyPieces: however the lines are cut, the same is found.
func TestScanTakesAnyPieces(t *testing.T) {
	pixels := framed(testimage.Quadrants(20, 15)).Pix
	for _, piece := range []int{1, 7, 239, 240, 241, 1000, len(pixels)} {
		s := scan{size: image.Pt(60, 75), bands: 4}
		for part := range slices.Chunk(pixels, piece) {
			if n, err := s.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if want := image.Rect(30, 20, 50, 35); s.inside != want || s.y != 75 || len(s.rest) != 0 {
			t.Errorf("pieces of %d: %v in %d lines and %d bytes more, want %v", piece, s.inside, s.y, len(s.rest), want)
		}
	}
}

// TestTrimTransparency: what is transparent is border, whatever lies unseen below; and a cut-out shape of the border's own hidden
// colour is none.
func TestTrimTransparency(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 90, 70))
	for i := range 90 * 70 {
		img.SetNRGBA(i%90, i/90, color.NRGBA{R: uint8(i), G: uint8(i / 90)})
	}
	img.SetNRGBA(0, 0, color.NRGBA{})
	draw.Draw(img, image.Rect(20, 10, 60, 40), image.NewUniform(color.NRGBA{A: 255}), image.Point{}, draw.Src)
	p := mustRender(t, testimage.PNG(img), trimmed(10, transform.Spec{Format: transform.PNG}))
	if p.Width != 40 || p.Height != 30 {
		t.Errorf("%dx%d is left, want 40x30", p.Width, p.Height)
	}
}

// TestTrimOrientation: the colour is that of the corner that a viewer sees at the top left.
func TestTrimOrientation(t *testing.T) {
	upright := testimage.Flat(240, 160, color.NRGBA{R: 30, G: 30, B: 30, A: 255})
	draw.Draw(upright, image.Rect(0, 0, 240, 32), image.White, image.Point{}, draw.Src)
	draw.Draw(upright, image.Rect(0, 0, 48, 160), image.White, image.Point{}, draw.Src)
	spec := trimmed(60, transform.Spec{Format: transform.PNG})
	for orientation := 1; orientation <= 8; orientation++ {
		source := testimage.WithEXIF(testimage.JPEG(stored(upright, orientation), 95), orientation)
		got := decode(t, mustRender(t, source, spec))
		if d := got.Rect.Size().Sub(image.Pt(192, 128)); d.X*d.X > 4 || d.Y*d.Y > 4 {
			t.Errorf("orientation %d: %v is left, want 192x128", orientation, got.Rect.Size())
		}
		if c := got.NRGBAAt(100, 60); !near(c, color.NRGBA{R: 30, G: 30, B: 30, A: 255}, 4) {
			t.Errorf("orientation %d: the middle is %v", orientation, c)
		}
	}
}

// TestTrimOfEveryFormat: the picture within is found in lossy sources too, and then decoded at the scale that fits.
func TestTrimOfEveryFormat(t *testing.T) {
	inner := testimage.Photo(600, 400, 4)
	want := reference(inner, 150, 100)
	for format, source := range sources(t, framed(inner)) {
		got := decode(t, mustRender(t, source, trimmed(40, transform.Spec{Format: transform.PNG, Fit: transform.FitStretch, Width: 150, Height: 100})))
		floor := 0.93
		if format == transform.GIF {
			floor = 0.5 // 216 colours without dithering
		}
		if similar := mssim(got, want); similar < floor {
			t.Errorf("%s: similarity %.3f", format, similar)
		}
	}
}

// TestTrimOfAnAnimation: what no frame shows is border.
func TestTrimOfAnAnimation(t *testing.T) {
	white := color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	first, second := testimage.Flat(100, 80, white), testimage.Flat(100, 80, white)
	draw.Draw(first, image.Rect(10, 20, 40, 50), image.Black, image.Point{}, draw.Src)
	draw.Draw(second, image.Rect(30, 40, 70, 60), image.Black, image.Point{}, draw.Src)
	p := mustRender(t, testimage.GIF(first, second), trimmed(10, transform.Spec{}))
	if p.Frames != 2 || p.Width != 60 || p.Height != 40 {
		t.Errorf("%d frames of %dx%d, want 2 of 60x40", p.Frames, p.Width, p.Height)
	}
	p = mustRender(t, testimage.GIF(first, second), trimmed(10, transform.Spec{Still: true}))
	if p.Frames != 1 || p.Width != 30 || p.Height != 30 {
		t.Errorf("the first frame alone: %dx%d, want 30x30", p.Width, p.Height)
	}
}
