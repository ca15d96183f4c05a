package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"deckle/event"
	"deckle/origin"
	"deckle/transform"
)

// renderer makes a picture of 3x2 pixels of everything but "bad.webp", once it is let; "busy.webp" is refused once.
type renderer struct {
	let chan struct{} // closed to let all

	mu    sync.Mutex
	made  []string
	begun int
	busy  bool
	lost  bool // what was made
}

// Look finds what was made, unless it was lost.
func (r *renderer) Look(_ context.Context, id, output string) (Rendered, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := !r.lost && slices.Contains(r.made, id+" "+output)
	return Rendered{Format: "webp", Width: 3, Height: 2, Bytes: 9}, there, nil
}

func (r *renderer) Check(output string) error {
	if output == "none" {
		return transform.ErrNoVariant
	}
	return nil
}

func (r *renderer) Render(ctx context.Context, id, output string) (Rendered, error) {
	r.mu.Lock()
	r.begun++
	refused := output == "busy.webp" && !r.busy
	r.busy = r.busy || refused
	r.mu.Unlock()
	if refused {
		return Rendered{}, transform.ErrBusy
	}
	select {
	case <-r.let:
	case <-ctx.Done():
		return Rendered{}, ctx.Err()
	}
	switch output {
	case "bad.webp":
		return Rendered{}, transform.ErrMalformed
	case "option.webp":
		return Rendered{}, fmt.Errorf("render: %w", &transform.SpecError{Option: "fit", Value: "x", Hint: "crop"})
	case "panic.webp":
		panic("renderer fault, on purpose")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, id+" "+output)
	return Rendered{Format: "webp", Width: 3, Height: 2, Bytes: 9}, nil
}

