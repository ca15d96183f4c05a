package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// bufferBytes is what one upload holds of its body at a time.
const bufferBytes = 64 << 10

// content is what bytes are known by.
type content struct {
	sha256 string // lower-case hexadecimal
	bytes  int64
}

// readBody copies a body to its end and hashes it. It stops at the first byte beyond the limit, when ctx ends, and when the
// body breaks off.
func (s *Service) readBody(ctx context.Context, body io.Reader, to io.Writer) (content, error) {
	hash := sha256.New()
	limited := &limitedBody{ctx: ctx, body: body, left: s.config.Limits.SourceBytes}
	// Both ends are wrapped, so that neither can have the other one copy with a buffer of its own size.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(hash, to)}, limited, make([]byte, bufferBytes))
	switch {
	case limited.err != nil:
		return content{}, limited.err
	case err != nil:
		return content{}, fmt.Errorf("store upload: %w", err)
	case n == 0:
		return content{}, ErrNoImage
	}
	return content{sha256: hex.EncodeToString(hash.Sum(nil)), bytes: n}, nil
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
