package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"deckle/cache"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/transform"
)

func TestLastingFailure(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("render cat: %w", err) }
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		ctx  context.Context
		err  error
		want time.Duration
	}{
		{t.Context(), wrapped(transform.ErrMalformed), 5 * time.Second},
		{t.Context(), wrapped(transform.ErrLimit), 5 * time.Second},
		{t.Context(), wrapped(transform.ErrUnsupported), 5 * time.Second},
		{t.Context(), wrapped(transform.ErrCrashed), 5 * time.Second},
		{t.Context(), wrapped(&transform.PanicError{Value: 1}), 5 * time.Second},
		{t.Context(), wrapped(errors.New("anything else")), 5 * time.Second},
		{t.Context(), wrapped(context.DeadlineExceeded), time.Minute},
		{t.Context(), wrapped(context.Canceled), 0},
		{t.Context(), wrapped(transform.ErrBusy), 0},
		{t.Context(), wrapped(origin.ErrUnavailable), 0},
		{ended, wrapped(transform.ErrMalformed), 0},
		{ended, wrapped(context.DeadlineExceeded), 0},
	}
	for _, test := range tests {
		if got := lastingFailure(test.ctx, test.err); got != test.want {
			t.Errorf("%v (%v): %s, want %s", test.err, test.ctx.Err(), got, test.want)
		}
	}
}

func TestFailures(t *testing.T) {
	f, now := newFailures(), time.Now()
	key := cache.Key{Source: "cat", Version: "1", Variant: ".webp"}
	f.note(t.Context(), key, transform.ErrMalformed, now)
	if err := f.recall(key, now.Add(failureTime)); !errors.Is(err, transform.ErrMalformed) {
		t.Errorf("recalled %v", err)
	}
	for _, other := range []cache.Key{{Source: "dog", Version: "1", Variant: ".webp"}, {Source: "cat", Version: "2", Variant: ".webp"}, {}} {
		if err := f.recall(other, now); err != nil {
			t.Errorf("%v: %v", other, err)
		}
	}
	if err := f.recall(key, now.Add(failureTime+1)); err != nil {
		t.Errorf("after its time: %v", err)
	}
	if f.list.Len() != 0 {
		t.Error("it was not forgotten")
	}
	for i := range 2 * maxFailures {
		f.note(t.Context(), cache.Key{Source: strconv.Itoa(i)}, transform.ErrMalformed, now)
	}
	if n := f.list.Len(); n != maxFailures {
		t.Errorf("%d failures are held, want %d", n, maxFailures)
	}
}

// TestFailedRenderIsNotRepeated: a herd that asks for a picture that cannot be rendered makes one render, and each of it gets
// the same answer; other renderings, and the same of new bytes, are tried.
func TestFailedRenderIsNotRepeated(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.engine.before = func(transform.Spec) error { return transform.ErrMalformed }
	first := e.do("GET", "/cat_30_20.webp")
	first.want(t, 422, "Cache-Control", "public, max-age=10")
	var herd sync.WaitGroup
	for range 20 {
		herd.Go(func() {
			if got := e.do("GET", "/cat_30_20.webp"); got.StatusCode != 422 || got.body != first.body {
				t.Errorf("%d %s, want %s", got.StatusCode, got.body, first.body)
			}
		})
	}
	herd.Wait()
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
	e.engine.before = nil
	e.do("GET", "/cat_30_20.webp").want(t, 422)
	e.do("GET", "/cat_31_20.webp").want(t, 200)
	e.keep("cat", testimage.JPEG(testimage.Quadrants(80, 80), 80))
	e.proxy.Versions.Invalidate("cat")
	e.do("GET", "/cat_30_20.webp").want(t, 200)
}

// TestBusyIsTriedAgain: what failed for want of room is no property of the picture.
func TestBusyIsTriedAgain(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.engine.before = func(transform.Spec) error { return transform.ErrBusy }
	e.do("GET", "/cat_30_20.webp").want(t, 503, "Retry-After", "1")
	e.engine.before = nil
	e.do("GET", "/cat_30_20.webp").want(t, 200)
}

// TestDeadline: a render that is stopped is a 504, and stays one for the next.
func TestDeadline(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.engine.before = func(transform.Spec) error { return fmt.Errorf("stopped: %w", context.DeadlineExceeded) }
	e.do("GET", "/cat_30_20.webp").want(t, 504, "Cache-Control", "no-store")
	e.engine.before = nil
	e.do("GET", "/cat_30_20.webp").want(t, 504)
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
}
