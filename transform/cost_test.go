package transform

import (
	"testing"
	"time"
)

func TestLaneOf(t *testing.T) {
	camera := Header{Format: JPEG, Width: 4000, Height: 3000, Frames: 1, Orientation: 1}
	banana := Header{Format: GIF, Width: 365, Height: 360, Frames: 8, Orientation: 1}
	film := Header{Format: GIF, Width: 400, Height: 300, Frames: 100, Orientation: 1}
	endless := film
	endless.Frames = 5000 // beyond the limits, so that its first frame is all that is rendered
	tests := []struct {
		name   string
		header Header
		spec   Spec
		want   Lane
	}{
		{"thumbnail of a camera's picture", camera, Spec{Format: WebP, Width: 300}, Light},
		{"as AVIF", camera, Spec{Format: AVIF, Width: 300}, Light},
		{"large AVIF", camera, Spec{Format: AVIF, Width: 2000}, Heavy},
		{"whole picture as PNG", camera, Spec{Format: PNG}, Heavy},
		{"HEIC", camera, Spec{Format: HEIC, Width: 800}, Heavy},
		{"placeholder", camera, Spec{}.Placeholder(), Light},
		{"small GIF as WebP", banana, Spec{Format: WebP, Width: 40}, Light},
		{"small GIF", banana, Spec{Format: GIF, Width: 40}, Heavy}, // each frame is given a palette, whatever its size
		{"long GIF", film, Spec{Format: GIF, Width: 300}, Heavy},
		{"long GIF as WebP", film, Spec{Format: WebP, Width: 300}, Heavy},
		{"long GIF, first frame", film, Spec{Format: WebP, Width: 300, Still: true}, Light},
		{"long GIF, one frame", film, Spec{Format: WebP, Width: 300, Page: 7}, Light},
		{"long GIF as JPEG", film, Spec{Format: JPEG, Width: 300}, Light},
		{"GIF beyond the limits", endless, Spec{Format: WebP, Width: 300}, Light},
		{"one pixel, enlarged", Header{Format: PNG, Width: 1, Height: 1, Frames: 1}, Spec{Format: AVIF, Width: 4000, Height: 4000, Enlarge: true}, Heavy},
	}
	for _, test := range tests {
		cost := Predict(test.header, test.spec, DefaultLimits())
		if got := LaneOf(cost); got != test.want {
			t.Errorf("%s: lane %d at %s, want %d", test.name, got, cost, test.want)
		}
	}
}

// TestPredictGrows holds what must be so whatever the constants are: more of anything costs more.
func TestPredictGrows(t *testing.T) {
	header := Header{Format: JPEG, Width: 2000, Height: 1500, Frames: 1, Orientation: 1}
	spec := Spec{Format: WebP, Width: 600}
	base := Predict(header, spec, DefaultLimits())
	more := map[string]func(h *Header, s *Spec){
		"pixels of the source":  func(h *Header, _ *Spec) { h.Width, h.Height = 4*h.Width, 4*h.Height },
		"pixels of the result":  func(_ *Header, s *Spec) { s.Width *= 2 },
		"slower codec":          func(_ *Header, s *Spec) { s.Format = AVIF },
		"lossless":              func(_ *Header, s *Spec) { s.Lossless = true },
		"several encodings":     func(_ *Header, s *Spec) { s.MaxBytes = 9000 },
		"scans":                 func(h *Header, _ *Spec) { h.Progressive = true },
		"blur":                  func(_ *Header, s *Spec) { s.Blur = 700 },
		"trim":                  func(_ *Header, s *Spec) { s.Trim = Trim{Set: true, Threshold: 10} },
		"attention":             func(_ *Header, s *Spec) { s.Height, s.Fit, s.Gravity = 600, FitCrop, Attention },
		"frames":                func(h *Header, _ *Spec) { h.Format, h.Frames = WebP, 10 },
		"box that pads":         func(_ *Header, s *Spec) { s.Height, s.Fit = 2000, FitCanvas },
		"less cut away":         func(_ *Header, s *Spec) { s.Height, s.Fit = 1000, FitCrop },
		"turned, so that it is": func(h *Header, _ *Spec) { h.Orientation = 6 },
	}
	for name, change := range more {
		h, s := header, spec
		change(&h, &s)
		if got := Predict(h, s, DefaultLimits()); got <= base {
			t.Errorf("%s: %s, not above %s", name, got, base)
		}
	}
}

// FuzzPredict: no header and no Spec gives a prediction that is no duration.
func FuzzPredict(f *testing.F) {
	f.Add(4000, 3000, 1, 300, 200, uint8(1), uint8(3), 0, 0)
	f.Add(0, 1<<30, 1<<30, 1<<20, 0, uint8(9), uint8(4), 999_999, 999_999)
	f.Fuzz(func(t *testing.T, w, h, frames, width, height int, format, fit uint8, cropW, cropH int) {
		const most = 1 << 31
		header := Header{Format: Format(format) % numFormats, Width: within(w, most), Height: within(h, most), Frames: within(frames, most)}
		spec := Spec{
			Format: Format(fit) % numFormats, Fit: Fit(fit % 5), Width: within(width, 1e7), Height: within(height, 1e7),
			Crop: Crop{W: within(cropW, 1e6), H: within(cropH, 1e6)}, Rotate: int(fit%4) * 90,
		}
		if got := Predict(header, spec, DefaultLimits()); got < time.Millisecond {
			t.Errorf("%+v %+v: %s", header, spec, got)
		}
	})
}

func within(n, most int) int {
	if n < 0 {
		n = -(n + 1)
	}
	return n % most
}
