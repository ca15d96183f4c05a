package transform

import (
	"slices"
	"sort"
)

// Blank overwrites what a source says beside its picture: EXIF, XMP, IPTC, GeoTIFF, descriptions, videos that go with it, and
// what lies in places that nobody knows. It does so in place, so that the size stays and no offset within the file changes; the
// pixels, the profile, and how the picture is turned stay as they are. It knows AVIF, HEIC, TIFF, JXL and JP2, whose parts refer
// to each other by offset, or are boxes; to other formats it does nothing.
//
// It returns whether anything has changed. The error wraps ErrUnsupported when it cannot be told which bytes to overwrite, or the
// picture would suffer; data may have been changed in part by then. ReadHeader, with the format's input switched on, has accepted
// data.
func Blank(data []byte, format Format) (changed bool, err error) {
	blank := blankers[format]
	if blank == nil {
		return false, nil
	}
	every := NewFormatSet(OptionalInputs()...)
	before, err := readHeader(data, every)
	if err != nil {
		return false, err
	}
	if changed, err = blank(data); err != nil || !changed {
		return changed, err
	}
	if after, err := readHeader(data, every); err != nil || after != before {
		return true, unsupported(format, "what it says beside the picture is part of what describes the picture"+blankRemedy)
	}
	return true, nil
}

// blankRemedy ends the messages of files that cannot be blanked.
const blankRemedy = "; save it without metadata, or use a token whose policy has keep_metadata"

var blankers = [numFormats]func([]byte) (bool, error){
	AVIF: blankHEIF,
	HEIC: blankHEIF,
	TIFF: blankTIFF,
	JXL:  func(data []byte) (bool, error) { return blankContainer(data, jxlCodestream, jxlBoxes), nil },
	JP2:  func(data []byte) (bool, error) { return blankContainer(data, jp2Codestream, jp2Boxes), nil },
}

// The boxes that hold the picture and say how to read it; ISO/IEC 18181-2 and 15444-1, annex I. Those of EXIF, XMP and the like
// are the others.
var (
	jxlBoxes = boxSet("JXL ", "ftyp", "jxll", "jxlc", "jxlp", "jxli")
	jp2Boxes = boxSet("jP  ", "ftyp", "rreq", "jp2h", "jp2c")
)

func boxSet(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// blankContainer blanks the boxes around a codestream; a bare one has none.
func blankContainer(data []byte, bare string, kept map[string]bool) (changed bool) {
	if string(data[:len(bare)]) == bare {
		return false
	}
	eachBox(data, func(name, body []byte) {
		if !kept[string(name)] {
			changed = freeBox(name, body) || changed
		}
	})
	return changed
}

// eachBox visits the boxes that follow each other in data; the last one may be cut off, and what is too short for a box is visited
// as one without a name.
func eachBox(data []byte, visit func(name, body []byte)) {
	for rest := data; len(rest) > 0; {
		name, body, after, ok := nextBox(rest)
		if !ok {
			const head = 8
			visit(name, rest[min(head, len(rest)):])
			return
		}
		visit(name, body)
		rest = after
	}
}

// freeBox makes a box one of free space, with nothing in it (ISO/IEC 14496-12, 8.1.2), and tells whether it was another one.
func freeBox(name, body []byte) (changed bool) {
	const free = "free"
	if len(name) == len(free) && string(name) != free {
		copy(name, free)
		changed = true
	}
	return overwrite(body, nil, 0) || changed
}

// overwrite has to begin with what, if there is room for it, and go on with fill, and tells whether it was otherwise.
func overwrite(to, what []byte, fill byte) (changed bool) {
	if len(what) > len(to) {
		what = nil
	}
	for i, b := range to {
		want := fill
		if i < len(what) {
			want = what[i]
		}
		if b != want {
			to[i], changed = want, true
		}
	}
	return changed
}

// span is a piece of a file: from its first byte up to where it ends.
type span struct{ from, to uint64 }

// spans are pieces of a file. Settled they are in order, and none touches another.
type spans []span

// settled returns the same bytes in order.
func (s spans) settled() spans {
	slices.SortFunc(s, func(a, b span) int {
		switch {
		case a.from < b.from:
			return -1
		case a.from > b.from:
			return 1
		}
		return 0
	})
	merged := s[:0]
	for _, next := range s {
		if n := len(merged); n > 0 && next.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, next.to)
			continue
		}
		merged = append(merged, next)
	}
	return merged
}

// touches tells whether settled spans hold one of the bytes.
func (s spans) touches(from, to uint64) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].to > from })
	return from < to && i < len(s) && s[i].from < to
}
