package vips

import (
	"context"
	"image"
	"syscall"
	"testing"
	"time"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

func BenchmarkRender12MP(b *testing.B) {
	source := testimage.JPEG(testimage.Photo(4000, 3000, 1), 85)
	for _, f := range []transform.Format{transform.JPEG, transform.WebP} {
		b.Run(f.String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := engine.Render(context.Background(), source, transform.Spec{Format: f, Width: 300, Quality: 75}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkThumbnail12MP is what libvips' own thumbnail operation takes for the same: the line to stay under.
func BenchmarkThumbnail12MP(b *testing.B) {
	source := testimage.JPEG(testimage.Photo(4000, 3000, 1), 85)
	for b.Loop() {
		img, err := libvips.NewThumbnailBuffer(source, 300, &libvips.ThumbnailBufferOptions{Height: 10000, NoRotate: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := img.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 75, OptimizeCoding: true, Keep: libvips.KeepNone}); err != nil {
			b.Fatal(err)
		}
		img.Close()
	}
}

// BenchmarkAnimation is bench/results/animations.md, of pictures made here. Its times are of this process's CPU, which a busy
// machine moves less than the clock's.
func BenchmarkAnimation(b *testing.B) {
	var frames []image.Image
	for i := range 12 {
		frames = append(frames, testimage.Photo(400, 300, uint64(i+1)))
	}
	film := testimage.GIF(frames...)
	webp := mustRender(b, film, transform.Spec{Format: transform.WebP}).Body
	for name, source := range map[string][]byte{"gif": film, "webp": webp} {
		for _, f := range []transform.Format{transform.WebP, transform.GIF} {
			b.Run(name+" to "+f.String(), func(b *testing.B) {
				begin := cpuTime(b)
				for b.Loop() {
					mustRender(b, source, transform.Spec{Format: f, Width: 200})
				}
				b.ReportMetric(float64((cpuTime(b)-begin).Microseconds())/1000/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
