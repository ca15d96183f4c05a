package vips

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"reflect"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

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

// remade returns img after a change made with libvips, as a file that keeps its profile.
func remade(t *testing.T, img image.Image, save func(*libvips.Image) ([]byte, error)) []byte {
	t.Helper()
	v, err := libvips.NewPngloadBuffer(testimage.PNG(img), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	b, err := save(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func saveAs(profile string, jpeg bool) func(*libvips.Image) ([]byte, error) {
	return func(v *libvips.Image) ([]byte, error) {
		if err := v.IccTransform(profile, &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 8}); err != nil {
			return nil, err
		}
		if jpeg {
			return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 98, Keep: libvips.KeepIcc, SubsampleMode: libvips.SubsampleOff})
		}
		return v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Keep: libvips.KeepIcc, Compression: 1})
	}
}

// Wide colours and inks must come out as the colours that went in; read as if they were sRGB they would be off by 10 and
// more.
func TestProfilesBecomeSRGB(t *testing.T) {
	original := testimage.Flat(64, 64, color.NRGBA{R: 180, G: 95, B: 75, A: 255})
	tests := []struct {
		name      string
		source    []byte
		tolerance int
	}{
		{"display p3 png", remade(t, original, saveAs("p3", false)), 3},
		{"display p3 jpeg", remade(t, original, saveAs("p3", true)), 4},
		{"cmyk jpeg with profile", remade(t, original, saveAs("cmyk", true)), 12},
		{"cmyk jpeg without", remade(t, original, func(v *libvips.Image) ([]byte, error) {
			if err := v.IccTransform("cmyk", &libvips.IccTransformOptions{InputProfile: "srgb", Depth: 8}); err != nil {
				return nil, err
			}
			return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 98, Keep: libvips.KeepNone})
		}), 12},
	}
	for _, tt := range tests {
		for _, f := range []transform.Format{transform.PNG, transform.JPEG, transform.WebP} {
			p := mustRender(t, tt.source, transform.Spec{Format: f, Width: 32, Quality: 95})
			if got := decode(t, p).NRGBAAt(16, 16); !near(got, original.NRGBAAt(0, 0), tt.tolerance) {
				t.Errorf("%s to %s: %v, want %v", tt.name, f, got, original.NRGBAAt(0, 0))
			}
		}
	}
	// The tolerance means something only if ignoring the profile is out of it.
	raw, err := png.Decode(bytes.NewReader(tests[0].source))
	if err != nil {
		t.Fatal(err)
	}
	if near(color.NRGBAModel.Convert(raw.At(3, 3)).(color.NRGBA), original.NRGBAAt(0, 0), 8) {
		t.Error("the P3 picture has the same numbers as the sRGB one")
	}
}

func TestBrokenProfileIsIgnored(t *testing.T) {
	original := testimage.Flat(64, 64, color.NRGBA{R: 200, G: 60, B: 40, A: 255})
	source := remade(t, original, func(v *libvips.Image) ([]byte, error) {
		if err := v.IccTransform("p3", &libvips.IccTransformOptions{InputProfile: "srgb"}); err != nil {
			return nil, err
		}
		return v.TiffsaveBuffer(&libvips.TiffsaveBufferOptions{Keep: libvips.KeepIcc})
	})
	at := bytes.Index(source, []byte("acsp"))
	if at < 0 {
		t.Fatal("no profile in the TIFF")
	}
	copy(source[at:], "xxxx")
	p := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 32})
	if got := decode(t, p).NRGBAAt(16, 16); !near(got, original.NRGBAAt(0, 0), 40) {
		t.Errorf("colour %v", got)
	}
}

func TestGreyStaysGrey(t *testing.T) {
	photo := testimage.Photo(200, 150, 8)
	grey := image.NewGray(photo.Rect)
	for i := range grey.Pix {
		grey.Pix[i] = uint8(math.Round(luma(photo, i%200, i/200)))
	}
	for name, source := range map[string][]byte{"png": testimage.PNG(grey), "jpeg": testimage.JPEG(grey, 95)} {
		p := mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 100})
		config, err := png.DecodeConfig(bytes.NewReader(p.Body))
		if err != nil || config.ColorModel != color.GrayModel {
			t.Errorf("%s: not a grey PNG: %v", name, err)
		}
		if got := mssim(decode(t, p), reference(grey, 100, 75)); got < 0.97 {
			t.Errorf("%s: similarity %.3f", name, got)
		}
		// A coloured canvas needs colour.
		p = mustRender(t, source, transform.Spec{
			Format: transform.PNG, Fit: transform.FitCanvas, Width: 100, Height: 100,
			Background: transform.Background{Set: true, R: 250, G: 10, B: 20, A: 255},
		})
		if got := decode(t, p).NRGBAAt(50, 2); got != (color.NRGBA{R: 250, G: 10, B: 20, A: 255}) {
			t.Errorf("%s: canvas is %v", name, got)
		}
	}
}

