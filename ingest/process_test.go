package ingest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"deckle/event"
	"deckle/origin"
	"deckle/transform"
)

// renderer makes a picture of 3x2 pixels of everything but "bad.webp", once it is let.
type renderer struct {
	let chan struct{} // closed to let all

	mu   sync.Mutex
	made []string
}

func (r *renderer) Render(ctx context.Context, id, output string) (Rendered, error) {
	select {
	case <-r.let:
	case <-ctx.Done():
		return Rendered{}, ctx.Err()
	}
	if output == "bad.webp" {
		return Rendered{}, transform.ErrMalformed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made = append(r.made, id+" "+output)
	return Rendered{Format: "webp", Width: 3, Height: 2, Bytes: 9}, nil
}

func TestProcess(t *testing.T) {
	r := &renderer{let: make(chan struct{})}
	b := newBench(t, func(c *Config) { c.Renderer, c.RenderQueue = r, 4 })
	b.listen()
	b.mustSend("cat", b.grant("cat", Policy{Outputs: []string{"300x300.webp"}}), photo(1))
	begun, err := b.Process(t.Context(), "cat", []string{"x100.webp", "bad.webp"}, false)
	if err != nil || begun.Done || len(begun.Outputs) != 2 {
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
	b.jobs.running.Wait()
	done, err := b.Job(begun.ID)
	if err != nil || !done.Done || done.Outputs[0].Err != nil || !errors.Is(done.Outputs[1].Err, transform.ErrMalformed) {
		t.Errorf("%+v, %v", done, err)
	}
	if n := len(r.made); n != 3 {
		t.Errorf("made %v", r.made)
	}
	count := map[string]int{}
	for _, kind := range b.heard("cat") {
		count[kind]++
	}
	if count[string(event.Processed)] != 3 || count[string(event.Failed)] != 1 || count[string(event.BatchComplete)] != 3 {
		t.Errorf("events %v", count)
	}
	if _, err := b.Process(t.Context(), "dog", []string{"x1.webp"}, true); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := b.Job("none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown job: %v", err)
	}
}

// TestCloseEndsJobs closes the service while a renderer waits for ever.
func TestCloseEndsJobs(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Renderer = &renderer{let: make(chan struct{})} })
	b.mustSend("cat", b.token("cat", false), photo(1))
	if _, err := b.Process(t.Context(), "cat", []string{"a.webp", "b.webp", "c.webp"}, false); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.Process(t.Context(), "cat", []string{"a.webp"}, false); !errors.Is(err, ErrBusy) {
		t.Errorf("after Close: %v", err)
	}
}
