package transform

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"runtime"
	"testing"

	"deckle/internal/testimage"

	"github.com/google/go-cmp/cmp"
)

// headerCase is a file and what ReadHeader says of it: a Header, or an error that wraps fails.
type headerCase struct {
	name  string
	data  []byte
	want  Header
	fails error
}

func checkHeaders(t *testing.T, cases []headerCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadHeader(c.data)
			if !errors.Is(err, c.fails) {
				t.Fatalf("error %v, want %v", err, c.fails)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

// still is the Header of an upright, opaque, unanimated picture.
func still(f Format, w, h int) Header {
	return Header{Format: f, Width: w, Height: h, Frames: 1, Pages: 1, Orientation: 1}
}

func with(h Header, change func(*Header)) Header {
	change(&h)
	return h
}

// goodFiles are small files of every accepted format, each with its header.
func goodFiles() []headerCase {
	frames := func(n int) func(*Header) { return func(h *Header) { h.Frames, h.Pages = n, n } }
	alpha := func(h *Header) { h.Alpha = true }
	turned := func(h *Header) { h.Orientation = 6 }
	quality := func(n int) func(*Header) { return func(h *Header) { h.Quality = n } }
	plain := testimage.Quadrants(9, 5)
	exif := concat([]byte("MM\x00*"), be32(8), be16(1), be16(tagOrientation), be16(kindShort), be32(1), be16(6), be16(0), be32(0))
	oriented := testimage.WithEXIF(madeJPEG(9, 5, 80), 6)
	grid := heifOf{brand: "heic", kind: "grid", tiles: []string{"hvc1", "hvc1"}, own: [][]byte{ispe(90, 50)}, idat: gridData(1, 2, 90, 50)}
	return []headerCase{
		{name: "jpeg", data: madeJPEG(9, 5, 80), want: with(still(JPEG, 9, 5), quality(80))},
		{name: "jpeg oriented", data: oriented, want: with(with(still(JPEG, 9, 5), quality(80)), turned)},
		{name: "png", data: madePNG(9, 5), want: still(PNG, 9, 5)},
		{name: "png alpha", data: testimage.PNG(testimage.Alpha(9, 5)), want: with(still(PNG, 9, 5), alpha)},
		{name: "png with one transparent colour", data: withPNGChunk(madePNG(9, 5), "tRNS", make([]byte, 6)), want: with(still(PNG, 9, 5), alpha)},
		{name: "png oriented", data: withPNGChunk(madePNG(9, 5), "eXIf", exif), want: with(still(PNG, 9, 5), turned)},
		{name: "png with a text", data: withPNGChunk(madePNG(9, 5), "iTXt", concat([]byte("k\x00\x01\x00l\x00t\x00"), deflated(1000))), want: still(PNG, 9, 5)},
		{name: "gif", data: gifOf(9, 5, [4]int{0, 0, 9, 5}), want: still(GIF, 9, 5)},
		{name: "gif animated", data: testimage.GIF(plain, plain, plain), want: with(with(still(GIF, 9, 5), frames(3)), alpha)},
		{name: "gif transparent", data: testimage.GIF(testimage.Flat(9, 5, color.NRGBA{})), want: with(still(GIF, 9, 5), alpha)},
		{name: "webp lossy", data: webpOf(vp8(9, 5)), want: still(WebP, 9, 5)},
		{name: "webp lossless", data: webpOf(vp8l(9, 5, true)), want: with(still(WebP, 9, 5), alpha)},
		{name: "webp oriented", data: webpOf(vp8x(8, 9, 5), vp8(9, 5), webpChunk("EXIF", exif)), want: with(still(WebP, 9, 5), turned)},
		{name: "webp animated", data: webpOf(vp8x(webpAnimated|webpAlpha, 9, 5), webpChunk("ANIM", make([]byte, 6)), anmf(0, 0, 9, 5, vp8l(9, 5, false)), anmf(2, 2, 3, 3, vp8(3, 3))), want: with(with(still(WebP, 9, 5), frames(2)), alpha)},
		{name: "avif", data: heifOf{brand: "avif", kind: "av01", own: [][]byte{ispe(9, 5)}}.file(), want: still(AVIF, 9, 5)},
		{name: "avif with a smaller other", data: heifOf{brand: "avif", kind: "av01", others: [][]byte{ispe(3, 3)}, own: [][]byte{ispe(9, 5)}}.file(), want: still(AVIF, 9, 5)},
		{name: "avif alpha", data: heifOf{brand: "avif", kind: "av01", own: [][]byte{ispe(9, 5)}, others: [][]byte{isoBox("auxC", be32(0), alphaAuxiliaries[0])}}.file(), want: with(still(AVIF, 9, 5), alpha)},
		{name: "heic turned is as shown", data: heifOf{brand: "heic", kind: "hvc1", own: [][]byte{ispe(9, 5), irot(1)}}.file(), want: still(HEIC, 5, 9)},
		{name: "heic upside down", data: heifOf{brand: "heic", kind: "hvc1", own: [][]byte{ispe(9, 5), irot(2)}}.file(), want: still(HEIC, 9, 5)},
		{name: "heic grid", data: grid.file(), want: still(HEIC, 90, 50)},
		{name: "container brand, codec by item", data: heifOf{brand: "mif1", kind: "av01", own: [][]byte{ispe(9, 5)}}.file(), want: still(AVIF, 9, 5)},
		{name: "tiff little endian", data: tiffOf(binary.LittleEndian, 0, tiffSize(9, 5)...), want: still(TIFF, 9, 5)},
		{name: "tiff big endian, oriented, alpha", data: tiffOf(binary.BigEndian, 0, append(tiffSize(9, 5), tiffField{tagOrientation, kindShort, 1, 6}, tiffField{tagExtra, kindShort, 1, 2})...), want: with(with(still(TIFF, 9, 5), turned), alpha)},
		{name: "bmp", data: bmpOf(9, 5, 24, 0), want: still(BMP, 9, 5)},
		{name: "bmp from the top", data: bmpOf(9, -5, 32, 0), want: still(BMP, 9, 5)},
	}
}

func TestReadHeaderAccepts(t *testing.T) { checkHeaders(t, goodFiles()) }

func TestSniffGoodFiles(t *testing.T) {
	for _, c := range goodFiles() {
		want := c.want.Format
		if c.name == "container brand, codec by item" {
			want = HEIC
		}
		if got := Sniff(c.data); got != want {
			t.Errorf("%s: sniffed %v, want %v", c.name, got, want)
		}
	}
}

func TestReadHeaderRefusesTypes(t *testing.T) {
	checkHeaders(t, []headerCase{
		{name: "nothing", fails: ErrUnsupported},
		{name: "svg", data: []byte("\xef\xbb\xbf <?xml version='1.0'?><svg/>"), fails: ErrUnsupported},
		{name: "html", data: []byte("<html></html>"), fails: ErrUnsupported},
		{name: "pdf", data: []byte("%PDF-1.7"), fails: ErrUnsupported},
		{name: "jxl", data: []byte("\xff\x0a\x00\x00"), fails: ErrUnsupported},
		{name: "jxl in a container", data: []byte("\x00\x00\x00\x0cJXL \r\n\x87\n"), fails: ErrUnsupported},
		{name: "jp2", data: []byte("\x00\x00\x00\x0cjP  \r\n\x87\n"), fails: ErrUnsupported},
		{name: "imagemagick script", data: []byte("push graphic-context\nimage over 0,0 0,0 'url'"), fails: ErrUnsupported},
		{name: "portable pixmap", data: []byte("P6 1 1 255\nabc"), fails: ErrUnsupported},
		{name: "video", data: isoBox("ftyp", []byte("isom"), be32(0)), fails: ErrUnsupported},
		{name: "bigtiff", data: []byte("II+\x00\x08\x00\x00\x00"), fails: ErrUnsupported},
	})
}

func TestSniffNamesRefusedFormats(t *testing.T) {
	for data, want := range map[string]Format{"\xff\x0a": JXL, "<svg>": SVG, "%PDF": Source, "": Source, "\xff\xd8": Source} {
		if got := Sniff([]byte(data)); got != want {
			t.Errorf("Sniff(%q) is %v, want %v", data, got, want)
		}
	}
}

// Whatever is cut off, the answer is the whole file's header or a refusal; a picture is never smaller or of another type.
func TestTruncatedAnywhere(t *testing.T) {
	for _, c := range goodFiles() {
		t.Run(c.name, func(t *testing.T) {
			for n := range c.data {
				got, err := ReadHeader(c.data[:n])
				if err == nil && (got.Format != c.want.Format || got.Width != c.want.Width || got.Height != c.want.Height) {
					t.Fatalf("%d of %d bytes: %+v, want %+v or an error", n, len(c.data), got, c.want)
				}
				if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
					t.Fatalf("%d of %d bytes: %v", n, len(c.data), err)
				}
			}
		})
	}
}

// Half of a photo is served, so its header must be readable from half of it.
func TestHalfIsEnough(t *testing.T) {
	photo := testimage.Photo(64, 48, 1)
	lossless := webpOf(webpChunk("VP8L", concat(vp8l(64, 48, false)[8:], make([]byte, 4000))))
	for name, data := range map[string][]byte{
		"jpeg": testimage.JPEG(photo, 80), "png": testimage.PNG(photo), "gif": testimage.GIF(photo), "webp": lossless,
	} {
		h, err := ReadHeader(data[:len(data)/2])
		if err != nil || h.Width != 64 || h.Height != 48 {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// A reader keeps nothing of the file: a file of a great many parts takes no more memory than a small one.
func TestMemoryIsBounded(t *testing.T) {
	const parts = 20000
	many := func(part []byte) []byte { return bytes.Repeat(part, parts) }
	avif := heifOf{brand: "avif", kind: "av01", own: [][]byte{ispe(9, 5)}, metaTail: many(isoBox("free"))}
	png := pngOf(9, 5, 8, 2)
	texts := bytes.Repeat(pngChunk("zTXt", concat([]byte("k\x00\x00"), deflated(4000))), 500)
	frame := gifOf(1, 1, [4]int{0, 0, 1, 1})[13:27]
	for name, data := range map[string][]byte{
		"jpeg": concat([]byte{0xFF, markerSOI}, many([]byte{0xFF, 0xFE, 0, 2}), madeJPEG(9, 5, 80)[2:]),
		"png":  concat(png[:33], texts, many(pngChunk("prVt", nil)), png[33:]),
		"gif":  concat(gifOf(1, 1)[:13], many(frame)),
		"webp": webpOf(vp8x(webpAnimated, 9, 5), many(anmf(0, 0, 9, 5, vp8(9, 5)))),
		"avif": concat(avif.file(), many(isoBox("free"))),
		"tiff": tiffOf(binary.LittleEndian, 0, append(tiffSize(9, 5), make([]tiffField, 500)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ReadHeader(data)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Errorf("%d bytes of memory for a file of %d parts; at most 65536 are allowed", got, parts)
			}
		})
	}
}

func TestFilesOfManyFramesAreCounted(t *testing.T) {
	frames := make([][4]int, 3000)
	for i := range frames {
		frames[i] = [4]int{0, 0, 1, 1}
	}
	got, err := ReadHeader(gifOf(4000, 4000, frames...))
	if err != nil || got.Frames != 3000 {
		t.Fatalf("%+v, %v", got, err)
	}
	if !DefaultLimits().StillOnly(got) {
		t.Error("3000 frames of 16 megapixels are to be decoded")
	}
}

func TestUpright(t *testing.T) {
	for orientation := 1; orientation <= 8; orientation++ {
		h, err := ReadHeader(testimage.WithEXIF(madeJPEG(9, 5, 80), orientation))
		if err != nil {
			t.Fatal(err)
		}
		want := image.Pt(9, 5)
		if orientation > 4 {
			want = image.Pt(5, 9)
		}
		if w, h := h.Upright(); image.Pt(w, h) != want {
			t.Errorf("orientation %d: %dx%d, want %v", orientation, w, h, want)
		}
	}
}

func deflated(n int) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	// A bytes.Buffer never fails.
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return b.Bytes()
}

func FuzzSniff(f *testing.F) {
	for _, c := range goodFiles() {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Sniff(data)
		if got == Auto || got >= numFormats {
			t.Fatalf("sniffed %d", got)
		}
		if again := Sniff(data[:min(len(data), sniffBytes)]); again != got {
			t.Fatalf("the first %d bytes are %v, the file is %v", sniffBytes, again, got)
		}
	})
}

func FuzzReadHeader(f *testing.F) {
	for _, c := range goodFiles() {
		f.Add(c.data)
	}
	for _, data := range corpusFiles(f, "hostile") {
		if len(data) <= 8<<10 { // large seeds make slow mutations
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ReadHeader(data)
		if err != nil {
			if h != (Header{}) || !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("%+v, %v", h, err)
			}
			return
		}
		switch {
		case headerReaders[h.Format] == nil:
			t.Fatalf("format %s", h.Format)
		case h.Width < 1 || h.Height < 1 || h.Width > maxHeaderSide || h.Height > maxHeaderSide:
			t.Fatalf("%d x %d pixels", h.Width, h.Height)
		case h.Frames < 1 || h.Frames > len(data):
			t.Fatalf("%d frames in %d bytes", h.Frames, len(data))
		case h.Orientation < 1 || h.Orientation > 8:
			t.Fatalf("orientation %d", h.Orientation)
		case h.Quality < 0 || h.Quality > 100:
			t.Fatalf("quality %d", h.Quality)
		}
	})
}