func TestSixteenBits(t *testing.T) {
	const w, h = 64, 64
	img := image.NewNRGBA64(image.Rect(0, 0, w, h))
	want := image.NewNRGBA(img.Rect)
	for i := range w * h {
		x, y := i%w, i/w
		c := color.NRGBA64{R: uint16(x * 1023), G: uint16(y * 1023), B: 30000, A: uint16(0xffff - 400*y)}
		img.SetNRGBA64(x, y, c)
		want.SetNRGBA(x, y, color.NRGBA{R: uint8(c.R >> 8), G: uint8(c.G >> 8), B: uint8(c.B >> 8), A: uint8(c.A >> 8)})
	}
	for name, f := range map[string]transform.Format{"png": transform.PNG, "webp": transform.WebP} {
		p := mustRender(t, testimage.PNG(img), transform.Spec{Format: f, Quality: 100})
		got := decode(t, p)
		if e := meanError(got, want); e > 2 {
			t.Errorf("%s: mean error %.2f", name, e)
		}
	}
	p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG})
	if depth := p.Body[24]; depth != 8 {
		t.Errorf("PNG of %d bits", depth)
	}
}

// What lies unseen under transparent pixels must not colour what is seen.
func TestTransparencyDoesNotBleed(t *testing.T) {
	img := testimage.Flat(80, 80, color.NRGBA{G: 255}) // transparent green
	for y := range 80 {
		for x := range 40 {
			img.SetNRGBA(x, y, color.NRGBA{R: 200, A: 255})
		}
	}
	for _, spec := range []transform.Spec{{Width: 30}, {Width: 30, Blur: 200}, {Width: 130, Enlarge: true}} {
		spec.Format = transform.PNG
		got := decode(t, mustRender(t, testimage.PNG(img), spec))
		for x := range got.Rect.Dx() {
			if c := got.NRGBAAt(x, 15); c.A > 20 && (c.G > 12 || c.R < 180) {
				t.Errorf("%s: pixel %d is %v", spec, x, c)
			}
		}
	}
}

