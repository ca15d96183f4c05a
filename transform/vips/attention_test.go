package vips

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// scene returns w x h pixels of calm background with a loud square of the given side at a place.
func scene(w, h, side int, at image.Point) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.SetNRGBA(i%w, i/w, color.NRGBA{R: 120, G: 125, B: uint8(130 + i/w*20/h), A: 255})
	}
	for i := range side * side {
		c := color.NRGBA{R: 235, G: 20, B: 20, A: 255}
		if (i%side/6+i/side/6)%2 == 0 {
			c = color.NRGBA{R: 255, G: 250, B: 240, A: 255}
		}
		img.SetNRGBA(at.X+i%side, at.Y+i/side, c)
	}
	return img
}

// red returns which part of the scene's loud square is in a picture, by its red pixels.
func red(img *image.NRGBA, side int) float64 {
	n := 0
	for i := range img.Rect.Dx() * img.Rect.Dy() {
		if c := img.NRGBAAt(i%img.Rect.Dx(), i/img.Rect.Dx()); c.A > 200 && int(c.R) > int(c.G)+100 {
			n++
		}
	}
	return 2 * float64(n) / float64(side*side)
}

// TestLooksForTheSubject: wherever the loud part lies, it is what is kept, where the middle would miss it.
func TestLooksForTheSubject(t *testing.T) {
	tests := []struct {
		size, at image.Point
	}{
		{image.Pt(640, 160), image.Pt(30, 50)}, {image.Pt(640, 160), image.Pt(560, 60)},
		{image.Pt(160, 640), image.Pt(60, 20)}, {image.Pt(160, 640), image.Pt(40, 540)},
	}
	for _, tt := range tests {
		img := scene(tt.size.X, tt.size.Y, 60, tt.at)
		clear := image.NewNRGBA(img.Rect)
		draw.Draw(clear, image.Rectangle{Min: tt.at, Max: tt.at.Add(image.Pt(60, 60))}, img, tt.at, draw.Src)
		for name, source := range map[string]*image.NRGBA{"opaque": img, "cut out": clear} {
			for _, gravity := range []transform.Gravity{transform.Attention, transform.Entropy} {
				spec := transform.Spec{Format: transform.PNG, Fit: transform.FitCrop, Gravity: gravity, Width: 160, Height: 160}
				if got := red(decode(t, mustRender(t, testimage.PNG(source), spec)), 60); got < 0.85 {
					t.Errorf("%v at %v, %s, gravity %d: %.2f of it is kept", tt.size, tt.at, name, gravity, got)
				}
				spec.Gravity = transform.Center
				if got := red(decode(t, mustRender(t, testimage.PNG(source), spec)), 60); got > 0.1 {
					t.Errorf("%v at %v: the middle shows it too, so this proves nothing", tt.size, tt.at)
				}
			}
		}
	}
}

// TestLooksTheSameHoweverHeld: every stored orientation of a picture gives the same cut, rotated and mirrored ones too.
func TestLooksTheSameHoweverHeld(t *testing.T) {
	upright := scene(480, 160, 60, image.Pt(370, 70))
	for _, gravity := range []transform.Gravity{transform.Attention, transform.Entropy} {
		for _, spec := range []transform.Spec{{}, {Rotate: 90}, {Flip: transform.FlipHorizontal}} {
			spec.Format, spec.Fit, spec.Gravity, spec.Width, spec.Height = transform.PNG, transform.FitCrop, gravity, 100, 100
			want := decode(t, mustRender(t, testimage.PNG(upright), spec))
			for orientation := 1; orientation <= 8; orientation++ {
				source := testimage.WithEXIF(testimage.JPEG(stored(upright, orientation), 95), orientation)
				got := decode(t, mustRender(t, source, spec))
				if e := meanError(got, want); e > 6 {
					t.Errorf("%s, orientation %d: mean error %.1f", spec, orientation, e)
				}
			}
		}
	}
}

// TestFocalPoint: at the box's own height nothing is resized, so that the cut can be told to the pixel.
func TestFocalPoint(t *testing.T) {
	img := testimage.Photo(121, 40, 2)
	for _, tt := range []struct{ x, left int }{
		{0, 0}, {100_000, 0}, {165_290, 0}, {175_000, 1}, {250_000, 10}, {500_000, 40}, {800_000, 76}, {840_000, 81}, {1_000_000, 81},
	} {
		spec := transform.Spec{Format: transform.PNG, Fit: transform.FitCrop, Width: 40, Height: 40, Focus: transform.Focus{Set: true, X: tt.x, Y: 123_456}}
		got := decode(t, mustRender(t, testimage.PNG(img), spec))
		want := image.NewNRGBA(image.Rect(0, 0, 40, 40))
		draw.Draw(want, want.Rect, img, image.Pt(tt.left, 0), draw.Src)
		if e := meanError(got, want); e != 0 {
			t.Errorf("fp %d: not the cut at %d", tt.x, tt.left)
		}
	}
}

// TestFocalPointHoweverHeld: the point is one of the upright picture.
func TestFocalPointHoweverHeld(t *testing.T) {
	upright := testimage.Quadrants(320, 200)
	for _, focus := range []transform.Focus{{Set: true, X: 300_000, Y: 900_000}, {Set: true, X: 900_000, Y: 300_000}} {
		for _, spec := range []transform.Spec{
			{Fit: transform.FitCrop, Width: 60, Height: 100}, {Fit: transform.FitCrop, Width: 100, Height: 30, Rotate: 90},
			{Fit: transform.FitCanvas, Width: 60, Height: 100},
		} {
			spec.Focus, spec.Format = focus, transform.PNG
			want := decode(t, mustRender(t, testimage.PNG(upright), spec))
			for orientation := 1; orientation <= 8; orientation++ {
				source := testimage.WithEXIF(testimage.JPEG(stored(upright, orientation), 95), orientation)
				if e := meanError(decode(t, mustRender(t, source, spec)), want); e > 4 {
					t.Errorf("%s, orientation %d: mean error %.1f", spec, orientation, e)
				}
			}
		}
	}
}

// TestLooksWithinBounds: whatever the shapes, a search ends in a picture of the asked size.
func TestLooksWithinBounds(t *testing.T) {
	for _, size := range []image.Point{{X: 1, Y: 1}, {X: 2, Y: 300}, {X: 300, Y: 1}, {X: 1, Y: 16384}, {X: 50, Y: 49}} {
		for _, box := range []image.Point{{X: 1, Y: 1}, {X: 7, Y: 300}, {X: 64, Y: 64}} {
			for _, gravity := range []transform.Gravity{transform.Attention, transform.Entropy} {
				t.Run(fmt.Sprint(size, box, gravity), func(t *testing.T) {
					spec := transform.Spec{Format: transform.PNG, Fit: transform.FitCrop, Gravity: gravity, Width: box.X, Height: box.Y}
					p := mustRender(t, testimage.PNG(testimage.Photo(size.X, size.Y, 1)), spec)
					if p.Width != box.X || p.Height != box.Y {
						t.Errorf("%dx%d", p.Width, p.Height)
					}
				})
			}
		}
	}
}
