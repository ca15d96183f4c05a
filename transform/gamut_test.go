package transform

import (
	"encoding/binary"
	"image/color"
	"math"
	"testing"

	"deckle/internal/testimage"
)

// The coordinates of Display P3 under D50 are well known: those of every such profile in use, to the fourth digit.
func TestDisplayP3Primaries(t *testing.T) {
	want := matrix3{{0.5151, 0.2920, 0.1571}, {0.2412, 0.6922, 0.0666}, {-0.0011, 0.0419, 0.7841}}
	for i := range 3 {
		for j := range 3 {
			if math.Abs(p3ToD50[i][j]-want[i][j]) > 2e-4 {
				t.Errorf("%d,%d: %.4f, want %.4f", i, j, p3ToD50[i][j], want[i][j])
			}
		}
	}
}

func TestDisplayP3Profile(t *testing.T) {
	p := DisplayP3Profile()
	if n := binary.BigEndian.Uint32(p); int(n) != len(p) || n > 600 {
		t.Errorf("it says %d bytes and has %d", n, len(p))
	}
	if !WideGamut(p) {
		t.Error("it is not wide")
	}
	for cut := range p {
		if WideGamut(p[:cut]) && cut < tagsAt+profileTag*7+3*xyzBytes {
			t.Errorf("%d bytes of it are wide", cut)
		}
	}
	// The same with the primaries of sRGB is not.
	narrow := append([]byte(nil), p...)
	at := tagsAt
	for string(narrow[at:at+4]) != "rXYZ" {
		at += profileTag
	}
	for i := range 3 {
		copy(narrow[binary.BigEndian.Uint32(narrow[at+4+profileTag*i:]):], columnOf(srgbToD50, i))
	}
	if WideGamut(narrow) {
		t.Error("sRGB is wide")
	}
}

func TestDisplayP3Colours(t *testing.T) {
	for _, tt := range []struct{ srgb, p3 [3]uint8 }{
		{[3]uint8{0, 0, 0}, [3]uint8{0, 0, 0}}, {[3]uint8{255, 255, 255}, [3]uint8{255, 255, 255}}, {[3]uint8{128, 128, 128}, [3]uint8{128, 128, 128}},
		{[3]uint8{255, 0, 0}, [3]uint8{234, 51, 35}}, // as design tools show it
	} {
		if r, g, b := DisplayP3(tt.srgb[0], tt.srgb[1], tt.srgb[2]); [3]uint8{r, g, b} != tt.p3 {
			t.Errorf("%v: %d,%d,%d, want %v", tt.srgb, r, g, b, tt.p3)
		}
	}
	r, g, b := DisplayP3(180, 95, 75)
	back := fromP3(testimage.Flat(1, 1, color.NRGBA{R: r, G: g, B: b, A: 200})).At(0, 0).(color.NRGBA)
	if back.A != 200 || math.Abs(float64(back.R)-180) > 1 || math.Abs(float64(back.G)-95) > 1 || math.Abs(float64(back.B)-75) > 1 {
		t.Errorf("back: %v", back)
	}
}

// FuzzWideGamut: no profile is read beyond its end.
func FuzzWideGamut(f *testing.F) {
	f.Add(DisplayP3Profile())
	f.Add(make([]byte, tagsAt))
	f.Fuzz(func(t *testing.T, profile []byte) {
		if WideGamut(profile) && len(profile) < tagsAt+3*profileTag {
			t.Errorf("%d bytes are wide", len(profile))
		}
	})
}
