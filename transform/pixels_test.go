package transform

import (
	"errors"
	"strings"
	"testing"
)

// TestPixelOptionsCanonical: every spelling of one picture prints the same.
func TestPixelOptionsCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		{"_9_9.webp?fit=crop&gravity=fp:0.5:0.5", "_9_9.webp?fit=crop"},
		{"_9_9.webp?fit=crop&gravity=fp:0:1", "_9_9.webp?fit=crop&gravity=southwest"},
		{"_9_9.webp?fit=canvas&gravity=fp:1.000:0.50", "_9_9.webp?fit=canvas&gravity=east"},
		{"_9_9.webp?fit=crop&gravity=fp:0.25:0.123456", "_9_9.webp?fit=crop&gravity=fp:0.25:0.123456"},
		{"_9_9.webp?gravity=fp:0.25:0.1", "_9_9.webp"},
		{"_9_9.webp?gravity=attention", "_9_9.webp"},
		{"_9_9.webp?fit=crop&gravity=entropy", "_9_9.webp?fit=crop&gravity=entropy"},
		{".webp?trim=0", ".webp?trim=0"},
		{".webp?trim=254", ".webp?trim=254"},
		{".webp?trim=255", ".webp"},
		{".webp?lossless=true&quality=30", ".webp?lossless=true"},
		{".png?lossless=true", ".png"},
		{".tiff?lossless=true", ".tif"},
		{".auto?lossless=true", ".auto?lossless=true"},
		{".jpg?lossless=false", ".jpg"},
		{".jpg?max_bytes=20000", ".jpg?max_bytes=20000"},
		{".jpg?sharpen=0", ".jpg"},
		{".jpg?sharpen=0.80", ".jpg?sharpen=0.8"},
		{".jpg?brightness=100&contrast=100&saturation=100", ".jpg"},
		{".jpg?saturation=199&contrast=0&brightness=200", ".jpg?brightness=200&contrast=0&saturation=199"},
		{".jpg?saturation=0", ".jpg?gray=true"},
		{".jpg?gray=true&saturation=150", ".jpg?gray=true"},
		{"_9_9.jpg?fit=canvas&background=blur", "_9_9.jpg?fit=canvas&background=blur"},
		{".jpg?watermark=logo", ".jpg?watermark=logo"},
		{".jpg?watermark=LOGO,southeast,0.25,1", ".jpg?watermark=logo"},
		{".jpg?watermark=logo,north,0.25,1.00", ".jpg?watermark=logo,north"},
		{".jpg?watermark=logo,southeast,1", ".jpg?watermark=logo,southeast,1"},
		{".jpg?watermark=logo,southeast,0.25,0.5", ".jpg?watermark=logo,southeast,0.25,0.5"},
		{".jpg?watermark=logo,north,0.5,0", ".jpg"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			spec, err := Parse(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := spec.String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if again, err := Parse(test.want); err != nil || again != spec {
				t.Errorf("%q reads as %+v, %v, want %+v", test.want, again, err, spec)
			}
		})
	}
}

