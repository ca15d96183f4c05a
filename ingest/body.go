package ingest

import (
	"context"
	"crypto/md5" // names contents as older services do; nothing is trusted to it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// bufferBytes is what one upload holds of its body at a time.
const bufferBytes = 64 << 10

// content is what bytes are known by.
type content struct {
	sha256 string // lower-case hexadecimal
	md5    string // likewise
	bytes  int64
}

// sums hashes what is written.
type sums struct{ sha256, md5 hash.Hash }

func newSums() sums { return sums{sha256.New(), md5.New()} }

func (s sums) Write(p []byte) (int, error) {
	s.sha256.Write(p)
	s.md5.Write(p)
	return len(p), nil
}

// content returns the sums of the n bytes that were written.
func (s sums) content(n int64) content {
	return content{sha256: hex.EncodeToString(s.sha256.Sum(nil)), md5: hex.EncodeToString(s.md5.Sum(nil)), bytes: n}
}

// readBody copies a body to its end and hashes it. It stops at the first byte beyond the limit, when ctx ends, and when the
// body breaks off.
func (s *Service) readBody(ctx context.Context, body io.Reader, to io.Writer, limit int64) (content, error) {
	sums := newSums()
	limited := &limitedBody{ctx: ctx, body: body, left: limit}
	// Both ends are wrapped, so that neither can have the other one copy with a buffer of its own size.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(sums, to)}, limited, make([]byte, bufferBytes))
	switch {
	case limited.err != nil:
		return content{}, limited.err
	case err != nil:
		return content{}, fmt.Errorf("store upload: %w", err)
	case n == 0:
		return content{}, ErrNoImage
	}
	return sums.content(n), nil
}

// emptyReads is how often in a row a body may give neither bytes nor an error.
const emptyReads = 100

// limitedBody keeps apart what goes wrong with the body from what goes wrong with its storing.
type limitedBody struct {
	ctx   context.Context
	body  io.Reader
	left  int64 // bytes
	empty int   // reads in a row that gave nothing
	err   error // why the body ended early
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if cause := context.Cause(b.ctx); cause != nil {
		return 0, b.fail(fmt.Errorf("%w: %w", ErrAborted, cause))
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	b.empty++
	if n > 0 {
		b.empty = 0
	}
	switch {
	case b.left < 0:
		return 0, b.fail(ErrTooLarge)
	case err != nil && !errors.Is(err, io.EOF):
		return 0, b.fail(fmt.Errorf("%w: %w", ErrAborted, err))
	case err == nil && b.empty > emptyReads:
		return 0, b.fail(fmt.Errorf("%w: %w", ErrAborted, io.ErrNoProgress))
	}
	return n, err
}

func (b *limitedBody) fail(err error) error {
	b.err = err
	return err
}
