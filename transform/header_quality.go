package transform

import "encoding/binary"

// lumaTable is the example luminance table of T.81 (table K.1) in zigzag order, from which the IJG's library, and every encoder
// that takes a quality of 1 to 100, scales its own.
var lumaTable = [64]int{
	16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
	26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
	56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
	95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
}

// jpegQuality returns the quality, 1 to 100, whose IJG table is nearest to table by the sum of absolute differences; the higher
// one of equals. It is exact for encoders that scale table K.1 as the IJG does (jcparam.c: 5000/q percent below 50, 200-2q from
// there on, each value within 1-255) and an equivalent for the others. A missing table gives 0.
func jpegQuality(table []byte) int {
	if len(table) == 0 {
		return 0
	}
	var values [64]int
	for i := range values {
		if table[0]>>4 == 0 {
			values[i] = int(table[1+i])
		} else {
			values[i] = int(binary.BigEndian.Uint16(table[1+2*i:]))
		}
	}
	best, nearest := 0, 0
	for quality := 100; quality >= 1; quality-- {
		if d := lumaDistance(&values, quality); best == 0 || d < nearest {
			best, nearest = quality, d
		}
	}
	return best
}

// lumaDistance compares values with the luminance table of a quality.
func lumaDistance(values *[64]int, quality int) int {
	scale := 200 - 2*quality
	if quality < 50 {
		scale = 5000 / quality
	}
	sum := 0
	for i, base := range lumaTable {
		want := min(max((base*scale+50)/100, 1), 255)
		sum += max(want-values[i], values[i]-want)
	}
	return sum
}
