package vips

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"reflect"
	"testing"

	"golang.org/x/image/bmp"

	"deckle/internal/testimage"
	"deckle/transform"
)

// sources returns one picture in every format that is read.
func sources(t testing.TB, img *image.NRGBA) map[transform.Format][]byte {
	t.Helper()
	var b bytes.Buffer
	if err := bmp.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	list := map[transform.Format][]byte{
		transform.JPEG: testimage.JPEG(img, 92), transform.PNG: testimage.PNG(img),
		transform.GIF: testimage.GIF(img), transform.BMP: b.Bytes(),
		transform.ICO: icon([]int{0}, testimage.PNG(img)),
	}
	for _, f := range []transform.Format{transform.WebP, transform.AVIF, transform.HEIC, transform.TIFF} {
		list[f] = mustRender(t, list[transform.PNG], transform.Spec{Format: f, Quality: 90}).Body
	}
	return list
}

// The lowest similarity to the reference that each output may have at quality 80; GIF has 256 colours.
var floors = map[transform.Format]float64{
	transform.JPEG: 0.95, transform.PNG: 0.975, transform.WebP: 0.94, transform.AVIF: 0.93, transform.GIF: 0.85,
	transform.JXL: 0.95, transform.HEIC: 0.93, transform.TIFF: 0.975,
}

func TestEveryFormatToEveryFormat(t *testing.T) {
	original := testimage.Photo(640, 420, 11)
	want := reference(original, 200, 131)
	for in, source := range sources(t, original) {
		for _, out := range transform.OutputFormats() {
			t.Run(fmt.Sprintf("%s to %s", in, out), func(t *testing.T) {
				p := mustRender(t, source, transform.Spec{Format: out, Width: 200, Quality: 80})
				if p.Format != out || p.Width != 200 || p.Height != 131 || p.Frames != 1 || p.Source.Format != in {
					t.Fatalf("got %s %dx%d, %d frames, from %s", p.Format, p.Width, p.Height, p.Frames, p.Source.Format)
				}
				if sniffed := transform.Sniff(p.Body); sniffed != out && out != transform.JXL {
					t.Errorf("the bytes are %s", sniffed)
				}
				floor := floors[out]
				if in == transform.GIF {
					floor -= 0.35 // 216 colours without dithering
				}
				if got := mssim(decode(t, p), want); got < floor {
					t.Errorf("similarity %.3f, want at least %.3f", got, floor)
				}
			})
		}
	}
}

// The result must be as good as a resize of the whole source at every scale that the decoder may take part in.
func TestShrinkOnLoadLosesNothing(t *testing.T) {
	original := testimage.Photo(1605, 1203, 4)
	jpeg := testimage.JPEG(original, 95)
	webp := mustRender(t, testimage.PNG(original), transform.Spec{Format: transform.WebP, Quality: 95}).Body
	for _, width := range []int{1604, 803, 402, 401, 400, 250, 201, 200, 120, 100, 60} {
		for name, source := range map[string][]byte{"jpeg": jpeg, "webp": webp} {
			p := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: width})
			if got := mssim(decode(t, p), reference(original, p.Width, p.Height)); got < 0.96 {
				t.Errorf("%s to %d wide: similarity %.3f", name, width, got)
			}
		}
	}
}

// A crop keeps its place although the decoder shrinks the picture first.
func TestCropOfShrunkenSource(t *testing.T) {
	original := testimage.Photo(1601, 1203, 9)
	jpeg := testimage.JPEG(original, 95)
	for _, c := range []transform.Crop{
		{X: 101, Y: 53, W: 1203, H: 807}, {X: 803, Y: 601, W: 798, H: 602},
		{Fraction: true, X: 333_333, Y: 250_000, W: 500_000, H: 700_000},
	} {
		p := mustRender(t, jpeg, transform.Spec{Format: transform.PNG, Width: 150, Crop: c})
		area, err := cropArea(c, original.Rect.Size())
		if err != nil {
			t.Fatal(err)
		}
		want := reference(original.SubImage(area), p.Width, p.Height)
		if got := mssim(decode(t, p), want); got < 0.93 {
			t.Errorf("crop %v: similarity %.3f", c, got)
		}
	}
}

