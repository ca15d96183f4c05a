package transform

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// pngSignature opens every PNG (PNG third edition, 5.2).
const pngSignature = "\x89PNG\r\n\x1a\n"

const (
	// maxPNGMetadata is how much of a PNG may be neither pixels nor colour profile, bytes. Decoders keep it all in memory.
	maxPNGMetadata = 1 << 20
	// maxPNGInflated is what all compressed profiles and texts of a PNG may come to, bytes. The largest profiles in use have
	// about 3 MB; deflate makes a thousand bytes of one.
	maxPNGInflated = 4 << 20
)

// pngReader gathers a Header from chunks.
type pngReader struct {
	header   Header
	pixels   bool // an IDAT chunk was seen
	metadata int  // bytes of ancillary chunks
	inflated int  // bytes of decompressed profiles and texts
	inflater io.ReadCloser
	stream   bytes.Reader // what inflater reads
	scratch  [4096]byte
}

// pngHeader reads a PNG. Only the default picture of an animated one is used, so that Frames is 1 always.
func pngHeader(data []byte) (Header, error) {
	r := pngReader{header: Header{Format: PNG, Frames: 1, Orientation: 1}}
	rest, err := r.first(data[len(pngSignature):])
	if err != nil {
		return Header{}, err
	}
	for len(rest) >= 8 {
		length, name := uint64(binary.BigEndian.Uint32(rest)), string(rest[4:8])
		if name == "IEND" {
			break
		}
		whole := length+4 <= uint64(len(rest)-8)
		if name == "IDAT" || name == "fdAT" {
			r.pixels = r.pixels || name == "IDAT"
			if !whole { // cut off: half a photo beats none
				break
			}
		} else {
			if !whole {
				return Header{}, malformed(PNG, "a chunk is longer than the file")
			}
			if err := r.chunk(name, rest[8:8+length]); err != nil {
				return Header{}, err
			}
		}
		rest = rest[8+length+4:]
	}
	if !r.pixels {
		return Header{}, malformed(PNG, "it has no picture")
	}
	return r.header, nil
}

// first reads the IHDR chunk (11.2.1) and returns what follows it.
func (r *pngReader) first(data []byte) ([]byte, error) {
	const size = 13
	if len(data) < 8+size+4 || binary.BigEndian.Uint32(data) != size || string(data[4:8]) != "IHDR" {
		if len(data) >= 8 && string(data[4:8]) == "CgBI" {
			return nil, unsupported(PNG, "it is of Apple's own kind")
		}
		return nil, malformed(PNG, "the header chunk is not where it must be")
	}
	if crc32.ChecksumIEEE(data[4:8+size]) != binary.BigEndian.Uint32(data[8+size:]) {
		return nil, malformed(PNG, "the header's checksum is wrong")
	}
	ihdr := data[8 : 8+size]
	width, height := binary.BigEndian.Uint32(ihdr), binary.BigEndian.Uint32(ihdr[4:])
	depth, colour := ihdr[8], ihdr[9]
	switch {
	case width == 0 || height == 0 || width > 1<<31-1 || height > 1<<31-1:
		return nil, malformed(PNG, "a side is out of range")
	case !pngDepthAllowed(depth, colour):
		return nil, malformed(PNG, "it has %d bits in colour type %d", depth, colour)
	case ihdr[10] != 0 || ihdr[11] != 0 || ihdr[12] > 1:
		return nil, malformed(PNG, "its compression, filter or interlacing does not exist")
	}
	r.header.Width, r.header.Height = int(width), int(height)
	r.header.Alpha = colour&4 != 0
	return data[8+size+4:], nil
}

// pngDepthAllowed is table 11.1 of the specification.
func pngDepthAllowed(depth, colour byte) bool {
	switch colour {
	case 0:
		return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16
	case 3:
		return depth == 1 || depth == 2 || depth == 4 || depth == 8
	case 2, 4, 6:
		return depth == 8 || depth == 16
	}
	return false
}

// chunk reads a whole chunk other than of pixels.
func (r *pngReader) chunk(name string, body []byte) error {
	if name[0]&0x20 == 0 { // critical: a decoder must know it
		if name != "PLTE" || len(body) > 3*256 || len(body)%3 != 0 {
			return malformed(PNG, "a critical chunk is unknown or out of place")
		}
		return nil
	}
	if name != "iCCP" {
		if r.metadata += len(body); r.metadata > maxPNGMetadata {
			return tooMuch(PNG, "it has more than %d bytes of metadata", maxPNGMetadata)
		}
	}
	switch name {
	case "tRNS":
		r.header.Alpha = true
	case "eXIf":
		r.header.Orientation = exifOrientation(body)
	case "iCCP", "zTXt": // keyword, method, stream (11.3.2.3, 11.3.3.3)
		if rest := afterNULs(body, 1); len(rest) > 0 {
			return r.inflate(rest[1:])
		}
	case "iTXt": // keyword, flag, method, language, translated keyword, text (11.3.3.4)
		if rest := afterNULs(body, 1); len(rest) > 1 && rest[0] != 0 {
			return r.inflate(afterNULs(rest[2:], 2))
		}
	}
	return nil
}

// afterNULs returns what follows the nth zero byte of body; nil when there are fewer.
func afterNULs(body []byte, n int) []byte {
	for ; n > 0; n-- {
		_, after, found := bytes.Cut(body, []byte{0})
		if !found {
			return nil
		}
		body = after
	}
	return body
}

// inflate measures a zlib stream without keeping it. A broken one is no fault: decoders leave such a profile or text out.
func (r *pngReader) inflate(stream []byte) error {
	err := r.open(stream)
	for err == nil {
		var n int
		n, err = r.inflater.Read(r.scratch[:])
		if r.inflated += n; r.inflated > maxPNGInflated {
			return tooMuch(PNG, "its profiles and texts inflate to more than %d bytes", maxPNGInflated)
		}
	}
	return nil
}

// open makes inflater read a zlib stream. There is one for all streams, as it takes most of the memory that a PNG is read with.
func (r *pngReader) open(stream []byte) (err error) {
	r.stream.Reset(stream)
	if r.inflater == nil {
		r.inflater, err = zlib.NewReader(&r.stream)
		return err
	}
	return r.inflater.(zlib.Resetter).Reset(&r.stream, nil)
}