// work has the service work until the test ends, or what it returns is called.
func (b *bench) work() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { b.Work(ctx) })
	stop = func() { cancel(); working.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// awaitDone returns a job when it is done; the clock goes on meanwhile, so that pauses end.
func (b *bench) awaitDone(id string) Job {
	b.t.Helper()
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); {
		job, err := b.Job(b.t.Context(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		if job.Done {
			return job
		}
		b.clock.Move(20 * time.Second)
		b.queued.happen()
		select {
		case <-b.ended.next():
		case <-time.After(20 * time.Millisecond):
		}
	}
	b.t.Fatalf("job %s is not done", id)
	return Job{}
}

func (b *bench) count(id string) map[string]int {
	count := map[string]int{}
	for _, kind := range b.heard(id) {
		count[kind]++
	}
	return count
}

func TestProcess(t *testing.T) {
	r := &renderer{let: make(chan struct{})}
	b := newBench(t, func(c *Config) { c.Renderer, c.RenderQueue = r, 6 })
	b.listen()
	b.work()
	b.mustSend("cat", b.grant("cat", Policy{Outputs: []string{"300x300.webp"}}), photo(1))
	begun, err := b.Process(t.Context(), "cat", []string{"x100.webp", "bad.webp", "option.webp", "busy.webp"}, false)
	if err != nil || begun.Done || len(begun.Outputs) != 4 {
		t.Fatalf("%+v, %v", begun, err)
	}
	if _, err := b.Process(t.Context(), "cat", make([]string, 2), false); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the queue: %v, want ErrBusy", err)
	}
	close(r.let)
	waited, err := b.Process(t.Context(), "cat", []string{"w9.webp"}, true)
	if err != nil || !waited.Done || waited.Outputs[0].Width != 3 {
		t.Errorf("%+v, %v", waited, err)
	}
	done := b.awaitDone(begun.ID)
	var spec *transform.SpecError
	if done.Source != "cat" || done.Outputs[0].Err != nil || done.Outputs[0].Bytes != 9 || !errors.Is(done.Outputs[1].Err, transform.ErrMalformed) ||
		!errors.As(done.Outputs[2].Err, &spec) || spec.Hint != "crop" || done.Outputs[3].Err != nil || done.Outputs[3].Name != "busy.webp" {
		t.Errorf("%+v", done)
	}
	slices.Sort(r.made) // one whose result could not be written in time, on a busy machine, is made again
	if made := slices.Compact(r.made); len(made) != 4 {
		t.Errorf("made %v, want 4", made)
	}
	count := b.count("cat")
	if count[string(event.Processed)] != 4 || count[string(event.Failed)] != 2 || count[string(event.BatchComplete)] != 3 {
		t.Errorf("events %v", count)
	}
	if _, err := b.Process(t.Context(), "dog", []string{"x1.webp"}, true); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := b.Job(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown job: %v", err)
	}
	if none, err := b.Process(t.Context(), "cat", nil, true); err != nil || !none.Done {
		t.Errorf("no outputs: %+v, %v", none, err)
	}
	b.clock.Move(time.Until(time.Now()) - time.Until(b.clock.Now())) // what ended did so by the wall clock
	b.clock.Move(jobsKept + time.Hour)
	if err := b.sweepJobs(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := b.Job(t.Context(), begun.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its time: %v", err)
	}
}

// TestProcessPanics: a panic costs its output, and not the process.
func TestProcessPanics(t *testing.T) {
	r := &renderer{let: make(chan struct{})}
	close(r.let)
	b := newBench(t, func(c *Config) { c.Renderer = r })
	b.work()
	b.mustSend("cat", b.token("cat", false), photo(1))
	job, err := b.Process(t.Context(), "cat", []string{"panic.webp", "x1.webp"}, false)
	if err != nil {
		t.Fatal(err)
	}
	done := b.awaitDone(job.ID) // after as many tries as there are
	if done.Outputs[0].Err == nil || done.Outputs[1].Err != nil {
		t.Errorf("%+v", done)
	}
	if dead, err := b.catalog.DeadJobs(t.Context(), kindOutput, 0, 10); err != nil || len(dead) != 1 {
		t.Errorf("dead: %+v, %v", dead, err)
	}
}

// TestOutputsSurvive: outputs that were asked for, at the upload or later, are made although the process stops, or dies while it
// makes them, each once, and the end of each batch is told once.
func TestOutputsSurvive(t *testing.T) {
	for _, die := range []bool{false, true} {
		t.Run(fmt.Sprint("dies ", die), func(t *testing.T) {
			stuck := &renderer{let: make(chan struct{})}
			configure := func(r *renderer) func(*Config) { return func(c *Config) { c.Renderer = r } }
			b := newBench(t, configure(stuck))
			b.listen()
			stop := b.work()
			b.pend("cat", Policy{Outputs: []string{"a.webp", "b.webp", "bad.webp"}}, photo(1))
			if _, err := b.Publish(t.Context(), "cat", PublishCheck{}); err != nil {
				t.Fatal(err)
			}
			job, err := b.Process(t.Context(), "cat", []string{"c.webp"}, false)
			if err != nil {
				t.Fatal(err)
			}
			for { // until two are being made
				stuck.mu.Lock()
				n := stuck.begun
				stuck.mu.Unlock()
				if n >= 2 {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if die {
				if err := b.catalog.Close(); err != nil { // it writes nothing more
					t.Fatal(err)
				}
			}
			stop()
			_ = b.catalog.Close()
			free := &renderer{let: make(chan struct{})}
			close(free.let)
			b.start(configure(free))
			b.listen()
			if die {
				b.clock.Move(b.config.Lease + time.Second)
			}
			b.work()
			b.awaitDone(job.ID)
			for late := time.Now().Add(10 * time.Second); b.count("cat")[string(event.BatchComplete)] < 2 && time.Now().Before(late); {
				time.Sleep(5 * time.Millisecond)
			}
			free.mu.Lock()
			defer free.mu.Unlock()
			slices.Sort(free.made)
			if want := []string{"cat a.webp", "cat b.webp", "cat c.webp"}; !slices.Equal(free.made, want) {
				t.Errorf("made %v, want %v", free.made, want)
			}
			if count := b.count("cat"); count[string(event.BatchComplete)] != 2 || count[string(event.Processed)] != 3 || count[string(event.Failed)] != 1 {
				t.Errorf("events %v", count)
			}
		})
	}
}
