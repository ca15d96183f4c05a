package vips

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"
	"golang.org/x/image/draw"

	"deckle/transform"
)

var engine *Engine

func TestMain(m *testing.M) {
	var err error
	if engine, err = New(Config{Limits: transform.DefaultLimits(), Overlays: overlays}); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func mustRender(t testing.TB, source []byte, spec transform.Spec) *transform.Picture {
	t.Helper()
	p, err := engine.Render(context.Background(), source, spec)
	if err != nil {
		t.Fatalf("render %s: %v", spec, err)
	}
	return p
}

// decode reads a rendering back: with Go's decoders where there are any, else with libvips.
func decode(t testing.TB, p *transform.Picture) *image.NRGBA {
	t.Helper()
	read, ok := map[transform.Format]func([]byte) (image.Image, error){
		transform.JPEG: func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) },
		transform.PNG:  func(b []byte) (image.Image, error) { return png.Decode(bytes.NewReader(b)) },
		transform.GIF:  func(b []byte) (image.Image, error) { return gif.Decode(bytes.NewReader(b)) },
		// x/image/webp reads WebP's studio-range YUV as if it were JPEG's full-range: colours come out up to 10 off.
		transform.WebP: readBack(libvips.NewWebploadBuffer),
		transform.AVIF: readBack(libvips.NewHeifloadBuffer),
		transform.HEIC: readBack(libvips.NewHeifloadBuffer),
		transform.TIFF: readBack(libvips.NewTiffloadBuffer),
		transform.JXL: func(b []byte) (image.Image, error) {
			allow(optionalLoaders[transform.JXL], true) // no source unless switched on, but read back here
			return readBack(libvips.NewJxlloadBuffer)(b)
		},
	}[p.Format]
	if !ok {
		t.Fatalf("no decoder for %s", p.Format)
	}
	img, err := read(p.Body)
	if err != nil {
		t.Fatalf("decode %s: %v", p.Format, err)
	}
	out := image.NewNRGBA(image.Rectangle{Max: img.Bounds().Size()})
	draw.Draw(out, out.Rect, img, img.Bounds().Min, draw.Src)
	if got := out.Rect.Size(); got != image.Pt(p.Width, p.Height) {
		t.Fatalf("%s is %v, the picture says %dx%d", p.Format, got, p.Width, p.Height)
	}
	return out
}

func readBack[O any](load func([]byte, *O) (*libvips.Image, error)) func([]byte) (image.Image, error) {
	return func(body []byte) (image.Image, error) {
		img, err := load(body, nil)
		if err != nil {
			return nil, err
		}
		defer img.Close()
		saved, err := img.PngsaveBuffer(nil)
		if err != nil {
			return nil, err
		}
		return png.Decode(bytes.NewReader(saved))
	}
}

// reference resizes in Go, by a cubic kernel: another program and another filter than what is tested.
func reference(src image.Image, w, h int) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(out, out.Rect, src, src.Bounds(), draw.Src, nil)
	return out
}

// mssim returns the mean structural similarity of two pictures' luma over 8x8 windows, four pixels apart (Wang, Bovik,
// Sheikh, Simoncelli, IEEE TIP 2004): 1 for equal pictures, above 0.9 for what looks the same, near 0 for strangers.
func mssim(a, b *image.NRGBA) float64 {
	const window, step, c1, c2 = 8, 4, 6.5025, 58.5225
	sum, n := 0.0, 0
	for y := 0; y+window <= a.Rect.Dy(); y += step {
		for x := 0; x+window <= a.Rect.Dx(); x += step {
			var ma, mb, aa, bb, ab float64
			for i := range window * window {
				p, q := luma(a, x+i%window, y+i/window), luma(b, x+i%window, y+i/window)
				ma, mb, aa, bb, ab = ma+p, mb+q, aa+p*p, bb+q*q, ab+p*q
			}
			const count = window * window
			ma, mb = ma/count, mb/count
			va, vb, cov := aa/count-ma*ma, bb/count-mb*mb, ab/count-ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// luma is the brightness of a pixel on black.
func luma(img *image.NRGBA, x, y int) float64 {
	p := img.Pix[y*img.Stride+4*x:][:4]
	return (0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2])) * float64(p[3]) / 255
}

// meanError returns the mean absolute difference of all four channels, 0-255.
func meanError(a, b *image.NRGBA) float64 {
	sum := 0
	for i := range a.Pix {
		sum += max(int(a.Pix[i]), int(b.Pix[i])) - min(int(a.Pix[i]), int(b.Pix[i]))
	}
	return float64(sum) / float64(len(a.Pix))
}

// near tells whether no channel differs by more than tolerance.
func near(a, b color.NRGBA, tolerance int) bool {
	for _, pair := range [][2]uint8{{a.R, b.R}, {a.G, b.G}, {a.B, b.B}, {a.A, b.A}} {
		if d := int(pair[0]) - int(pair[1]); d > tolerance || d < -tolerance {
			return false
		}
	}
	return true
}
