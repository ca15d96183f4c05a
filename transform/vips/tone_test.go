package vips

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"testing"

	"deckle/internal/testimage"
	"deckle/transform"
)

// toned is what the CSS filter functions make of a colour, one after the other on values from 0 to 1, clipped at the end.
func toned(c color.NRGBA, s transform.Spec) color.NRGBA {
	rgb := [3]float64{float64(c.R) / 255, float64(c.G) / 255, float64(c.B) / 255}
	for i := range rgb {
		rgb[i] *= float64(100+s.Brightness) / 100
		rgb[i] = (rgb[i]-0.5)*float64(100+s.Contrast)/100 + 0.5
	}
	luma := 0.2126*rgb[0] + 0.7152*rgb[1] + 0.0722*rgb[2]
	saturation := float64(100+s.Saturation) / 100
	if s.Gray {
		saturation = 0
	}
	for i := range rgb {
		rgb[i] = math.Round(255 * min(max(luma+(rgb[i]-luma)*saturation, 0), 1))
	}
	return color.NRGBA{R: uint8(rgb[0]), G: uint8(rgb[1]), B: uint8(rgb[2]), A: c.A}
}

var tones = []transform.Spec{
	{Brightness: -100}, {Brightness: -40}, {Brightness: 15}, {Brightness: 100},
	{Contrast: -100}, {Contrast: -33}, {Contrast: 50}, {Contrast: 100},
	{Saturation: -50}, {Saturation: 77}, {Saturation: 100}, {Gray: true},
	{Brightness: 100, Contrast: -50}, {Brightness: -20, Contrast: 20, Saturation: 40}, {Brightness: 30, Contrast: 10, Gray: true},
}

// TestTone compares every pixel, with alpha and without, with the definition.
func TestTone(t *testing.T) {
	for name, img := range map[string]*image.NRGBA{"opaque": testimage.Photo(80, 60, 3), "alpha": testimage.Alpha(80, 60)} {
		source := testimage.PNG(img)
		for _, spec := range tones {
			t.Run(name+spec.String(), func(t *testing.T) {
				spec.Format = transform.PNG
				got := decode(t, mustRender(t, source, spec))
				for i := range 80 * 60 {
					x, y := i%80, i/80
					if want := toned(img.NRGBAAt(x, y), spec); !near(got.NRGBAAt(x, y), want, 1) && want.A > 0 {
						t.Fatalf("pixel %d,%d: %v becomes %v, want %v", x, y, img.NRGBAAt(x, y), got.NRGBAAt(x, y), want)
					}
				}
			})
		}
	}
}

// TestGreysStayGrey: all 256 of them, whatever is asked, in pictures with colour channels and without.
func TestGreysStayGrey(t *testing.T) {
	colours, greys := image.NewNRGBA(image.Rect(0, 0, 256, 8)), image.NewGray(image.Rect(0, 0, 256, 8))
	for i := range 256 * 8 {
		v := uint8(i % 256)
		colours.SetNRGBA(i%256, i/256, color.NRGBA{R: v, G: v, B: v, A: 255})
		greys.Pix[i] = v
	}
	specs := append([]transform.Spec{{Sharpen: 60}, {Sharpen: 300, Brightness: 7, Saturation: 31}}, tones...)
	for b := -100; b <= 100; b += 9 {
		specs = append(specs, transform.Spec{Brightness: b, Contrast: -b / 3, Saturation: b / 2})
	}
	for _, spec := range specs {
		spec.Format = transform.PNG
		a, b := decode(t, mustRender(t, testimage.PNG(colours), spec)), decode(t, mustRender(t, testimage.PNG(greys), spec))
		for i := range 256 * 8 {
			c := a.NRGBAAt(i%256, i/256)
			if c.R != c.G || c.G != c.B || c != b.NRGBAAt(i%256, i/256) {
				t.Fatalf("%s: grey %d becomes %v, without colour channels %v", spec, i%256, c, b.NRGBAAt(i%256, i/256))
			}
		}
	}
}

// TestGrayHasOneChannel: a grey result is stored as one, where the format can.
func TestGrayHasOneChannel(t *testing.T) {
	for name, img := range map[string]image.Image{"opaque": testimage.Photo(40, 30, 1), "alpha": testimage.Alpha(40, 30)} {
		p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG, Gray: true})
		// The colour type is in the header's tenth byte (PNG, section 11.2.2): 0 is grey, 4 grey with alpha.
		if kind := p.Body[25]; kind != 0 && kind != 4 {
			t.Errorf("%s: colour type %d", name, kind)
		}
		if _, err := png.Decode(bytes.NewReader(p.Body)); err != nil {
			t.Error(err)
		}
	}
}

