package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Purge removes every entry of a source from all layers, and keeps the chain from putting any back: what a request found or
// made that began before Purge returned is given to those that already wait for it, but neither stored nor handed to a
// request that begins after Purge returned. All layers are tried; the error joins those of the layers that failed, which may
// still hold entries. Other processes that share a tier are not told: what they have under way is outdated by its version.
func (c *Chain) Purge(ctx context.Context, source string) error {
	busy := c.startPurge(source)
	defer c.endPurge(source)
	for _, quiet := range busy {
		select {
		case <-quiet:
		case <-ctx.Done():
			return fmt.Errorf("purge: wait for writes: %w", ctx.Err())
		}
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

// startPurge outdates the flights of a source and returns a channel for each that is writing to a tier, closed at the end
// of its writes. Flights that begin before endPurge are outdated from the start.
func (c *Chain) startPurge(source string) []<-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purging[source]++
	c.detach(source)
	var busy []<-chan struct{}
	for f := range c.live[source] {
		f.purged = true
		if f.writing == 0 {
			continue
		}
		if f.quiet == nil {
			f.quiet = make(chan struct{})
		}
		busy = append(busy, f.quiet)
	}
	return busy
}

func (c *Chain) endPurge(source string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detach(source)
	c.purging[source]--
	if c.purging[source] == 0 {
		delete(c.purging, source)
	}
}

// detach lets no request join a flight of the source any more, with mu held.
func (c *Chain) detach(source string) {
	for k := range c.flights {
		if k.Source == source {
			delete(c.flights, k)
		}
	}
}
