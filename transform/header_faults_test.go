package transform

import (
	"bytes"
	"encoding/binary"
	"testing"

	"deckle/internal/testimage"
)

func TestJPEGFaults(t *testing.T) {
	good := madeJPEG(9, 5, 80)
	sof := bytes.Index(good, []byte{0xFF, markerSOF0})
	sos := bytes.Index(good, []byte{0xFF, markerSOS})
	edit := func(at int, b ...byte) []byte {
		data := bytes.Clone(good)
		copy(data[at:], b)
		return data
	}
	scan := good[sos : sos+2+int(binary.BigEndian.Uint16(good[sos+2:]))]
	extras := func(n int) []byte {
		return concat(good[:2], bytes.Repeat([]byte{0xFF, 0xE2, 0, 3, 'x'}, n), good[2:])
	}
	scans := func(n int) []byte { return concat(good[:sos], bytes.Repeat(scan, n), good[sos+len(scan):]) }
	huge := func(data []byte) []byte { copy(data[sof+5:], concat(be16(7000), be16(7000))); return data }
	checkHeaders(t, []headerCase{
		{name: "no picture", data: []byte{0xFF, markerSOI, 0xFF, markerEOI}, fails: ErrMalformed},
		{name: "only tables", data: good[:sof], fails: ErrMalformed},
		{name: "no scan", data: good[:sos], fails: ErrMalformed},
		{name: "scan before the frame header", data: concat(good[:2], scan, good[2:]), fails: ErrMalformed},
		{name: "no height", data: edit(sof+5, 0, 0), fails: ErrMalformed},
		{name: "no width", data: edit(sof+7, 0, 0), fails: ErrMalformed},
		{name: "height after the picture", data: concat(good[:sos], []byte{0xFF, markerDNL, 0, 4, 0, 5}, good[sos:]), fails: ErrUnsupported},
		{name: "lossless", data: edit(sof+1, 0xC3), fails: ErrUnsupported},
		{name: "hierarchical", data: edit(sof+1, 0xC5), fails: ErrUnsupported},
		{name: "arithmetic", data: edit(sof+1, markerSOF9), want: Header{Format: JPEG, Width: 9, Height: 5, Frames: 1, Pages: 1, Orientation: 1, Quality: 80}},
		{name: "12 bits", data: concat(edit(sof+1, markerSOF1)[:sof+4], []byte{12}, good[sof+5:]), fails: ErrUnsupported},
		{name: "12 bits baseline", data: edit(sof+4, 12), fails: ErrMalformed},
		{name: "no components", data: edit(sof+9, 0), fails: ErrMalformed},
		{name: "sampling 0", data: edit(sof+11, 0), fails: ErrMalformed},
		{name: "two frame headers", data: concat(good[:sos], good[sof:sof+19], good[sos:]), fails: ErrMalformed},
		{name: "picture within", data: concat(good[:sos], good), fails: ErrMalformed},
		{name: "segment beyond the end", data: edit(4, 0xFF, 0xFF), fails: ErrMalformed},
		{name: "segment without length", data: edit(4, 0, 1), fails: ErrMalformed},
		{name: "200 scans", data: scans(200), want: Header{Format: JPEG, Width: 9, Height: 5, Frames: 1, Pages: 1, Orientation: 1, Quality: 80}},
		{name: "201 scans", data: scans(201), fails: ErrLimit},
		{name: "scan of another length", data: edit(sos+3, 13), fails: ErrMalformed},
		{name: "scans of a large picture", data: huge(scans(5)), want: Header{Format: JPEG, Width: 7000, Height: 7000, Frames: 1, Pages: 1, Orientation: 1, Quality: 80}},
		{name: "too many scans of a large picture", data: huge(scans(9)), fails: ErrLimit},
		{name: "1000 application segments", data: extras(1000), want: Header{Format: JPEG, Width: 9, Height: 5, Frames: 1, Pages: 1, Orientation: 1, Quality: 80}},
		{name: "1001 application segments", data: extras(1001), fails: ErrLimit},
	})
}

