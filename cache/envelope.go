package cache

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
)

// The stored form of an entry. Numbers are little-endian.
//
//	offset  bytes  content
//	0       4      envelopeMagic, the last byte of which counts the versions of this layout
//	4       5 x 4  lengths of source, version, variant, content type and ETag
//	24      2 x 4  width and height, pixels
//	32      8      when the source changed, Unix seconds
//	40      8      when the entry was made, Unix milliseconds
//	48      8      what making it took, nanoseconds
//	56      8      xxHash64 of the body
//	64      ...    source, version, variant, content type, ETag, then the body up to the last 8 bytes
//	end-8   8      xxHash64 of everything before
//
// The hash finds accidents, not forgeries: who can write to a shared tier can write pictures.
const (
	envelopeMagic   = "DKL\x01"
	envelopeHeader  = 64
	envelopeTrailer = 8
	envelopeTexts   = 5
)

// Encode returns the stored form of e under k: what Decode takes.
func Encode(k Key, e *Entry) []byte {
	texts := [envelopeTexts]string{k.Source, k.Version, k.Variant, e.ContentType, e.ETag}
	size := envelopeHeader + len(e.Body) + envelopeTrailer
	for _, text := range texts {
		size += len(text)
	}
	le := binary.LittleEndian
	data := append(make([]byte, 0, size), envelopeMagic...)
	for _, text := range texts {
		data = le.AppendUint32(data, uint32(len(text)))
	}
	data = le.AppendUint32(data, uint32(e.Width))
	data = le.AppendUint32(data, uint32(e.Height))
	data = le.AppendUint64(data, uint64(e.Modified.Unix()))
	data = le.AppendUint64(data, uint64(e.Stored.UnixMilli()))
	data = le.AppendUint64(data, uint64(e.Cost))
	data = le.AppendUint64(data, e.Checksum)
	for _, text := range texts {
		data = append(data, text...)
	}
	data = append(data, e.Body...)
	return le.AppendUint64(data, xxhash.Sum64(data))
}

// Decode returns the entry that Encode stored under k. Its Body aliases data, which must not change afterwards; its times
// are in UTC. Bytes that are anything else, or the entry of another key, give an error that wraps ErrCorrupt. Nothing is
// allocated on the word of a length in data.
func Decode(k Key, data []byte) (*Entry, error) {
	le := binary.LittleEndian
	switch {
	case len(data) < envelopeHeader+envelopeTrailer:
		return nil, fmt.Errorf("%w: cut short", ErrCorrupt)
	case string(data[:len(envelopeMagic)]) != envelopeMagic:
		return nil, fmt.Errorf("%w: not an entry of this layout", ErrCorrupt)
	}
	content, trailer := data[:len(data)-envelopeTrailer], data[len(data)-envelopeTrailer:]
	if xxhash.Sum64(content) != le.Uint64(trailer) {
		return nil, fmt.Errorf("%w: the checksum differs", ErrCorrupt)
	}
	header, rest := content[:envelopeHeader], content[envelopeHeader:]
	var texts [envelopeTexts][]byte
	for i := range texts {
		n := le.Uint32(header[4+4*i:])
		if uint64(n) > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: a length points beyond the end", ErrCorrupt)
		}
		texts[i], rest = rest[:n], rest[n:]
	}
	if string(texts[0]) != k.Source || string(texts[1]) != k.Version || string(texts[2]) != k.Variant {
		return nil, fmt.Errorf("%w: the entry of another key", ErrCorrupt)
	}
	width, height := le.Uint32(header[24:]), le.Uint32(header[28:])
	if width > math.MaxInt32 || height > math.MaxInt32 {
		return nil, fmt.Errorf("%w: a side out of range", ErrCorrupt)
	}
	return &Entry{
		Body:        rest[:len(rest):len(rest)],
		ContentType: string(texts[3]),
		ETag:        string(texts[4]),
		Width:       int(width),
		Height:      int(height),
		Modified:    time.Unix(int64(le.Uint64(header[32:])), 0).UTC(),
		Stored:      time.UnixMilli(int64(le.Uint64(header[40:]))).UTC(),
		Cost:        time.Duration(le.Uint64(header[48:])),
		Checksum:    le.Uint64(header[56:]),
	}, nil
}
