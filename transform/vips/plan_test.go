package vips

import (
	"errors"
	"image"
	"testing"

	"deckle/transform"
)

func clip(w, h int) transform.Spec { return transform.Spec{Width: w, Height: h} }

func larger(w, h int) transform.Spec { return transform.Spec{Enlarge: true, Width: w, Height: h} }

func boxed(f transform.Fit, w, h int) transform.Spec {
	return transform.Spec{Fit: f, Width: w, Height: h}
}

var planSizes = []struct {
	name           string
	source         image.Point
	spec           transform.Spec
	fitted, canvas image.Point
}{
	{"as it is", image.Pt(400, 300), transform.Spec{}, image.Pt(400, 300), image.Pt(400, 300)},
	{"clip in a square", image.Pt(400, 300), clip(200, 200), image.Pt(200, 150), image.Pt(200, 150)},
	{"clip, upright picture", image.Pt(300, 400), clip(200, 200), image.Pt(150, 200), image.Pt(150, 200)},
	{"clip by width", image.Pt(400, 300), clip(100, 0), image.Pt(100, 75), image.Pt(100, 75)},
	{"clip by height", image.Pt(400, 300), clip(0, 100), image.Pt(133, 100), image.Pt(133, 100)},
	{"clip does not enlarge", image.Pt(40, 30), clip(200, 200), image.Pt(40, 30), image.Pt(40, 30)},
	{"clip with enlarge", image.Pt(40, 30), larger(200, 200), image.Pt(200, 150), image.Pt(200, 150)},
	{"clip rounds to nearest", image.Pt(3, 2), clip(2, 2), image.Pt(2, 1), image.Pt(2, 1)},
	{"a thread keeps one pixel", image.Pt(1, 10000), clip(100, 100), image.Pt(1, 100), image.Pt(1, 100)},
	{"a lying thread", image.Pt(10000, 1), clip(0, 1), image.Pt(4096, 1), image.Pt(4096, 1)},
	{"one pixel", image.Pt(1, 1), larger(10, 20), image.Pt(10, 10), image.Pt(10, 10)},
	{"crop", image.Pt(400, 300), boxed(transform.FitCrop, 100, 100), image.Pt(133, 100), image.Pt(100, 100)},
	{"crop enlarges", image.Pt(40, 30), boxed(transform.FitCrop, 100, 200), image.Pt(267, 200), image.Pt(100, 200)},
	{"crop by width reaches", image.Pt(40, 30), boxed(transform.FitCrop, 80, 0), image.Pt(80, 60), image.Pt(80, 60)},
	{"canvas", image.Pt(400, 300), boxed(transform.FitCanvas, 100, 100), image.Pt(100, 75), image.Pt(100, 100)},
	{"canvas enlarges", image.Pt(4, 3), boxed(transform.FitCanvas, 100, 100), image.Pt(100, 75), image.Pt(100, 100)},
	{"cover", image.Pt(400, 300), boxed(transform.FitCover, 100, 100), image.Pt(133, 100), image.Pt(133, 100)},
	{"cover enlarges", image.Pt(40, 30), boxed(transform.FitCover, 100, 100), image.Pt(133, 100), image.Pt(133, 100)},
	{"stretch", image.Pt(400, 300), boxed(transform.FitStretch, 70, 90), image.Pt(70, 90), image.Pt(70, 90)},
	{"stretch by height", image.Pt(400, 300), boxed(transform.FitStretch, 0, 600), image.Pt(800, 600), image.Pt(800, 600)},
	{"output side, no size asked", image.Pt(8192, 2000), transform.Spec{}, image.Pt(4096, 1000), image.Pt(4096, 1000)},
	{"output side, clip wide", image.Pt(9000, 3000), clip(9000, 300), image.Pt(900, 300), image.Pt(900, 300)},
	{"output side, crop", image.Pt(400, 300), boxed(transform.FitCrop, 8192, 4096), image.Pt(4096, 3072), image.Pt(4096, 2048)},
	{"output side, canvas", image.Pt(400, 300), boxed(transform.FitCanvas, 8192, 8192), image.Pt(4096, 3072), image.Pt(4096, 4096)},
	{"output side, cover", image.Pt(10, 1000), boxed(transform.FitCover, 100, 100), image.Pt(41, 4096), image.Pt(41, 4096)},
	{"output side, enlarged by one side", image.Pt(4, 3), larger(9999, 0), image.Pt(4096, 3072), image.Pt(4096, 3072)},
	{"output side, stretched by one side", image.Pt(10, 80), boxed(transform.FitStretch, 1000, 0), image.Pt(512, 4096), image.Pt(512, 4096)},
	{"a thread fills a box", image.Pt(1, 10000), boxed(transform.FitCrop, 4096, 4096), image.Pt(4096, 4096), image.Pt(4096, 4096)},
	{
		"rotated", image.Pt(400, 300), transform.Spec{Width: 90, Rotate: 90},
		image.Pt(120, 90), image.Pt(90, 120), // fitted is as stored
	},
	{
		"cropped, then fitted", image.Pt(400, 300),
		transform.Spec{Width: 50, Crop: transform.Crop{X: 300, Y: 0, W: 1000, H: 50}}, image.Pt(50, 25), image.Pt(50, 25),
	},
}