func TestJPEGQualityIsTheEncoders(t *testing.T) {
	for quality := 1; quality <= 100; quality++ {
		h, err := ReadHeader(madeJPEG(9, 5, quality))
		if err != nil || h.Quality != quality {
			t.Errorf("quality %d was read as %d (%v)", quality, h.Quality, err)
		}
	}
}

func TestOrientation(t *testing.T) {
	for written, want := range map[int]int{0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 1, 65535: 1} {
		h, err := ReadHeader(testimage.WithEXIF(madeJPEG(9, 5, 80), written))
		if err != nil || h.Orientation != want {
			t.Errorf("orientation %d was read as %d, want %d (%v)", written, h.Orientation, want, err)
		}
	}
	long := tiffOf(binary.LittleEndian, 0, tiffField{tagOrientation, kindLong, 1, 8})
	for name, block := range map[string][]byte{
		"empty": nil, "another type of value": tiffOf(binary.LittleEndian, 0, tiffField{tagOrientation, 2, 1, 6}),
		"several values": tiffOf(binary.LittleEndian, 0, tiffField{tagOrientation, kindShort, 2, 6}),
		"cut off":        long[:12], "directory outside": concat(long[:4], le32(1000)),
	} {
		if got := exifOrientation(block); got != 1 {
			t.Errorf("%s: %d, want 1", name, got)
		}
	}
	if got := exifOrientation(long); got != 8 {
		t.Errorf("LONG: %d, want 8", got)
	}
}

func TestPNGFaults(t *testing.T) {
	good := madePNG(9, 5)
	wrongSum := bytes.Clone(good)
	wrongSum[29]++
	huge := concat(good[:33], be32(1<<30), []byte("juNK"), good[33:])
	text := func(n int) []byte { return concat([]byte("k\x00\x00"), deflated(n)) }
	half := withPNGChunk(withPNGChunk(good, "zTXt", text(maxPNGInflated/2+1)), "iCCP", text(maxPNGInflated/2+1))
	checkHeaders(t, []headerCase{
		{name: "only a signature", data: good[:8], fails: ErrMalformed},
		{name: "no picture", data: good[:33], fails: ErrMalformed},
		{name: "checksum", data: wrongSum, fails: ErrMalformed},
		{name: "another chunk first", data: concat(good[:8], pngChunk("gAMA", be32(1)), good[8:]), fails: ErrMalformed},
		{name: "apple", data: concat(good[:8], pngChunk("CgBI", be32(1)), good[8:]), fails: ErrUnsupported},
		{name: "no width", data: pngOf(0, 5, 8, 2), fails: ErrMalformed},
		{name: "side of 32 bits", data: pngOf(1<<31, 5, 8, 2), fails: ErrMalformed},
		{name: "side of 31 bits", data: pngOf(1<<31-1, 5, 8, 2), fails: ErrLimit},
		{name: "depth", data: pngOf(9, 5, 4, 2), fails: ErrMalformed},
		{name: "colour type", data: pngOf(9, 5, 8, 5), fails: ErrMalformed},
		{name: "unknown critical chunk", data: withPNGChunk(good, "HUGE", nil), fails: ErrMalformed},
		{name: "two headers", data: withPNGChunk(good, "IHDR", good[16:29]), fails: ErrMalformed},
		{name: "palette", data: withPNGChunk(good, "PLTE", make([]byte, 769)), fails: ErrMalformed},
		{name: "chunk beyond the end", data: huge, fails: ErrMalformed},
		{name: "metadata at the bound", data: withPNGChunk(good, "prVt", make([]byte, maxPNGMetadata)), want: still(PNG, 9, 5)},
		{name: "metadata beyond it", data: withPNGChunk(good, "prVt", make([]byte, maxPNGMetadata+1)), fails: ErrLimit},
		{name: "text at the bound", data: withPNGChunk(good, "zTXt", text(maxPNGInflated)), want: still(PNG, 9, 5)},
		{name: "text beyond it", data: withPNGChunk(good, "zTXt", text(maxPNGInflated+1)), fails: ErrLimit},
		{name: "profile beyond it", data: withPNGChunk(good, "iCCP", text(maxPNGInflated+1)), fails: ErrLimit},
		{name: "profile and text beyond it", data: half, fails: ErrLimit},
		{name: "international text beyond it", data: withPNGChunk(good, "iTXt", concat([]byte("k\x00\x01\x00\x00\x00"), deflated(maxPNGInflated+1))), fails: ErrLimit},
		{name: "plain international text", data: withPNGChunk(good, "iTXt", []byte("k\x00\x00\x00\x00\x00text")), want: still(PNG, 9, 5)},
		{name: "broken profile", data: withPNGChunk(good, "iCCP", []byte("k\x00\x00nonsense")), want: still(PNG, 9, 5)},
	})
}

