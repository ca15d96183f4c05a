package transform

import "encoding/binary"

// Flags of a VP8X chunk (RFC 9649, 2.7.1).
const (
	webpAnimated = 0x02
	webpAlpha    = 0x10
)

// maxRIFF is the largest size that a RIFF header may state (RFC 9649, 2.4), bytes.
const maxRIFF = 1<<32 - 10

// webpReader gathers a Header from chunks.
type webpReader struct {
	header   Header
	extended bool // VP8X: the canvas has its size from there
	animated bool
	pictures int // still pictures seen: one is wanted
}

// webpHeader reads a WebP (RFC 9649). Frames are counted, and none may stand out of the canvas.
func webpHeader(data []byte) (Header, error) {
	size := binary.LittleEndian.Uint32(data[4:])
	if size < 4 || size > maxRIFF {
		return Header{}, malformed(WebP, "the file's stated size is impossible")
	}
	body := data[12:min(uint64(len(data)), max(uint64(size)+8, 12))]
	r := webpReader{header: Header{Format: WebP, Orientation: 1}}
	for first := true; len(body) >= 8 && r.wantsMore(); first = false {
		chunk, after, whole := nextRIFF(body)
		if err := r.chunk(chunk, whole, first); err != nil {
			return Header{}, err
		}
		body = after
	}
	if !r.animated {
		r.header.Frames = r.pictures
	}
	if r.header.Frames == 0 {
		return Header{}, malformed(WebP, "it has no picture")
	}
	return r.header, nil
}

// wantsMore stops at the picture of a simple file: what follows it is no part of it.
func (r *webpReader) wantsMore() bool { return r.extended || r.pictures == 0 }

// riffChunk is one chunk; body is cut where the file is.
type riffChunk struct {
	name []byte
	body []byte
}

// nextRIFF splits the first chunk off data, which has at least the 8 bytes of its header. whole tells that it is not cut.
func nextRIFF(data []byte) (chunk riffChunk, after []byte, whole bool) {
	size := uint64(binary.LittleEndian.Uint32(data[4:]))
	chunk.name = data[:4]
	data = data[8:]
	if size > uint64(len(data)) {
		chunk.body = data
		return chunk, nil, false
	}
	chunk.body = data[:size]
	return chunk, data[min(size+size&1, uint64(len(data))):], true
}

func (r *webpReader) chunk(c riffChunk, whole, first bool) error {
	switch string(c.name) {
	case "VP8X":
		if !first || !whole {
			return malformed(WebP, "the extended header is out of place")
		}
		return r.canvas(c.body)
	case "VP8 ", "VP8L":
		return r.picture(c)
	case "ANMF":
		if !r.animated {
			return malformed(WebP, "it has frames and is not animated")
		}
		return r.frame(c.body)
	case "ALPH":
		r.header.Alpha = true
		return nil
	}
	switch {
	case first:
		return malformed(WebP, "the first chunk is no picture")
	case !whole:
		return r.cutMetadata()
	case string(c.name) == "EXIF":
		r.header.Orientation = exifOrientation(c.body)
	}
	return nil
}

// cutMetadata refuses a file that ends before its picture came: a chunk claims bytes that are not there.
func (r *webpReader) cutMetadata() error {
	if r.pictures == 0 && r.header.Frames == 0 {
		return malformed(WebP, "a chunk is longer than the file")
	}
	return nil
}

// canvas reads a VP8X chunk.
func (r *webpReader) canvas(body []byte) error {
	if len(body) < 10 {
		return malformed(WebP, "the extended header is too short")
	}
	r.extended = true
	r.animated = body[0]&webpAnimated != 0
	r.header.Alpha = body[0]&webpAlpha != 0
	r.header.Width, r.header.Height = 1+uint24(body[4:]), 1+uint24(body[7:])
	if uint64(r.header.Width)*uint64(r.header.Height) > 1<<32-1 {
		return malformed(WebP, "the canvas is larger than the format allows")
	}
	return nil
}

// picture reads the picture of a still file. Within an extended one it fills the canvas.
func (r *webpReader) picture(c riffChunk) error {
	if r.animated {
		return malformed(WebP, "it is animated and has a picture outside its frames")
	}
	if r.pictures++; r.pictures > 1 {
		return malformed(WebP, "it has two pictures")
	}
	width, height, alpha, err := webpBitstream(c)
	if err != nil {
		return err
	}
	if !r.extended {
		r.header.Width, r.header.Height, r.header.Alpha = width, height, alpha
	} else if width != r.header.Width || height != r.header.Height {
		return malformed(WebP, "picture and canvas differ in size")
	}
	return nil
}

// frame reads an ANMF chunk (2.7.1.1) and the picture in it.
func (r *webpReader) frame(body []byte) error {
	const head = 16
	if len(body) < head+8 {
		return nil // cut off before its picture
	}
	x, y := 2*uint24(body), 2*uint24(body[3:])
	width, height := 1+uint24(body[6:]), 1+uint24(body[9:])
	if x+width > r.header.Width || y+height > r.header.Height {
		return malformed(WebP, "a frame stands out of the canvas")
	}
	for rest := body[head:]; len(rest) >= 8; {
		c, after, _ := nextRIFF(rest)
		rest = after
		if string(c.name) != "VP8 " && string(c.name) != "VP8L" {
			continue
		}
		w, h, _, err := webpBitstream(c)
		if err != nil {
			return err
		}
		if w != width || h != height {
			return malformed(WebP, "a frame and its picture differ in size")
		}
		r.header.Frames++
		return nil
	}
	return malformed(WebP, "a frame has no picture")
}

// webpBitstream reads the size that a picture's own data states.
func webpBitstream(c riffChunk) (width, height int, alpha bool, err error) {
	b := c.body
	if string(c.name) == "VP8L" { // RFC 9649, 3.4
		if len(b) < 5 || b[0] != 0x2F || b[4]>>5 != 0 {
			return 0, 0, false, malformed(WebP, "the lossless picture's header is broken")
		}
		bits := binary.LittleEndian.Uint32(b[1:])
		return 1 + int(bits&0x3FFF), 1 + int(bits>>14&0x3FFF), bits>>28&1 != 0, nil
	}
	// RFC 6386, 9.1: a key frame, its start code, 14 bits a side under 2 bits of scaling.
	if len(b) < 10 || b[0]&1 != 0 || b[3] != 0x9D || b[4] != 0x01 || b[5] != 0x2A {
		return 0, 0, false, malformed(WebP, "the lossy picture's header is broken")
	}
	width = int(binary.LittleEndian.Uint16(b[6:]) & 0x3FFF)
	height = int(binary.LittleEndian.Uint16(b[8:]) & 0x3FFF)
	if width == 0 || height == 0 {
		return 0, 0, false, malformed(WebP, "a side is 0")
	}
	return width, height, false, nil
}

// uint24 reads three bytes, lowest first.
func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
