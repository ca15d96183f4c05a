package transform

import "encoding/binary"

// FirstFrame returns an animation as a file of its first frame alone, for whoever shows no other: libwebp finds each frame by
// walking over those before it, and libvips asks for every one as it opens a file, so that of 100,000 frames of one pixel
// the first takes ten seconds. Sources that are no animated WebP, or end within their first frame, come back as they are;
// the result is never written to. ReadHeader has accepted data.
func FirstFrame(data []byte, h Header) []byte {
	if h.Format != WebP || h.Frames < 2 {
		return data
	}
	for rest := data[12:]; len(rest) >= 8; {
		chunk, after, whole := nextRIFF(rest)
		if !whole {
			break
		}
		if string(chunk.name) == "ANMF" {
			first := append([]byte(nil), data[:len(data)-len(after)]...)
			binary.LittleEndian.PutUint32(first[4:], uint32(len(first)-8))
			return first
		}
		rest = after
	}
	return data
}