func TestGIFFaults(t *testing.T) {
	codes := gifOf(9, 5, [4]int{0, 0, 9, 5})
	codes[23] = 12
	checkHeaders(t, []headerCase{
		{name: "no frame", data: gifOf(9, 5), fails: ErrMalformed},
		{name: "frame without size", data: gifOf(9, 5, [4]int{0, 0, 0, 5}), fails: ErrMalformed},
		{name: "unknown block", data: concat(gifOf(9, 5)[:13], []byte{0x42}), fails: ErrMalformed},
		{name: "codes of 12 bits", data: codes, fails: ErrMalformed},
		{name: "frame larger than the screen", data: gifOf(1, 1, [4]int{0, 0, 9, 5}), want: still(GIF, 9, 5)},
		{name: "frame beside the screen", data: gifOf(1, 1, [4]int{65535, 65535, 9, 5}), want: still(GIF, 65544, 65540)},
		{name: "no screen", data: gifOf(0, 0, [4]int{0, 0, 9, 5}), want: still(GIF, 9, 5)},
	})
}

func TestWebPFaults(t *testing.T) {
	sized := func(size int) []byte { return concat([]byte("RIFF"), le32(size), webpOf(vp8l(9, 5, false))[8:]) }
	animated := vp8x(webpAnimated, 9, 5)
	checkHeaders(t, []headerCase{
		{name: "no chunk", data: webpOf(), fails: ErrMalformed},
		{name: "stated size huge", data: sized(1<<32 - 1), fails: ErrMalformed},
		{name: "stated size nothing", data: sized(0), fails: ErrMalformed},
		{name: "other chunk first", data: webpOf(webpChunk("EXIF", nil), vp8(9, 5)), fails: ErrMalformed},
		{name: "second picture differs", data: webpOf(vp8x(0, 9, 5), vp8(9, 5), vp8(90, 50)), fails: ErrMalformed},
		{name: "picture larger than the canvas", data: webpOf(vp8x(0, 9, 5), vp8(90, 50)), fails: ErrMalformed},
		{name: "second canvas", data: webpOf(vp8x(0, 9, 5), vp8x(0, 90, 50), vp8(9, 5)), fails: ErrMalformed},
		{name: "canvas over 32 bits", data: webpOf(vp8x(0, 1<<24, 1<<24), vp8(9, 5)), fails: ErrMalformed},
		{name: "animated without frames", data: webpOf(animated), fails: ErrMalformed},
		{name: "animated with a picture", data: webpOf(animated, vp8(9, 5)), fails: ErrMalformed},
		{name: "frames in a still one", data: webpOf(vp8x(0, 9, 5), anmf(0, 0, 9, 5, vp8(9, 5))), fails: ErrMalformed},
		{name: "frame out of the canvas", data: webpOf(animated, anmf(2, 0, 9, 5, vp8(9, 5))), fails: ErrMalformed},
		{name: "frame and picture differ", data: webpOf(animated, anmf(0, 0, 9, 5, vp8(90, 50))), fails: ErrMalformed},
		{name: "frame without picture", data: webpOf(animated, anmf(0, 0, 9, 5, webpChunk("ALPH", make([]byte, 8)))), fails: ErrMalformed},
		{name: "no key frame", data: webpOf(webpChunk("VP8 ", concat([]byte{0x11}, vp8(9, 5)[9:]))), fails: ErrMalformed},
		{name: "no width", data: webpOf(vp8(0, 5)), fails: ErrMalformed},
		{name: "lossless of a later version", data: webpOf(webpChunk("VP8L", []byte{0x2F, 0, 0, 0, 0xE0, 0})), fails: ErrMalformed},
		{name: "metadata beyond the end", data: webpOf(vp8x(0, 9, 5), concat([]byte("ICCP"), le32(1<<30))), fails: ErrMalformed},
		{name: "second file behind", data: concat(webpOf(vp8(9, 5)), webpOf(vp8(90, 50))), want: still(WebP, 9, 5)},
	})
}

