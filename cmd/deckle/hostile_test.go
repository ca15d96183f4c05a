package main

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deckle/internal/testimage"
)

// pngFile builds a PNG of an 8-bit grey picture from a declared size and the bytes of its only IDAT.
func pngFile(width, height uint32, idat []byte, extra ...[]byte) []byte {
	header := make([]byte, 13)
	binary.BigEndian.PutUint32(header, width)
	binary.BigEndian.PutUint32(header[4:], height)
	header[8] = 8
	file := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", header)...)
	for _, e := range extra {
		file = append(file, e...)
	}
	return append(append(file, chunk("IDAT", idat)...), chunk("IEND", nil)...)
}

func chunk(kind string, data []byte) []byte {
	c := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	c = append(append(c, kind...), data...)
	return binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
}

func deflated(n int) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(make([]byte, n)); err != nil {
		panic(err) // a buffer takes everything
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// hostileFiles are made here: declared sizes that no memory holds, types in disguise, and broken structure.
func hostileFiles() map[string][]byte {
	jpeg := testimage.JPEG(testimage.Quadrants(40, 30), 80)
	huge := chunk("tEXt", nil)
	binary.BigEndian.PutUint32(huge, 0x7fffffff) // a length that is not there
	return map[string][]byte{
		"bomb.png":          pngFile(60000, 60000, deflated(1000)),
		"lie.png":           pngFile(1<<31-1, 1<<31-1, deflated(10)),
		"zero.png":          pngFile(0, 10, deflated(10)),
		"chunk.png":         append([]byte("\x89PNG\r\n\x1a\n"), huge...),
		"decoy.ppm":         []byte("P6 10 10 255\n" + string(make([]byte, 300))),
		"decoy.hdr":         []byte("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n" + string(make([]byte, 64))),
		"decoy.svg":         []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>`),
		"decoy.pdf":         []byte("%PDF-1.4\n1 0 obj\n<<>>\nendobj\n"),
		"decoy.mat":         append([]byte("MATLAB 5.0 MAT-file"), make([]byte, 200)...),
		"page.html":         []byte("<!DOCTYPE html><script>alert(1)</script>"),
		"empty":             {},
		"one":               {0xff},
		"cut.jpg":           jpeg[:30],
		"gif43.gif":         []byte("GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02D\x01\x00;"),
		"scans.jpg":         append(append([]byte{}, jpeg[:len(jpeg)-2]...), bytes.Repeat([]byte("\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"), 3000)...),
		"segments.jpg":      slices.Concat(jpeg[:2], bytes.Repeat([]byte("\xff\xe2\x00\x03x"), 30_000), jpeg[2:]),
		"bmp.bmp":           append([]byte("BM"), bytes.Repeat([]byte{0xff}, 60)...),
		"tiff.tif":          []byte("II*\x00\x08\x00\x00\x00\x01\x00\x00\x01\x04\x00\x01\x00\x00\x00\xff\xff\xff\x7f\x08\x00\x00\x00"),
		"webp.webp":         []byte("RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"),
		"avif.avif":         []byte("\x00\x00\x00\x18ftypavif\x00\x00\x00\x00avifmif1\x00\x00\x00\x00meta"),
		"negative-size.bmp": append([]byte("BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00\x18\x00"), make([]byte, 32)...),
	}
}

// TestHostileFiles drops hostile files into the store, as an upstream might hold them, and asks for renderings: each is
// refused with a 4xx, none is passed on, and the server goes on. Pictures known to be hostile or odd from other projects join
// in where they are kept beside the repository; some of those are harmless and may be rendered.
func TestHostileFiles(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data)
	d.upload("cat", testimage.JPEG(testimage.Quadrants(40, 30), 80), false)
	token, _ := d.token("up", false) // a refused upload frees it, so that one is enough
	for name, file := range hostileFiles() {
		if err := os.WriteFile(filepath.Join(data, "originals", name), file, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"_100_100.webp", ".png", ".jpg"} {
			if got := d.get("/" + name + suffix); got.status < 400 || got.status > 499 {
				t.Errorf("%s%s: %d %v, want a refusal", name, suffix, got.status, got.err)
			}
		}
		got := request("POST", d.edge+"/up", bytes.NewReader(file), "X-Token", token)
		if got.status < 400 || got.status > 499 || got.status == 403 {
			t.Errorf("upload of %s: %d %v %s", name, got.status, got.err, got.body)
		}
	}
	kept, err := filepath.Glob("../../../shared/corpus/hostile/*")
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range kept {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("kept%d", i)
		if err := os.WriteFile(filepath.Join(data, "originals", id), file, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := d.get("/" + id + "_100_100.webp"); got.status == 0 || got.status >= 500 {
			t.Errorf("%s: %d %v", filepath.Base(path), got.status, got.err)
		}
	}
	if len(kept) > 0 {
		t.Logf("%d files from elsewhere joined in", len(kept))
	}
	d.mustGet("/cat_20_20.webp", "render")
	if got := d.metric("process_resident_memory_bytes"); got > 1<<30 {
		t.Errorf("the server has grown to %.0f MB", got/(1<<20))
	}
}

// manyFrames is an animated WebP (RFC 9649) of n frames of one black pixel. Its lossless picture has no transform and no
// cache; each of its five codes is a simple one of one symbol, 0.
func manyFrames(n int) []byte {
	part := func(name string, body []byte) []byte {
		c := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body)))
		return append(c, body...)
	}
	const atOrigin, onePixel, milliseconds = "\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00", "\x64\x00\x00\x00"
	picture := part("VP8L", []byte("\x2f\x00\x00\x00\x00\x88\x88\x08"))
	frame := part("ANMF", append([]byte(atOrigin+onePixel+milliseconds), picture...))
	canvas := part("VP8X", []byte("\x02\x00\x00\x00\x63\x00\x00\x63\x00\x00")) // animated, 100 x 100
	return part("RIFF", slices.Concat([]byte("WEBP"), canvas, part("ANIM", make([]byte, 6)), bytes.Repeat(frame, n)))
}

// TestManyFrames asks for a still picture of an animation that is too long to be shown. Decoders take a time for each frame
// that grows with its number: all of them together would take far longer than a rendering may.
func TestManyFrames(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data)
	if err := os.WriteFile(filepath.Join(data, "originals", "film"), manyFrames(200_000), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/film_50_50.webp", "/film_40_40.jpg", "/film_40_40.gif"} {
		if got := d.get(path); got.status != 200 {
			t.Errorf("%s: %d %v %s", path, got.status, got.err, got.body)
		}
	}
	token, _ := d.token("up", false)
	if got := request("POST", d.edge+"/up", bytes.NewReader(manyFrames(200_000)), "X-Token", token); got.status != 200 {
		t.Errorf("upload: %d %v %s", got.status, got.err, got.body)
	}
}

// longProfile is an ICC profile (ICC.1:2022) whose perceptual table is a chain of n elements, all of them the same 60 bytes: a
// matrix that changes nothing.
func longProfile(n int) []byte {
	number := func(b []byte, list ...uint32) []byte {
		for _, v := range list {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	const one = 0x3f800000 // as a float
	head := uint32(16 + 8*n)
	chain := number([]byte("mpet\x00\x00\x00\x00\x00\x03\x00\x03"), uint32(n))
	chain = append(chain, bytes.Repeat(number(nil, head, 60), n)...)
	chain = number(append(chain, "matf\x00\x00\x00\x00\x00\x03\x00\x03"...), one, 0, 0, 0, one, 0, 0, 0, one, 0, 0, 0)
	table := append([]byte("mft2\x00\x00\x00\x00\x03\x03\x02\x00"), number(nil, 1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<16, 2<<16|2)...)
	table = append(append(table, bytes.Repeat([]byte{0, 0, 0xff, 0xff}, 3)...), make([]byte, 48)...)
	table = append(table, bytes.Repeat([]byte{0, 0, 0xff, 0xff}, 3)...)

	const header, tags = 128, 4 + 2*12
	p := make([]byte, header)
	copy(p[4:], "none\x04\x40\x00\x00mntrRGB Lab ")
	copy(p[36:], "acspMSFT")
	copy(p[68:], number(nil, 0xf6d6, 0x10000, 0xd32d)) // the white of D50
	p = number(p, 2)
	p = number(append(p, "A2B0"...), header+tags, uint32(len(table)))
	p = number(append(p, "D2B0"...), header+tags+uint32(len(table)), uint32(len(chain)))
	p = append(append(p, table...), chain...)
	copy(p, number(nil, uint32(len(p))))
	return p
}

// TestLongProfile asks for a rendering of a picture of some kilobytes whose colours would take minutes to compute.
func TestLongProfile(t *testing.T) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(longProfile(200_000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const colours = 2
	file := pngFile(64, 64, deflated(64*(3*64+1)), chunk("iCCP", append([]byte("x\x00\x00"), packed.Bytes()...)))
	at := bytes.Index(file, []byte("IHDR"))
	file[at+13] = colours
	binary.BigEndian.PutUint32(file[at+17:], crc32.ChecksumIEEE(file[at:at+17]))

	data := t.TempDir()
	d := start(t, "--data", data)
	if err := os.WriteFile(filepath.Join(data, "originals", "colours"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/colours_50_50.webp", "/colours_40_40.jpg"} {
		if got := d.get(path); got.status != 200 {
			t.Errorf("%s: %d %v %s", path, got.status, got.err, got.body)
		}
	}
}
