package transform

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	lightSpec = Spec{Format: PNG, Width: 2}
	heavySpec = Spec{Format: AVIF, Width: 3000, Height: 2000, Fit: FitStretch}
)

// laneEngine keeps the order in which renders begin, and ends those of a lane when it is told to.
type laneEngine struct {
	mu    sync.Mutex
	begun []Lane
	end   [numLanes]chan struct{}
}

func newLaneEngine() *laneEngine {
	return &laneEngine{end: [numLanes]chan struct{}{make(chan struct{}), make(chan struct{})}}
}

func (e *laneEngine) Render(_ context.Context, _ []byte, spec Spec) (*Picture, error) {
	lane := Light
	if spec == heavySpec {
		lane = Heavy
	}
	e.mu.Lock()
	e.begun = append(e.begun, lane)
	e.mu.Unlock()
	<-e.end[lane]
	return &Picture{Format: PNG}, nil
}

func (e *laneEngine) Writes(Format) bool { return true }

// order returns the renders begun so far and forgets them.
func (e *laneEngine) order() []Lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	order := e.begun
	e.begun = nil
	return order
}

// ask begins a render in the background, and returns when it runs, waits or has been refused.
func ask(ctx context.Context, wait *sync.WaitGroup, g *Gate, source []byte, specs ...Spec) <-chan error {
	errs := make(chan error, len(specs))
	for _, spec := range specs {
		wait.Go(func() {
			_, err := g.Render(ctx, source, spec)
			errs <- err
		})
		synctest.Wait()
	}
	return errs
}

func times(n int, spec Spec) []Spec {
	list := make([]Spec, n)
	for i := range list {
		list[i] = spec
	}
	return list
}

// TestLightPassesHeavy: of three slots heavy renders get two, and a thumbnail that comes behind a row of them runs at once.
func TestLightPassesHeavy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, source := newLaneEngine(), tinyPNG(t)
		g := NewGate(e, DefaultLimits(), 3, 8)
		var wait sync.WaitGroup
		ask(t.Context(), &wait, g, source, times(5, heavySpec)...)
		if running, waiting := g.Lane(Heavy); running != 2 || waiting != 3 {
			t.Errorf("%d heavy run and %d wait, want 2 and 3", running, waiting)
		}
		light := ask(t.Context(), &wait, g, source, lightSpec)
		if diff := cmp.Diff([]Lane{Heavy, Heavy, Light}, e.order()); diff != "" {
			t.Error(diff)
		}
		e.end[Light] <- struct{}{}
		if err := <-light; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := e.order(); len(got) > 0 {
			t.Errorf("%v took the slot that is kept for light renders", got)
		}
		close(e.end[Heavy])
		wait.Wait()
	})
}

// TestLanesTakeTurns: a heavy render is given the first slot when no other heavy one runs, even if light ones wait; behind it
// light ones come first.
func TestLanesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, source := newLaneEngine(), tinyPNG(t)
		g := NewGate(e, DefaultLimits(), 2, 8)
		var wait sync.WaitGroup
		ask(t.Context(), &wait, g, source, lightSpec, lightSpec, heavySpec, heavySpec, lightSpec, lightSpec)
		for range 4 {
			e.end[Light] <- struct{}{}
			synctest.Wait()
		}
		if diff := cmp.Diff([]Lane{Light, Light, Heavy, Light, Light}, e.order()); diff != "" {
			t.Error(diff)
		}
		e.end[Heavy] <- struct{}{}
		synctest.Wait()
		if diff := cmp.Diff([]Lane{Heavy}, e.order()); diff != "" {
			t.Error(diff)
		}
		close(e.end[Heavy])
		wait.Wait()
	})
}