func TestHEIFFaults(t *testing.T) {
	base := heifOf{brand: "heic", kind: "hvc1", own: [][]byte{ispe(9, 5)}}
	of := func(change func(*heifOf)) []byte {
		m := base
		change(&m)
		return m.file()
	}
	grid := func(data []byte, tiles ...string) []byte {
		return of(func(m *heifOf) { m.kind, m.idat, m.tiles = "grid", data, tiles })
	}
	good := base.file()
	checkHeaders(t, []headerCase{
		{name: "only a brand", data: good[:24], fails: ErrMalformed},
		{name: "meta box beyond the end", data: concat(good[:24], be32(-1), []byte("meta\x00\x00\x00\x00")), fails: ErrMalformed},
		{name: "two meta boxes", data: concat(good, good[24:]), fails: ErrMalformed},
		{name: "part beyond the meta box", data: of(func(m *heifOf) { m.metaTail = concat(be32(99), []byte("free")) }), fails: ErrMalformed},
		{name: "two lists of items", data: of(func(m *heifOf) { m.metaTail = isoBox("iinf", be32(0), be16(0)) }), fails: ErrMalformed},
		{name: "jpeg inside", data: of(func(m *heifOf) { m.kind = "jpeg" }), fails: ErrUnsupported},
		{name: "uncompressed inside", data: of(func(m *heifOf) { m.kind = "unci" }), fails: ErrUnsupported},
		{name: "no size", data: of(func(m *heifOf) { m.own = nil }), fails: ErrMalformed},
		{name: "size of another item", data: of(func(m *heifOf) { m.others, m.own = m.own, nil }), fails: ErrMalformed},
		{name: "size 0", data: of(func(m *heifOf) { m.own = [][]byte{ispe(0, 5)} }), fails: ErrMalformed},
		{name: "size of 32 bits", data: of(func(m *heifOf) { m.own = [][]byte{ispe(-1, -1)} }), fails: ErrLimit},
		{name: "larger of two sizes", data: of(func(m *heifOf) { m.own = [][]byte{ispe(90, 50), ispe(9, 5)} }), want: still(HEIC, 90, 50)},
		{name: "huge other item", data: of(func(m *heifOf) { m.others = [][]byte{ispe(65535, 65535)} }), fails: ErrLimit},
		{name: "too many items", data: of(func(m *heifOf) { m.tiles = manyTiles(maxHEIFItems) }), fails: ErrLimit},
		{name: "grid without tiles", data: grid(gridData(1, 1, 9, 5)), fails: ErrMalformed},
		{name: "grid without data", data: grid(nil, "hvc1"), fails: ErrMalformed},
		{name: "grid of another size", data: grid(gridData(1, 1, 65535, 65535), "hvc1"), fails: ErrMalformed},
		{name: "grid of too many tiles", data: grid(gridData(64, 64, 9, 5), "hvc1"), fails: ErrLimit},
	})
}

