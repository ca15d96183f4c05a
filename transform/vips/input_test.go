package vips

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"os"
	"slices"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"
	"golang.org/x/image/draw"

	"deckle/internal/testimage"
	"deckle/transform"
)

// everything returns an engine with all optional inputs switched on. Their loaders are blocked again when the test ends.
func everything(t testing.TB) *Engine {
	t.Helper()
	limits := transform.DefaultLimits()
	limits.Inputs = transform.NewFormatSet(transform.OptionalInputs()...)
	e, err := New(Config{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, class := range optionalLoaders {
			allow(class, false)
		}
	})
	return e
}

// icon wraps pictures as an ICO; each is square, as large as its first number says.
func icon(sides []int, bodies ...[]byte) []byte {
	file := binary.LittleEndian.AppendUint16([]byte{0, 0, 1, 0}, uint16(len(bodies)))
	offset := len(file) + 16*len(bodies)
	for i, body := range bodies {
		file = append(file, byte(sides[i]), byte(sides[i]), 0, 0, 1, 0, 32, 0)
		file = binary.LittleEndian.AppendUint32(file, uint32(len(body)))
		file = binary.LittleEndian.AppendUint32(file, uint32(offset))
		offset += len(body)
	}
	return append(file, bytes.Join(bodies, nil)...)
}

