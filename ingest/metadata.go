package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"

	"deckle/origin"
	"deckle/transform"

	"golang.org/x/sys/unix"
)

// anatomy is a file taken apart into what follows one another in it.
type anatomy struct {
	parts []part
	end   int // where the picture ends; what follows is no part of it
}

// part is a segment of a JPEG, with the coded data that follows it, or a chunk of a PNG or WebP.
type part struct {
	name     string // of a chunk; of a segment its marker
	from, to int    // in the file
	body     []byte
}

// The markers of JPEG segments (ITU-T T.81, table B.1).
const (
	markerSOI, markerEOI, markerSOS      = "\xD8", "\xD9", "\xDA"
	markerAPP0, markerAPP1, markerAPP2   = "\xE0", "\xE1", "\xE2"
	markerAPP14, markerAPPLast, markerCM = "\xEE", "\xEF", "\xFE"
)

const exifPrefix = "Exif\x00\x00"

// dissect takes a file apart; false when it breaks off, or is of a format that is not taken apart. transform.ReadHeader has
// accepted data.
func dissect(data []byte, format transform.Format) (anatomy, bool) {
	switch format {
	case transform.JPEG:
		return dissectJPEG(data)
	case transform.PNG:
		return dissectPNG(data)
	case transform.WebP:
		return dissectWebP(data)
	}
	return anatomy{}, false
}

func dissectJPEG(data []byte) (a anatomy, whole bool) {
	at := 2
	for at+2 <= len(data) && data[at] == 0xFF {
		if data[at+1] == 0xFF { // fill bytes
			at++
			continue
		}
		marker := string(data[at+1 : at+2])
		if marker == markerEOI {
			a.end = at + 2
			return a, len(a.parts) > 0
		}
		if at+4 > len(data) {
			return a, false
		}
		length := 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		if length < 4 || at+length > len(data) {
			return a, false
		}
		p := part{name: marker, from: at, to: at + length, body: data[at+4 : at+length]}
		if marker == markerSOS {
			p.to += codedLength(data[p.to:])
		}
		a.parts = append(a.parts, p)
		at = p.to
	}
	return a, false
}

// codedLength returns how many bytes come before the next marker that ends a scan.
func codedLength(data []byte) int {
	for at := 0; ; at += 2 {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 || at+i+1 >= len(data) {
			return len(data)
		}
		at += i
		if next := data[at+1]; next != 0 && (next < 0xD0 || next > 0xD7) { // stuffing, and restarts
			return at
		}
	}
}

const pngHead = 8 // bytes of signature

func dissectPNG(data []byte) (a anatomy, whole bool) {
	for at := pngHead; at+12 <= len(data); {
		size := int64(binary.BigEndian.Uint32(data[at:])) + 12
		if size > int64(len(data)-at) {
			return a, false
		}
		p := part{name: string(data[at+4 : at+8]), from: at, to: at + int(size)}
		p.body = data[at+8 : p.to-4]
		a.parts = append(a.parts, p)
		if at = p.to; p.name == "IEND" {
			a.end = at
			return a, true
		}
	}
	return a, false
}

const webpHead = 12 // bytes: RIFF, size, WEBP

func dissectWebP(data []byte) (a anatomy, whole bool) {
	a.end = 8 + int(binary.LittleEndian.Uint32(data[4:]))
	if a.end > len(data) || a.end < webpHead {
		return a, false
	}
	at := webpHead
	for at+8 <= a.end {
		size := int64(binary.LittleEndian.Uint32(data[at+4:]))
		if size > int64(a.end-at-8) {
			return a, false
		}
		p := part{name: string(data[at : at+4]), from: at, to: min(at+8+int(size+size&1), a.end)}
		p.body = data[at+8 : at+8+int(size)]
		a.parts = append(a.parts, p)
		at = p.to
	}
	return a, len(a.parts) > 0
}

