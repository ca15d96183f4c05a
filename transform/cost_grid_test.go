package transform_test

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"syscall"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/transform"
	"deckle/transform/vips"
)

// costSource is one source of the grid that the constants of Predict were fitted on.
type costSource struct {
	name string
	data []byte
}

// costSources makes photo-like sources of every format that is read by default, from a thumbnail's size to a camera's.
func costSources(b *testing.B, engine transform.Engine) []costSource {
	b.Helper()
	formats := []transform.Format{
		transform.JPEG, transform.PNG, transform.WebP, transform.AVIF, transform.HEIC, transform.GIF, transform.TIFF,
	}
	var list []costSource
	for i, side := range []image.Point{{600, 400}, {1200, 900}, {3000, 2000}, {4000, 3000}} {
		baseline := testimage.JPEG(testimage.Photo(side.X, side.Y, uint64(i+1)), 88)
		list = append(list, costSource{fmt.Sprintf("baseline-%dx%d", side.X, side.Y), baseline})
		for _, format := range formats {
			picture, err := engine.Render(context.Background(), baseline, transform.Spec{Format: format, Quality: 85})
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, costSource{fmt.Sprintf("%s-%dx%d", format, side.X, side.Y), picture.Body})
		}
	}
	return list
}

// costSpecs is every format at four widths, and a blur.
func costSpecs() []transform.Spec {
	var specs []transform.Spec
	for _, width := range []int{100, 300, 800, 2000} {
		for _, format := range transform.OutputFormats() {
			specs = append(specs, transform.Spec{Format: format, Width: width, Enlarge: true})
		}
		specs = append(specs, transform.Spec{Format: transform.JPEG, Width: width, Enlarge: true, Blur: 700})
	}
	return specs
}

// BenchmarkCost measures the CPU time of each render of the grid, next to what was predicted of it.
func BenchmarkCost(b *testing.B) {
	engine := costEngine(b)
	for _, source := range costSources(b, engine) {
		for _, spec := range costSpecs() {
			measureCost(b, engine, source, spec)
		}
	}
}

// BenchmarkCostOptions does the same for options and for animations.
func BenchmarkCostOptions(b *testing.B) {
	engine := costEngine(b)
	photo := costSource{"baseline-3000x2000", testimage.JPEG(testimage.Photo(3000, 2000, 3), 88)}
	square := transform.Spec{Format: transform.WebP, Width: 800, Height: 800, Fit: transform.FitCrop}
	attention, entropy := square, square
	attention.Gravity, entropy.Gravity = transform.Attention, transform.Entropy
	specs := []transform.Spec{
		square, attention, entropy, {Format: transform.WebP, Width: 800, Trim: transform.Trim{Set: true, Threshold: 10}},
		{Format: transform.WebP, Width: 800, Sharpen: 200}, {Format: transform.WebP, Width: 800, Brightness: 10, Saturation: 20},
	}
	for _, format := range []transform.Format{transform.JPEG, transform.WebP, transform.AVIF, transform.JXL} {
		plain := transform.Spec{Format: format, Width: 800}
		lossless, fitting := plain, plain
		lossless.Lossless, fitting.MaxBytes = format != transform.JPEG, 60_000
		specs = append(specs, plain, lossless, fitting)
	}
	for _, spec := range specs {
		measureCost(b, engine, photo, spec)
	}
	var frames []image.Image
	for i := range 12 {
		frames = append(frames, testimage.Photo(400, 300, uint64(i)))
	}
	film := costSource{"film-400x300x12", testimage.GIF(frames...)}
	for _, width := range []int{100, 300} {
		measureCost(b, engine, film, transform.Spec{Format: transform.GIF, Width: width})
		measureCost(b, engine, film, transform.Spec{Format: transform.WebP, Width: width})
		measureCost(b, engine, film, transform.Spec{Format: transform.WebP, Width: width, Still: true})
	}
}

