package vips

import (
	"encoding/binary"

	"deckle/transform"
)

// loadBMP decodes in Go: libvips reads BMP only through ImageMagick, which stays blocked.
func (r *render) loadBMP(float64) error {
	pixels, bands := decodeBMP(r.source, r.header)
	return r.adopt(pixels, r.header.Width, r.header.Height, bands)
}

// decodeBMP returns the pixels of a file that transform.ReadHeader has accepted: RGB, or RGBA where not all is opaque. It makes
// nothing but what it returns: a picture of one bit a pixel is eight times larger as bytes already, and 24 times as colours.
func decodeBMP(data []byte, h transform.Header) (pixels []byte, bands int) {
	const (
		fileHeader  = 14
		infoHeader  = 40
		colourBytes = 4
	)
	info := data[fileHeader:]
	size, depth := int(binary.LittleEndian.Uint32(info)), int(binary.LittleEndian.Uint16(info[14:]))
	rows := data[binary.LittleEndian.Uint32(data[10:]):]
	row := (h.Width*depth + 31) / 32 * 4
	bands = 3
	if depth == 32 && size > infoHeader && !opaque(rows[:row*h.Height], 4) {
		bands = 4
	}
	var palette [256][3]byte // colours that are not there are black
	if depth <= 8 {
		entries := info[size : len(info)-len(rows)]
		for i := range len(entries) / colourBytes {
			entry := entries[colourBytes*i:]
			palette[i] = [3]byte{entry[2], entry[1], entry[0]}
		}
	}
	down := int32(binary.LittleEndian.Uint32(info[8:])) < 0
	pixels = make([]byte, 0, bands*h.Width*h.Height)
	for y := range h.Height {
		if !down {
			y = h.Height - 1 - y
		}
		line := rows[y*row:][:row]
		if depth <= 8 {
			pixels = appendNamed(pixels, line, &palette, h.Width, depth)
		} else {
			pixels = appendColours(pixels, line, h.Width, depth/8, bands)
		}
	}
	return pixels, bands
}

// appendNamed appends a row whose pixels name colours, the first in the highest bits.
func appendNamed(to, line []byte, palette *[256][3]byte, width, depth int) []byte {
	each, mask := 8/depth, byte(1<<depth-1)
	for x := range width {
		colour := &palette[line[x/each]>>(8-depth-x%each*depth)&mask]
		to = append(to, colour[0], colour[1], colour[2])
	}
	return to
}

// appendColours appends a row of blue, green, red, and perhaps something else.
func appendColours(to, line []byte, width, bytes, bands int) []byte {
	for ; width > 0; width-- {
		to = append(to, line[2], line[1], line[0])
		if bands == 4 {
			to = append(to, line[3])
		}
		line = line[bytes:]
	}
	return to
}
