package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// PanicError is what requests get when the Fill they wait for panicked. Error says only that: Value and Stack are for the
// log.
type PanicError struct {
	Value any
	Stack []byte
}

func (*PanicError) Error() string { return "cache: fill panicked" }

// errNoEntry answers for a Fill that returned neither an entry nor an error, or ended its goroutine.
var errNoEntry = errors.New("cache: fill gave no entry")

// flight is the work for one key, shared by all requests that wait for it.
type flight struct {
	key    Key
	ctx    context.Context // ends at FillTimeout, when the last request left, or when Close gave up
	cancel context.CancelFunc
	anew   bool          // the layers are not asked
	done   chan struct{} // closed when the three results below are final

	entry *Entry
	out   Outcome // of the request that started the flight
	err   error

	// The rest is guarded by Chain.mu.
	over    bool      // done is closed
	landed  time.Time // when it was
	waiting int       // requests
	refs    int       // the flight itself, and its entries in backlogs
	writing int       // calls of Tier.Set under way
	quiet   chan struct{}
	purged  bool // the source was purged since the flight began: nothing of it may be stored
}

// join returns the flight for k, starting one if there is none. leads says that it was started.
func (c *Chain) join(ctx context.Context, k Key, fill Fill, out *Outcome) (f *flight, leads bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, ErrClosed
	}
	if f := c.flights[k]; f != nil && (f.over || f.ctx.Err() == nil) {
		f.waiting++
		return f, false, nil
	}
	f = c.begin(ctx, k)
	f.out, f.waiting = *out, 1
	c.flights[k] = f
	go c.fly(f, fill)
	return f, true, nil
}

// visit returns a flight that no other request joins and that does its work in the caller's goroutine.
func (c *Chain) visit(ctx context.Context, k Key) (*flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	f := c.begin(ctx, k)
	end := f.cancel
	forget := context.AfterFunc(ctx, end)
	f.cancel = func() { forget(); end() }
	return f, nil
}

func (c *Chain) leaveVisit(f *flight) {
	f.cancel()
	c.mu.Lock()
	c.release(f)
	c.mu.Unlock()
	c.running.Done()
}

// begin makes a flight, with mu held.
func (c *Chain) begin(ctx context.Context, k Key) *flight {
	f := &flight{key: k, done: make(chan struct{}), refs: 1, purged: c.isHeld(k.Source)}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.fillTimeout)
	forget := context.AfterFunc(c.base, cancel)
	f.ctx, f.cancel = ctx, func() { forget(); cancel() }
	if c.live[k.Source] == nil {
		c.live[k.Source] = make(map[*flight]struct{})
	}
	c.live[k.Source][f] = struct{}{}
	c.running.Add(1)
	return f
}

// release gives up one reference, with mu held.
func (c *Chain) release(f *flight) {
	f.refs--
	if f.refs > 0 {
		return
	}
	delete(c.live[f.key.Source], f)
	if len(c.live[f.key.Source]) == 0 {
		delete(c.live, f.key.Source)
	}
}

// await returns the flight's result, unless ctx or the flight's time ends first.
func (c *Chain) await(ctx context.Context, f *flight, leads bool, out Outcome) (*Entry, Outcome, error) {
	start := time.Now()
	err := f.wait(ctx)
	if err != nil {
		c.leave(f)
		out.Shared = !leads
		return nil, out, err
	}
	if leads {
		return f.entry, f.out, f.err
	}
	out.Shared = true
	out.add(FromShared, time.Since(start), f.err)
	if f.err == nil {
		out.From, out.Origin = FromShared, f.out.Origin
	}
	return f.entry, out, f.err
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.ctx.Done():
	}
	select {
	case <-f.done: // both channels were ready, and select chose the other
		return nil
	default:
		return fmt.Errorf("fill: %w", f.ctx.Err())
	}
}

// leave is called by a request that does not wait any longer. The last one cancels the flight, which nobody joins any more.
func (c *Chain) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.waiting > 0 || f.over {
		return
	}
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
	f.cancel()
}

// fly does the work of a flight and lands it.
func (c *Chain) fly(f *flight, fill Fill) {
	defer c.running.Done()
	defer f.cancel()
	defer c.land(f) // deferred, because a Fill can end the goroutine
	f.err = errNoEntry
	f.entry, f.err = c.fetch(f, fill)
}

func (c *Chain) fetch(f *flight, fill Fill) (e *Entry, err error) {
	defer func() {
		if value := recover(); value != nil {
			e, err = nil, &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	level := len(c.layers)
	if !f.anew {
		e, level = c.descend(f.ctx, f.key, &f.out)
	}
	if e == nil {
		if e, err = f.fill(fill); err != nil {
			return nil, err
		}
		f.out.from(FromFill)
	}
	c.copyUp(f, e, level)
	return e, nil
}

// fill calls the Fill, unless there is nobody left to call it for.
func (f *flight) fill(fill Fill) (*Entry, error) {
	if err := f.ctx.Err(); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	start := time.Now()
	e, err := fill(f.ctx)
	if err == nil && e == nil {
		err = errNoEntry
	}
	f.out.add(FromFill, time.Since(start), err)
	return e, err
}

// land makes the result visible to those that wait, and for a while to those that come late: a write to memory may be
// dropped or not be visible yet, and a request that comes right after the flight must not repeat its work.
func (c *Chain) land(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.over, f.landed = true, time.Now()
	close(f.done)
	if f.anew {
		c.adopt(f)
	}
	if c.flights[f.key] == f {
		if f.err != nil || f.purged || c.closed || !c.landed.keep(f, c.forget) {
			delete(c.flights, f.key)
		}
	}
	c.release(f)
}