// TestStrengthIsInResultPixels: what is asked of a result does to it what it would do to a source of that size.
func TestStrengthIsInResultPixels(t *testing.T) {
	source := testimage.JPEG(testimage.Photo(800, 600, 5), 90)
	small := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 160}).Body
	for _, spec := range []transform.Spec{
		{Blur: 150}, {Sharpen: 120}, {Gray: true, Contrast: 20}, {Saturation: 50, Sharpen: 50, Blur: 40},
		{Watermark: transform.Watermark{Name: "logo", Gravity: transform.North, Scale: 30, Opacity: 70}},
	} {
		t.Run(spec.String(), func(t *testing.T) {
			spec.Format = transform.PNG
			want := mustRender(t, small, spec)
			spec.Width = 160
			if got := mustRender(t, source, spec); !bytes.Equal(got.Body, want.Body) {
				t.Error("done to the small picture it gives another result")
			}
		})
	}
}

// TestSharpen compares with an unsharp mask worked out in Go, in floating point.
func TestSharpen(t *testing.T) {
	img := testimage.Photo(120, 90, 8)
	for _, sigma := range []float64{0.5, 1, 2.5, 6, 10} {
		t.Run(fmt.Sprint(sigma), func(t *testing.T) {
			p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG, Sharpen: int(sigma * 100)})
			got, want := decode(t, p), unsharp(img, sigma)
			if e := meanError(got, want); e > 1.2 {
				t.Errorf("mean error %.2f", e)
			}
			if edges(got) < edges(img)*1.05 {
				t.Errorf("edges %.2f, were %.2f", edges(got), edges(img))
			}
		})
	}
}

// unsharp adds to each colour what a Gaussian takes from the luma. Beyond the edges the picture goes on as its last pixels.
func unsharp(img *image.NRGBA, sigma float64) *image.NRGBA {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	luma := make([]float64, w*h)
	for i := range luma {
		c := img.NRGBAAt(i%w, i/w)
		luma[i] = 0.2126*float64(c.R) + 0.7152*float64(c.G) + 0.0722*float64(c.B)
	}
	clamp := func(v, most int) int { return min(max(v, 0), most-1) }
	across := smooth(luma, sigma, func(i, d int) int { return i/w*w + clamp(i%w+d, w) })
	soft := smooth(across, sigma, func(i, d int) int { return clamp(i/w+d, h)*w + i%w })
	out := image.NewNRGBA(img.Rect)
	for i := range luma {
		c := img.NRGBAAt(i%w, i/w)
		add := func(v uint8) uint8 { return uint8(math.Round(min(max(float64(v)+luma[i]-soft[i], 0), 255))) }
		out.SetNRGBA(i%w, i/w, color.NRGBA{R: add(c.R), G: add(c.G), B: add(c.B), A: c.A})
	}
	return out
}

// smooth convolves with a Gaussian along a line; next gives the pixel d steps from i.
func smooth(in []float64, sigma float64, next func(i, d int) int) []float64 {
	out := make([]float64, len(in))
	reach := int(math.Ceil(4 * sigma))
	for i := range in {
		sum, weight := 0.0, 0.0
		for d := -reach; d <= reach; d++ {
			g := math.Exp(-float64(d*d) / (2 * sigma * sigma))
			sum, weight = sum+g*in[next(i, d)], weight+g
		}
		out[i] = sum / weight
	}
	return out
}

// TestSharpenLeavesFlatsAndCutouts: where there is no edge nothing changes, and the border of what is transparent is none.
func TestSharpenLeavesFlatsAndCutouts(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 80, 80))
	for i := range 80 * 80 {
		if x, y := i%80-40, i/80-40; x*x+y*y < 900 {
			img.SetNRGBA(i%80, i/80, color.NRGBA{R: 200, G: 120, B: 60, A: 255})
		}
	}
	for _, source := range []*image.NRGBA{img, testimage.Flat(80, 80, color.NRGBA{R: 13, G: 140, B: 251, A: 255})} {
		for _, sigma := range []int{30, 70, 200, 1000} {
			got := decode(t, mustRender(t, testimage.PNG(source), transform.Spec{Format: transform.PNG, Sharpen: sigma}))
			for i := range 80 * 80 {
				was, is := source.NRGBAAt(i%80, i/80), got.NRGBAAt(i%80, i/80)
				if was.A != is.A || was.A > 0 && !near(was, is, 2) {
					t.Fatalf("sigma %d, pixel %d,%d: %v becomes %v", sigma, i%80, i/80, was, is)
				}
			}
		}
	}
}
