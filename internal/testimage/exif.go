package testimage

import (
	"encoding/binary"
	"slices"
)

// WithEXIF returns a copy of a JPEG with an EXIF block that says orientation (CIPA DC-008 section 4.6.4, tag 0x0112).
// Values outside 1-8 are written as they are, for tests of readers.
func WithEXIF(jpeg []byte, orientation int) []byte {
	return insertAPP1(jpeg, exifBlock(orientation, false))
}

// WithGPS is WithEXIF with the coordinates of a place as well, which no rendering may repeat.
func WithGPS(jpeg []byte, orientation int) []byte {
	return insertAPP1(jpeg, exifBlock(orientation, true))
}

// insertAPP1 puts the block behind the JPEG's first marker, where readers look for it.
func insertAPP1(jpeg, block []byte) []byte {
	segment := []byte{0xff, 0xe1}
	segment = binary.BigEndian.AppendUint16(segment, uint16(len(block)+2))
	segment = append(segment, block...)
	return slices.Concat(jpeg[:2], segment, jpeg[2:])
}

// TIFF's field types and the tags written here.
const (
	tiffASCII    = 2
	tiffShort    = 3
	tiffLong     = 4
	tiffRational = 5

	tagOrientation  = 0x0112
	tagGPS          = 0x8825
	tagLatitudeRef  = 1
	tagLatitude     = 2
	tagLongitudeRef = 3
	tagLongitude    = 4
)

// exifBlock lays out "Exif\0\0", a TIFF header, one directory and, if asked, the GPS directory with its six rationals.
func exifBlock(orientation int, gps bool) []byte {
	const header, entry = 8, 12
	be := binary.BigEndian
	tiff := append([]byte("MM"), 0, 42, 0, 0, 0, header)
	if !gps {
		tiff = be.AppendUint16(tiff, 1)
		tiff = field(tiff, tagOrientation, tiffShort, 1, uint32(orientation)<<16)
		return append([]byte("Exif\x00\x00"), be.AppendUint32(tiff, 0)...)
	}
	gpsAt := uint32(header + 2 + 2*entry + 4)
	valuesAt := gpsAt + 2 + 4*entry + 4
	tiff = be.AppendUint16(tiff, 2)
	tiff = field(tiff, tagOrientation, tiffShort, 1, uint32(orientation)<<16)
	tiff = field(tiff, tagGPS, tiffLong, 1, gpsAt)
	tiff = be.AppendUint32(tiff, 0)
	tiff = be.AppendUint16(tiff, 4)
	tiff = field(tiff, tagLatitudeRef, tiffASCII, 2, 'N'<<24)
	tiff = field(tiff, tagLatitude, tiffRational, 3, valuesAt)
	tiff = field(tiff, tagLongitudeRef, tiffASCII, 2, 'E'<<24)
	tiff = field(tiff, tagLongitude, tiffRational, 3, valuesAt+24)
	tiff = be.AppendUint32(tiff, 0)
	for _, part := range []uint32{43, 28, 2, 11, 53, 6} { // degrees, minutes, seconds, each over 1
		tiff = be.AppendUint32(be.AppendUint32(tiff, part), 1)
	}
	return append([]byte("Exif\x00\x00"), tiff...)
}

func field(tiff []byte, tag, kind uint16, count, value uint32) []byte {
	be := binary.BigEndian
	tiff = be.AppendUint16(be.AppendUint16(tiff, tag), kind)
	return be.AppendUint32(be.AppendUint32(tiff, count), value)
}
