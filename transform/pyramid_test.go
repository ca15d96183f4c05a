package transform

import "testing"

// TestLevelOf: the level leaves twice what is asked for, and what has no use for one has none.
func TestLevelOf(t *testing.T) {
	limits := DefaultLimits()
	photo := Header{Format: JPEG, Width: 4000, Height: 3000, Frames: 1, Orientation: 1}
	turned := photo
	turned.Orientation = 6
	film := Header{Format: GIF, Width: 1200, Height: 1000, Frames: 20, Orientation: 1}
	with := func(change func(*Header)) Header { h := photo; change(&h); return h }
	tests := []struct {
		name   string
		header Header
		spec   Spec
		level  int
		ok     bool
	}{
		{"half of a half", photo, Spec{Width: 1000}, 1, true},
		{"a pixel more", photo, Spec{Width: 1001}, 0, true},
		{"a quarter", photo, Spec{Width: 500}, 2, true},
		{"by height", photo, Spec{Height: 375}, 2, true},
		{"the upright side counts", turned, Spec{Width: 375}, 2, true},
		{"a stamp", photo, Spec{Width: 3}, maxLevel, true},
		{"a crop is finer", photo, Spec{Width: 500, Crop: Crop{X: 0, Y: 0, W: 1000, H: 1000}}, 0, true},
		{"nearly all of it", photo, Spec{Width: 3999}, 0, true},
		{"its own size", photo, Spec{}, 0, false},
		{"larger", photo, Spec{Width: 5000, Enlarge: true}, 0, false},
		{"trim", photo, Spec{Width: 100, Trim: Trim{Set: true}}, 0, false},
		{"a page", photo, Spec{Width: 100, Page: 2}, 0, false},
		{"small", with(func(h *Header) { h.Width, h.Height = 1000, 1000 }), Spec{Width: 100}, 0, false},
		{"a drawing", with(func(h *Header) { h.Format = SVG }), Spec{Width: 100}, 0, false},
		{"a film", film, Spec{Width: 100, Format: GIF}, 0, false},
		{"a still of a film", film, Spec{Width: 100, Format: JPEG}, 2, true},
		{"a film that is too long", with(func(h *Header) { h.Format, h.Frames = WebP, 5000 }), Spec{Width: 500, Format: WebP}, 2, true},
	}
	for _, test := range tests {
		level, ok := LevelOf(test.header, test.spec, limits)
		if level != test.level || ok != test.ok {
			t.Errorf("%s: level %d, %v; want %d, %v", test.name, level, ok, test.level, test.ok)
		}
	}
}

// TestKeptSize: there is room for all levels, and each is half of the one before, no smaller than a pixel.
func TestKeptSize(t *testing.T) {
	h := Header{Width: 4001, Height: 3}
	for first := range maxLevel + 1 {
		pixels := 0
		for n := first; n <= maxLevel; n++ {
			w, t := LevelSize(h.Width, n), LevelSize(h.Height, n)
			pixels += w * t
		}
		if got := KeptSize(h, first); got < 4*pixels || got > 4*pixels+keptHead {
			t.Errorf("from level %d: %d bytes for %d pixels", first, got, pixels)
		}
	}
	if w, h := LevelSize(4001, 1), LevelSize(3, 5); w != 2001 || h != 1 {
		t.Errorf("%dx%d", w, h)
	}
}
