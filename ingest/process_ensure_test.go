package ingest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"deckle/event"
	"deckle/origin"
	"deckle/transform"
)

// ensure asks for outputs, and says of each what came of it.
func (b *bench) ensure(want bool, outputs ...string) Job {
	b.t.Helper()
	job, err := b.Ensure(b.t.Context(), "cat", outputs, false)
	if err != nil || job.Done != want || len(job.Outputs) != len(outputs) {
		b.t.Fatalf("%+v, %v; want done %v", job, err, want)
	}
	return job
}

func (b *bench) jobs() int {
	b.t.Helper()
	record, err := b.store.Stat(b.t.Context(), "cat")
	if err != nil {
		b.t.Fatal(err)
	}
	list, err := b.catalog.JobsOf(b.t.Context(), kindOutput, "cat", record.Version, 100)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list)
}

// TestEnsure: asking again says how far it is, and makes nothing twice.
func TestEnsure(t *testing.T) {
	r := &renderer{let: make(chan struct{})}
	b := newBench(t, func(c *Config) { c.Renderer, c.RenderQueue = r, 4 })
	b.listen()
	b.work()
	b.mustSend("cat", b.token("cat", false), photo(1))
	first := b.ensure(false, "a.webp", "bad.webp", "none")
	if first.Outputs[0].Job == "" || first.Outputs[0].Job != first.Outputs[1].Job || !errors.Is(first.Outputs[2].Err, transform.ErrNoVariant) || !first.Outputs[2].Done {
		t.Fatalf("begun %+v", first)
	}
	if again := b.ensure(false, "bad.webp", "a.webp"); again.Outputs[1].Job != first.Outputs[0].Job {
		t.Errorf("asked again: %+v", again)
	}
	more := b.ensure(false, "a.webp", "b.webp", "b.webp")
	if more.Outputs[0].Job != first.Outputs[0].Job || more.Outputs[1].Job == first.Outputs[0].Job || more.Outputs[1].Job == "" || b.jobs() != 3 {
		t.Errorf("asked for one more: %+v, %d jobs", more, b.jobs())
	}
	if _, err := b.Ensure(t.Context(), "cat", []string{"c.webp", "d.webp"}, false); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the queue: %v", err)
	}
	close(r.let)
	waited, err := b.Ensure(t.Context(), "cat", []string{"b.webp", "a.webp", "bad.webp"}, true)
	if err != nil || !waited.Done || waited.Outputs[0].Bytes != 9 || waited.Outputs[0].Job != "" || !errors.Is(waited.Outputs[2].Err, transform.ErrMalformed) {
		t.Errorf("waited for: %+v, %v", waited, err)
	}
	done := b.ensure(true, "a.webp", "bad.webp")
	if done.Outputs[0].Width != 3 || !errors.Is(done.Outputs[1].Err, transform.ErrMalformed) || b.jobs() != 3 {
		t.Errorf("done: %+v, %d jobs", done, b.jobs())
	}
	if count := b.count("cat"); count[string(event.Processed)] != 2 || count[string(event.Failed)] != 1 || count[string(event.BatchComplete)] != 2 {
		t.Errorf("events %v", count)
	}
	if _, err := b.Ensure(t.Context(), "dog", []string{"a.webp"}, false); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestEnsureAnew: what was made and is not stored any more is made again, and what failed is tried again, both after a while.
func TestEnsureAnew(t *testing.T) {
	r := &renderer{let: make(chan struct{})}
	close(r.let)
	b := newBench(t, func(c *Config) { c.Renderer = r })
	stop := b.work()
	b.mustSend("cat", b.token("cat", false), photo(1))
	if job, err := b.Ensure(t.Context(), "cat", []string{"a.webp", "bad.webp"}, true); err != nil || !job.Done {
		t.Fatalf("%+v, %v", job, err)
	}
	stop()
	r.lost = true
	b.ensure(true, "a.webp")
	b.clock.Move(madeTold + time.Second)
	if lost := b.ensure(false, "a.webp"); lost.Outputs[0].Job == "" {
		t.Errorf("lost: %+v", lost)
	}
	b.ensure(true, "bad.webp")
	b.clock.Move(failureTold)
	if failed := b.ensure(false, "bad.webp"); failed.Outputs[0].Job == "" || b.jobs() != 4 {
		t.Errorf("failed: %+v, %d jobs", failed, b.jobs())
	}
}

// TestEnsureTogether: who asks at one time has it queued once.
func TestEnsureTogether(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Renderer = &renderer{let: make(chan struct{})} })
	b.mustSend("cat", b.token("cat", false), photo(1))
	var asking sync.WaitGroup
	jobs := make([]string, 8)
	for i := range jobs {
		asking.Go(func() {
			job, err := b.Ensure(t.Context(), "cat", []string{"a.webp"}, false)
			if err != nil {
				t.Error(err)
				return
			}
			jobs[i] = job.Outputs[0].Job
		})
	}
	asking.Wait()
	if slices.Sort(jobs); jobs[0] == "" || jobs[0] != jobs[len(jobs)-1] || b.jobs() != 1 {
		t.Errorf("jobs %q, %d in the queue", jobs, b.jobs())
	}
}

// TestFetchFaults: what fails at a URL that a client named is told apart from what fails here.
func TestFetchFaults(t *testing.T) {
	for _, test := range []struct{ err, want error }{
		{origin.ErrNotFound, ErrSourceMissing}, {origin.ErrUnavailable, ErrSourceFailed}, {errors.New("reset"), ErrSourceFailed},
		{context.DeadlineExceeded, ErrSourceSlow}, {slowHost{}, ErrSourceSlow},
		{origin.ErrForbidden, origin.ErrForbidden}, {origin.ErrTooLarge, origin.ErrTooLarge}, {context.Canceled, context.Canceled},
	} {
		b := newBench(t, func(c *Config) { c.Fetcher = faulty{err: test.err} })
		if _, err := b.Fetch(t.Context(), "https://example.com/"); !errors.Is(err, test.want) {
			t.Errorf("%v is told as %v, want %v", test.err, err, test.want)
		}
		b = newBench(t, func(c *Config) { c.Fetcher = faulty{later: test.err} })
		body, err := b.Fetch(t.Context(), "https://example.com/")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReceiveHashed(t.Context(), HashedUpload{Namespace: "web", Body: body}); !errors.Is(err, test.want) {
			t.Errorf("%v in the middle is told as %v, want %v", test.err, err, test.want)
		}
	}
}

// faulty is a Fetcher that fails at once, or in the middle of the body.
type faulty struct{ err, later error }

func (f faulty) Fetch(context.Context, string) (io.ReadCloser, error) {
	if f.err != nil {
		return nil, f.err
	}
	return io.NopCloser(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(f.later))), nil
}

// slowHost is an error of the network.
type slowHost struct{}

func (slowHost) Error() string   { return "i/o timeout" }
func (slowHost) Timeout() bool   { return true }
func (slowHost) Temporary() bool { return true }
