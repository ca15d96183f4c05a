package transform

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// slowEngine renders when it is told to.
type slowEngine struct {
	running, most atomic.Int64
	release       chan struct{}
	fault         any // panicked with, when set
}

func (e *slowEngine) Render(context.Context, []byte, Spec) (*Picture, error) {
	now := e.running.Add(1)
	defer e.running.Add(-1)
	for most := e.most.Load(); now > most && !e.most.CompareAndSwap(most, now); most = e.most.Load() {
	}
	if e.fault != nil {
		panic(e.fault)
	}
	<-e.release
	return &Picture{Format: PNG}, nil
}

func (e *slowEngine) Writes(Format) bool { return true }

func tinyPNG(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGate: two run, three wait, the rest are refused at once; when slots come free those who waited run.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{release: make(chan struct{})}
		g := NewGate(e, DefaultLimits(), 2, 3)
		source := tinyPNG(t)
		var wait sync.WaitGroup
		var good atomic.Int64
		for range 5 {
			wait.Go(func() {
				if _, err := g.Render(t.Context(), source, Spec{}); err == nil {
					good.Add(1)
				}
			})
			synctest.Wait()
		}
		if g.Running() != 2 || g.Waiting() != 3 {
			t.Errorf("%d run and %d wait, want 2 and 3", g.Running(), g.Waiting())
		}
		if _, err := g.Render(t.Context(), source, Spec{}); !errors.Is(err, ErrBusy) {
			t.Errorf("the sixth: %v, want ErrBusy", err)
		}
		if err := g.Admit(); !errors.Is(err, ErrBusy) {
			t.Errorf("Admit: %v, want ErrBusy", err)
		}
		close(e.release)
		wait.Wait()
		if good.Load() != 5 || e.most.Load() != 2 {
			t.Errorf("%d good, %d at once; want 5 and 2", good.Load(), e.most.Load())
		}
		if err := g.Admit(); err != nil || g.Running() != 0 || g.Waiting() != 0 {
			t.Errorf("afterwards: %v, %d run, %d wait", err, g.Running(), g.Waiting())
		}
	})
}

// TestGateLeaving: who leaves gets its context's error at once; a render under way keeps its slot until it has ended, and a
// waiting one leaves the queue.
func TestGateLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{release: make(chan struct{})}
		g := NewGate(e, DefaultLimits(), 1, 1)
		source := tinyPNG(t)
		left := errors.New("left")
		ctx, leave := context.WithCancelCause(t.Context())
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := g.Render(ctx, source, Spec{})
				errs <- err
			}()
			synctest.Wait()
		}
		leave(left)
		for range 2 {
			if err := <-errs; !errors.Is(err, left) {
				t.Errorf("got %v, want the cause", err)
			}
		}
		if g.Running() != 1 || g.Waiting() != 0 {
			t.Errorf("%d run and %d wait, want 1 and 0", g.Running(), g.Waiting())
		}
		close(e.release)
		g.Wait()
		if g.Running() != 0 {
			t.Error("the slot was not given back")
		}
	})
}

func TestGatePanic(t *testing.T) {
	g := NewGate(&slowEngine{fault: "kaboom"}, DefaultLimits(), 1, 1)
	for range 3 { // more than there are slots
		_, err := g.Render(t.Context(), tinyPNG(t), Spec{})
		var fault *PanicError
		if !errors.As(err, &fault) || fault.Value != "kaboom" || len(fault.Stack) == 0 {
			t.Fatalf("got %v, want a *PanicError with a stack", err)
		}
	}
}

// TestGateChecks: what the header forbids is refused without a slot.
func TestGateChecks(t *testing.T) {
	g := NewGate(&slowEngine{}, Limits{SourceBytes: 1000, SourcePixels: 5, SourceSide: 10}, 1, 1)
	for _, test := range []struct {
		source []byte
		want   error
	}{
		{make([]byte, 1001), ErrLimit},
		{tinyPNG(t), ErrLimit}, // six pixels
		{[]byte("hello"), ErrUnsupported},
	} {
		if _, err := g.Render(t.Context(), test.source, Spec{}); !errors.Is(err, test.want) {
			t.Errorf("%d bytes: %v, want %v", len(test.source), err, test.want)
		}
	}
}

// preparedEngine is told of renders beforehand, and has them wait until ready is closed.
type preparedEngine struct {
	slowEngine
	ready          chan struct{}
	prepared, done atomic.Int64
}

// preparedKey marks contexts that Prepare has returned.
type preparedKey struct{}

func (e *preparedEngine) Prepare(ctx context.Context, _ []byte, h Header, s Spec) (context.Context, func(), error) {
	e.prepared.Add(1)
	select {
	case <-e.ready:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	return context.WithValue(ctx, preparedKey{}, h.Width+s.Width), func() { e.done.Add(1) }, nil
}

func (e *preparedEngine) Render(ctx context.Context, source []byte, s Spec) (*Picture, error) {
	if ctx.Value(preparedKey{}) == nil {
		return nil, errors.New("not prepared")
	}
	return e.slowEngine.Render(ctx, source, s)
}

// TestGatePrepares: an engine that wants to know of renders is told before they have a slot, and of the end of each.
func TestGatePrepares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &preparedEngine{slowEngine: slowEngine{release: make(chan struct{})}, ready: make(chan struct{})}
		g := NewGate(e, DefaultLimits(), 1, 1)
		source := tinyPNG(t)
		var wait sync.WaitGroup
		var busy atomic.Int64
		for range 3 {
			wait.Go(func() {
				if _, err := g.Render(t.Context(), source, Spec{}); errors.Is(err, ErrBusy) {
					busy.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if e.prepared.Load() != 3 || g.Running() != 0 || g.Waiting() != 0 {
			t.Errorf("%d prepared, %d running, %d waiting; want 3 that take no slot yet", e.prepared.Load(), g.Running(), g.Waiting())
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := g.Render(gone, source, Spec{}); !errors.Is(err, context.Canceled) {
			t.Errorf("one that leaves while it is prepared: %v", err)
		}
		close(e.ready)
		synctest.Wait()
		if g.Running() != 1 || g.Waiting() != 1 || busy.Load() != 1 {
			t.Errorf("%d running, %d waiting, %d refused; want one each", g.Running(), g.Waiting(), busy.Load())
		}
		close(e.release)
		wait.Wait()
		if e.done.Load() != 3 {
			t.Errorf("%d of 3 ended", e.done.Load())
		}
	})
}