func manyTiles(n int) []string {
	tiles := make([]string, n)
	for i := range tiles {
		tiles[i] = "hvc1"
	}
	return tiles
}

func TestTIFFFaults(t *testing.T) {
	of := func(next int, more ...tiffField) []byte {
		return tiffOf(binary.LittleEndian, next, append(tiffSize(9, 5), more...)...)
	}
	one := func(tag, value int) []byte { return of(0, tiffField{tag, kindShort, 1, value}) }
	emptyPage := le16(0)
	// Pages of no fields, each of 6 bytes, one after the other; the last leads on to where tail says.
	pages := func(n, tail int) []byte {
		data := of(0)
		data = concat(data[:len(data)-4], le32(len(data)))
		for i := range n {
			next := len(data) + 6
			if i == n-1 {
				next = tail
			}
			data = concat(data, emptyPage, le32(next))
		}
		return data
	}
	checkHeaders(t, []headerCase{
		{name: "directory outside", data: concat([]byte("II*\x00"), le32(99)), fails: ErrMalformed},
		{name: "no size", data: tiffOf(binary.LittleEndian, 0), fails: ErrMalformed},
		{name: "two widths", data: of(0, tiffField{tagWidth, kindLong, 2, 8}), fails: ErrMalformed},
		{name: "field longer than the file", data: of(0, tiffField{tagSamples + 1, kindLong, 1 << 31, 8}), fails: ErrMalformed},
		{name: "compression", data: one(tagCompression, 6), fails: ErrUnsupported},
		{name: "samples", data: one(tagSamples, 200), fails: ErrLimit},
		{name: "no samples", data: one(tagSamples, 0), fails: ErrMalformed},
		{name: "bits", data: one(tagBits, 64), fails: ErrLimit},
		{name: "tile", data: one(tagTileWidth, maxTIFFTile+1), fails: ErrLimit},
		{name: "many fields", data: of(0, make([]tiffField, maxTIFFEntries)...), fails: ErrLimit},
		{name: "next directory outside", data: of(1 << 20), fails: ErrMalformed},
		{name: "directory is its own next", data: of(8), fails: ErrMalformed},
		{name: "loop behind", data: pages(40, 46+6*20), fails: ErrMalformed},
		{name: "pages at the bound", data: pages(maxTIFFPages-1, 0), want: with(still(TIFF, 9, 5), func(h *Header) { h.Pages = maxTIFFPages })},
		{name: "pages beyond it", data: pages(maxTIFFPages, 0), fails: ErrLimit},
	})
}

func TestBMPFaults(t *testing.T) {
	edit := func(at int, b []byte) []byte {
		data := bmpOf(9, 5, 24, 0)
		copy(data[at:], b)
		return data
	}
	checkHeaders(t, []headerCase{
		{name: "only a header", data: bmpOf(9, 5, 24, 0)[:54], fails: ErrMalformed},
		{name: "run lengths", data: bmpOf(9, 5, 8, 1), fails: ErrUnsupported},
		{name: "16 bits", data: bmpOf(9, 5, 16, 0), fails: ErrUnsupported},
		{name: "old header", data: edit(14, le32(12)), fails: ErrUnsupported},
		{name: "header beyond the end", data: edit(14, le32(124))[:60], fails: ErrMalformed},
		{name: "two planes", data: edit(26, le16(2)), fails: ErrMalformed},
		{name: "no width", data: edit(18, le32(0)), fails: ErrMalformed},
		{name: "negative width", data: edit(18, le32(-9)), fails: ErrMalformed},
		{name: "least height", data: edit(22, le32(-1<<31)), fails: ErrMalformed},
		{name: "more pixels than bytes", data: edit(22, le32(1<<31-1)), fails: ErrMalformed},
		{name: "widest and highest", data: edit(18, concat(le32(1<<31-1), le32(1<<31-1))), fails: ErrMalformed},
		{name: "gap before the pixels", data: edit(10, le32(60)), fails: ErrUnsupported},
	})
}
