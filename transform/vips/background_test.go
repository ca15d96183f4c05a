package vips

import (
	"image"
	"image/color"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// What lies unseen under transparent pixels must not colour what is seen.
func TestTransparencyDoesNotBleed(t *testing.T) {
	img := testimage.Flat(80, 80, color.NRGBA{G: 255}) // transparent green
	for y := range 80 {
		for x := range 40 {
			img.SetNRGBA(x, y, color.NRGBA{R: 200, A: 255})
		}
	}
	for _, spec := range []transform.Spec{{Width: 30}, {Width: 30, Blur: 200}, {Width: 130, Enlarge: true}} {
		spec.Format = transform.PNG
		got := decode(t, mustRender(t, testimage.PNG(img), spec))
		for x := range got.Rect.Dx() {
			if c := got.NRGBAAt(x, 15); c.A > 20 && (c.G > 12 || c.R < 180) {
				t.Errorf("%s: pixel %d is %v", spec, x, c)
			}
		}
	}
}

func TestAlphaOntoBackground(t *testing.T) {
	half := testimage.PNG(testimage.Flat(40, 30, color.NRGBA{R: 200, A: 128}))
	blue := transform.Background{Set: true, B: 255, A: 255}
	tests := []struct {
		name       string
		format     transform.Format
		background transform.Background
		want       color.NRGBA
	}{
		{"jpeg, none: white", transform.JPEG, transform.Background{}, color.NRGBA{R: 227, G: 127, B: 127, A: 255}},
		{"jpeg, transparent: white", transform.JPEG, transform.Background{Set: true}, color.NRGBA{R: 227, G: 127, B: 127, A: 255}},
		{"jpeg, blue", transform.JPEG, blue, color.NRGBA{R: 100, B: 127, A: 255}},
		{"png, none: kept", transform.PNG, transform.Background{}, color.NRGBA{R: 200, A: 128}},
		{"png, transparent: kept", transform.PNG, transform.Background{Set: true}, color.NRGBA{R: 200, A: 128}},
		{"png, blue", transform.PNG, blue, color.NRGBA{R: 100, B: 127, A: 255}},
		{"png, half blue", transform.PNG, transform.Background{Set: true, B: 255, A: 128}, color.NRGBA{R: 134, B: 84, A: 192}},
		{"webp, none: kept", transform.WebP, transform.Background{}, color.NRGBA{R: 200, A: 128}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustRender(t, half, transform.Spec{Format: tt.format, Background: tt.background, Quality: 95})
			if got := decode(t, p).NRGBAAt(20, 15); !near(got, tt.want, 4) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCanvasPadding(t *testing.T) {
	green := color.NRGBA{R: 20, G: 160, B: 40, A: 255}
	source := testimage.PNG(testimage.Flat(80, 40, green))
	white := color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	tests := []struct {
		name        string
		format      transform.Format
		gravity     transform.Gravity
		background  transform.Background
		top, bottom color.NRGBA
	}{
		{"white unless asked", transform.PNG, transform.Center, transform.Background{}, white, white},
		{"north", transform.PNG, transform.North, transform.Background{}, green, white},
		{"south east", transform.PNG, transform.SouthEast, transform.Background{}, white, green},
		{"blue jpeg", transform.JPEG, transform.Center, transform.Background{Set: true, B: 255, A: 255}, color.NRGBA{B: 255, A: 255}, color.NRGBA{B: 255, A: 255}},
		{"transparent png", transform.PNG, transform.South, transform.Background{Set: true}, color.NRGBA{}, green},
		{"transparent jpeg is white", transform.JPEG, transform.South, transform.Background{Set: true}, white, green},
		{"half red png", transform.PNG, transform.North, transform.Background{Set: true, R: 255, A: 100}, green, color.NRGBA{R: 255, A: 100}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustRender(t, source, transform.Spec{
				Format: tt.format, Fit: transform.FitCanvas, Width: 60, Height: 60, Gravity: tt.gravity, Background: tt.background, Quality: 95,
			})
			img := decode(t, p)
			if img.Rect.Size() != image.Pt(60, 60) {
				t.Fatalf("canvas of %v", img.Rect)
			}
			if got := [2]color.NRGBA{img.NRGBAAt(30, 5), img.NRGBAAt(30, 54)}; !near(got[0], tt.top, 4) || !near(got[1], tt.bottom, 4) {
				t.Errorf("top and bottom %v, want %v %v", got, tt.top, tt.bottom)
			}
		})
	}
}