// BenchmarkCostTable is the table of bench/results/lanes.md: what was predicted of what people ask for.
func BenchmarkCostTable(b *testing.B) {
	engine := costEngine(b)
	as := func(spec transform.Spec, file []byte) []byte {
		picture, err := engine.Render(context.Background(), file, spec)
		if err != nil {
			b.Fatal(err)
		}
		return picture.Body
	}
	baseline := testimage.JPEG(testimage.Photo(4000, 3000, 4), 88)
	screen := testimage.JPEG(testimage.Photo(1600, 1200, 2), 88)
	bordered := image.NewNRGBA(image.Rect(0, 0, 2000, 1500))
	draw.Draw(bordered, bordered.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(bordered, image.Rect(200, 200, 1800, 1300), testimage.Photo(1600, 1100, 6), image.Point{}, draw.Src)
	var frames []image.Image
	for i := range 12 {
		frames = append(frames, testimage.Photo(400, 300, uint64(i)))
	}
	film := testimage.GIF(frames...)
	sources := map[string][]byte{
		"baseline": baseline, "progressive": as(transform.Spec{Format: transform.JPEG, Quality: 88, Width: 4000, Blur: 30}, baseline),
		"screen": screen, "screen-progressive": as(transform.Spec{Format: transform.JPEG, Quality: 88, Blur: 30}, screen),
		"png": as(transform.Spec{Format: transform.PNG}, screen), "heic": as(transform.Spec{Format: transform.HEIC}, screen),
		"bordered": testimage.JPEG(bordered, 88), "gif": film, "webp-film": as(transform.Spec{Format: transform.WebP}, film),
	}
	format := func(f transform.Format, width int) transform.Spec { return transform.Spec{Format: f, Width: width} }
	bytes := func(f transform.Format, width, most int) transform.Spec {
		return transform.Spec{Format: f, Width: width, MaxBytes: most}
	}
	trimmed := func(f transform.Format, width int) transform.Spec {
		return transform.Spec{Format: f, Width: width, Trim: transform.Trim{Set: true, Threshold: 10}}
	}
	for _, row := range []struct {
		source string
		spec   transform.Spec
	}{
		{"baseline", format(transform.WebP, 300)}, {"baseline", format(transform.JPEG, 1200)}, {"progressive", format(transform.WebP, 300)},
		{"progressive", format(transform.JPEG, 1200)}, {"screen-progressive", format(transform.WebP, 300)},
		{"screen", format(transform.AVIF, 800)}, {"screen", format(transform.HEIC, 300)}, {"screen", format(transform.HEIC, 800)},
		{"heic", format(transform.JPEG, 300)}, {"png", format(transform.PNG, 800)}, {"bordered", trimmed(transform.WebP, 300)},
		{"bordered", trimmed(transform.JPEG, 800)}, {"screen", trimmed(transform.WebP, 300)}, {"baseline", trimmed(transform.WebP, 300)},
		{"png", trimmed(transform.WebP, 300)}, {"screen", bytes(transform.WebP, 800, 100_000)}, {"screen", bytes(transform.WebP, 800, 30_000)},
		{"screen", bytes(transform.JPEG, 800, 40_000)}, {"screen", bytes(transform.AVIF, 800, 20_000)}, {"screen", bytes(transform.HEIC, 300, 4_000)},
		{"gif", format(transform.GIF, 100)}, {"gif", format(transform.GIF, 300)}, {"gif", format(transform.WebP, 300)},
		{"webp-film", format(transform.WebP, 200)}, {"webp-film", format(transform.GIF, 200)}, {"gif", bytes(transform.WebP, 300, 100_000)},
		{"gif", transform.Spec{Format: transform.WebP, Width: 300, Still: true}},
	} {
		measureCost(b, engine, costSource{row.source, sources[row.source]}, row.spec)
	}
}

func costEngine(b *testing.B) transform.Engine {
	b.Helper()
	engine, err := vips.New(vips.Config{Limits: transform.DefaultLimits()})
	if err != nil {
		b.Fatal(err)
	}
	return engine
}

func measureCost(b *testing.B, engine transform.Engine, source costSource, spec transform.Spec) {
	header, err := transform.ReadHeader(source.data)
	if err != nil {
		b.Fatal(err)
	}
	predicted := transform.Predict(header, spec, transform.DefaultLimits())
	b.Run(source.name+"/"+spec.String(), func(b *testing.B) {
		begin := cpuTime(b)
		for b.Loop() {
			if _, err := engine.Render(context.Background(), source.data, spec); err != nil {
				b.Fatal(err)
			}
		}
		took := (cpuTime(b) - begin) / time.Duration(b.N)
		b.ReportMetric(float64(took.Microseconds())/1000, "cpu-ms/op")
		b.ReportMetric(float64(predicted)/float64(took), "predicted/cpu")
	})
}

// cpuTime returns the CPU time that this process has used, by user and system.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
