package transform

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Gate is an Engine that lets a bounded number of renders run and a bounded number wait, in two lanes: what the header and
// the Spec predict to take long never makes the rest wait for all slots. Everything that can be refused from the header is
// refused before the queue, so that it costs no slot.
type Gate struct {
	// Deadline bounds one render, counted from its slot: as long for still pictures, twice as long for animations. 0 leaves
	// it to the engine. It is set before the first render.
	Deadline time.Duration
	// QueueWait bounds how long a render waits for a slot while its queue does not empty; 0 for no bound. A burst may wait
	// longer. It is set before the first render.
	QueueWait time.Duration

	engine  Engine
	limits  Limits
	lanes   *lanes
	recent  recent
	running sync.WaitGroup
}

var _ Engine = (*Gate)(nil)

// NewGate bounds engine to slots renders at once, queue waiting light ones and half as many waiting heavy ones; each is at
// least 1.
func NewGate(engine Engine, limits Limits, slots, queue int) *Gate {
	return &Gate{engine: engine, limits: limits, lanes: newLanes(slots, queue)}
}

// Render waits for a slot and renders. ErrBusy is answered at once when the lane's queue is full, and when the deadline of
// ctx passes in it. context.DeadlineExceeded is answered when the render takes longer than Deadline. When ctx ends first, its
// cause is returned at once; a render that is under way keeps its slot until the engine has really stopped.
func (g *Gate) Render(ctx context.Context, source []byte, spec Spec) (*Picture, error) {
	header, err := g.limits.ReadHeader(source)
	if err != nil {
		return nil, err
	}
	ctx, prepared, err := g.prepare(ctx, source, header, spec)
	if err != nil {
		return nil, err
	}
	lane := LaneOf(Predict(header, spec, g.limits))
	if err := g.lanes.acquire(ctx, lane, g.QueueWait); err != nil {
		prepared()
		return nil, err
	}
	ctx, cancel := g.bound(ctx, header)
	done := make(chan rendered, 1) // the render never waits for a caller that has left
	g.running.Go(func() {
		defer cancel() // after the result is there, so that it is not taken for an end
		defer prepared()
		r := g.run(ctx, source, spec)
		g.lanes.release(lane)
		done <- r
	})
	select {
	case r := <-done:
		return r.picture, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done: // both were ready
		return r.picture, r.err
	default:
		return nil, context.Cause(ctx)
	}
}

// prepare tells an engine that wants to know of the render.
func (g *Gate) prepare(ctx context.Context, source []byte, h Header, s Spec) (context.Context, func(), error) {
	if p, ok := g.engine.(Preparer); ok {
		return p.Prepare(ctx, source, h, s)
	}
	return ctx, func() {}, nil
}

// rendered is how a render ended.
type rendered struct {
	picture *Picture
	err     error
}

// run renders in the caller's goroutine. What an engine says when it is stopped is replaced by why it was.
func (g *Gate) run(ctx context.Context, source []byte, spec Spec) (r rendered) {
	defer func() {
		if p := recover(); p != nil {
			r = rendered{err: &PanicError{Value: p, Stack: debug.Stack()}}
		}
	}()
	begin := time.Now()
	picture, err := g.engine.Render(ctx, source, spec)
	g.recent.add(time.Since(begin))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return rendered{picture, err}
}

// bound gives a render its deadline.
func (g *Gate) bound(ctx context.Context, h Header) (context.Context, context.CancelFunc) {
	if g.Deadline <= 0 {
		return context.WithCancel(ctx)
	}
	within := g.Deadline
	if h.Frames > 1 {
		within *= 2
	}
	return context.WithTimeoutCause(ctx, within, fmt.Errorf("transform: render stopped after %s: %w", within, context.DeadlineExceeded))
}

// Writes tells whether the engine behind the gate can encode f.
func (g *Gate) Writes(f Format) bool { return g.engine.Writes(f) }

// Admit answers ErrBusy when the light lane is full, so that nothing need be read for a render that would be refused: what
// lane it belongs to is known only when its source has been read, and nearly all belong to the light one. Nil is no promise.
func (g *Gate) Admit() error {
	if g.lanes.full(Light) {
		return ErrBusy
	}
	return nil
}

// Waiting returns how many renders wait for a slot now, in both lanes.
func (g *Gate) Waiting() int {
	_, light := g.Lane(Light)
	_, heavy := g.Lane(Heavy)
	return light + heavy
}

// Running returns how many slots are taken now.
func (g *Gate) Running() int {
	light, _ := g.Lane(Light)
	heavy, _ := g.Lane(Heavy)
	return light + heavy
}

// Lane returns how many renders of a lane run and how many wait now.
func (g *Gate) Lane(l Lane) (running, waiting int) { return g.lanes.counts(l) }

// Wait returns when no render is under way, those of callers that have left included. It is called when no new ones come.
func (g *Gate) Wait() { g.running.Wait() }

// PanicError is a panic of an engine, turned into the failure of the one render that met it.
type PanicError struct {
	Value any
	Stack []byte // for the log; Error leaves it out
}

func (e *PanicError) Error() string { return fmt.Sprintf("transform: panic: %v", e.Value) }