// iconBitmap writes img as an icon's bitmap of a depth: 32 with alpha, else with a mask; 8 and below with a palette of greys.
func iconBitmap(img *image.NRGBA, depth int) []byte {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	b := binary.LittleEndian.AppendUint32(nil, 40)
	b = binary.LittleEndian.AppendUint32(b, uint32(w))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*h))
	b = append(b, 1, 0, byte(depth), 0)
	b = append(b, make([]byte, 24)...)
	colours := 0
	if depth <= 8 {
		colours = 1 << depth
	}
	for i := range colours {
		v := byte(i * 255 / (colours - 1))
		b = append(b, v, v, v, 0)
	}
	_, row, maskRow := transform.IconLayout(w, depth, 0)
	rows, mask := make([]byte, row*h), make([]byte, maskRow*h)
	for y := range h {
		for x := range w {
			c, line := img.NRGBAAt(x, y), h-1-y
			switch depth {
			case 32:
				copy(rows[line*row+4*x:], []byte{c.B, c.G, c.R, c.A})
			case 24:
				copy(rows[line*row+3*x:], []byte{c.B, c.G, c.R})
			default:
				index := int(c.R) * (colours - 1) / 255
				rows[line*row+x*depth/8] |= byte(index << (8 - depth - x*depth%8))
			}
			if c.A < 128 {
				mask[line*maskRow+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return append(append(b, rows...), mask...)
}

func TestICO(t *testing.T) {
	for _, depth := range []int{1, 4, 8, 24, 32} {
		// Greys that the palette has, and a transparent corner.
		img := image.NewNRGBA(image.Rect(0, 0, 37, 37))
		for i := range 37 * 37 {
			v := uint8(i % 37 / 19 * 255)
			img.SetNRGBA(i%37, i/37, color.NRGBA{R: v, G: v, B: v, A: 255})
		}
		draw.Draw(img, image.Rect(0, 0, 9, 9), image.Transparent, image.Point{}, draw.Src)
		small := iconBitmap(testimage.Flat(16, 16, color.NRGBA{R: 255, A: 255}), 32)
		p := mustRender(t, icon([]int{16, 37}, small, iconBitmap(img, depth)), transform.Spec{Format: transform.PNG})
		got := decode(t, p)
		if p.Width != 37 || p.Height != 37 || p.Source.Format != transform.ICO {
			t.Fatalf("%d bits: %dx%d from %s", depth, p.Width, p.Height, p.Source.Format)
		}
		for _, at := range []image.Point{{10, 0}, {18, 20}, {19, 20}, {36, 36}, {0, 36}} {
			if c := got.NRGBAAt(at.X, at.Y); c != img.NRGBAAt(at.X, at.Y) {
				t.Errorf("%d bits: %v is %v, want %v", depth, at, c, img.NRGBAAt(at.X, at.Y))
			}
		}
		if got.NRGBAAt(4, 4).A != 0 {
			t.Errorf("%d bits: the corner is %v", depth, got.NRGBAAt(4, 4))
		}
	}
	// The size in the list is only a hint, and without an alpha channel worth the name the mask counts.
	p := mustRender(t, icon([]int{64}, testimage.PNG(testimage.Photo(200, 120, 1))), transform.Spec{Width: 100})
	if p.Width != 100 || p.Height != 60 || p.Format != transform.JPEG && p.Format != transform.PNG {
		t.Errorf("png within: %dx%d %s", p.Width, p.Height, p.Format)
	}
}

const drawingOfQuarters = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><script>document.write(1)</script>
<rect width="20" height="10" fill="#f00"/><rect x="20" width="20" height="10" fill="#0f0"/>
<rect y="10" width="20" height="10" fill="#00f"/></svg>`

// A drawing is drawn at the size that is asked for: its edges are as sharp as they can be at any size.
func TestSVG(t *testing.T) {
	e := everything(t)
	for _, spec := range []transform.Spec{
		{}, {Width: 400}, {Width: 1000, Height: 1000}, {Width: 90, Height: 90, Fit: transform.FitCrop},
		{Width: 200, Height: 333, Fit: transform.FitStretch}, {Width: 300, Crop: transform.Crop{W: 40, H: 20}}, {Rotate: 180, Width: 100},
		{Width: 4000, Crop: transform.Crop{X: 10, Y: 5, W: 20, H: 10}},
	} {
		spec.Format = transform.PNG
		p, err := e.Render(context.Background(), []byte(drawingOfQuarters), spec)
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		img := decode(t, p)
		at := func(x, y float64) color.NRGBA {
			if spec.Rotate == 180 {
				x, y = 1-x, 1-y
			}
			return img.NRGBAAt(int(x*float64(p.Width)), int(y*float64(p.Height)))
		}
		for _, c := range []struct {
			x, y float64
			want color.NRGBA
		}{
			{0.48, 0.46, color.NRGBA{R: 255, A: 255}}, {0.52, 0.46, color.NRGBA{G: 255, A: 255}},
			{0.48, 0.54, color.NRGBA{B: 255, A: 255}}, {0.52, 0.54, color.NRGBA{}},
		} {
			if got := at(c.x, c.y); !near(got, c.want, 3) && p.Width > 60 {
				t.Errorf("%s: %v at %v, %v; want %v", spec, got, c.x, c.y, c.want)
			}
		}
	}
}

func TestSVGTakesNothingFromOutside(t *testing.T) {
	e := everything(t)
	for _, body := range []string{
		`<image width="9" height="9" href="file:///etc/hostname"/>`, `<use href="http://127.0.0.1:9/x.svg#a"/>`,
		`<image href="data:image/png;base64,AAAA"/>`, `<rect width="9" height="9" fill="url(file:///etc/passwd#a)"/>`,
	} {
		source := []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">` + body + `</svg>`)
		if _, err := e.Render(context.Background(), source, transform.Spec{Format: transform.PNG}); !errors.Is(err, transform.ErrUnsupported) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestOptionalInputsToEveryFormat(t *testing.T) {
	e := everything(t)
	photo := testimage.Photo(320, 210, 11)
	asPNG := testimage.PNG(photo)
	list := map[transform.Format][]byte{
		transform.JXL: mustRender(t, asPNG, transform.Spec{Format: transform.JXL, Quality: 90}).Body,
		transform.JP2: remade(t, photo, func(v *libvips.Image) ([]byte, error) {
			allow("VipsForeignSaveJp2k", true)
			defer allow("VipsForeignSaveJp2k", false)
			return v.Jp2ksaveBuffer(&libvips.Jp2ksaveBufferOptions{Q: 90})
		}),
		transform.SVG: []byte(drawingOfQuarters),
	}
	for in, source := range list {
		if _, err := engine.Render(context.Background(), source, transform.Spec{Format: transform.PNG}); !errors.Is(err, transform.ErrUnsupported) {
			t.Errorf("%s without its switch: %v", in, err)
		}
		for _, out := range append(transform.OutputFormats(), transform.Source, transform.Auto) {
			p, err := e.Render(context.Background(), source, transform.Spec{Format: out, Width: 160})
			if err != nil {
				t.Errorf("%s to %s: %v", in, out, err)
				continue
			}
			if p.Width != 160 || p.Source.Format != in || p.Frames != 1 {
				t.Errorf("%s to %s: %d wide, from %s, %d frames", in, out, p.Width, p.Source.Format, p.Frames)
			}
			if in == transform.SVG {
				continue
			}
			if got := mssim(decode(t, p), reference(photo, p.Width, p.Height)); got < 0.8 {
				t.Errorf("%s to %s: similarity %.3f", in, out, got)
			}
		}
	}
	if _, err := engine.Render(context.Background(), []byte("%PDF-1.7\n"), transform.Spec{}); !errors.Is(err, transform.ErrUnsupported) {
		t.Errorf("pdf: %v", err)
	}
}

// apng makes other the second frame of a PNG of first; both have one IDAT chunk as Go writes them when small.
func apng(first, other []byte) []byte {
	chunk := func(name string, body []byte) []byte {
		named := append([]byte(name), body...)
		out := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), named...)
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(named))
	}
	control := func(sequence byte) []byte {
		body := append([]byte{0, 0, 0, sequence}, first[16:24]...)
		return chunk("fcTL", append(body, make([]byte, 14)...))
	}
	const head = 8 + 25
	at := bytes.Index(other, []byte("IDAT"))
	data := other[at+4 : at+4+int(binary.BigEndian.Uint32(other[at-4:]))]
	frame := chunk("fdAT", append([]byte{0, 0, 0, 2}, data...))
	end := len(first) - 12
	return slices.Concat(first[:head], chunk("acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0}), control(0), first[head:end], control(1), frame, first[end:])
}

// The kinds of each format that cameras and programs write.
func TestKindsOfSources(t *testing.T) {
	photo := testimage.Photo(300, 200, 6)
	paletted := image.NewPaletted(photo.Rect, palette.Plan9)
	draw.FloydSteinberg.Draw(paletted, photo.Rect, photo, image.Point{})
	deep := image.NewNRGBA64(photo.Rect)
	draw.Draw(deep, photo.Rect, photo, image.Point{}, draw.Src)
	tests := map[string][]byte{
		"png palette":  testimage.PNG(paletted),
		"png 16 bits":  testimage.PNG(deep),
		"png animated": apng(testimage.PNG(photo), testimage.PNG(testimage.Flat(300, 200, color.NRGBA{R: 255, A: 255}))),
		"png interlaced": remade(t, photo, func(v *libvips.Image) ([]byte, error) {
			return v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Interlace: true})
		}),
		"jpeg progressive, full chroma": remade(t, photo, func(v *libvips.Image) ([]byte, error) {
			return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 95, Interlace: true, SubsampleMode: libvips.SubsampleOff})
		}),
		"webp lossless": remade(t, photo, func(v *libvips.Image) ([]byte, error) {
			return v.WebpsaveBuffer(&libvips.WebpsaveBufferOptions{Lossless: true})
		}),
		"heic 10 bits":   remade(t, photo, heif(libvips.HeifCompressionHevc, 10)),
		"tiff jpeg":      remade(t, photo, tiff(libvips.TiffsaveBufferOptions{Compression: libvips.TiffCompressionJpeg, Q: 95})),
		"tiff lzw":       remade(t, photo, tiff(libvips.TiffsaveBufferOptions{Compression: libvips.TiffCompressionLzw})),
		"tiff deflate":   remade(t, photo, tiff(libvips.TiffsaveBufferOptions{Compression: libvips.TiffCompressionDeflate})),
		"tiff pack bits": remade(t, photo, tiff(libvips.TiffsaveBufferOptions{Compression: libvips.TiffCompressionPackbits})),
		"tiff tiled":     remade(t, photo, tiff(libvips.TiffsaveBufferOptions{Tile: true, TileWidth: 64, TileHeight: 64})),
		"tiff pyramid":   remade(t, photo, tiff(libvips.TiffsaveBufferOptions{Tile: true, TileWidth: 64, TileHeight: 64, Pyramid: true})),
		"tiff 16 bits":   remade(t, deep, func(v *libvips.Image) ([]byte, error) { return v.TiffsaveBuffer(nil) }),
		"icon":           icon([]int{0}, testimage.PNG(photo)),
	}
	want := reference(photo, 150, 100)
	for name, source := range tests {
		for _, out := range []transform.Format{transform.JPEG, transform.PNG, transform.WebP} {
			p := mustRender(t, source, transform.Spec{Format: out, Width: 150, Quality: 95})
			if got := mssim(decode(t, p), want); got < 0.9 || p.Height != 100 || p.Frames != 1 {
				t.Errorf("%s to %s: similarity %.3f, height %d, %d frames", name, out, got, p.Height, p.Frames)
			}
		}
	}
}