func TestPixelOptionsRefused(t *testing.T) {
	tests := []struct{ url, option, hint string }{
		{"_9_9.webp?fit=crop&gravity=fp:0.5", "gravity", "fp:X:Y"},
		{"_9_9.webp?fit=crop&gravity=fp:1.1:0", "gravity", "from 0 to 1"},
		{"_9_9.webp?fit=crop&gravity=fp:-1:0", "gravity", "from 0 to 1"},
		{"_9_9.webp?fit=crop&gravity=fp:0.1234567:0", "gravity", "six decimals"},
		{"_9_9.webp?fit=crop&gravity=fp:0:0:0", "gravity", "fp:X:Y"},
		{"_9_9.webp?fit=crop&gravity=atention", "gravity", "did you mean attention?"},
		{"_9_9.webp?fit=canvas&gravity=attention", "gravity", "fit=crop"},
		{".webp?trim=256", "trim", "0 to 255"},
		{".webp?trim=", "trim", "0 to 255"},
		{".jpg?lossless=true", "lossless", "ask for png, webp or jxl"},
		{".gif?lossless=true", "lossless", "ask for png, webp or jxl"},
		{".heic?lossless=true", "lossless", "heic cannot"},
		{".jpg?max_bytes=99", "max_bytes", "100 to 100000000"},
		{".jpg?max_bytes=20k", "max_bytes", "whole number of bytes"},
		{".jpg?sharpen=0.29", "sharpen", "0.3 to 10"},
		{".jpg?sharpen=10.01", "sharpen", "0.3 to 10"},
		{".jpg?sharpen=true", "sharpen", "0.3 to 10"},
		{".jpg?brightness=201", "brightness", "0 to 200"},
		{".jpg?contrast=-1", "contrast", "0 to 200"},
		{".jpg?saturation=1.5", "saturation", "0 to 200"},
		{".jpg?gray=1", "gray", "true or false"},
		{"_9_9.jpg?background=blur", "background", "fit=canvas"},
		{"_9_0.jpg?fit=canvas&background=blur", "background", "both sides"},
		{".jpg?watermark=", "watermark", "name[,gravity"},
		{".jpg?watermark=../logo", "watermark", "name[,gravity"},
		{".jpg?watermark=logo,attention", "watermark", "nine points"},
		{".jpg?watermark=logo,north,0", "watermark", "from 0.01 to 1"},
		{".jpg?watermark=logo,north,1.01", "watermark", "from 0.01 to 1"},
		{".jpg?watermark=logo,north,1,1.01", "watermark", "from 0 to 1"},
		{".jpg?watermark=logo,north,1,1,1", "watermark", "name[,gravity"},
		{".jpg?watermark=" + strings.Repeat("a", 33), "watermark", "name[,gravity"},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			_, err := Parse(test.url)
			var spec *SpecError
			if !errors.As(err, &spec) {
				t.Fatalf("got %v, want a SpecError", err)
			}
			if spec.Option != test.option || !strings.Contains(spec.Hint, test.hint) {
				t.Errorf("names %q with the hint %q, want %q and %q in it", spec.Option, spec.Hint, test.option, test.hint)
			}
		})
	}
}

// TestLaterGravityWins: a preset sets options that explicit ones then replace whole.
func TestLaterGravityWins(t *testing.T) {
	var s Spec
	for _, step := range []struct {
		value string
		want  Spec
	}{
		{"fp:0.25:1", Spec{Focus: Focus{Set: true, X: 250_000, Y: 1_000_000}}},
		{"north", Spec{Gravity: North}},
		{"fp:0:0.1", Spec{Focus: Focus{Set: true, Y: 100_000}}},
	} {
		if err := s.Set("gravity", step.value); err != nil || s != step.want {
			t.Errorf("%s: %+v, %v, want %+v", step.value, s, err, step.want)
		}
	}
}

// Bounds in bytes are few, never above what was asked for, and at most an eighth below.
func TestByteRungs(t *testing.T) {
	rungs := map[int]bool{}
	for n := minMaxBytes; n <= maxMaxBytes; n += 1 + n/5000 {
		rung := byteRung(n)
		if rung > n || 8*(n-rung) > n || byteRung(rung) != rung {
			t.Fatalf("%d: %d", n, rung)
		}
		rungs[rung] = true
	}
	if len(rungs) > 157 {
		t.Errorf("%d rungs", len(rungs))
	}
	for _, round := range []int{100, 500, 10_000, 20_000, 25_000, 30_000, 50_000, 75_000, 100_000, 150_000, 200_000, 1_000_000, maxMaxBytes} {
		if got := byteRung(round); got != round {
			t.Errorf("%d: %d", round, got)
		}
	}
	a, errA := Parse(".webp?max_bytes=51200")
	b, errB := Parse(".webp?max_bytes=50000")
	if errA != nil || errB != nil || a != b || a.String() != ".webp?max_bytes=50000" {
		t.Errorf("%s and %s (%v, %v)", a, b, errA, errB)
	}
}
