package vips

import (
	"context"
	"errors"
	"image"
	"image/color"
	"strings"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// overlays are those of the engine that all tests use.
var overlays = map[string][]byte{
	"logo":  testimage.PNG(testimage.Flat(40, 20, color.NRGBA{R: 220, G: 20, B: 30, A: 255})),
	"glass": testimage.PNG(testimage.Flat(30, 30, color.NRGBA{G: 200, A: 128})),
	"tower": testimage.PNG(testimage.Flat(10, 200, color.NRGBA{B: 255, A: 255})),
	"photo": testimage.JPEG(testimage.Photo(90, 60, 1), 90),
}

// blend is a colour over an opaque one.
func blend(below, above color.NRGBA, opacity float64) color.NRGBA {
	a := float64(above.A) / 255 * opacity
	mix := func(b, o uint8) uint8 { return uint8(float64(b)*(1-a) + float64(o)*a + 0.5) }
	return color.NRGBA{R: mix(below.R, above.R), G: mix(below.G, above.G), B: mix(below.B, above.B), A: 255}
}

// TestWatermark compares each pixel with a rectangle worked out by hand: a margin of 2 % of the shorter side, the asked part of
// the width, the asked opacity; all other pixels stay as they are.
func TestWatermark(t *testing.T) {
	logo, glass, tower := color.NRGBA{R: 220, G: 20, B: 30, A: 255}, color.NRGBA{G: 200, A: 128}, color.NRGBA{B: 255, A: 255}
	tests := []struct {
		mark  transform.Watermark
		where image.Rectangle
		ink   color.NRGBA
	}{
		{transform.Watermark{Name: "logo", Gravity: transform.SouthEast, Scale: 25, Opacity: 100}, image.Rect(148, 73, 198, 98), logo},
		{transform.Watermark{Name: "logo", Gravity: transform.NorthWest, Scale: 25, Opacity: 50}, image.Rect(2, 2, 52, 27), logo},
		{transform.Watermark{Name: "logo", Gravity: transform.Center, Scale: 10, Opacity: 1}, image.Rect(90, 45, 110, 55), logo},
		{transform.Watermark{Name: "logo", Gravity: transform.North, Scale: 50, Opacity: 80}, image.Rect(50, 2, 150, 52), logo},
		{transform.Watermark{Name: "logo", Gravity: transform.East, Scale: 20, Opacity: 100}, image.Rect(158, 40, 198, 60), logo},
		{transform.Watermark{Name: "glass", Gravity: transform.SouthWest, Scale: 15, Opacity: 100}, image.Rect(2, 68, 32, 98), glass},
		{transform.Watermark{Name: "glass", Gravity: transform.NorthEast, Scale: 15, Opacity: 50}, image.Rect(168, 2, 198, 32), glass},
		{transform.Watermark{Name: "tower", Gravity: transform.West, Scale: 100, Opacity: 100}, image.Rect(2, 2, 7, 98), tower},
		{transform.Watermark{Name: "logo", Gravity: transform.Center, Scale: 100, Opacity: 100}, image.Rect(4, 2, 196, 98), logo},
	}
	base := testimage.Photo(200, 100, 6)
	for _, tt := range tests {
		t.Run(tt.mark.String(), func(t *testing.T) {
			got := decode(t, mustRender(t, testimage.PNG(base), transform.Spec{Format: transform.PNG, Watermark: tt.mark}))
			for i := range 200 * 100 {
				at := image.Pt(i%200, i/200)
				was, is := base.NRGBAAt(at.X, at.Y), got.NRGBAAt(at.X, at.Y)
				if !at.In(tt.where) && is != was {
					t.Fatalf("%v, beside the mark, is %v and was %v", at, is, was)
				}
				if want := blend(was, tt.ink, float64(tt.mark.Opacity)/100); at.In(tt.where) && !near(is, want, 2) {
					t.Fatalf("%v, under the mark, is %v, want %v", at, is, want)
				}
			}
		})
	}
}

// TestWatermarkOnAnything: greys get its colours, transparency stays where it is not, and the smallest result has room.
func TestWatermarkOnAnything(t *testing.T) {
	mark := transform.Watermark{Name: "logo", Gravity: transform.SouthEast, Scale: 50, Opacity: 100}
	grey := image.NewGray(image.Rect(0, 0, 100, 60))
	got := decode(t, mustRender(t, testimage.PNG(grey), transform.Spec{Format: transform.PNG, Watermark: mark}))
	if c := got.NRGBAAt(80, 50); !near(c, color.NRGBA{R: 220, G: 20, B: 30, A: 255}, 2) {
		t.Errorf("on grey it is %v", c)
	}
	clear := testimage.PNG(testimage.Flat(100, 60, color.NRGBA{}))
	got = decode(t, mustRender(t, clear, transform.Spec{Format: transform.PNG, Watermark: mark}))
	if in, beside := got.NRGBAAt(80, 50), got.NRGBAAt(10, 10); !near(in, color.NRGBA{R: 220, G: 20, B: 30, A: 255}, 2) || beside.A != 0 {
		t.Errorf("on what is transparent it is %v, and beside it %v", in, beside)
	}
	canvas := transform.Spec{Format: transform.JPEG, Quality: 95, Fit: transform.FitCanvas, Width: 100, Height: 200, Watermark: mark}
	if c := decode(t, mustRender(t, clear, canvas)).NRGBAAt(85, 190); !near(c, color.NRGBA{R: 220, G: 20, B: 30, A: 255}, 8) {
		t.Errorf("on the padding it is %v", c)
	}
	for _, side := range []int{1, 2, 3, 50} {
		for _, f := range transform.OutputFormats() {
			for name := range overlays {
				mark := transform.Watermark{Name: name, Gravity: transform.NorthWest, Scale: 1, Opacity: 30}
				p := mustRender(t, testimage.PNG(testimage.Quadrants(side, side)), transform.Spec{Format: f, Watermark: mark})
				if p.Width != side || p.Height != side {
					t.Errorf("%s on %d as %s: %dx%d", name, side, f, p.Width, p.Height)
				}
			}
		}
	}
}

func TestUnknownWatermark(t *testing.T) {
	spec := transform.Spec{Watermark: transform.Watermark{Name: "lego", Scale: 1, Opacity: 1}}
	none, err := New(Config{Limits: transform.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		engine *Engine
		hint   string
	}{{engine, "known are glass, logo, photo, tower"}, {none, "no overlay is configured"}} {
		var refused *transform.SpecError
		_, err := tt.engine.Render(context.Background(), testimage.PNG(testimage.Quadrants(9, 9)), spec)
		if !errors.As(err, &refused) || refused.Option != "watermark" || refused.Value != "lego" || !strings.Contains(refused.Hint, tt.hint) {
			t.Errorf("got %v, want a SpecError with %q", err, tt.hint)
		}
	}
	if none.Generation() == engine.Generation() {
		t.Error("another set of overlays has the same generation")
	}
}

func TestOverlaysAreChecked(t *testing.T) {
	for name, files := range map[string]map[string][]byte{
		"name":  {"../logo": overlays["logo"]},
		"upper": {"Logo": overlays["logo"]},
		"empty": {"logo": {}},
		"type":  {"logo": []byte("<html>")},
		"cut":   {"logo": overlays["logo"][:30]},
	} {
		if _, err := New(Config{Limits: transform.DefaultLimits(), Overlays: files}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