// checkWhole refuses files that break off, where the format says where they end. Others are left to the decoder.
func checkWhole(data []byte, format transform.Format) error {
	whole := true
	switch format {
	case transform.JPEG, transform.PNG, transform.WebP:
		_, whole = dissect(data, format)
	case transform.GIF:
		_, whole = transform.Strip(data, format)
	}
	if !whole {
		return fmt.Errorf("%w: the file breaks off", transform.ErrMalformed)
	}
	return nil
}

// decode looks at a file to its end, and has the engine decode it. It returns the placeholder of what was seen, empty where the
// engine cannot make one.
func (s *Service) decode(ctx context.Context, p picture) (placeholder string, err error) {
	select {
	case s.decodes <- struct{}{}:
		defer func() { <-s.decodes }()
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", ErrAborted, context.Cause(ctx))
	}
	// Not mapped: see rerender.
	source, err := os.ReadFile(p.staged.Path())
	if err != nil {
		return "", fmt.Errorf("decode upload: %w", withoutPath(err))
	}
	if err := checkWhole(source, p.format); err != nil {
		return "", err
	}
	small, err := s.config.Engine.Render(ctx, source, transform.Spec{}.Placeholder())
	if errors.Is(err, transform.ErrFormat) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("decode upload: %w", err)
	}
	made, err := transform.ReadPlaceholder(small.Body)
	if err != nil {
		return "", nil // it was decoded; what is shown before it comes is no reason to refuse it
	}
	return made.ThumbHash, nil
}

// scrub stages the file anew without its metadata, and without what follows its end. It returns p itself when there is nothing
// to leave out.
func (s *Service) scrub(ctx context.Context, p picture, to origin.Writer) (picture, error) {
	data, unmap, err := mapFile(p.staged.Path(), p.bytes, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return picture{}, fmt.Errorf("scrub upload: %w", err)
	}
	pieces, err := cleaned(data, p.format, p.orientation)
	if err != nil || len(pieces) == 0 {
		return p, errors.Join(err, unmap())
	}
	staged, c, err := s.stage(ctx, to, pieces)
	if err := errors.Join(err, unmap()); err != nil {
		if staged != nil {
			s.abort(staged)
		}
		return picture{}, err
	}
	p.staged, p.content = staged, c
	return p, nil
}

// cleaned returns the pieces of a file without metadata, of any format; none when it has none. data may be changed. The error wraps
// transform's ErrUnsupported or ErrMalformed when there is some that cannot be left out.
func cleaned(data []byte, format transform.Format, orientation int) ([][]byte, error) {
	switch changed, err := transform.Blank(data, format); {
	case err != nil:
		return nil, fmt.Errorf("scrub upload: %w", err)
	case changed:
		return [][]byte{data}, nil
	}
	pieces := scrubbed(data, format, orientation)
	if len(pieces) == 0 && breaksOff(data, format) {
		return nil, fmt.Errorf("scrub upload: %w: the file breaks off, and tells more than the picture", transform.ErrMalformed)
	}
	return pieces, nil
}

// breaksOff tells whether a file has no end, and metadata before that.
func breaksOff(data []byte, format transform.Format) bool {
	if format == transform.GIF {
		_, whole := transform.Strip(data, format)
		return !whole && bytes.Contains(data, []byte("XMP DataXMP"))
	}
	a, whole := dissect(data, format)
	return !whole && slices.ContainsFunc(a.parts, func(p part) bool { return tells(p, format) })
}

// scrubbed returns the pieces of a file without metadata; none when it has none, breaks off, or cannot be taken apart. An
// orientation other than 1 is kept, in EXIF that says nothing else.
func scrubbed(data []byte, format transform.Format, orientation int) [][]byte {
	if format == transform.GIF {
		if out, ok := transform.Strip(data, format); ok && !bytes.Equal(out, data) {
			return [][]byte{out}
		}
		return nil
	}
	a, whole := dissect(data, format)
	if !whole {
		return nil
	}
	var kept []part
	for _, p := range a.parts {
		if !tells(p, format) {
			kept = append(kept, p)
		}
	}
	if len(kept) == len(a.parts) && a.end == len(data) {
		return nil
	}
	return assemble(data, format, kept, orientation)
}

