package vips

import (
	"context"
	"testing"

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
