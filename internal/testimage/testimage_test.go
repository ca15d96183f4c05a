package testimage

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSameArgumentsSamePixels(t *testing.T) {
	tests := map[string]func() *image.NRGBA{
		"photo":     func() *image.NRGBA { return Photo(301, 202, 5) },
		"demo":      func() *image.NRGBA { return Demo(150, 101) },
		"alpha":     func() *image.NRGBA { return Alpha(64, 33) },
		"quadrants": func() *image.NRGBA { return Quadrants(9, 7) },
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			if a, b := make(), make(); !bytes.Equal(a.Pix, b.Pix) {
				t.Error("two pictures of the same arguments differ")
			}
		})
	}
	if bytes.Equal(Photo(60, 40, 1).Pix, Photo(60, 40, 2).Pix) {
		t.Error("another seed gives the same picture")
	}
}

func TestSmallestSizes(t *testing.T) {
	for _, size := range []image.Point{{1, 1}, {1, 40}, {40, 1}, {2, 3}, {5, 4}} {
		for name, img := range map[string]*image.NRGBA{
			"photo": Photo(size.X, size.Y, 1), "demo": Demo(size.X, size.Y),
			"alpha": Alpha(size.X, size.Y), "quadrants": Quadrants(size.X, size.Y),
		} {
			if got := img.Bounds().Size(); got != size {
				t.Errorf("%s of %v: got %v", name, size, got)
			}
		}
	}
}

func TestQuadrantsCorners(t *testing.T) {
	img := Quadrants(20, 10)
	got := []color.NRGBA{img.NRGBAAt(0, 0), img.NRGBAAt(19, 0), img.NRGBAAt(0, 9), img.NRGBAAt(19, 9)}
	want := []color.NRGBA{TopLeft, TopRight, BottomLeft, BottomRight}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("corners (-want +got):\n%s", diff)
	}
	if img.NRGBAAt(9, 4) != TopLeft || img.NRGBAAt(10, 5) != BottomRight {
		t.Error("the quadrants do not meet in the middle")
	}
}

// A photograph's neighbouring pixels resemble each other, its distant ones do not, and JPEG at quality 82 makes about
// 0.5-1.5 bits a pixel of it; noise costs 4 and more, flat colour under 0.1.
func TestPhotoLooksLikeAPhotograph(t *testing.T) {
	img := Photo(1200, 900, 3)
	bits := float64(8*len(JPEG(img, 82))) / (1200 * 900)
	if bits < 0.5 || bits > 1.8 {
		t.Errorf("JPEG takes %.2f bits a pixel", bits)
	}
	if near, far := meanStep(img, 1), meanStep(img, 200); near > 8 || far < 3*near {
		t.Errorf("mean steps: %.1f to the next pixel, %.1f to the 200th", near, far)
	}
}

// meanStep returns the mean absolute difference of green between pixels at a distance in a row.
func meanStep(img *image.NRGBA, distance int) float64 {
	sum, n := 0.0, 0
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() - distance {
			sum += math.Abs(float64(img.NRGBAAt(x, y).G) - float64(img.NRGBAAt(x+distance, y).G))
			n++
		}
	}
	return sum / float64(n)
}

func TestAlphaRamp(t *testing.T) {
	img := Alpha(100, 5)
	if a := img.NRGBAAt(0, 2).A; a != 255 {
		t.Errorf("left edge has alpha %d", a)
	}
	if got, want := img.NRGBAAt(99, 2), (color.NRGBA{G: 255}); got != want {
		t.Errorf("right edge is %v, want hidden green %v", got, want)
	}
}

func TestEncodersDecode(t *testing.T) {
	img := Quadrants(30, 20)
	decoded, err := png.Decode(bytes.NewReader(PNG(img)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(decoded.(*image.RGBA).Pix, img.Pix) {
		t.Error("PNG changed pixels")
	}
	config, err := jpeg.DecodeConfig(bytes.NewReader(JPEG(img, 90)))
	if err != nil || config.Width != 30 || config.Height != 20 {
		t.Errorf("JPEG: %v, %v", config, err)
	}
	animation, err := gif.DecodeAll(bytes.NewReader(GIF(img, img, img)))
	if err != nil || len(animation.Image) != 3 {
		t.Errorf("GIF: %v", err)
	}
}

func TestEXIFBlocks(t *testing.T) {
	plain := JPEG(Quadrants(16, 16), 90)
	for name, made := range map[string][]byte{"orientation": WithEXIF(plain, 6), "place": WithGPS(plain, 6)} {
		if _, err := jpeg.Decode(bytes.NewReader(made)); err != nil {
			t.Errorf("%s: no longer a JPEG: %v", name, err)
		}
		// Tag, type SHORT, count 1, value 6 left-aligned in four bytes.
		if !bytes.Contains(made, []byte{0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0}) {
			t.Errorf("%s: no orientation 6", name)
		}
	}
	if bytes.Contains(WithEXIF(plain, 6), []byte{0x88, 0x25}) || !bytes.Contains(WithGPS(plain, 6), []byte{0x88, 0x25, 0, 4}) {
		t.Error("GPS directory where none was asked for, or none where one was")
	}
}

func BenchmarkPhoto12MP(b *testing.B) {
	for b.Loop() {
		Photo(4000, 3000, 1)
	}
}
