package transform

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// derivedFrom is a reference from an item to those that it is derived from.
func derivedFrom(item int, others ...int) []byte {
	b := concat(be16(item), be16(len(others)))
	for _, other := range others {
		b = append(b, be16(other)...)
	}
	return isoBox("dimg", b)
}

func TestHEIFReferences(t *testing.T) {
	// Item 1 is shown; items 2 and up are of the kinds given.
	of := func(references []byte, kinds ...string) []byte {
		return heifOf{brand: "avif", kind: "av01", own: [][]byte{ispe(90, 50)}, tiles: kinds, metaTail: isoBox("iref", be32(0), references)}.file()
	}
	fine := Header{Format: AVIF, Width: 90, Height: 50, Frames: 1, Pages: 1, Orientation: 1}
	many := func(kind string, n int) []byte { return of(nil, slices.Repeat([]string{kind}, n)...) }
	checkHeaders(t, []headerCase{
		{name: "none", data: of(nil), want: fine},
		{name: "cut off", data: of(derivedFrom(2, 3)[:9], "grid", "av01"), fails: ErrMalformed},
		{name: "a grid", data: of(derivedFrom(2, 3, 3, 3), "grid", "av01"), want: fine},
		{name: "a grid again", data: of(derivedFrom(2, 3), "iden", "grid"), want: fine},
		{name: "a tone map of what is derived", data: of(derivedFrom(2, 1, 3), "tmap", "grid"), want: fine},
		{name: "a grid of grids", data: of(derivedFrom(2, 3, 3), "grid", "grid"), fails: ErrUnsupported},
		{name: "a grid of itself", data: of(derivedFrom(2, 2), "grid"), fails: ErrUnsupported},
		{name: "a grid of overlays", data: of(derivedFrom(2, 3), "grid", "iovl"), fails: ErrUnsupported},
		{name: "a chain", data: of(derivedFrom(2, 3), "iden", "iden"), fails: ErrUnsupported},
		{name: "the same as two", data: of(derivedFrom(2, 1, 1), "iden"), fails: ErrMalformed},
		{name: "an overlay", data: of(derivedFrom(2, 1, 1), "iovl"), fails: ErrUnsupported},
		{name: "1025 tiles", data: of(derivedFrom(2, make([]int, 1025)...), "grid"), fails: ErrLimit},
		{name: "256 grids", data: many("grid", 256), want: fine},
		{name: "257 grids", data: many("grid", 257), fails: ErrLimit},
	})
}

func TestHEIFItemsShareBytes(t *testing.T) {
	// Each of n items is a megabyte of the file, which has two.
	of := func(n, method int) heifReader {
		item := concat(be16(1), be16(method), be16(0), be16(1), be32(0), be32(1<<20))
		iloc := concat(be32(1<<24), be16(0x4400), be16(n), bytes.Repeat(item, n))
		return heifReader{file: make([]byte, 2<<20), brand: HEIC, parts: map[string][]byte{"iloc": iloc}}
	}
	for _, c := range []struct {
		n, method int
		err       error
	}{{1, 0, nil}, {8, 0, nil}, {9, 0, ErrLimit}, {9, 1, ErrLimit}, {9, 2, nil}} {
		r := of(c.n, c.method)
		if err := r.readExtents(); !errors.Is(err, c.err) {
			t.Errorf("%d items, method %d: %v, want %v", c.n, c.method, err, c.err)
		}
	}
}
