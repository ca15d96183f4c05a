package transform

import "encoding/binary"

const (
	jp2Codestream = "\xff\x4f\xff\x51"
	jp2Container  = "\x00\x00\x00\x0cjP  \r\n\x87\n"

	maxJP2Tiles      = 4096
	maxJP2Components = 5 // CMYK and alpha
)

// jp2Header reads a JPEG 2000 file, bare or in its container, by the SIZ segment of its codestream: that is what a decoder
// allocates by (ITU-T T.800, A.5.1).
func jp2Header(data []byte) (Header, error) {
	stream, err := jp2Stream(data)
	if err != nil {
		return Header{}, err
	}
	const fixed = 4 + 2 + 36 // SOC and SIZ, the length, up to the number of components
	if len(stream) < fixed || string(stream[:4]) != jp2Codestream {
		return Header{}, malformed(JP2, "it has no picture size")
	}
	at := func(i int) uint64 { return uint64(binary.BigEndian.Uint32(stream[8+4*i:])) }
	width, height, left, top := at(0), at(1), at(2), at(3)
	tileWidth, tileHeight, tileLeft, tileTop := at(4), at(5), at(6), at(7)
	components := int(binary.BigEndian.Uint16(stream[40:]))
	switch {
	case left >= width || top >= height:
		return Header{}, malformed(JP2, "a side is 0")
	case tileWidth == 0 || tileHeight == 0 || tileLeft > left || tileTop > top ||
		tileLeft+tileWidth <= left || tileTop+tileHeight <= top:
		return Header{}, malformed(JP2, "its tiles miss the picture")
	case components < 1 || len(stream) < fixed+3*components:
		return Header{}, malformed(JP2, "it has no components")
	case components > maxJP2Components:
		return Header{}, tooMuch(JP2, "it has %d components; at most %d are accepted", components, maxJP2Components)
	}
	tiles := ((width - tileLeft + tileWidth - 1) / tileWidth) * ((height - tileTop + tileHeight - 1) / tileHeight)
	if tiles > maxJP2Tiles {
		return Header{}, tooMuch(JP2, "it has more than %d tiles", maxJP2Tiles)
	}
	for c := stream[fixed : fixed+3*components]; len(c) > 0; c = c[3:] {
		if c[0]&0x7F >= 16 || c[1] == 0 || c[2] == 0 || c[1] > 4 || c[2] > 4 {
			return Header{}, unsupported(JP2, "a component has more than 16 bits or impossible sampling")
		}
	}
	return Header{
		Format: JP2, Width: int(width - left), Height: int(height - top), Frames: 1, Orientation: 1,
		Alpha: components == 2 || components == 4,
	}, nil
}

// jp2Stream returns the codestream, which may be cut off where the file is (T.800, I.5.4).
func jp2Stream(data []byte) ([]byte, error) {
	if string(data[:4]) == jp2Codestream {
		return data, nil
	}
	body, ok := findBox(data, "jp2c")
	if !ok {
		return nil, malformed(JP2, "it has no codestream")
	}
	return body, nil
}

// findBox returns the body of the first box of a name, cut where the data is.
func findBox(data []byte, wanted string) ([]byte, bool) {
	for rest := data; len(rest) >= 8; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			// Too long for the data: the last one, if it is a box at all.
			head := 8
			if binary.BigEndian.Uint32(rest) == 1 {
				head = 16
			}
			return rest[min(head, len(rest)):], string(name) == wanted
		}
		if string(name) == wanted {
			return body, true
		}
		rest = after
	}
	return nil, false
}
