package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed says that the chain was closed.
var ErrClosed = errors.New("cache: chain is closed")

// Defaults of a Config.
const (
	DefaultFillTimeout = 30 * time.Second
	DefaultBacklog     = 64 << 20 // bytes
	DefaultWriters     = 4        // for each layer
)

// Layer is a tier under the name that outcomes and metrics call it by.
type Layer struct {
	Name   string
	Tier   Tier
	Shared bool // other nodes see what it holds
}

// Config says what a Chain is made of. Zero values stand for the defaults.
type Config struct {
	// Layers holds the tiers, fastest first. The first is asked by every request on its own and written before the answer:
	// it should be memory. The others are asked once for all that want a key at the same time, and written behind the answer.
	Layers []Layer
	// FillTimeout bounds all the work for one missing key: asking the layers below the first, and filling.
	FillTimeout time.Duration
	// Backlog bounds the bytes of entries that wait to be written, in all layers together; each layer below the first has an
	// equal share, so that a slow one does not starve the others.
	Backlog int64
	// Writers is how many entries are written to one layer at the same time.
	Writers int
	// Observe, if set, is told of every call to a tier: op is "get", "set" or "purge"; err is nil, ErrMiss, ErrCorrupt,
	// ErrTooLarge, ErrRefused, ErrBacklog for a write that was dropped, or what went wrong. A write that waits for a tier which
	// answers ErrOpen is told of at its end. It must be quick and safe for concurrent use.
	Observe func(tier, op string, took time.Duration, err error)
	// Follow, if set, is told of every look-up besides, with the context that it was made for.
	Follow func(ctx context.Context, tier string, begin time.Time, err error)
}

// Chain looks entries up in its layers, copies what it finds in a slow one to the faster ones, and fills what none holds,
// once for all that want it. A tier that fails counts as one that misses. Methods are safe for concurrent use.
type Chain struct {
	layers      []Layer
	writers     []*writer // one a layer, nil for the first
	fillTimeout time.Duration
	observe     func(tier, op string, took time.Duration, err error)
	follow      func(ctx context.Context, tier string, begin time.Time, err error) // nil when nobody does

	base    context.Context // ends when Close stops waiting
	stop    context.CancelFunc
	running sync.WaitGroup // flights and direct look-ups
	drained chan struct{}  // closed when nothing of the chain runs any more

	mu      sync.Mutex
	closed  bool
	flights map[Key]*flight                 // that requests may join: running, or just landed
	live    map[string]map[*flight]struct{} // by source: that may still write to a tier
	purging []*held                         // what may not be stored now
	landed  landed

	refreshing map[Key]struct{} // guarded by mu
	marks      atomic.Pointer[marks]
	keeping    sync.Mutex // held while marks are read from and written to tiers
}

// NewChain returns a chain that works until Close.
func NewChain(cfg Config) *Chain {
	c := &Chain{
		layers:      cfg.Layers,
		writers:     make([]*writer, len(cfg.Layers)),
		fillTimeout: positive(cfg.FillTimeout, DefaultFillTimeout),
		observe:     cfg.Observe,
		follow:      cfg.Follow,
		drained:     make(chan struct{}),
		flights:     make(map[Key]*flight),
		live:        make(map[string]map[*flight]struct{}),
		refreshing:  make(map[Key]struct{}),
	}
	if c.observe == nil {
		c.observe = func(string, string, time.Duration, error) {}
	}
	c.base, c.stop = context.WithCancel(context.Background())
	c.landed.init(c.expire)
	backlog := positive(cfg.Backlog, DefaultBacklog) / int64(max(1, len(c.layers)-1))
	for i := 1; i < len(c.layers); i++ {
		c.writers[i] = newWriter(backlog, positive(cfg.Writers, DefaultWriters), func(j job, last bool) bool { return c.write(i, j, last) })
	}
	return c
}

