package pool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A frame is a head of JSON and a body of bytes, behind eight bytes that hold the length of each, big-endian.
const prefixBytes = 8

// maxHead bounds the head of a frame, bytes: a Spec, or facts about a picture. Settings with overlays in them are the largest.
const maxHead = 64 << 20

// errFrame says that the other side does not keep to the protocol.
var errFrame = errors.New("pool: bad frame")

// eagerBytes is how much is allocated on the word of a length. Beyond it memory grows with what has really come.
const eagerBytes = 1 << 20

// packHead returns prefix and head of a frame whose body has the given length.
func packHead(head any, body int) ([]byte, error) {
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	frame := make([]byte, prefixBytes, prefixBytes+len(text))
	binary.BigEndian.PutUint32(frame, uint32(len(text)))
	binary.BigEndian.PutUint32(frame[4:], uint32(body))
	return append(frame, text...), nil
}

// readFrame reads a frame, its head into head. Lengths above the bounds are refused before anything is allocated for them.
func readFrame(r io.Reader, head any, headBound, bodyBound int64) (body []byte, err error) {
	var prefix [prefixBytes]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, err
	}
	return readRest(r, prefix, head, headBound, bodyBound)
}

// readRest reads what follows a prefix.
func readRest(r io.Reader, prefix [prefixBytes]byte, head any, headBound, bodyBound int64) ([]byte, error) {
	headLen, bodyLen := int64(binary.BigEndian.Uint32(prefix[:])), int64(binary.BigEndian.Uint32(prefix[4:]))
	if headLen > headBound || bodyLen > bodyBound {
		return nil, fmt.Errorf("%w: lengths of %d and %d", errFrame, headLen, bodyLen)
	}
	text, err := readBytes(r, headLen)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(head); err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return readBytes(r, bodyLen)
}

func readBytes(r io.Reader, n int64) ([]byte, error) {
	if n <= eagerBytes {
		b := make([]byte, n)
		_, err := io.ReadFull(r, b)
		return b, err
	}
	var b bytes.Buffer
	b.Grow(eagerBytes)
	if _, err := io.CopyN(&b, r, n); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