func TestExtremeSizes(t *testing.T) {
	tests := []struct {
		name   string
		w, h   int
		spec   transform.Spec
		ww, wh int
	}{
		{"one pixel", 1, 1, transform.Spec{}, 1, 1},
		{"one pixel enlarged", 1, 1, transform.Spec{Width: 50, Enlarge: true}, 50, 50},
		{"to one pixel", 300, 200, transform.Spec{Width: 1}, 1, 1},
		{"from the longest side to one pixel", 16384, 2, transform.Spec{Fit: transform.FitStretch, Width: 1, Height: 1}, 1, 1},
		{"thread", 1, 10000, transform.Spec{Width: 100, Height: 100}, 1, 100},
		{"thread fills a box", 1, 10000, transform.Spec{Fit: transform.FitCrop, Width: 64, Height: 64}, 64, 64},
		{"thread fills the largest box", 1, 16384, transform.Spec{Fit: transform.FitCrop, Width: 4096, Height: 4096, Gravity: transform.South}, 4096, 4096},
		{"thread on a canvas", 10000, 1, transform.Spec{Fit: transform.FitCanvas, Width: 30, Height: 20}, 30, 20},
		{"stretched both ways", 400, 4, transform.Spec{Fit: transform.FitStretch, Width: 4, Height: 400}, 4, 400},
		{"output side", 5000, 10, transform.Spec{}, 4096, 8},
	}
	for _, tt := range tests {
		formats := transform.OutputFormats()
		if tt.ww*tt.wh > 1e6 {
			formats = []transform.Format{transform.JPEG}
		}
		img := testimage.Quadrants(tt.w, tt.h)
		for _, f := range formats {
			t.Run(fmt.Sprintf("%s as %s", tt.name, f), func(t *testing.T) {
				for _, source := range [][]byte{testimage.PNG(img), testimage.JPEG(img, 90)} {
					tt.spec.Format = f
					p := mustRender(t, source, tt.spec)
					if p.Width != tt.ww || p.Height != tt.wh {
						t.Errorf("got %dx%d, want %dx%d", p.Width, p.Height, tt.ww, tt.wh)
					}
				}
			})
		}
	}
}

func TestFormatOfTheSource(t *testing.T) {
	opaque, alpha := sources(t, testimage.Photo(60, 40, 1)), sources(t, testimage.Alpha(60, 40))
	tests := []struct {
		source []byte
		asked  transform.Format
		want   transform.Format
	}{
		{opaque[transform.JPEG], transform.Source, transform.JPEG}, {opaque[transform.JPEG], transform.Auto, transform.JPEG},
		{alpha[transform.PNG], transform.Source, transform.PNG}, {alpha[transform.PNG], transform.Auto, transform.PNG},
		{opaque[transform.GIF], transform.Source, transform.GIF}, {opaque[transform.GIF], transform.Auto, transform.GIF},
		{opaque[transform.WebP], transform.Source, transform.WebP}, {opaque[transform.WebP], transform.Auto, transform.JPEG},
		{alpha[transform.WebP], transform.Auto, transform.PNG}, {alpha[transform.TIFF], transform.Auto, transform.PNG},
		{opaque[transform.AVIF], transform.Source, transform.AVIF}, {opaque[transform.AVIF], transform.Auto, transform.JPEG},
		{opaque[transform.BMP], transform.Source, transform.JPEG}, {opaque[transform.BMP], transform.Auto, transform.JPEG},
	}
	for _, tt := range tests {
		p := mustRender(t, tt.source, transform.Spec{Format: tt.asked, Width: 20})
		if p.Format != tt.want || transform.Sniff(p.Body) != tt.want {
			t.Errorf("%s asked as %s: %s, want %s", p.Source.Format, tt.asked, p.Format, tt.want)
		}
	}
}

func TestAutoQualityOfJPEG(t *testing.T) {
	img := testimage.Photo(400, 300, 2)
	for own, want := range map[int]int{40: 40, 75: 75, 98: maxOwnQuality} {
		p := mustRender(t, testimage.JPEG(img, own), transform.Spec{Width: 200})
		h, err := transform.ReadHeader(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		if h.Quality != want {
			t.Errorf("from quality %d: %d, want %d", own, h.Quality, want)
		}
	}
	h, err := transform.ReadHeader(mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.JPEG}).Body)
	if err != nil || h.Quality != autoQuality[transform.JPEG] {
		t.Errorf("from PNG: %d, %v", h.Quality, err)
	}
	small := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.WebP, Quality: 20})
	large := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.WebP, Quality: 90})
	if len(small.Body)*2 > len(large.Body) {
		t.Errorf("WebP of quality 20 has %d bytes, of 90 %d", len(small.Body), len(large.Body))
	}
}

