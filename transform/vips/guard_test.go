package vips

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	libvips "github.com/cshum/vipsgen/vips816"
	"go.uber.org/goleak"

	"deckle/internal/testimage"
	"deckle/transform"
)

func TestSIMDIsOn(t *testing.T) {
	if !simd() {
		t.Error("libvips runs without vector instructions: renders take 1.6 times the CPU")
	}
	if v := Version(); v != libvips.Version || !strings.HasPrefix(v, "8.") {
		t.Errorf("runs %s, compiled against %s", v, libvips.Version)
	}
}

func TestEveryOutputFormatIsWritten(t *testing.T) {
	for _, f := range transform.OutputFormats() {
		if !engine.Writes(f) {
			t.Errorf("%s cannot be written; deploy/libvips.sh promises it", f)
		}
	}
	for _, f := range []transform.Format{transform.Source, transform.Auto, transform.BMP, transform.SVG} {
		if engine.Writes(f) {
			t.Errorf("%s is no output format", f)
		}
	}
}

// decoys are whole little files of types that libvips can read with loaders it does not trust, under a picture's name.
var decoys = map[string][]byte{
	"ppm":      []byte("P6\n2 2\n255\n\xff\x00\x00\x00\xff\x00\x00\x00\xff\xff\xff\xff"),
	"pgm":      []byte("P2\n2 2\n255\n0 64 128 255\n"),
	"pfm":      append([]byte("PF\n1 1\n-1.0\n"), make([]byte, 12)...),
	"radiance": []byte("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n\x80\x80\x80\x80"),
	"matlab":   append([]byte(fmt.Sprintf("%-124s", "MATLAB 5.0 MAT-file")), 0, 1, 'I', 'M', 14, 0, 0, 0, 0, 0, 0, 0),
	"svg":      []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>`),
	"vips":     append([]byte{0xb6, 0xa6, 0xf2, 0x08}, make([]byte, 200)...),
	"jp2":      []byte("\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 \x00\x00\x00\x00jp2 "),
	"pdf":      []byte("%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>"),
	"mvg":      []byte("push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 'x'\npop graphic-context\n"),
	"exr":      {0x76, 0x2f, 0x31, 0x01, 2, 0, 0, 0},
	"fits":     []byte("SIMPLE  =                    T / file conforms to FITS standard"),
	"csv":      []byte("1,2,3\n4,5,6\n"),
	"gzip":     {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3},
	"html":     []byte("<!doctype html><title>cat.jpg</title>"),
	"empty":    {},
}

func TestDecoysAreRefused(t *testing.T) {
	for name, body := range decoys {
		t.Run(name, func(t *testing.T) {
			if _, err := engine.Render(context.Background(), body, transform.Spec{Format: transform.PNG}); !errors.Is(err, transform.ErrUnsupported) {
				t.Errorf("render: %v, want ErrUnsupported", err)
			}
			if len(body) == 0 {
				return
			}
			// Even asked by itself, without our look at the header, libvips opens none of them.
			if img, err := libvips.NewImageFromBuffer(body, nil); err == nil {
				img.Close()
				t.Error("libvips opened it")
			}
		})
	}
}

// The decoys above prove the block only if libvips would read such bytes without it.
func TestBlockIsWhatRefusesDecoys(t *testing.T) {
	const class = "VipsForeignLoadRad"
	allow(class, true)
	defer allow(class, false)
	img, err := libvips.NewImageFromBuffer(decoys["radiance"], nil)
	if err != nil {
		t.Fatalf("unblocked, libvips does not read the decoy: %v", err)
	}
	img.Close()
}

func TestErrors(t *testing.T) {
	photo := testimage.Photo(300, 200, 1)
	png := testimage.PNG(photo)
	lie := slices.Clone(png)
	binary.BigEndian.PutUint32(lie[16:], 20000)
	binary.BigEndian.PutUint32(lie[29:], crc32.ChecksumIEEE(lie[12:29]))
	wide, err := New(Config{Limits: transform.Limits{SourceBytes: 1 << 20, SourcePixels: 50_000, SourceSide: 1000, OutputSide: 100}})
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(png)
	copy(broken[60:], bytes.Repeat([]byte{0xa5}, 4000))
	tests := []struct {
		name   string
		engine *Engine
		source []byte
		spec   transform.Spec
		want   error
	}{
		{"declared side", engine, lie, transform.Spec{}, transform.ErrLimit},
		{"pixels", wide, png, transform.Spec{}, transform.ErrLimit},
		{"bytes", wide, make([]byte, 2<<20), transform.Spec{}, transform.ErrLimit},
		{"half a header", engine, png[:20], transform.Spec{}, transform.ErrMalformed},
		{"an output that is only read", engine, png, transform.Spec{Format: transform.BMP}, transform.ErrFormat},
		{"svg asked for", engine, png, transform.Spec{Format: transform.SVG}, transform.ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.engine.Render(context.Background(), tt.source, tt.spec)
			if !errors.Is(err, tt.want) || p != nil {
				t.Errorf("got %v, %v; want %v", p, err, tt.want)
			}
		})
	}
	if _, err := engine.Render(context.Background(), broken, transform.Spec{Width: 30}); err != nil && !errors.Is(err, transform.ErrMalformed) {
		t.Errorf("broken pixels: %v", err)
	}
	var miss *transform.SpecError
	if _, err := engine.Render(context.Background(), png, transform.Spec{Crop: transform.Crop{X: 900, W: 5, H: 5}}); !errors.As(err, &miss) {
		t.Errorf("crop beside the picture: %v", err)
	}
}

// A fault in Go code under a render is that render's error.
func TestPanicBecomesAnError(t *testing.T) {
	defer func(before []step) { steps = before }(steps)
	steps = append(slices.Clone(steps), step{"fault", func(*render) error { panic("fault") }})
	base := ReadMemory()
	p, err := engine.Render(context.Background(), testimage.PNG(testimage.Quadrants(20, 20)), transform.Spec{})
	var fault *transform.PanicError
	if p != nil || !errors.As(err, &fault) || fault.Value != "fault" {
		t.Errorf("got %v, %v", p, err)
	}
	checkMemory(t, base)
}

func TestConfigBounds(t *testing.T) {
	for _, bad := range []Effort{{WebP: 7}, {AVIF: -1}, {PNG: 10}, {GIF: 11}, {JXL: 10}} {
		if _, err := New(Config{Limits: transform.DefaultLimits(), Effort: bad}); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	for _, side := range []int{0, -1, 16384} {
		limits := transform.DefaultLimits()
		limits.OutputSide = side
		if _, err := New(Config{Limits: limits}); err == nil {
			t.Errorf("output side %d was accepted", side)
		}
	}
}

// A source cut off in the middle is shown as far as it goes, as browsers do.
func TestTruncatedSources(t *testing.T) {
	original := testimage.Photo(300, 200, 5)
	for format, source := range sources(t, original) {
		for _, part := range []int{30, 60, 95} {
			cut := source[:len(source)*part/100]
			p, err := engine.Render(context.Background(), cut, transform.Spec{Format: transform.PNG, Width: 100})
			if err != nil && !errors.Is(err, transform.ErrMalformed) {
				t.Errorf("%s, %d%%: %v", format, part, err)
			}
			if err == nil && (p.Width != 100 || p.Height != 67) {
				t.Errorf("%s, %d%%: %dx%d", format, part, p.Width, p.Height)
			}
			if err != nil && format == transform.JPEG {
				t.Errorf("a JPEG that ends after %d%% is refused: %v", part, err)
			}
		}
	}
}

// Whatever a picture's file says beside its pixels stays out of what is served.
func TestMetadataIsStripped(t *testing.T) {
	source := testimage.WithGPS(testimage.JPEG(testimage.Photo(200, 150, 1), 90), 6)
	packet := []byte("http://ns.adobe.com/xap/1.0/\x00<?xpacket begin='' id='W5M0'?><x:xmpmeta/><?xpacket end='w'?>")
	segment := append(binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(packet)+2)), packet...)
	source = slices.Concat(source[:2], segment, source[2:])
	for _, f := range transform.OutputFormats() {
		body := mustRender(t, source, transform.Spec{Format: f, Width: 100}).Body
		for _, mark := range []string{"Exif\x00\x00", "EXIF", "eXIf", "GPS", "xpacket", "ns.adobe.com", "ICC_PROFILE", "iCCP", "ICCP", "acsp", "libvips"} {
			if bytes.Contains(body, []byte(mark)) {
				t.Errorf("%s contains %q", f, mark)
			}
		}
	}
}

func TestConcurrentRenders(t *testing.T) {
	defer goleak.VerifyNone(t)
	photo := testimage.Photo(500, 350, 1)
	list := sources(t, photo)
	want := map[transform.Format][]byte{}
	spec := transform.Spec{Format: transform.WebP, Width: 120}
	for f, source := range list {
		want[f] = mustRender(t, source, spec).Body
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 3 {
				for f, source := range list {
					p, err := engine.Render(context.Background(), source, spec)
					if err != nil || !bytes.Equal(p.Body, want[f]) {
						t.Errorf("%s: another result than alone: %v", f, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// Everything libvips holds for a render is given back by its end, whether it succeeds or fails on the way.
func TestMemoryReturns(t *testing.T) {
	photo := testimage.Photo(400, 300, 1)
	list := sources(t, photo)
	list[transform.TIFF] = append(list[transform.TIFF][:len(list[transform.TIFF])/2:len(list[transform.TIFF])/2], 0)
	base := ReadMemory()
	for range 5 {
		for _, source := range list {
			for _, spec := range []transform.Spec{
				{Width: 100}, {Format: transform.WebP, Width: 90, Rotate: 90, Blur: 200},
				{Format: transform.PNG, Fit: transform.FitCanvas, Width: 90, Height: 90, Background: transform.Background{Set: true, A: 90}},
				{Crop: transform.Crop{X: 5000, W: 1, H: 1}},
			} {
				_, _ = engine.Render(context.Background(), source, spec) // some fail, on purpose
			}
		}
	}
	checkMemory(t, base)
	if ReadMemory().Highwater == 0 {
		t.Error("libvips counts nothing")
	}
}

// checkMemory waits for libvips to hold what it held before. Its worker threads free their last small buffers just after the
// render that used them has returned.
func checkMemory(t *testing.T, base Memory) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	now := ReadMemory()
	for now.Bytes > base.Bytes || now.Allocs > base.Allocs || now.Files > base.Files { // what came before may still be going
		if time.Now().After(deadline) {
			t.Fatalf("libvips holds %+v, held %+v before", now, base)
		}
		runtime.Gosched()
		now = ReadMemory()
	}
}
