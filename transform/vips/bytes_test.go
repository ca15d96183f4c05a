package vips

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// TestMaxBytes: the result fits, and no quality up to the asked one that fits makes noticeably more of it.
func TestMaxBytes(t *testing.T) {
	source := testimage.PNG(testimage.Photo(160, 120, 9))
	// Slow encoders are not asked for every quality; the ones left out lie between.
	every := map[transform.Format]int{transform.JPEG: 1, transform.WebP: 1, transform.AVIF: 5, transform.HEIC: 5, transform.JXL: 3}
	for f := range every {
		t.Run(f.String(), func(t *testing.T) {
			spec := transform.Spec{Format: f, Quality: 80}
			var sizes [81]int
			for q := 80; q >= 1; q -= every[f] {
				spec.Quality = q
				sizes[q] = len(mustRender(t, source, spec).Body)
			}
			spec.Quality = 80
			for _, part := range []int{95, 70, 50} {
				spec.MaxBytes = sizes[80] * part / 100
				got, best := len(mustRender(t, source, spec).Body), 0
				for _, size := range sizes {
					if size > 0 && size <= spec.MaxBytes {
						best = max(best, size)
					}
				}
				if got > spec.MaxBytes || got*100 < best*95 {
					t.Errorf("at most %d: got %d bytes, %d was possible", spec.MaxBytes, got, best)
				}
			}
			spec.MaxBytes = sizes[80]
			if want := mustRender(t, source, transform.Spec{Format: f, Quality: 80}); !bytes.Equal(mustRender(t, source, spec).Body, want.Body) {
				t.Error("a bound that the asked quality keeps changes the result")
			}
		})
	}
}

// TestMaxBytesRefused: what cannot fit says how near it came; formats without a quality fit as they are or not at all.
func TestMaxBytesRefused(t *testing.T) {
	source := testimage.PNG(testimage.Photo(160, 120, 9))
	for _, f := range transform.OutputFormats() {
		for _, lossless := range []bool{false, true} {
			if lossless && f != transform.WebP && f != transform.JXL {
				continue
			}
			spec := transform.Spec{Format: f, Lossless: lossless}
			whole := mustRender(t, source, spec)
			spec.MaxBytes = 100
			if p, err := engine.Render(context.Background(), source, spec); !errors.Is(err, transform.ErrMaxBytes) || p != nil {
				t.Errorf("%s: %v", spec, err)
			}
			spec.MaxBytes = len(whole.Body)
			if p := mustRender(t, source, spec); len(p.Body) > spec.MaxBytes || meanError(decode(t, p), decode(t, whole)) != 0 {
				t.Errorf("%s: a bound that is kept changes the result", spec)
			}
			if spec.MaxBytes--; !lossless && f.Lossy() {
				continue
			}
			if _, err := engine.Render(context.Background(), source, spec); !errors.Is(err, transform.ErrMaxBytes) {
				t.Errorf("%s, a byte less than it takes: %v", spec, err)
			}
		}
	}
}

// TestMaxBytesOfAnAnimation: all frames and their timing are still there.
func TestMaxBytesOfAnAnimation(t *testing.T) {
	source := testimage.GIF(testimage.Photo(80, 60, 1), testimage.Photo(80, 60, 2), testimage.Photo(80, 60, 3))
	spec := transform.Spec{Format: transform.WebP, Quality: 80}
	whole := mustRender(t, source, spec)
	spec.MaxBytes = len(whole.Body) * 2 / 3
	p := mustRender(t, source, spec)
	h, err := transform.ReadHeader(p.Body)
	if err != nil || p.Frames != 3 || h.Frames != 3 || len(p.Body) > spec.MaxBytes {
		t.Errorf("%d frames, %+v in %d bytes of %d, %v", p.Frames, h, len(p.Body), spec.MaxBytes, err)
	}
}

