package transform

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Gate is an Engine that lets a bounded number of renders run and a bounded number wait. Everything that can be refused from
// the header is refused before the queue, so that it costs no slot.
type Gate struct {
	engine  Engine
	limits  Limits
	slots   chan struct{} // one token per render that may run
	queue   int64
	waiting atomic.Int64
	running sync.WaitGroup
}

var _ Engine = (*Gate)(nil)

// NewGate bounds engine to slots renders at once and queue waiting ones; both are at least 1.
func NewGate(engine Engine, limits Limits, slots, queue int) *Gate {
	return &Gate{engine: engine, limits: limits, slots: make(chan struct{}, max(1, slots)), queue: int64(max(1, queue))}
}

// Render waits for a slot and renders. ErrBusy is answered at once when the queue is full. When ctx ends first, its error is
// returned at once; a render that is under way then keeps its slot until the engine has really stopped.
func (g *Gate) Render(ctx context.Context, source []byte, spec Spec) (*Picture, error) {
	if err := g.check(source); err != nil {
		return nil, err
	}
	if err := g.acquire(ctx); err != nil {
		return nil, err
	}
	type result struct {
		picture *Picture
		err     error
	}
	done := make(chan result, 1) // the render never waits for a caller that has left
	g.running.Go(func() {
		defer func() { <-g.slots }()
		defer func() {
			if p := recover(); p != nil {
				done <- result{err: &PanicError{Value: p, Stack: debug.Stack()}}
			}
		}()
		picture, err := g.engine.Render(ctx, source, spec)
		done <- result{picture, err}
	})
	select {
	case r := <-done:
		return r.picture, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Writes tells whether the engine behind the gate can encode f.
func (g *Gate) Writes(f Format) bool { return g.engine.Writes(f) }

// Admit answers ErrBusy when a render that came now would be refused, so that nothing need be read for it first. Nil is no
// promise: the queue may fill before Render is called.
func (g *Gate) Admit() error {
	if g.waiting.Load() >= g.queue && len(g.slots) == cap(g.slots) {
		return ErrBusy
	}
	return nil
}

// Waiting returns how many renders wait for a slot now.
func (g *Gate) Waiting() int { return int(max(0, g.waiting.Load())) }

// Running returns how many slots are taken now.
func (g *Gate) Running() int { return len(g.slots) }

// Wait returns when no render is under way, those of callers that have left included. It is called when no new ones come.
func (g *Gate) Wait() { g.running.Wait() }

func (g *Gate) check(source []byte) error {
	if err := g.limits.CheckSize(int64(len(source))); err != nil {
		return err
	}
	header, err := ReadHeader(source)
	if err != nil {
		return err
	}
	return g.limits.CheckHeader(header)
}

func (g *Gate) acquire(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return ErrBusy
	}
	defer g.waiting.Add(-1)
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// PanicError is a panic of an engine, turned into the failure of the one render that met it.
type PanicError struct {
	Value any
	Stack []byte // for the log; Error leaves it out
}

func (e *PanicError) Error() string { return fmt.Sprintf("transform: panic: %v", e.Value) }
