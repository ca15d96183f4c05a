package ingest

import (
	"bytes"
	"encoding/binary"

	"deckle/transform"
)

// turned says which orientation each one (1-8, EXIF 2.32 section 4.6.4) becomes by a quarter turn clockwise.
var turned = [...]int{1: 6, 6: 3, 3: 8, 8: 1, 2: 7, 7: 4, 4: 5, 5: 2}

// turnOrientation returns what the orientation becomes by a turn.
func turnOrientation(orientation int, turn Turn) int {
	if orientation < 1 || orientation > 8 {
		orientation = 1
	}
	for range (int(turn) + 360) % 360 / 90 {
		orientation = turned[orientation]
	}
	return orientation
}

// reoriented returns the pieces of a JPEG that says another orientation, and is otherwise the same; nil where that cannot be said,
// because the file breaks off or has EXIF without an orientation.
func reoriented(data []byte, orientation int) [][]byte {
	a, whole := dissectJPEG(data)
	if !whole {
		return nil
	}
	for _, p := range a.parts {
		if p.name != markerAPP1 || !bytes.HasPrefix(p.body, []byte(exifPrefix)) {
			continue
		}
		at, order := findOrientation(p.body[len(exifPrefix):])
		if at < 0 {
			return nil
		}
		value := order.AppendUint16(nil, uint16(orientation))
		at += p.from + 4 + len(exifPrefix)
		return [][]byte{data[:at], value, data[at+len(value):]}
	}
	pieces := assemble(data, transform.JPEG, a.parts, orientation)
	return append(pieces, data[a.end:])
}

// byteOrder is what both orders of TIFF do.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// findOrientation returns where the value of the orientation stands in a TIFF structure, -1 when there is none.
func findOrientation(tiff []byte) (at int, order byteOrder) {
	const tagOrientation, kindShort, entrySize = 0x0112, 3, 12
	order = binary.BigEndian
	if bytes.HasPrefix(tiff, []byte("II")) {
		order = binary.LittleEndian
	}
	if len(tiff) < 8 {
		return -1, order
	}
	first := int64(order.Uint32(tiff[4:]))
	if first+2 > int64(len(tiff)) {
		return -1, order
	}
	entries := int64(order.Uint16(tiff[first:]))
	for i := range entries {
		entry := first + 2 + i*entrySize
		if entry+entrySize > int64(len(tiff)) {
			break
		}
		e := tiff[entry:]
		if order.Uint16(e) == tagOrientation && order.Uint16(e[2:]) == kindShort && order.Uint32(e[4:]) == 1 {
			return int(entry + 8), order
		}
	}
	return -1, order
}
