package vips

import (
	"context"
	"errors"
	"image"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// FuzzPlan: whatever is asked of whatever source, the geometry is possible and within the limits.
func FuzzPlan(f *testing.F) {
	f.Add(400, 300, 6, 120, 0, uint8(1), uint8(3), true, 1, uint8(1), 10, 20, 300, 100, false)
	f.Add(1, 16384, 1, 4096, 4096, uint8(1), uint8(8), false, 3, uint8(2), 0, 0, 0, 0, false)
	f.Add(16384, 3, 5, 99999, 1, uint8(3), uint8(0), false, 2, uint8(3), 999_999, 1, 1, 999_999, true)
	f.Fuzz(func(t *testing.T, w, h, orientation, bw, bh int, fit, gravity uint8, enlarge bool, quarters int, flip uint8, x, y, cw, ch int, fraction bool) {
		within := func(v, low, high int) int { return low + int(uint(v)%uint(high-low+1)) }
		limits := transform.DefaultLimits()
		source := image.Pt(within(w, 1, limits.SourceSide), within(h, 1, limits.SourceSide))
		spec := transform.Spec{
			Width: within(bw, 0, 99_999), Height: within(bh, 0, 99_999), Enlarge: enlarge,
			Fit: transform.Fit(fit % 5), Gravity: transform.Gravity(gravity % 9), Rotate: within(quarters, 0, 3) * 90, Flip: transform.Flip(flip % 4),
		}
		if cw != 0 {
			side := 1 << 20
			if fraction {
				side = 1_000_000
			}
			spec.Crop = transform.Crop{Fraction: fraction, X: within(x, 0, side-1), Y: within(y, 0, side-1)}
			spec.Crop.W, spec.Crop.H = within(cw, 1, side-spec.Crop.X), within(ch, 1, side-spec.Crop.Y)
		}
		p, err := newPlan(source, within(orientation, 1, 8), spec, limits)
		var miss *transform.SpecError
		if errors.As(err, &miss) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		checkPlan(t, p, limits)
	})
}

func checkPlan(t *testing.T, p plan, limits transform.Limits) {
	t.Helper()
	if p.crop.Empty() || !p.crop.In(image.Rectangle{Max: p.source}) {
		t.Errorf("crop %v of %v", p.crop, p.source)
	}
	if p.window.Empty() || !p.window.In(image.Rectangle{Max: p.fitted}) {
		t.Errorf("window %v of %v", p.window, p.fitted)
	}
	if max(p.fitted.X, p.fitted.Y) > max(maxFitted, limits.SourceSide) {
		t.Errorf("fitted to %v", p.fitted)
	}
	if min(p.canvas.X, p.canvas.Y) < 1 || max(p.canvas.X, p.canvas.Y) > limits.OutputSide {
		t.Errorf("canvas %v", p.canvas)
	}
	placed := image.Rectangle{Min: p.offset, Max: p.offset.Add(p.turn.size(p.window.Size()))}
	if !placed.In(image.Rectangle{Max: p.canvas}) {
		t.Errorf("the picture lies at %v of %v", placed, p.canvas)
	}
}

// FuzzRender: whatever the bytes, the outcome is a picture of the asked shape or an error that callers know.
func FuzzRender(f *testing.F) {
	for _, source := range sources(f, testimage.Photo(40, 30, 1)) {
		f.Add(source)
	}
	for _, decoy := range decoys {
		f.Add(decoy)
	}
	limits := transform.DefaultLimits()
	limits.SourcePixels = 1 << 20
	small, err := New(Config{Limits: limits})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		base := ReadMemory()
		p, err := small.Render(context.Background(), source, transform.Spec{Format: transform.JPEG, Width: 20, Height: 10, Fit: transform.FitCrop})
		switch {
		case errors.Is(err, transform.ErrUnsupported), errors.Is(err, transform.ErrMalformed), errors.Is(err, transform.ErrLimit):
		case err != nil:
			t.Errorf("an error that callers do not know: %v", err)
		case p.Width != 20 || p.Height != 10 || transform.Sniff(p.Body) != transform.JPEG:
			t.Errorf("%dx%d, %s", p.Width, p.Height, transform.Sniff(p.Body))
		}
		checkMemory(t, base)
	})
}