func heif(codec libvips.HeifCompression, bits int) func(*libvips.Image) ([]byte, error) {
	return func(v *libvips.Image) ([]byte, error) {
		return v.HeifsaveBuffer(&libvips.HeifsaveBufferOptions{
			Q: 90, Compression: codec, Bitdepth: bits, Effort: 1, SubsampleMode: libvips.SubsampleOn,
		})
	}
}

func tiff(o libvips.TiffsaveBufferOptions) func(*libvips.Image) ([]byte, error) {
	return func(v *libvips.Image) ([]byte, error) { return v.TiffsaveBuffer(&o) }
}

// An iPhone's picture lies on its side and says so twice, by irot and by EXIF; it is turned once.
func TestHEICIsTurnedOnce(t *testing.T) {
	original := testimage.Quadrants(120, 80)
	for orientation := 1; orientation <= 8; orientation++ {
		source := remade(t, original, func(v *libvips.Image) ([]byte, error) {
			if err := v.SetOrientation(orientation); err != nil {
				return nil, err
			}
			return v.HeifsaveBuffer(&libvips.HeifsaveBufferOptions{Q: 95, Compression: libvips.HeifCompressionHevc, Effort: 1, Bitdepth: 8})
		})
		want := mustRender(t, testimage.WithEXIF(testimage.JPEG(original, 95), orientation), transform.Spec{Format: transform.PNG})
		p := mustRender(t, source, transform.Spec{Format: transform.PNG})
		if p.Width != want.Width || p.Height != want.Height {
			t.Errorf("orientation %d: %dx%d, want %dx%d", orientation, p.Width, p.Height, want.Width, want.Height)
			continue
		}
		if e := meanError(decode(t, p), decode(t, want)); e > 4 {
			t.Errorf("orientation %d: mean error %.1f", orientation, e)
		}
	}
}