// tells says whether a part tells more than the picture and its colours.
func tells(p part, format transform.Format) bool {
	switch format {
	case transform.JPEG:
		switch p.name {
		case markerAPP2:
			return !bytes.HasPrefix(p.body, []byte("ICC_PROFILE\x00"))
		case markerAPP0:
			return !bytes.HasPrefix(p.body, []byte("JFIF\x00"))
		case markerAPP14:
			return !bytes.HasPrefix(p.body, []byte("Adobe"))
		}
		return p.name >= markerAPP1 && p.name <= markerAPPLast || p.name == markerCM
	case transform.PNG:
		switch p.name {
		case "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "sRGB", "gAMA", "cHRM", "iCCP", "cICP", "mDCV", "cLLI", "sBIT", "bKGD", "pHYs",
			"acTL", "fcTL", "fdAT":
			return false
		}
		return true
	}
	return p.name == "EXIF" || p.name == "XMP "
}

// assemble puts a file together from the parts that are kept.
func assemble(data []byte, format transform.Format, kept []part, orientation int) [][]byte {
	var pieces [][]byte
	add := func(piece ...[]byte) { pieces = append(pieces, piece...) }
	exif := exifOf(orientation)
	switch format {
	case transform.JPEG:
		add(data[:2])
		if exif != nil && kept[0].name == markerAPP0 { // which comes first (JFIF 1.02)
			add(data[kept[0].from:kept[0].to])
			kept = kept[1:]
		}
		if exif != nil {
			add([]byte{0xFF, markerAPP1[0], 0, byte(2 + len(exifPrefix) + len(exif))}, []byte(exifPrefix), exif)
		}
		for _, p := range kept {
			add(data[p.from:p.to])
		}
		add([]byte{0xFF, markerEOI[0]})
	case transform.PNG:
		add(data[:pngHead])
		for i, p := range kept {
			add(data[p.from:p.to])
			if i == 0 && exif != nil {
				add(pngChunk("eXIf", exif))
			}
		}
	case transform.WebP:
		pieces = assembleWebP(data, kept, exif)
	}
	return pieces
}

func pngChunk(name string, body []byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	chunk = append(append(chunk, name...), body...)
	return binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
}

// assembleWebP says in the header what chunks there are (RFC 9649, 2.7).
func assembleWebP(data []byte, kept []part, exif []byte) [][]byte {
	const flagXMP, flagEXIF = 1 << 2, 1 << 3
	head := bytes.Clone(data[:webpHead])
	pieces := [][]byte{head}
	extended := false
	for _, p := range kept {
		piece := data[p.from:p.to]
		if p.name == "VP8X" && len(p.body) > 0 {
			extended = true
			piece = bytes.Clone(piece)
			piece[8] &^= flagXMP | flagEXIF
			if exif != nil {
				piece[8] |= flagEXIF
			}
		}
		pieces = append(pieces, piece)
	}
	if exif != nil && extended { // without the extended header there is no place for it, and there was none
		chunk := binary.LittleEndian.AppendUint32([]byte("EXIF"), uint32(len(exif)))
		pieces = append(pieces, append(chunk, exif...))
	}
	size := -8
	for _, piece := range pieces {
		size += len(piece)
	}
	binary.LittleEndian.PutUint32(head[4:], uint32(size))
	return pieces
}

// exifOf returns EXIF that says an orientation and nothing else, nil for that of a picture without any. Its length is even.
func exifOf(orientation int) []byte {
	if orientation <= 1 {
		return nil
	}
	// TIFF 6.0, section 2: header, one directory at 8 with one entry, no other directory.
	exif := []byte{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1}
	exif = append(exif, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(orientation), 0, 0)
	return append(exif, 0, 0, 0, 0)
}