// TestLossless: every pixel comes out as a PNG of the same has it.
func TestLossless(t *testing.T) {
	for name, source := range map[string][]byte{
		"opaque": testimage.PNG(testimage.Photo(90, 70, 2)), "alpha": testimage.PNG(testimage.Alpha(90, 70)),
		"grey": mustRender(t, testimage.PNG(testimage.Photo(90, 70, 2)), transform.Spec{Format: transform.PNG, Gray: true}).Body,
	} {
		want := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 61}))
		for _, f := range []transform.Format{transform.WebP, transform.AVIF, transform.JXL, transform.PNG, transform.TIFF} {
			if f == transform.AVIF && !engine.exactAVIF {
				continue // TestLosslessAVIF
			}
			got := decode(t, mustRender(t, source, transform.Spec{Format: f, Width: 61, Lossless: true}))
			for i := range 61 * got.Rect.Dy() {
				was, is := want.NRGBAAt(i%61, i/61), got.NRGBAAt(i%61, i/61)
				if was != is && was.A|is.A != 0 {
					t.Fatalf("%s as %s: pixel %d is %v, was %v", name, f, i, is, was)
				}
			}
		}
	}
}

// TestLosslessAVIF: an engine whose encoder loses something refuses instead.
func TestLosslessAVIF(t *testing.T) {
	inexact := *engine
	inexact.exactAVIF = false
	source, spec := testimage.PNG(testimage.Photo(40, 30, 1)), transform.Spec{Format: transform.AVIF, Lossless: true}
	var refused *transform.SpecError
	if _, err := inexact.Render(context.Background(), source, spec); !errors.As(err, &refused) || strings.Contains(refused.Hint, "avif or") {
		t.Errorf("got %v, want a SpecError that names other formats", err)
	}
	if _, err := engine.Render(context.Background(), source, spec); (err == nil) != engine.exactAVIF {
		t.Errorf("exact %v: %v", engine.exactAVIF, err)
	}
}

// TestLosslessFormat: where lossless cannot be kept the answer says so; for auto it is PNG.
func TestLosslessFormat(t *testing.T) {
	photo := testimage.Photo(40, 30, 1)
	tests := []struct {
		source []byte
		asked  transform.Format
		want   transform.Format // Source for a refusal
	}{
		{testimage.JPEG(photo, 90), transform.Auto, transform.PNG}, {testimage.GIF(photo), transform.Auto, transform.PNG},
		{testimage.PNG(photo), transform.Auto, transform.PNG}, {testimage.PNG(photo), transform.WebP, transform.WebP},
		{testimage.PNG(photo), transform.JPEG, transform.Source}, {testimage.PNG(photo), transform.HEIC, transform.Source},
		{testimage.JPEG(photo, 90), transform.Source, transform.Source},
	}
	for _, tt := range tests {
		p, err := engine.Render(context.Background(), tt.source, transform.Spec{Format: tt.asked, Lossless: true, Width: 20})
		var refused *transform.SpecError
		switch {
		case tt.want == transform.Source:
			if !errors.As(err, &refused) || refused.Option != "lossless" {
				t.Errorf("%s: %v, want a SpecError", tt.asked, err)
			}
		case err != nil || p.Format != tt.want:
			t.Errorf("%s: %+v, %v, want %s", tt.asked, p, err, tt.want)
		}
	}
}

// TestMemoryReturnsFromPixelOptions: what the steps hold beside the picture is given back too, when they fail as well.
func TestMemoryReturnsFromPixelOptions(t *testing.T) {
	photo := testimage.Photo(120, 90, 1)
	list := sources(t, photo)
	list[transform.GIF] = testimage.GIF(photo, photo)
	whole := list[transform.PNG]
	list[transform.Source] = whole[:len(whole)*2/3]
	base := ReadMemory()
	for range 3 {
		for _, source := range list {
			for _, spec := range []transform.Spec{
				{Trim: transform.Trim{Set: true}}, {Trim: transform.Trim{Set: true}, Crop: transform.Crop{X: 5000, W: 1, H: 1}},
				{Fit: transform.FitCrop, Gravity: transform.Attention, Width: 50, Height: 50, Sharpen: 100, Gray: true},
				{Fit: transform.FitCanvas, Width: 50, Height: 90, Background: transform.Background{Blur: true}, Contrast: 30},
				{Watermark: transform.Watermark{Name: "glass", Scale: 30, Opacity: 50}, Format: transform.WebP, MaxBytes: 1000},
				{Watermark: transform.Watermark{Name: "none", Scale: 30, Opacity: 50}},
			} {
				_, _ = engine.Render(context.Background(), source, spec) // some fail, on purpose
			}
		}
	}
	checkMemory(t, base)
}