// Each orientation is right in every output, by a crop at a corner too.
func TestOrientationsToEveryFormat(t *testing.T) {
	original := testimage.Quadrants(120, 80)
	for orientation := 1; orientation <= 8; orientation++ {
		source := testimage.WithEXIF(testimage.JPEG(original, 95), orientation)
		for _, f := range transform.OutputFormats() {
			t.Run(fmt.Sprintf("%d as %s", orientation, f), func(t *testing.T) {
				for _, spec := range []transform.Spec{{Width: 60}, {Fit: transform.FitCrop, Width: 40, Height: 40, Gravity: transform.SouthEast}} {
					spec.Format, spec.Quality = f, 95
					p := mustRender(t, source, spec)
					spec.Format = transform.PNG
					plain := mustRender(t, source, spec)
					if e := meanError(decode(t, p), decode(t, plain)); e > 6 || p.Width != plain.Width || p.Height != plain.Height {
						t.Errorf("%dx%d, want %dx%d; mean error %.1f", p.Width, p.Height, plain.Width, plain.Height, e)
					}
				}
			})
		}
	}
}

// The optional formats of the corpora: good ones are rendered, hostile ones rendered or refused.
func TestOptionalInputsOfTheCorpora(t *testing.T) {
	e := everything(t)
	for _, name := range corpusFiles(t, "good") {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(transform.OptionalInputs(), transform.Sniff(source)) {
			continue
		}
		for _, out := range []transform.Format{transform.JPEG, transform.WebP, transform.AVIF} {
			p, err := e.Render(context.Background(), source, transform.Spec{Format: out, Width: 120})
			if err != nil || p.Width != 120 && p.Width != p.Source.Width {
				t.Errorf("%s to %s: %v", name, out, err)
			}
		}
	}
	for _, name := range corpusFiles(t, "hostile") {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(transform.OptionalInputs(), transform.Sniff(source)) {
			continue
		}
		_, err = e.Render(context.Background(), source, transform.Spec{Format: transform.JPEG, Width: 100, Height: 100})
		if err != nil && !errors.Is(err, transform.ErrUnsupported) && !errors.Is(err, transform.ErrMalformed) && !errors.Is(err, transform.ErrLimit) {
			t.Errorf("%s: an error that callers do not know: %v", name, err)
		}
	}
}