func positive[T int | int64 | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// Get returns the entry for k from the fastest layer that holds it, or from fill. Requests for a key that the first layer
// does not hold share one flight: the layers below are asked once and fill is called at most once, on a context that keeps
// the values of the first request's but ends after FillTimeout, or when the last request that waits has left. A flight's
// entry is given to all that ask within the second after it. An error is given to those that wait, and not kept; a fill that
// panics gives them a *PanicError. Get returns when ctx ends or after FillTimeout, even if fill does not.
func (c *Chain) Get(ctx context.Context, k Key, fill Fill) (*Entry, Outcome, error) {
	e, out := c.First(ctx, k)
	if e != nil {
		return e, out, nil
	}
	return c.Beyond(ctx, k, fill, out)
}

// First asks the first layer alone; without an entry the outcome is for Beyond. The two are Get, taken apart for callers that
// make their Fill only when it is needed.
func (c *Chain) First(ctx context.Context, k Key) (*Entry, Outcome) {
	var out Outcome
	return c.lookFirst(ctx, k, &out), out
}

// Beyond does what Get does for a key that First did not find; out is what First returned.
func (c *Chain) Beyond(ctx context.Context, k Key, fill Fill, out Outcome) (*Entry, Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, out, err
	}
	f, leads, err := c.join(ctx, k, fill, &out)
	if err != nil {
		return nil, out, err
	}
	return c.await(ctx, f, leads, out)
}

// Lookup returns the entry for k from the fastest layer that holds it, or ErrMiss. It shares nothing with requests that are
// under way and waits for none.
func (c *Chain) Lookup(ctx context.Context, k Key) (*Entry, Outcome, error) {
	var out Outcome
	if e := c.lookFirst(ctx, k, &out); e != nil {
		return e, out, nil
	}
	f, err := c.visit(ctx, k)
	if err != nil {
		return nil, out, err
	}
	defer c.leaveVisit(f)
	e, level := c.descend(f.ctx, k, &out)
	if e == nil {
		if err := ctx.Err(); err != nil {
			return nil, out, err
		}
		return nil, out, ErrMiss
	}
	c.copyUp(f, e, level)
	return e, out, nil
}

// lookFirst asks the first layer.
func (c *Chain) lookFirst(ctx context.Context, k Key, out *Outcome) *Entry {
	if len(c.layers) == 0 {
		return nil
	}
	return c.look(ctx, 0, k, out)
}

// descend asks the layers below the first. Its second result is the layer that held the entry, or the number of layers.
func (c *Chain) descend(ctx context.Context, k Key, out *Outcome) (*Entry, int) {
	for i := 1; i < len(c.layers) && ctx.Err() == nil; i++ {
		if e := c.look(ctx, i, k, out); e != nil {
			return e, i
		}
	}
	return nil, len(c.layers)
}

func (c *Chain) look(ctx context.Context, i int, k Key, out *Outcome) *Entry {
	layer := &c.layers[i]
	start := time.Now()
	e, err := layer.Tier.Get(ctx, k)
	took := time.Since(start)
	c.observe(layer.Name, "get", took, err)
	if c.follow != nil {
		c.follow(ctx, layer.Name, start, err)
	}
	out.add(layer.Name, took, err)
	if err != nil {
		return nil
	}
	out.from(layer.Name)
	return e
}

// Stats are figures of a chain at one moment.
type Stats struct {
	Backlog int64  // bytes of entries that wait to be written, or are being written
	Dropped uint64 // writes dropped since the start because the backlog was full
}

// Stats returns the chain's figures.
func (c *Chain) Stats() Stats {
	var s Stats
	for _, w := range c.writers {
		if w != nil {
			w.addTo(&s)
		}
	}
	return s
}

// Close lets what is under way finish, writes the backlog, and returns when nothing of the chain runs any more. When ctx
// ends first, Close cancels the rest and returns an error that says how much was not written. The tiers are not closed. From
// its call on, requests that the first layer cannot answer get ErrClosed. Calls after the first wait for the same end.
func (c *Chain) Close(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.landed.clear(c.forget)
	c.mu.Unlock()
	if first {
		go c.drain()
	}
	select {
	case <-c.drained:
		return nil
	default:
	}
	select {
	case <-c.drained:
		return nil
	case <-ctx.Done():
		left := c.Stats().Backlog
		c.stop()
		return fmt.Errorf("close cache: %d bytes not written: %w", left, ctx.Err())
	}
}

// drain waits for flights before it ends the writers, because flights hand entries to them.
func (c *Chain) drain() {
	c.running.Wait()
	for _, w := range c.writers {
		if w != nil {
			w.close()
		}
	}
	for _, w := range c.writers {
		if w != nil {
			w.wait()
		}
	}
	c.stop()
	close(c.drained)
}
