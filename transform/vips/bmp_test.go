package vips

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/draw"
	"runtime"
	"testing"

	"golang.org/x/image/bmp"

	"deckle/transform"
)

// bitmap is a BMP of w x h pixels, top down where h is negative, whose bytes count up.
func bitmap(w, h, depth, headerSize int) []byte {
	colours := 0
	if depth <= 8 {
		colours = 1 << depth
	}
	le := binary.LittleEndian
	file := append([]byte("BM"), make([]byte, 8)...)
	file = le.AppendUint32(file, uint32(14+headerSize+4*colours))
	info := le.AppendUint32(nil, uint32(headerSize))
	info = le.AppendUint32(le.AppendUint32(info, uint32(w)), uint32(h))
	info = le.AppendUint16(le.AppendUint16(info, 1), uint16(depth))
	info = append(info, make([]byte, headerSize-len(info))...)
	file = append(file, info...)
	for i := range 4*colours + (w*depth+31)/32*4*max(h, -h) {
		file = append(file, byte(i*7+i>>8))
	}
	return file
}

func TestDecodeBMP(t *testing.T) {
	for _, depth := range []int{1, 2, 4, 8, 24, 32} {
		for _, height := range []int{7, -7} {
			for _, size := range []int{40, 124} {
				data := bitmap(13, height, depth, size)
				h, err := transform.ReadHeader(data)
				if err != nil {
					t.Fatal(err)
				}
				decoded, err := bmp.Decode(bytes.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				want := image.NewNRGBA(decoded.Bounds())
				draw.Draw(want, want.Rect, decoded, image.Point{}, draw.Src)
				pixels, bands := decodeBMP(data, h)
				if bands == 3 {
					pixels = addAlpha(nil, pixels, 3)
				}
				if want.Opaque() != (bands == 3) || !bytes.Equal(pixels, want.Pix) {
					t.Errorf("%d bits, height %d, header of %d: %d bands\n%v\nwant\n%v", depth, height, size, bands, pixels, want.Pix)
				}
			}
		}
	}
}

// TestDecodeBMPMemory has a scan of one bit a pixel take the memory of its colours, and no more.
func TestDecodeBMPMemory(t *testing.T) {
	data := bitmap(4000, 3000, 1, 40)
	h, err := transform.ReadHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decodeBMP(data, h)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 3*4000*3000+1<<20 {
		t.Errorf("it took %d bytes", took)
	}
}
