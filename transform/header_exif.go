package transform

import "encoding/binary"

// tagOrientation is the tag of the orientation in EXIF 2.32 (4.6.4 A) and in TIFF 6.0 (section 8).
const tagOrientation = 0x0112

// exifPrefix opens the EXIF block of a JPEG's APP1 segment; some writers put it into PNG and WebP too.
const exifPrefix = "Exif\x00\x00"

// exifOrientation returns the orientation, 1 to 8, that an EXIF block declares. Broken EXIF is common in good photographs, so
// whatever cannot be read counts as 1.
func exifOrientation(block []byte) int {
	if len(block) >= len(exifPrefix) && string(block[:len(exifPrefix)]) == exifPrefix {
		block = block[len(exifPrefix):]
	}
	view, offset, ok := openTIFF(block)
	if !ok {
		return 1
	}
	entries, _, ok := view.directory(offset)
	if !ok {
		return 1
	}
	for ; len(entries) > 0; entries = entries[ifdEntrySize:] {
		e := view.entry(entries)
		if e.tag != tagOrientation {
			continue
		}
		if value, ok := view.number(e); ok {
			return orientationOr1(value)
		}
	}
	return 1
}

func orientationOr1(value uint32) int {
	if value >= 1 && value <= 8 {
		return int(value)
	}
	return 1
}

// tiffView reads the structure that TIFF files and EXIF blocks share (TIFF 6.0, section 2).
type tiffView struct {
	data  []byte
	order binary.ByteOrder
}

// ifdEntry is one field of a directory.
type ifdEntry struct {
	tag   uint16
	kind  uint16
	count uint32
	value []byte // the values, or where they are in the file; 4 bytes
}

// ifdEntrySize is the size of an ifdEntry in a file, bytes.
const ifdEntrySize = 12

// The types of fields that hold one of the numbers needed here.
const (
	kindByte  = 1
	kindShort = 3
	kindLong  = 4
)

// kindSizes are the sizes of one value of each type of field, bytes; 0 for types that do not exist.
var kindSizes = [...]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

// openTIFF returns a view of data and the offset of its first directory.
func openTIFF(data []byte) (view tiffView, first uint32, ok bool) {
	if len(data) < 8 {
		return tiffView{}, 0, false
	}
	view.data = data
	switch string(data[:4]) {
	case "II*\x00":
		view.order = binary.LittleEndian
	case "MM\x00*":
		view.order = binary.BigEndian
	default:
		return tiffView{}, 0, false
	}
	return view, view.order.Uint32(data[4:]), true
}

// directory returns the entries of the directory at offset, ifdEntrySize bytes each, and the offset of the next one, which is 0
// after the last and when the file ends before saying. It answers false when the entries are not all within the file.
func (v tiffView) directory(offset uint32) (entries []byte, next uint32, ok bool) {
	if uint64(offset)+2 > uint64(len(v.data)) {
		return nil, 0, false
	}
	rest := v.data[offset:]
	size := int(v.order.Uint16(rest)) * ifdEntrySize
	rest = rest[2:]
	if size > len(rest) {
		return nil, 0, false
	}
	if len(rest) >= size+4 {
		next = v.order.Uint32(rest[size:])
	}
	return rest[:size], next, true
}

// entry returns the first of entries.
func (v tiffView) entry(entries []byte) ifdEntry {
	return ifdEntry{
		tag:   v.order.Uint16(entries),
		kind:  v.order.Uint16(entries[2:]),
		count: v.order.Uint32(entries[4:]),
		value: entries[8:ifdEntrySize],
	}
}

// size returns how many bytes the values take; false when the type does not exist.
func (v tiffView) size(e ifdEntry) (uint64, bool) {
	if int(e.kind) >= len(kindSizes) || kindSizes[e.kind] == 0 {
		return 0, false
	}
	return kindSizes[e.kind] * uint64(e.count), true
}

// number returns a field's only value; false when it has none or several, or is not an unsigned integer.
func (v tiffView) number(e ifdEntry) (uint32, bool) {
	if e.count != 1 {
		return 0, false
	}
	switch e.kind {
	case kindByte:
		return uint32(e.value[0]), true
	case kindShort:
		return uint32(v.order.Uint16(e.value)), true
	case kindLong:
		return v.order.Uint32(e.value), true
	}
	return 0, false
}

// outside returns where the values of a field are, as far as the file goes; false when they are within its directory.
func (v tiffView) outside(e ifdEntry) (span, bool) {
	size, known := v.size(e)
	from := uint64(v.order.Uint32(e.value))
	if !known || size <= uint64(len(e.value)) || from >= uint64(len(v.data)) {
		return span{}, false
	}
	return span{from, min(from+size, uint64(len(v.data)))}, true
}

// numbers returns the values of a field of whole numbers, as far as the file goes.
func (v tiffView) numbers(e ifdEntry) (n int, at func(i int) uint32) {
	values := e.value
	if s, outside := v.outside(e); outside {
		values = v.data[s.from:s.to]
	}
	if e.kind == kindShort {
		return int(min(uint64(e.count), uint64(len(values)/2))), func(i int) uint32 { return uint32(v.order.Uint16(values[2*i:])) }
	}
	return int(min(uint64(e.count), uint64(len(values)/4))), func(i int) uint32 { return v.order.Uint32(values[4*i:]) }
}
