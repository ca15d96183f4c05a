package vips

import (
	"bytes"
	"encoding/binary"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// loadICO opens the largest picture of an icon: a PNG by libvips, a bitmap in Go.
func (r *render) loadICO(float64) error {
	picture, h, err := transform.LargestIcon(r.source)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(picture, []byte("\x89PNG")) {
		return r.opened(libvips.NewPngloadBuffer(picture, &libvips.PngloadBufferOptions{Access: libvips.AccessSequential}))
	}
	return r.adopt(decodeIcon(picture, h.Width, h.Height), h.Width, h.Height, 4)
}

// decodeIcon returns the pixels, RGBA, of a bitmap that LargestIcon has checked. Its rows run from the bottom up. Transparent
// is what its alpha channel says or, where it has none or one that is all zero, its mask.
func decodeIcon(data []byte, width, height int) []byte {
	const header = 40
	depth := int(binary.LittleEndian.Uint16(data[14:]))
	colours, row, maskRow := transform.IconLayout(width, depth, int(binary.LittleEndian.Uint32(data[32:])))
	palette := data[header : header+colours]
	rows := data[header+colours:]
	mask := rows[row*height:]
	pixels := make([]byte, 0, 4*width*height)
	opaque := depth < 32 || !hasAlpha(rows[:row*height])
	for y := height - 1; y >= 0; y-- {
		line := rows[y*row:]
		for x := range width {
			pixel := iconPixel(line, palette, x, depth)
			if opaque {
				pixel[3] = 255
				if at := y*maskRow + x/8; at < len(mask) && mask[at]>>(7-x%8)&1 != 0 {
					pixel[3] = 0
				}
			}
			pixels = append(pixels, pixel[:]...)
		}
	}
	return pixels
}

// iconPixel returns pixel x of a row as RGBA; its alpha is right only for 32 bits a pixel. A colour that the palette lacks is
// black.
func iconPixel(line, palette []byte, x, depth int) [4]byte {
	var bgra []byte
	switch depth {
	case 32:
		bgra = line[4*x:]
		return [4]byte{bgra[2], bgra[1], bgra[0], bgra[3]}
	case 24:
		bgra = line[3*x:]
	default:
		bit := x * depth
		index := int(line[bit/8]>>(8-depth-bit%8)) & (1<<depth - 1)
		if 4*index+4 > len(palette) {
			return [4]byte{}
		}
		bgra = palette[4*index:]
	}
	return [4]byte{bgra[2], bgra[1], bgra[0]}
}

func hasAlpha(bgra []byte) bool {
	for i := 3; i < len(bgra); i += 4 {
		if bgra[i] != 0 {
			return true
		}
	}
	return false
}