// A field that Render overlooked would answer one picture under two names.
func TestEverySpecFieldChangesTheResult(t *testing.T) {
	base := transform.Spec{Format: transform.PNG, Width: 60, Height: 60}
	source := testimage.PNG(testimage.Alpha(120, 80))
	animation := movingSquare(60, 40).gif(t)
	other := map[string][]byte{"Page": animation, "Still": animation, "Trim": testimage.PNG(framed(testimage.Photo(40, 30, 1)))}
	lossy := with(base, func(s *transform.Spec) { s.Format = transform.WebP })
	tests := map[string]struct{ from, to transform.Spec }{
		"Page":    {transform.Spec{}, transform.Spec{Page: 2}},
		"Still":   {transform.Spec{}, transform.Spec{Still: true}},
		"Format":  {base, with(base, func(s *transform.Spec) { s.Format = transform.WebP })},
		"Width":   {base, with(base, func(s *transform.Spec) { s.Width = 50 })},
		"Height":  {base, with(base, func(s *transform.Spec) { s.Height = 30 })},
		"Fit":     {base, with(base, func(s *transform.Spec) { s.Fit = transform.FitCrop })},
		"Gravity": {with(base, func(s *transform.Spec) { s.Fit = transform.FitCrop }), with(base, func(s *transform.Spec) { s.Fit, s.Gravity = transform.FitCrop, transform.West })},
		"Enlarge": {with(base, func(s *transform.Spec) { s.Width, s.Height = 200, 200 }), with(base, func(s *transform.Spec) { s.Width, s.Height, s.Enlarge = 200, 200, true })},
		"Crop":    {base, with(base, func(s *transform.Spec) { s.Crop = transform.Crop{W: 40, H: 40} })},
		"Rotate":  {base, with(base, func(s *transform.Spec) { s.Rotate = 180 })},
		"Flip":    {base, with(base, func(s *transform.Spec) { s.Flip = transform.FlipHorizontal })},
		"Quality": {with(base, func(s *transform.Spec) { s.Format = transform.JPEG }), with(base, func(s *transform.Spec) { s.Format, s.Quality = transform.JPEG, 30 })},
		"Blur":    {base, with(base, func(s *transform.Spec) { s.Blur = 300 })},
		"Focus": {with(base, func(s *transform.Spec) { s.Fit = transform.FitCrop }), with(base, func(s *transform.Spec) {
			s.Fit, s.Focus = transform.FitCrop, transform.Focus{Set: true, X: 400_000}
		})},
		"Trim":       {base, with(base, func(s *transform.Spec) { s.Trim.Set = true })},
		"Lossless":   {lossy, with(lossy, func(s *transform.Spec) { s.Lossless = true })},
		"MaxBytes":   {lossy, with(lossy, func(s *transform.Spec) { s.MaxBytes = 800 })},
		"Sharpen":    {base, with(base, func(s *transform.Spec) { s.Sharpen = 100 })},
		"Brightness": {base, with(base, func(s *transform.Spec) { s.Brightness = -10 })},
		"Contrast":   {base, with(base, func(s *transform.Spec) { s.Contrast = 10 })},
		"Saturation": {base, with(base, func(s *transform.Spec) { s.Saturation = 10 })},
		"Gray":       {base, with(base, func(s *transform.Spec) { s.Gray = true })},
		"Watermark": {base, with(base, func(s *transform.Spec) {
			s.Watermark = transform.Watermark{Name: "logo", Scale: 50, Opacity: 50}
		})},
		"Background": {base, with(base, func(s *transform.Spec) { s.Background = transform.Background{Set: true, R: 9, A: 255} })},
	}
	for _, name := range specFields() {
		pair, ok := tests[name]
		if !ok {
			t.Errorf("no case for Spec.%s", name)
			continue
		}
		source := source
		if other[name] != nil {
			source = other[name]
		}
		if bytes.Equal(mustRender(t, source, pair.from).Body, mustRender(t, source, pair.to).Body) {
			t.Errorf("Spec.%s changes nothing", name)
		}
	}
}

func TestSameBytesTwice(t *testing.T) {
	source := testimage.JPEG(testimage.Photo(500, 400, 3), 90)
	for _, f := range transform.OutputFormats() {
		spec := transform.Spec{Format: f, Width: 100, Blur: 100}
		if !bytes.Equal(mustRender(t, source, spec).Body, mustRender(t, source, spec).Body) {
			t.Errorf("%s: two renders differ", f)
		}
	}
}

func TestContextEndsARender(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := engine.Render(ctx, testimage.PNG(testimage.Quadrants(20, 20)), transform.Spec{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func with(s transform.Spec, change func(*transform.Spec)) transform.Spec {
	change(&s)
	return s
}

func specFields() []string {
	var names []string
	for f := range reflect.TypeFor[transform.Spec]().Fields() {
		names = append(names, f.Name)
	}
	return names
}
