package transform

import (
	"bytes"
	"errors"
	"testing"
)

// scansOf is a JPEG of three components of w x h, with empty scans of the given headers.
func scansOf(marker byte, w, h int, scans ...[]byte) []byte {
	frame := concat([]byte{0xFF, marker, 0, 17, 8}, be16(h), be16(w), []byte{3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0})
	return concat([]byte{0xFF, markerSOI}, frame, bytes.Join(scans, nil), []byte{0xFF, markerEOI})
}

// scanHeader is one of the given components, from one coefficient to another.
func scanHeader(first, last byte, components ...byte) []byte {
	s := []byte{0xFF, markerSOS, 0, byte(6 + 2*len(components)), byte(len(components))}
	for _, c := range components {
		s = append(s, c, 0)
	}
	return append(s, first, last, 0)
}

// usualScans are those that libjpeg writes for a progressive picture.
func usualScans() [][]byte {
	return [][]byte{
		scanHeader(0, 0, 1, 2, 3), scanHeader(1, 5, 1), scanHeader(1, 63, 3), scanHeader(1, 63, 2), scanHeader(6, 63, 1),
		scanHeader(1, 63, 1), scanHeader(0, 0, 1, 2, 3), scanHeader(1, 63, 3), scanHeader(1, 63, 2), scanHeader(1, 63, 1),
	}
}

// TestScans has scans of nothing go through a picture of 49 megapixels again and again: a decoder takes more time for each of
// these files of a kilobyte than a rendering may.
func TestScans(t *testing.T) {
	repeat := func(n int, scans ...[]byte) (all [][]byte) {
		for range n {
			all = append(all, scans...)
		}
		return all
	}
	for name, c := range map[string]struct {
		data []byte
		err  error
	}{
		"one for all":                         {scansOf(markerSOF0, 7000, 7000, scanHeader(0, 63, 1, 2, 3)), nil},
		"one for each":                        {scansOf(markerSOF9, 7000, 7000, scanHeader(0, 63, 1), scanHeader(0, 63, 2), scanHeader(0, 63, 3)), nil},
		"ends that nobody looks at":           {scansOf(markerSOF0, 7000, 7000, scanHeader(9, 0, 1, 2, 3)), nil},
		"progressive":                         {scansOf(markerSOF2, 7000, 7000, usualScans()...), nil},
		"progressive, arithmetic":             {scansOf(markerSOFA, 7000, 7000, usualScans()...), nil},
		"200 of a small picture":              {scansOf(markerSOF9, 700, 700, repeat(200, scanHeader(0, 63, 1))...), nil},
		"60 of single coefficients":           {scansOf(markerSOF2, 7000, 7000, repeat(60, scanHeader(5, 5, 1))...), nil},
		"200 of single coefficients":          {scansOf(markerSOF2, 7000, 7000, repeat(200, scanHeader(5, 5, 1))...), ErrLimit},
		"arithmetic, the same again":          {scansOf(markerSOF9, 7000, 7000, repeat(9, scanHeader(0, 63, 1))...), ErrLimit},
		"arithmetic, bit by bit":              {scansOf(markerSOFA, 7000, 7000, repeat(3, scanHeader(1, 63, 1), scanHeader(1, 63, 2), scanHeader(1, 63, 3))...), ErrLimit},
		"sequential, the same again":          {scansOf(markerSOF0, 7000, 7000, repeat(100, scanHeader(0, 63, 1))...), ErrLimit},
		"progressive, from a higher to lower": {scansOf(markerSOF2, 70, 70, scanHeader(9, 3, 1)), ErrMalformed},
	} {
		if _, err := ReadHeader(c.data); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}