// TestOneSlot: light renders come first, but a heavy one is passed by a bounded number of them only.
func TestOneSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, source := newLaneEngine(), tinyPNG(t)
		g := NewGate(e, DefaultLimits(), 1, 2*maxPassed)
		var wait sync.WaitGroup
		ask(t.Context(), &wait, g, source, lightSpec, heavySpec)
		ask(t.Context(), &wait, g, source, times(maxPassed+2, lightSpec)...)
		for range 1 + maxPassed {
			e.end[Light] <- struct{}{}
			synctest.Wait()
		}
		if diff := cmp.Diff(append(make([]Lane, 1+maxPassed), Heavy), e.order()); diff != "" {
			t.Error(diff)
		}
		close(e.end[Heavy])
		synctest.Wait()
		close(e.end[Light])
		wait.Wait()
		if diff := cmp.Diff([]Lane{Light, Light}, e.order()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestLaneQueues: each lane refuses when its own queue is full, and only then.
func TestLaneQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, source := newLaneEngine(), tinyPNG(t)
		g := NewGate(e, DefaultLimits(), 2, 4)
		var wait sync.WaitGroup
		ask(t.Context(), &wait, g, source, times(1+2, heavySpec)...)
		if _, err := g.Render(t.Context(), source, heavySpec); !errors.Is(err, ErrBusy) {
			t.Errorf("a heavy render too many: %v, want ErrBusy", err)
		}
		if err := g.Admit(); err != nil {
			t.Errorf("Admit with only the heavy lane full: %v", err)
		}
		ask(t.Context(), &wait, g, source, times(1+4, lightSpec)...)
		if _, err := g.Render(t.Context(), source, lightSpec); !errors.Is(err, ErrBusy) {
			t.Errorf("a light render too many: %v, want ErrBusy", err)
		}
		if err := g.Admit(); !errors.Is(err, ErrBusy) {
			t.Errorf("Admit with the light lane full: %v, want ErrBusy", err)
		}
		if g.Running() != 2 || g.Waiting() != 6 {
			t.Errorf("%d run and %d wait, want 2 and 6", g.Running(), g.Waiting())
		}
		close(e.end[Light])
		close(e.end[Heavy])
		wait.Wait()
	})
}

// TestGateDeadline: a render that takes too long is answered at its deadline, which begins with its slot; one that never got a
// slot in its caller's time was refused for want of room.
func TestGateDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, source := newLaneEngine(), tinyPNG(t)
		g := NewGate(e, DefaultLimits(), 1, 4)
		g.Deadline = 5 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		var wait sync.WaitGroup
		slow := ask(ctx, &wait, g, source, lightSpec)
		queued := ask(ctx, &wait, g, source, lightSpec)
		if err := <-slow; !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("a slow render: %v, want DeadlineExceeded", err)
		}
		if took := time.Since(begin); took != g.Deadline {
			t.Errorf("it was answered after %s, want %s", took, g.Deadline)
		}
		if g.Running() != 1 || g.Waiting() != 1 {
			t.Errorf("%d run and %d wait: the engine has not stopped yet", g.Running(), g.Waiting())
		}
		if err := <-queued; !errors.Is(err, ErrBusy) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a render without a slot: %v, want ErrBusy", err)
		}
		close(e.end[Light])
		wait.Wait()
		g.Wait()
	})
}

// TestLanesModel lets renders come, leave and end at random, and looks at the counts after each step.
func TestLanesModel(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			slots, queue := 1+random.IntN(4), 1+random.IntN(6)
			l := newLanes(slots, queue)
			var wait sync.WaitGroup
			for range 60 {
				lane := Lane(random.IntN(int(numLanes)))
				patience := time.Duration(1+random.IntN(50)) * time.Millisecond
				work := time.Duration(1+random.IntN(20)) * time.Millisecond
				wait.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					if err := l.acquire(ctx, lane, 0); err != nil {
						if !errors.Is(err, ErrBusy) {
							t.Errorf("seed %d: %v", seed, err)
						}
						return
					}
					time.Sleep(work) // of the bubble's clock: the render
					l.release(lane)
				})
				time.Sleep(time.Duration(random.IntN(6)) * time.Millisecond)
				synctest.Wait()
				l.check(t, seed)
			}
			wait.Wait()
			if l.running != [numLanes]int{} || l.waiting[Light].Len()+l.waiting[Heavy].Len() > 0 {
				t.Errorf("seed %d: %v run and some wait after the end", seed, l.running)
			}
		})
	}
}

// check holds that no bound is passed, and that nobody waits for a slot that is free for them.
func (l *lanes) check(t *testing.T, seed uint64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running[Light]+l.running[Heavy] > l.slots || l.running[Heavy] > l.mostHeavy {
		t.Errorf("seed %d: %v run in %d slots", seed, l.running, l.slots)
	}
	for lane := range numLanes {
		if n := l.waiting[lane].Len(); n > l.queue[lane] || (n > 0 && l.free(lane)) {
			t.Errorf("seed %d: %d wait in lane %d, %v run in %d slots", seed, n, lane, l.running, l.slots)
		}
	}
}