func TestAlphaOntoBackground(t *testing.T) {
	half := testimage.PNG(testimage.Flat(40, 30, color.NRGBA{R: 200, A: 128}))
	blue := transform.Background{Set: true, B: 255, A: 255}
	tests := []struct {
		name       string
		format     transform.Format
		background transform.Background
		want       color.NRGBA
	}{
		{"jpeg, none: white", transform.JPEG, transform.Background{}, color.NRGBA{R: 227, G: 127, B: 127, A: 255}},
		{"jpeg, transparent: white", transform.JPEG, transform.Background{Set: true}, color.NRGBA{R: 227, G: 127, B: 127, A: 255}},
		{"jpeg, blue", transform.JPEG, blue, color.NRGBA{R: 100, B: 127, A: 255}},
		{"png, none: kept", transform.PNG, transform.Background{}, color.NRGBA{R: 200, A: 128}},
		{"png, transparent: kept", transform.PNG, transform.Background{Set: true}, color.NRGBA{R: 200, A: 128}},
		{"png, blue", transform.PNG, blue, color.NRGBA{R: 100, B: 127, A: 255}},
		{"png, half blue", transform.PNG, transform.Background{Set: true, B: 255, A: 128}, color.NRGBA{R: 134, B: 84, A: 192}},
		{"webp, none: kept", transform.WebP, transform.Background{}, color.NRGBA{R: 200, A: 128}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustRender(t, half, transform.Spec{Format: tt.format, Background: tt.background, Quality: 95})
			if got := decode(t, p).NRGBAAt(20, 15); !near(got, tt.want, 4) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestCanvasPadding(t *testing.T) {
	green := color.NRGBA{R: 20, G: 160, B: 40, A: 255}
	source := testimage.PNG(testimage.Flat(80, 40, green))
	white := color.NRGBA{R: 255, G: 255, B: 255, A: 255}
	tests := []struct {
		name        string
		format      transform.Format
		gravity     transform.Gravity
		background  transform.Background
		top, bottom color.NRGBA
	}{
		{"white unless asked", transform.PNG, transform.Center, transform.Background{}, white, white},
		{"north", transform.PNG, transform.North, transform.Background{}, green, white},
		{"south east", transform.PNG, transform.SouthEast, transform.Background{}, white, green},
		{"blue jpeg", transform.JPEG, transform.Center, transform.Background{Set: true, B: 255, A: 255}, color.NRGBA{B: 255, A: 255}, color.NRGBA{B: 255, A: 255}},
		{"transparent png", transform.PNG, transform.South, transform.Background{Set: true}, color.NRGBA{}, green},
		{"transparent jpeg is white", transform.JPEG, transform.South, transform.Background{Set: true}, white, green},
		{"half red png", transform.PNG, transform.North, transform.Background{Set: true, R: 255, A: 100}, green, color.NRGBA{R: 255, A: 100}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustRender(t, source, transform.Spec{
				Format: tt.format, Fit: transform.FitCanvas, Width: 60, Height: 60, Gravity: tt.gravity, Background: tt.background, Quality: 95,
			})
			img := decode(t, p)
			if img.Rect.Size() != image.Pt(60, 60) {
				t.Fatalf("canvas of %v", img.Rect)
			}
			if got := [2]color.NRGBA{img.NRGBAAt(30, 5), img.NRGBAAt(30, 54)}; !near(got[0], tt.top, 4) || !near(got[1], tt.bottom, 4) {
				t.Errorf("top and bottom %v, want %v %v", got, tt.top, tt.bottom)
			}
		})
	}
}

func TestBlurKeepsTheMeanAndLosesTheEdges(t *testing.T) {
	source := testimage.PNG(testimage.Photo(400, 300, 6))
	sharp := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 200}))
	last := edges(sharp)
	for _, sigma := range []int{30, 100, 300, 790, 810, 1500, 4000, 10000} {
		soft := decode(t, mustRender(t, source, transform.Spec{Format: transform.PNG, Width: 200, Blur: sigma}))
		if soft.Rect != sharp.Rect {
			t.Fatalf("sigma %d: size %v", sigma, soft.Rect)
		}
		if now := edges(soft); now >= last {
			t.Errorf("sigma %d: edges %.2f, were %.2f", sigma, now, last)
		} else {
			last = now
		}
		if a, b := mean(sharp), mean(soft); math.Abs(a-b) > 4 {
			t.Errorf("sigma %d: mean %.1f, was %.1f", sigma, b, a)
		}
	}
}

// A step edge blurred by a Gaussian is the error function: sigma is what the option says.
func TestBlurHasTheAskedSigma(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 240, 40))
	for i := range img.Pix {
		if i%240 >= 120 {
			img.Pix[i] = 200
		}
	}
	for _, sigma := range []float64{1, 3, 7, 9, 15, 25} {
		p := mustRender(t, testimage.PNG(img), transform.Spec{Format: transform.PNG, Blur: int(sigma * 100)})
		got := decode(t, p)
		for x := range 240 {
			want := 100 * (1 + math.Erf((float64(x)+0.5-120)/(sigma*math.Sqrt2)))
			if v := float64(got.NRGBAAt(x, 20).R); math.Abs(v-want) > 6 {
				t.Errorf("sigma %v, pixel %d: %.0f, want %.0f", sigma, x, v, want)
				break
			}
		}
	}
}

// edges returns the mean absolute step between neighbours in a row.
func edges(img *image.NRGBA) float64 {
	sum := 0.0
	for y := range img.Rect.Dy() {
		for x := 1; x < img.Rect.Dx(); x++ {
			sum += math.Abs(luma(img, x, y) - luma(img, x-1, y))
		}
	}
	return sum / float64(img.Rect.Dx()*img.Rect.Dy())
}

func mean(img *image.NRGBA) float64 {
	sum := 0.0
	for i := range img.Rect.Dx() * img.Rect.Dy() {
		sum += luma(img, i%img.Rect.Dx(), i/img.Rect.Dx())
	}
	return sum / float64(img.Rect.Dx()*img.Rect.Dy())
}
