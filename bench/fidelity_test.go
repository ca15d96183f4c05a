package bench

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/image/draw"

	"deckle/internal/testimage"
)

// grayOf makes a plane a picture that other code can resize.
func grayOf(p plane) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, p.w, p.h))
	for i, v := range p.pix {
		img.Pix[i] = uint8(min(max(v+0.5, 0), 255))
	}
	return img
}

// TestResizeIsLanczos: another implementation, given the same kernel, makes the same picture.
func TestResizeIsLanczos(t *testing.T) {
	source := lumaOf(decoded{image: testimage.Photo(301, 203, 4)})
	kernel := draw.Kernel{Support: 3, At: func(x float64) float64 {
		if x == 0 {
			return 1
		}
		return math.Sin(math.Pi*x) / (math.Pi * x) * math.Sin(math.Pi*x/3) / (math.Pi * x / 3)
	}}
	for _, size := range []image.Point{{60, 40}, {301, 203}, {150, 300}, {1, 1}, {400, 250}} {
		want := image.NewRGBA(image.Rectangle{Max: size})
		kernel.Scale(want, want.Rect, grayOf(source), image.Rect(0, 0, source.w, source.h), draw.Src, nil)
		got := source.resize(size.X, size.Y)
		worst := 0.0
		for y := range size.Y {
			for x := range size.X {
				worst = max(worst, math.Abs(float64(got.pix[y*got.w+x])-float64(want.RGBAAt(x, y).R)))
			}
		}
		if worst > 2 { // it rounds on its way
			t.Errorf("%v: a pixel differs by %.1f", size, worst)
		}
	}
}

