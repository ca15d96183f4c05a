package cache

import (
	"context"
	"time"
)

// Held is what one layer said when it was asked for a key.
type Held struct {
	Layer string
	Entry *Entry // nil when Err is not
	Took  time.Duration
	Err   error // ErrMiss, ErrCorrupt, or what went wrong
}

// Where asks every layer for k, fastest first, and changes nothing: nothing is copied up, filled or counted.
func (c *Chain) Where(ctx context.Context, k Key) []Held {
	held := make([]Held, len(c.layers))
	for i := range c.layers {
		layer := &c.layers[i]
		begin := time.Now()
		entry, err := layer.Tier.Get(ctx, k)
		held[i] = Held{Layer: layer.Name, Entry: entry, Took: time.Since(begin), Err: err}
	}
	return held
}
