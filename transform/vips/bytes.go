package vips

import (
	"context"
	"fmt"

	"deckle/transform"
)

// encodeWithin encodes the picture so that it has at most spec.MaxBytes: at the quality that it would have had anyway if that
// fits, else at the highest below. Sizes grow with quality but for a hair, so that the search halves the range: the pixels,
// held in memory, are encoded eight times at most. The error wraps transform.ErrMaxBytes when nothing fits.
func (e *Engine) encodeWithin(ctx context.Context, r *render) ([]byte, error) {
	most := r.spec.MaxBytes
	if most > 0 && r.frames == 1 { // those of an animation are in memory already
		if err := r.settle(); err != nil {
			return nil, err
		}
	}
	if err := r.attach(); err != nil {
		return nil, err
	}
	if most == 0 {
		return e.encode(r, r.quality())
	}
	body, err := e.encode(r, r.quality())
	if err != nil || len(body) <= most {
		return body, err
	}
	least := len(body)
	var best []byte
	if r.format.Lossy() && !r.spec.Lossless {
		for low, high := 1, r.quality()-1; low <= high; {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			quality := (low + high) / 2
			body, err := e.encode(r, quality)
			if err != nil {
				return nil, err
			}
			least = min(least, len(body))
			if len(body) <= most {
				best, low = body, quality+1
			} else {
				high = quality - 1
			}
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: the smallest %s of this picture has %d bytes; max_bytes is %d", transform.ErrMaxBytes, r.format, least, most)
	}
	return best, nil
}
