package transform

import (
	"bytes"
	"encoding/binary"
)

const (
	icoDirectory = 6  // bytes before the entries
	icoEntry     = 16 // bytes of an entry
	maxIcons     = 256
)

// icoHeader reads an icon by its largest picture. The others are not used: Frames is 1 always.
func icoHeader(data []byte) (Header, error) {
	_, h, err := LargestIcon(data)
	return h, err
}

// LargestIcon returns the largest picture of an ICO file and its header: a whole PNG, or a bitmap that starts at its info
// header, declares twice its height, and is followed by one bit a pixel of mask (the ICO format as Microsoft's "Icons"
// describes it). All pixels of a bitmap are there; those of a PNG are as for any PNG.
func LargestIcon(data []byte) (picture []byte, h Header, err error) {
	if len(data) < icoDirectory {
		return nil, Header{}, malformed(ICO, "it ends within the header")
	}
	count := int(binary.LittleEndian.Uint16(data[4:]))
	switch {
	case count == 0:
		return nil, Header{}, malformed(ICO, "it has no picture")
	case count > maxIcons:
		return nil, Header{}, tooMuch(ICO, "it has more than %d pictures", maxIcons)
	case len(data) < icoDirectory+count*icoEntry:
		return nil, Header{}, malformed(ICO, "it ends within the list of pictures")
	}
	best := -1
	for entries := data[icoDirectory : icoDirectory+count*icoEntry]; len(entries) > 0; entries = entries[icoEntry:] {
		// A side of 0 stands for 256; of equals the one with more bits a pixel is kept.
		width, height := int(entries[0]-1)+1, int(entries[1]-1)+1
		if rank := width*height*64 + int(min(binary.LittleEndian.Uint16(entries[6:]), 63)); rank > best {
			best = rank
			picture, err = icoExtent(data, entries)
		}
	}
	if err != nil {
		return nil, Header{}, err
	}
	if bytes.HasPrefix(picture, []byte(pngSignature)) {
		h, err = pngHeader(picture)
	} else {
		h, err = icoBitmap(picture)
	}
	h.Format = ICO
	return picture, h, err
}

// icoExtent returns the bytes that an entry of the list names.
func icoExtent(data, entry []byte) ([]byte, error) {
	size, offset := uint64(binary.LittleEndian.Uint32(entry[8:])), uint64(binary.LittleEndian.Uint32(entry[12:]))
	if offset+size > uint64(len(data)) {
		return nil, malformed(ICO, "a picture is outside the file")
	}
	return data[offset : offset+size], nil
}

// icoBitmap checks a bitmap: uncompressed, 1 to 8 bits with a palette, 24 or 32.
func icoBitmap(data []byte) (Header, error) {
	if len(data) < bmpInfoHeader || binary.LittleEndian.Uint32(data) != bmpInfoHeader {
		return Header{}, malformed(ICO, "a picture is neither a PNG nor a bitmap")
	}
	width, height := int64(int32(binary.LittleEndian.Uint32(data[4:]))), int64(int32(binary.LittleEndian.Uint32(data[8:])))
	depth := binary.LittleEndian.Uint16(data[14:])
	switch {
	case width < 1 || width > maxIcons || height < 2 || height > 2*maxIcons || height%2 != 0:
		return Header{}, malformed(ICO, "a side is out of range")
	case binary.LittleEndian.Uint32(data[16:]) != 0:
		return Header{}, unsupported(ICO, "it is compressed or has channels of its own")
	case depth != 1 && depth != 4 && depth != 8 && depth != 24 && depth != 32:
		return Header{}, unsupported(ICO, "it has %d bits per pixel", depth)
	}
	height /= 2
	palette, row, mask := IconLayout(int(width), int(depth), int(binary.LittleEndian.Uint32(data[32:])))
	if palette < 0 {
		return Header{}, malformed(ICO, "it has more colours than its bits can name")
	}
	// Files with 32 bits a pixel may leave the mask out, as they have an alpha channel.
	if depth == 32 {
		mask = 0
	}
	if int64(len(data)) < bmpInfoHeader+int64(palette)+int64(row+mask)*height {
		return Header{}, malformed(ICO, "it declares more pixels than it has")
	}
	return Header{Format: ICO, Width: int(width), Height: int(height), Frames: 1, Orientation: 1, Alpha: true}, nil
}

// IconLayout returns the sizes, in bytes, of the parts of an icon's bitmap that follow its header: the palette, one row of
// colours, one row of mask. colours is how many the header declares, 0 for all; palette is -1 when they are too many.
func IconLayout(width, depth, colours int) (palette, row, mask int) {
	if depth <= 8 {
		if colours == 0 {
			colours = 1 << depth
		}
		if colours < 0 || colours > 1<<depth {
			return -1, 0, 0
		}
		palette = 4 * colours
	}
	return palette, (width*depth + 31) / 32 * 4, (width + 31) / 32 * 4
}
