package transform

import (
	"bytes"
	"encoding/binary"
)

// Strip returns a copy of a source that holds its picture and nothing else: no EXIF, XMP, comments, thumbnails, nor bytes
// after its end. The pixels are untouched, and mean the same without what was left out.
//
// It answers false where that cannot be promised: for formats other than JPEG, PNG, GIF and WebP, for files that end early or
// have parts it does not know, and for pictures that are not 8-bit sRGB or grey, because their numbers mean nothing without
// the profile. An orientation in the metadata is lost: whoever needs it turns the picture. ReadHeader has accepted data.
func Strip(data []byte, format Format) ([]byte, bool) {
	strip := map[Format]func([]byte) ([]byte, bool){JPEG: stripJPEG, PNG: stripPNG, GIF: stripGIF, WebP: stripWebP}[format]
	if strip == nil {
		return nil, false
	}
	return strip(data)
}

// stripJPEG keeps the segments that a decoder works with (ITU-T T.81, annex B), and the two that say how colours are coded.
func stripJPEG(data []byte) ([]byte, bool) {
	out := append(make([]byte, 0, len(data)), data[:2]...)
	rest := data[2:]
	scans := 0
	for {
		for len(rest) >= 2 && rest[0] == 0xFF && rest[1] == 0xFF { // fill bytes
			rest = rest[1:]
		}
		if len(rest) < 2 || rest[0] != 0xFF {
			return nil, false
		}
		marker := rest[1]
		if marker == markerEOI {
			return append(out, rest[:2]...), scans > 0
		}
		if len(rest) < 4 {
			return nil, false
		}
		length := 2 + int(binary.BigEndian.Uint16(rest[2:]))
		if length < 4 || length > len(rest) {
			return nil, false
		}
		kept, ok := keepSegment(marker, rest[:length])
		if !ok {
			return nil, false
		}
		out, rest = append(out, kept...), rest[length:]
		if marker == markerSOS {
			scans++
			n := scanLength(rest)
			out, rest = append(out, rest[:n]...), rest[n:]
		}
	}
}

// keepSegment returns what is kept of a segment, marker and length included; false when the picture cannot do without
// something that is not kept.
func keepSegment(marker byte, segment []byte) ([]byte, bool) {
	const (
		app2, app14          = 0xE2, 0xEE
		markerDRI, markerCOM = 0xDD, 0xFE
	)
	body := segment[4:]
	switch {
	case marker == markerAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) >= 14:
		// Without the thumbnail that may follow, and at 72 pixels an inch (JFIF 1.02): two bytes of size, then 14 of body.
		return append(append([]byte{0xFF, markerAPP0, 0, 16}, body[:7]...), 1, 0, 72, 0, 72, 0, 0), true
	case marker == app14 && bytes.HasPrefix(body, []byte("Adobe")):
		return segment, true
	case marker == app2 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")):
		return nil, false
	case marker >= markerAPP0 && marker <= markerAPPF || marker == markerCOM:
		return nil, true
	case marker == markerSOF0 || marker == markerSOF1 || marker == markerSOF2 || marker == markerSOF9 || marker == markerSOFA:
		return segment, len(body) >= 6 && body[0] == 8 && body[5] <= 3 // four are inks
	case marker == markerDHT || marker == markerDQT || marker == markerDAC || marker == markerDRI || marker == markerSOS:
		return segment, true
	}
	return nil, false
}

// scanLength returns how many bytes of entropy-coded data come before the next marker that is no restart.
func scanLength(data []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 || at+i+1 >= len(data) {
			return len(data)
		}
		at += i
		next := data[at+1]
		if next != 0 && (next < markerRST0 || next >= markerSOI) {
			return at
		}
		at += 2
	}
}

