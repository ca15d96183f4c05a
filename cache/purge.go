package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Purge removes every entry of a source from all layers, and keeps the chain from putting any back: what a request found or
// made that began before Purge returned is given to those that already wait for it, but neither stored nor handed to a
// request that begins after Purge returned. All layers are tried; the error joins those of the layers that failed, which may
// still hold entries. Other processes that share a tier are not told: what they have under way is outdated by its version.
// It is quick and for each change of a source; Hold and Sweep together are thorough.
func (c *Chain) Purge(ctx context.Context, source string) error {
	release, err := c.hold(ctx, func(other string) bool { return other == source })
	defer release()
	if err != nil {
		return err
	}
	var failed []error
	// Slowest first: nothing is copied up from a layer that is empty already.
	for i := len(c.layers) - 1; i >= 0; i-- {
		layer := &c.layers[i]
		start := time.Now()
		err := layer.Tier.Purge(ctx, source)
		c.observe(layer.Name, "purge", time.Since(start), err)
		if err != nil {
			failed = append(failed, fmt.Errorf("purge %s: %w", layer.Name, err))
		}
	}
	return errors.Join(failed...)
}

// Hold keeps the chain from storing anything within s: what requests find or make that began before release is given to them,
// but neither stored nor handed to a request that begins after it. Hold returns when the writes that were under way have
// ended, or ctx has; release is to be called in either case.
func (c *Chain) Hold(ctx context.Context, s Scope) (release func(), err error) {
	return c.hold(ctx, s.Covers)
}

func (c *Chain) hold(ctx context.Context, covers func(source string) bool) (release func(), err error) {
	h := &held{covers}
	busy := c.startPurge(h)
	release = sync.OnceFunc(func() { c.endPurge(h) })
	for _, quiet := range busy {
		select {
		case <-quiet:
		case <-ctx.Done():
			return release, fmt.Errorf("purge: wait for writes: %w", ctx.Err())
		}
	}
	return release, nil
}

// held says for which sources nothing may be stored now.
type held struct{ covers func(source string) bool }

// startPurge outdates the flights of the sources that h covers and returns a channel for each that is writing to a tier,
// closed at the end of its writes. Flights that begin before endPurge are outdated from the start.
func (c *Chain) startPurge(h *held) []<-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purging = append(c.purging, h)
	c.detach(h)
	var busy []<-chan struct{}
	for source, flights := range c.live {
		if !h.covers(source) {
			continue
		}
		for f := range flights {
			f.purged = true
			if f.writing == 0 {
				continue
			}
			if f.quiet == nil {
				f.quiet = make(chan struct{})
			}
			busy = append(busy, f.quiet)
		}
	}
	return busy
}

func (c *Chain) endPurge(h *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detach(h)
	c.purging = slices.DeleteFunc(c.purging, func(other *held) bool { return other == h })
}

// isHeld tells whether a flight of a source that begins now may store nothing, with mu held.
func (c *Chain) isHeld(source string) bool {
	return slices.ContainsFunc(c.purging, func(h *held) bool { return h.covers(source) })
}

// detach lets no request join a flight of what h covers any more, with mu held.
func (c *Chain) detach(h *held) {
	for k := range c.flights {
		if h.covers(k.Source) {
			delete(c.flights, k)
		}
	}
}