func TestPlanSizes(t *testing.T) {
	for _, tt := range planSizes {
		t.Run(tt.name, func(t *testing.T) {
			p, err := newPlan(tt.source, 1, tt.spec, transform.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if p.fitted != tt.fitted || p.canvas != tt.canvas {
				t.Errorf("fitted %v, canvas %v; want %v, %v", p.fitted, p.canvas, tt.fitted, tt.canvas)
			}
			if !p.window.In(image.Rectangle{Max: p.fitted}) || p.window.Empty() {
				t.Errorf("window %v is not within %v", p.window, p.fitted)
			}
		})
	}
}

func TestCropArea(t *testing.T) {
	size := image.Pt(200, 100)
	fraction := func(x, y, w, h int) transform.Crop { return transform.Crop{Fraction: true, X: x, Y: y, W: w, H: h} }
	tests := []struct {
		name string
		crop transform.Crop
		want image.Rectangle
	}{
		{"none", transform.Crop{}, image.Rect(0, 0, 200, 100)},
		{"inside", transform.Crop{X: 10, Y: 20, W: 30, H: 40}, image.Rect(10, 20, 40, 60)},
		{"clamped", transform.Crop{X: 190, Y: 90, W: 30, H: 40}, image.Rect(190, 90, 200, 100)},
		{"quarter", fraction(500_000, 0, 500_000, 500_000), image.Rect(100, 0, 200, 50)},
		{"a millionth is a pixel", fraction(999_999, 999_999, 1, 1), image.Rect(199, 99, 200, 100)},
		{"rounded down", fraction(7_600, 0, 5_000, 1_000_000), image.Rect(1, 0, 2, 100)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cropArea(tt.crop, size)
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	var miss *transform.SpecError
	if _, err := cropArea(transform.Crop{X: 200, W: 10, H: 10}, size); !errors.As(err, &miss) {
		t.Errorf("a crop beside the picture: got %v", err)
	}
}

func TestKeepNinePoints(t *testing.T) {
	outer, inner := image.Pt(101, 51), image.Pt(40, 20)
	want := map[transform.Gravity]image.Point{
		transform.Center: {X: 30, Y: 15}, transform.North: {X: 30}, transform.NorthEast: {X: 61}, transform.East: {X: 61, Y: 15},
		transform.SouthEast: {X: 61, Y: 31}, transform.South: {X: 30, Y: 31}, transform.SouthWest: {Y: 31}, transform.West: {Y: 15},
		transform.NorthWest: {},
	}
	for g, at := range want {
		if got := keep(outer, inner, transform.Spec{Gravity: g}.Anchor()); got.Min != at || got.Size() != inner {
			t.Errorf("gravity %d: %v, want at %v", g, got, at)
		}
	}
}
