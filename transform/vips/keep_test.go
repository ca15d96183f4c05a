package vips

import (
	"bytes"
	"image"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

// A rendering that changes no pixel never has more bytes than its source, and shows the same.
func TestNeverLargerThanTheSource(t *testing.T) {
	photo := testimage.Photo(300, 200, 3)
	low := mustRender(t, testimage.PNG(photo), transform.Spec{Format: transform.WebP, Quality: 10})
	tests := []struct {
		name   string
		source []byte
		spec   transform.Spec
	}{
		{"jpeg at a higher quality", testimage.JPEG(photo, 30), transform.Spec{Quality: 95}},
		{"jpeg with metadata", testimage.WithGPS(testimage.JPEG(photo, 30), 1), transform.Spec{Quality: 95}},
		{"jpeg in a box that it fits", testimage.JPEG(photo, 30), transform.Spec{Quality: 95, Width: 400, Height: 400}},
		{"webp", low.Body, transform.Spec{Quality: 95}},
		{"gif", movingSquare(60, 40).gif(t), transform.Spec{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustRender(t, tt.source, tt.spec)
			if len(p.Body) > len(tt.source) {
				t.Errorf("%d bytes of %d", len(p.Body), len(tt.source))
			}
			if bytes.Contains(p.Body, []byte("Exif")) || bytes.Contains(p.Body, []byte("GPS")) {
				t.Error("metadata is left")
			}
			h, err := transform.ReadHeader(p.Body)
			if err != nil || h.Format != p.Format || h.Width != p.Width || h.Height != p.Height || h.Frames != p.Frames {
				t.Errorf("the bytes are %+v, %v; the picture says %+v", h, err, p)
			}
			source := transform.Picture{Body: tt.source, Format: p.Format, Width: p.Width, Height: p.Height}
			if e := meanError(decode(t, p), decode(t, &source)); e > 0 {
				t.Errorf("mean error %.2f to the source", e)
			}
		})
	}
}

// Where a pixel is asked to change, or would mean something else without what is stripped, the source's bytes are no answer.
func TestSourceIsNoAnswerWhenItChanges(t *testing.T) {
	photo := testimage.Photo(300, 200, 3)
	jpeg := testimage.JPEG(photo, 30)
	wide := remade(t, photo, func(v *libvips.Image) ([]byte, error) {
		if err := v.IccTransform("p3", &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 8}); err != nil {
			return nil, err
		}
		return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 30, Keep: libvips.KeepIcc})
	})
	deep := image.NewNRGBA64(image.Rect(0, 0, 9, 9))
	tests := []struct {
		name   string
		source []byte
		spec   transform.Spec
	}{
		{"turned", testimage.WithEXIF(jpeg, 6), transform.Spec{Quality: 95}},
		{"mirrored", jpeg, transform.Spec{Quality: 95, Flip: transform.FlipHorizontal}},
		{"smaller", jpeg, transform.Spec{Quality: 100, Width: 299}},
		{"cut", jpeg, transform.Spec{Quality: 100, Crop: transform.Crop{W: 299, H: 200}}},
		{"another format", jpeg, transform.Spec{Quality: 100, Format: transform.WebP}},
		{"wide colours", wide, transform.Spec{Quality: 95}},
		{"16 bits", testimage.PNG(deep), transform.Spec{}},
		{"first frame", movingSquare(60, 40).gif(t), transform.Spec{Still: true}},
		{"cut off", jpeg[:len(jpeg)-100], transform.Spec{Quality: 95}},
	}
	for _, tt := range tests {
		p := mustRender(t, tt.source, tt.spec)
		if own, ok := transform.Strip(tt.source, p.Source.Format); ok && bytes.Equal(own, p.Body) {
			t.Errorf("%s: the answer is the source", tt.name)
		}
	}
}
