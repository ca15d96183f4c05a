package transform

import (
	"bytes"
	"encoding/binary"
)

// maxScans is how many scans a JPEG may have. Progressive encoders write about 10; each scan costs a pass over the whole
// picture, so that a small file with thousands keeps a decoder busy for minutes (LJT-01-004).
const maxScans = 200

// maxApplication is how many APPn segments a JPEG may have, of up to 64 KB each: 255 hold the longest ICC profile, 512 all of a
// source of 32 MiB. libjpeg walks over those that it has kept to keep another, so that 30,000 small ones take seconds.
const maxApplication = 1000

// JPEG markers, the byte after 0xFF (ITU-T T.81, table B.1).
const (
	markerTEM  = 0x01
	markerSOF0 = 0xC0 // baseline
	markerSOF1 = 0xC1 // extended
	markerSOF2 = 0xC2 // progressive
	markerDHT  = 0xC4
	markerJPG  = 0xC8
	markerSOF9 = 0xC9 // extended, arithmetic
	markerSOFA = 0xCA // progressive, arithmetic
	markerDAC  = 0xCC
	markerSOFF = 0xCF // the last of the frame headers
	markerRST0 = 0xD0
	markerSOI  = 0xD8
	markerEOI  = 0xD9
	markerSOS  = 0xDA
	markerDQT  = 0xDB
	markerDNL  = 0xDC
	markerAPP0 = 0xE0
	markerAPP1 = 0xE1
	markerAPPF = 0xEF // the last of the application segments
)

// jpegReader gathers a Header from segments.
type jpegReader struct {
	header Header
	tables [4][]byte // quantization tables as stored, precision first
	luma   byte      // which table the first component uses
	framed bool      // the frame header was read
	scans  int
	extras int // APPn segments
	work   scanWork
}

func jpegHeader(data []byte) (Header, error) {
	r := jpegReader{header: Header{Format: JPEG, Frames: 1, Orientation: 1}}
	if err := r.read(data[2:]); err != nil { // Sniff saw SOI
		return Header{}, err
	}
	if r.work.tooLong(int64(r.header.Width) * int64(r.header.Height)) {
		return Header{}, tooMuch(JPEG, "its scans go through the picture too often")
	}
	r.header.Quality = jpegQuality(r.tables[r.luma])
	return r.header, nil
}

// read takes the segments up to the end of the picture.
func (r *jpegReader) read(rest []byte) error {
	for {
		marker, segment, after, err := r.next(rest)
		if err != nil {
			return err
		}
		if marker == markerEOI {
			break
		}
		if err := r.segment(marker, segment); err != nil {
			return err
		}
		rest = after
	}
	if !r.framed || r.scans == 0 {
		return malformed(JPEG, "it has no picture")
	}
	return nil
}

// next returns the first segment at or after the beginning of data, its length bytes left out, and what follows. The end of the
// data counts as the end of the picture; a segment that goes beyond it does too once a scan has begun.
func (r *jpegReader) next(data []byte) (marker byte, segment, after []byte, err error) {
	for {
		at := bytes.IndexByte(data, 0xFF)
		if at < 0 || at+1 >= len(data) {
			return markerEOI, nil, nil, nil
		}
		data, marker = data[at+1:], data[at+1]
		if marker == 0xFF { // fill byte: the marker may be the next one
			continue
		}
		data = data[1:]
		if marker == 0 || marker == markerTEM || marker >= markerRST0 && marker < markerSOI {
			continue
		}
		break
	}
	if marker == markerEOI || marker == markerSOI {
		return marker, nil, data, nil
	}
	length := 0
	if len(data) >= 2 {
		length = int(binary.BigEndian.Uint16(data))
	}
	switch {
	case length >= 2 && length <= len(data):
		return marker, data[2:length], data[length:], nil
	case r.scans > 0:
		return markerEOI, nil, nil, nil
	}
	return 0, nil, nil, malformed(JPEG, "a segment is longer than the file or has no length")
}

func (r *jpegReader) segment(marker byte, segment []byte) error {
	if marker >= markerAPP0 && marker <= markerAPPF {
		if r.extras++; r.extras > maxApplication {
			return tooMuch(JPEG, "it has more than %d segments of metadata", maxApplication)
		}
	}
	switch {
	case marker == markerSOI:
		return malformed(JPEG, "a picture begins within the picture")
	case marker == markerDNL:
		return unsupported(JPEG, "its height is given after the picture")
	case marker == markerAPP1:
		if bytes.HasPrefix(segment, []byte(exifPrefix)) {
			r.header.Orientation = exifOrientation(segment)
		}
	case marker == markerDQT:
		return r.quantization(segment)
	case marker == markerSOS:
		r.scans++
		if !r.framed {
			return malformed(JPEG, "a scan comes before the frame header")
		}
		if r.scans > maxScans {
			return tooMuch(JPEG, "it has more than %d scans", maxScans)
		}
		if !r.work.scan(segment) {
			return malformed(JPEG, "a scan's header is broken")
		}
	case marker >= markerSOF0 && marker <= markerSOFF && marker != markerDHT && marker != markerJPG && marker != markerDAC:
		return r.frame(marker, segment)
	}
	return nil
}

// frame reads a frame header (T.81 B.2.2).
func (r *jpegReader) frame(marker byte, segment []byte) error {
	switch marker {
	case markerSOF0, markerSOF1, markerSOF2, markerSOF9, markerSOFA:
	default:
		return unsupported(JPEG, "it is lossless or hierarchical")
	}
	if r.framed {
		return malformed(JPEG, "it has two frame headers")
	}
	if len(segment) < 6 || len(segment) != 6+3*int(segment[5]) {
		return malformed(JPEG, "the frame header has the wrong length")
	}
	precision, components := segment[0], int(segment[5])
	switch {
	case precision == 12 && marker != markerSOF0:
		return unsupported(JPEG, "it has 12 bits per sample")
	case precision != 8:
		return malformed(JPEG, "it has %d bits per sample", precision)
	case components < 1 || components > 4:
		return malformed(JPEG, "it has %d components", components)
	}
	for c := segment[6:]; len(c) > 0; c = c[3:] {
		if h, v := c[1]>>4, c[1]&15; h < 1 || h > 4 || v < 1 || v > 4 || c[2] > 3 {
			return malformed(JPEG, "a component has impossible sampling")
		}
	}
	r.framed = true
	r.header.Progressive = marker == markerSOF2 || marker == markerSOFA
	r.luma = segment[8]
	r.header.Height = int(binary.BigEndian.Uint16(segment[1:]))
	r.header.Width = int(binary.BigEndian.Uint16(segment[3:]))
	r.work.frame(marker, r.header.Width, r.header.Height, segment[6:])
	return nil
}

// quantization keeps the tables of a DQT segment (T.81 B.2.4.1). The first of a kind stays: later ones are for later scans.
func (r *jpegReader) quantization(segment []byte) error {
	for len(segment) > 0 {
		precision, id := segment[0]>>4, segment[0]&15
		size := 1 + 64
		if precision != 0 {
			size += 64
		}
		if precision > 1 || id > 3 || len(segment) < size {
			return malformed(JPEG, "a quantization table is broken")
		}
		if r.tables[id] == nil {
			r.tables[id] = segment[:size]
		}
		segment = segment[size:]
	}
	return nil
}
