package transform

import (
	"encoding/binary"
	"math"
)

const (
	bmpFileHeader = 14 // bytes
	bmpInfoHeader = 40 // bytes of BITMAPINFOHEADER; BITMAPV4HEADER and BITMAPV5HEADER have 108 and 124
	bmpBitfields  = 3  // compression: the channels have masks
)

// bmpHeader reads a BMP of the kinds that are decoded: uncompressed, 1 to 8 bits with a palette, 24 or 32. Unlike with other
// formats all pixels must be there: the first rows of a file are the last ones of its picture, mostly.
func bmpHeader(data []byte) (Header, error) {
	if len(data) < bmpFileHeader+bmpInfoHeader {
		return Header{}, malformed(BMP, "it ends within the header")
	}
	info := data[bmpFileHeader:]
	size := binary.LittleEndian.Uint32(info)
	switch {
	case size != bmpInfoHeader && size != 108 && size != 124:
		return Header{}, unsupported(BMP, "its header is of an old or unknown kind")
	case uint64(size) > uint64(len(info)):
		return Header{}, malformed(BMP, "it ends within the header")
	case binary.LittleEndian.Uint16(info[12:]) != 1:
		return Header{}, malformed(BMP, "it does not have one plane")
	case !bmpUncompressed(info[:size]):
		return Header{}, unsupported(BMP, "it is compressed or has channels of its own")
	}
	width, height := int64(int32(binary.LittleEndian.Uint32(info[4:]))), int64(int32(binary.LittleEndian.Uint32(info[8:])))
	if height < 0 { // the first row is the top one
		height = -height
	}
	if width <= 0 || height == 0 || height > math.MaxInt32 {
		return Header{}, malformed(BMP, "a side is out of range")
	}
	depth := binary.LittleEndian.Uint16(info[14:])
	pixels, err := bmpPixels(data, size, depth)
	if err != nil {
		return Header{}, err
	}
	// A row is padded to 4 bytes. Sides of 31 bits and depths of 32 stay within 64 bits once divided by 8.
	row := (uint64(width)*uint64(depth) + 31) / 32 * 4
	if row > uint64(len(pixels))/uint64(height) {
		return Header{}, malformed(BMP, "it declares more pixels than it has")
	}
	return Header{
		Format: BMP, Width: int(width), Height: int(height), Frames: 1, Orientation: 1,
		Alpha: depth == 32 && size > bmpInfoHeader,
	}, nil
}

// bmpUncompressed also accepts masks that only spell the usual order of channels out.
func bmpUncompressed(info []byte) bool {
	compression := binary.LittleEndian.Uint32(info[16:])
	return compression == 0 || compression == bmpBitfields && len(info) > bmpInfoHeader &&
		binary.LittleEndian.Uint32(info[40:]) == 0xFF0000 && binary.LittleEndian.Uint32(info[44:]) == 0xFF00 &&
		binary.LittleEndian.Uint32(info[48:]) == 0xFF && binary.LittleEndian.Uint32(info[52:]) == 0xFF000000
}

// bmpPixels returns the rows. They follow the palette, and the palette the header, without a gap.
func bmpPixels(data []byte, size uint32, depth uint16) ([]byte, error) {
	start := uint64(bmpFileHeader) + uint64(size)
	switch depth {
	case 1, 2, 4, 8:
		colours := uint64(binary.LittleEndian.Uint32(data[bmpFileHeader+32:]))
		if colours == 0 {
			colours = 1 << depth
		}
		if colours > 1<<depth {
			return nil, malformed(BMP, "it has %d colours in %d bits", colours, depth)
		}
		start += 4 * colours
	case 24, 32:
	default:
		return nil, unsupported(BMP, "it has %d bits per pixel", depth)
	}
	if uint64(binary.LittleEndian.Uint32(data[10:])) != start {
		return nil, unsupported(BMP, "its pixels do not follow its header")
	}
	if start > uint64(len(data)) {
		return nil, malformed(BMP, "it ends before its pixels")
	}
	return data[start:], nil
}