func TestSSIM(t *testing.T) {
	a := lumaOf(decoded{image: testimage.Photo(200, 150, 1)})
	other := lumaOf(decoded{image: testimage.Photo(200, 150, 2)})
	if got := ssim(a, a); math.Abs(got-1) > 1e-9 {
		t.Errorf("a picture is %f like itself", got)
	}
	last := 1.0
	for _, quality := range []int{95, 70, 30, 5} {
		packed, err := decode(testimage.JPEG(testimage.Photo(200, 150, 1), quality), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ssim(lumaOf(packed), a)
		if got >= last {
			t.Errorf("quality %d scores %f, the better one before %f", quality, got, last)
		}
		last = got
	}
	if got := ssim(a, other); got > 0.5 || got >= last {
		t.Errorf("strangers score %f", got)
	}
	if got := ssim(newPlane(3, 2), newPlane(3, 2)); math.Abs(got-1) > 1e-9 {
		t.Errorf("small pictures score %f", got)
	}
}

// TestLumaOfLimitedRange: WebP's luma is 16 to 235.
func TestLumaOfLimitedRange(t *testing.T) {
	img := image.NewYCbCr(image.Rect(0, 0, 3, 1), image.YCbCrSubsampleRatio444)
	copy(img.Y, []uint8{16, 126, 235})
	got := lumaOf(decoded{img, "webp"})
	for i, want := range []float32{0, 128.08, 255} {
		if d := got.pix[i] - want; d > 0.1 || d < -0.1 {
			t.Errorf("%d is %f, want %f", img.Y[i], got.pix[i], want)
		}
	}
	if full := lumaOf(decoded{img, "jpeg"}); full.pix[0] != 16 {
		t.Errorf("JPEG's 16 is %f", full.pix[0])
	}
	alpha := image.NewNRGBA(image.Rect(5, 5, 6, 6))
	alpha.Set(5, 5, color.NRGBA{255, 255, 255, 128})
	if got := lumaOf(decoded{image: alpha}).pix[0]; got < 127 || got > 129 {
		t.Errorf("half of white on black is %f", got)
	}
}

// TestFidelityOfARun: a server that scales well scores above one that takes the nearest pixels, and the source is recorded.
func TestFidelityOfARun(t *testing.T) {
	photo := testimage.Photo(520, 390, 9)
	stored := testimage.JPEG(photo, 95)
	renders := func(kernel draw.Scaler) *imageServer {
		var mu sync.Mutex
		made := make(map[image.Point]image.Image)
		return startServer(t, func(ctx *fasthttp.RequestCtx, _ int64) bool {
			mu.Lock()
			defer mu.Unlock()
			ctx.SetContentType("image/jpeg")
			if string(ctx.Path()) == "/a.jpg" {
				ctx.SetBody(stored)
				return true
			}
			quality := ctx.QueryArgs().GetUintOrZero("quality")
			var w, h int
			if _, err := fmt.Sscanf(string(ctx.Path()), "/a_%d_%d.jpg", &w, &h); err != nil {
				ctx.SetStatusCode(404)
				return true
			}
			w, h = min(w, h*4/3), min(h, w*3/4)
			size := image.Pt(w, h)
			if made[size] == nil {
				out := image.NewNRGBA(image.Rectangle{Max: size})
				kernel.Scale(out, out.Rect, photo, photo.Rect, draw.Src, nil)
				made[size] = out
			}
			ctx.SetBody(testimage.JPEG(made[size], max(quality, 1)))
			return true
		})
	}
	good, poor := renders(draw.CatmullRom), renders(draw.NearestNeighbor)
	c := config(good, poor)
	c.Sources, c.Format, c.Fidelity, c.Requests, c.Rounds, c.WarmUp = []string{"a"}, "jpg", 2, 2, 1, 1
	for i := range c.Targets {
		c.Targets[i].URLs = "deckle"
	}
	report := run(t, c)
	a, b := report.Results[0], report.Results[1]
	if a.Summary.SSIM < 0.9 || b.Summary.SSIM > a.Summary.SSIM-0.01 {
		t.Errorf("SSIM %.4f of the good one, %.4f of the poor one", a.Summary.SSIM, b.Summary.SSIM)
	}
	if len(a.Fidelity) != len(fidelityQualities) { // the run's own is among them
		t.Errorf("%d points", len(a.Fidelity))
	}
	for i, f := range a.Fidelity {
		if f.Width != 500 || f.Height != 375 || i > 0 && (f.Bytes <= a.Fidelity[i-1].Bytes || f.SSIM <= a.Fidelity[i-1].SSIM) {
			t.Errorf("%+v after %+v", f, a.Fidelity[max(i-1, 0)])
		}
	}
	if len(report.Sources) != 1 || report.Sources[0].Bytes != len(stored) || report.Sources[0].Width != 520 || len(report.Sources[0].SHA256) != 64 {
		t.Errorf("sources: %+v", report.Sources)
	}
}

// TestFidelityThatIsNotKnown becomes a note, and the figures stay.
func TestFidelityThatIsNotKnown(t *testing.T) {
	for name, tell := range map[string]func(*Config){
		"no original": func(*Config) {},
		"unreadable":  func(c *Config) { c.Original = func(string) ([]byte, error) { return nil, errors.New("lost") } },
		"no picture":  func(c *Config) { c.Original = func(string) ([]byte, error) { return []byte("text"), nil } },
		"turned": func(c *Config) {
			c.Original = func(string) ([]byte, error) { return testimage.PNG(testimage.Quadrants(9, 20)), nil }
			c.Decode = func([]byte) (image.Image, error) { return nil, errors.New("not asked") }
		},
	} {
		s := startServer(t, nil)
		if name == "turned" {
			s.body = testimage.PNG(testimage.Quadrants(20, 9))
		}
		c := config(s)
		c.Fidelity, c.Rounds, c.Requests = 1, 1, 2
		c.Targets[0].URLs = "/{id}_{w}_{h}.{ext}" // a pattern, so that its sources are not known to be given away
		tell(&c)
		report := run(t, c)
		if len(report.Notes) != 1 || report.Results[0].Summary.SSIM != 0 || report.Results[0].Summary.Failed != 0 {
			t.Errorf("%s: notes %q, %+v", name, report.Notes, report.Results[0].Summary)
		}
	}
}

// TestDecodeAsksOthers: what Go does not read goes to the decoder that was given.
func TestDecodeAsksOthers(t *testing.T) {
	want := testimage.Quadrants(4, 4)
	got, err := decode([]byte("\x00\x00\x00\x1cftypavif"), func(b []byte) (image.Image, error) {
		if !bytes.Contains(b, []byte("avif")) {
			return nil, errors.New("other bytes")
		}
		return want, nil
	})
	if err != nil || got.image != image.Image(want) {
		t.Errorf("%v, %v", got, err)
	}
}
