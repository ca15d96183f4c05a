package transform

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// tiffParts is a TIFF of w x h pixels whose n strips, 16 bytes each in the lists, are all the same JPEG.
func tiffParts(w, h, n int, jpeg []byte) []byte {
	fields := append(tiffSize(w, h), tiffField{tagCompression, kindShort, 1, compressionJPEG},
		tiffField{tagStrips, kindLong, n, 0}, tiffField{tagStripSizes, kindLong, n, 0})
	lists := len(tiffOf(binary.LittleEndian, 0, fields...))
	at := lists + 8*n
	fields[4].value, fields[5].value = lists, lists+4*n
	if n == 1 { // values that fit are where the offset would be
		fields[4].value, fields[5].value = at, len(jpeg)
	}
	return concat(tiffOf(binary.LittleEndian, 0, fields...), bytes.Repeat(le32(at), n), bytes.Repeat(le32(len(jpeg)), n), jpeg)
}

func TestTIFFParts(t *testing.T) {
	tiled := func(w, h, side, planes int) []byte {
		return tiffOf(binary.LittleEndian, 0, append(tiffSize(w, h), tiffField{tagSamples, kindShort, 1, 3},
			tiffField{tagPlanar, kindShort, 1, planes}, tiffField{tagTileWidth, kindShort, 1, side}, tiffField{tagTileHeight, kindShort, 1, side})...)
	}
	of := func(w, h int) Header {
		return Header{Format: TIFF, Width: w, Height: h, Frames: 1, Pages: 1, Orientation: 1}
	}
	plain := scansOf(markerSOF0, 7000, 7000, scanHeader(0, 63, 1, 2, 3))
	again := scansOf(markerSOF9, 7000, 7000, bytes.Repeat(scanHeader(0, 63, 1), 9))
	small := concat(scansOf(markerSOF0, 8, 8, scanHeader(0, 63, 1, 2, 3)), make([]byte, 999))
	checkHeaders(t, []headerCase{
		{name: "65536 tiles", data: tiled(256*16, 256*16, 16, 1), want: of(4096, 4096)},
		{name: "65537 tiles and more", data: tiled(256*16, 256*16+1, 16, 1), fails: ErrLimit},
		{name: "as many of each sample", data: tiled(256*16, 256*16, 16, planesApart), fails: ErrLimit},
		{name: "a JPEG", data: tiffParts(7000, 7000, 1, plain), want: of(7000, 7000)},
		{name: "a JPEG of many scans", data: tiffParts(7000, 7000, 1, again), fails: ErrLimit},
		{name: "a JPEG twice", data: tiffParts(7000, 14000, 2, plain), want: of(7000, 14000)},
		{name: "JPEGs of many scans together", data: tiffParts(7000, 7000, 3, plain), fails: ErrLimit},
		{name: "JPEGs that share their bytes", data: tiffParts(8, 64, 8, small), fails: ErrLimit},
		{name: "a JPEG that is none", data: tiffParts(8, 8, 1, []byte("none of them")), fails: ErrMalformed},
		{name: "JPEGs that are not there", data: tiffParts(8, 16, 2, nil), want: of(8, 16)},
	})
}