// stripPNG keeps the chunks that hold pixels (PNG third edition, 11.2, and tRNS). What describes the colours is left out when
// the file says that they are sRGB, or nothing; else there is no stripping.
func stripPNG(data []byte) ([]byte, bool) {
	out := append(make([]byte, 0, len(data)), pngSignature...)
	described, srgb := false, false
	for rest := data[len(pngSignature):]; len(rest) >= 12; {
		size := uint64(binary.BigEndian.Uint32(rest)) + 12
		if size > uint64(len(rest)) {
			return nil, false
		}
		chunk := rest[:size]
		rest = rest[size:]
		switch name := string(chunk[4:8]); name {
		case "IHDR":
			if len(chunk) != 25 || chunk[16] == 16 {
				return nil, false
			}
			out = append(out, chunk...)
		case "PLTE", "IDAT", "tRNS":
			out = append(out, chunk...)
		case "IEND":
			return append(out, chunk...), !described || srgb
		case "sRGB":
			srgb = true
		case "gAMA", "cHRM":
			described = true
		case "iCCP", "cICP", "mDCV", "cLLI", "acTL":
			return nil, false
		}
	}
	return nil, false
}

// stripGIF keeps frames, their delays, and how often they are repeated (GIF89a; the Netscape extension).
func stripGIF(data []byte) ([]byte, bool) {
	r := gifReader{data: data[6:]}
	out := make([]byte, 0, len(data))
	screen := r.take(7)
	if screen == nil {
		return nil, false
	}
	r.colourTable(screen[4])
	out = append(out, data[:len(data)-len(r.data)]...)
	for !r.cut && len(r.data) > 0 {
		block := r.data
		switch r.take(1)[0] {
		case gifTrailer:
			return append(out, gifTrailer), true
		case gifPadding:
			continue
		case gifImage:
			if r.frame() != nil {
				return nil, false
			}
		case gifExtension:
			if r.extension(); r.cut {
				return nil, false
			}
			if !keepExtension(block[:len(block)-len(r.data)]) {
				continue
			}
		default:
			return nil, false
		}
		out = append(out, block[:len(block)-len(r.data)]...)
	}
	return nil, false
}

// keepExtension tells whether an extension, introducer included, bears on how frames are shown.
func keepExtension(block []byte) bool {
	if len(block) > 1 && block[1] == gifControl {
		return true
	}
	const loops = 19 // bytes, of the only form that says how often
	return len(block) == loops && (bytes.HasPrefix(block[3:], []byte("NETSCAPE2.0")) || bytes.HasPrefix(block[3:], []byte("ANIMEXTS1.0")))
}

// stripWebP keeps the chunks of pictures and frames (RFC 9649, 2.7).
func stripWebP(data []byte) ([]byte, bool) {
	end := uint64(binary.LittleEndian.Uint32(data[4:])) + 8
	if end > uint64(len(data)) || end < 12 {
		return nil, false
	}
	out := append(make([]byte, 0, len(data)), data[:12]...)
	for rest := data[12:end]; len(rest) >= 8; {
		chunk, after, whole := nextRIFF(rest)
		if !whole {
			return nil, false
		}
		switch string(chunk.name) {
		case "VP8X":
			at := len(out)
			out = append(out, rest[:len(rest)-len(after)]...)
			out[at+8] &= webpAnimated | webpAlpha
		case "VP8 ", "VP8L", "ALPH", "ANIM":
			out = append(out, rest[:len(rest)-len(after)]...)
		case "ANMF":
			if !plainFrame(chunk.body) {
				return nil, false
			}
			out = append(out, rest[:len(rest)-len(after)]...)
		case "ICCP":
			return nil, false
		}
		rest = after
	}
	binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out, true
}

// plainFrame tells whether a frame holds nothing but its picture.
func plainFrame(body []byte) bool {
	const head = 16
	if len(body) < head {
		return false
	}
	for rest := body[head:]; len(rest) > 0; {
		if len(rest) < 8 {
			return false
		}
		chunk, after, whole := nextRIFF(rest)
		if name := string(chunk.name); !whole || name != "VP8 " && name != "VP8L" && name != "ALPH" {
			return false
		}
		rest = after
	}
	return true
}
