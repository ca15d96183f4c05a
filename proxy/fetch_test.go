package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"deckle/origin"
	"deckle/transform"
)

// gated is a store whose readings begin when it is opened.
type gated struct {
	origin.Reader
	opens atomic.Int64
	open  chan struct{}
	fault error
}

func (g *gated) Open(ctx context.Context, _ string, _ origin.Range) (*origin.Object, error) {
	g.opens.Add(1)
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if g.fault != nil {
		panic(g.fault)
	}
	return &origin.Object{Info: origin.Info{Version: "1", Size: 3}, Body: io.NopCloser(bytes.NewReader([]byte("cat")))}, nil
}

func gatedProxy(fault error) (*Proxy, *gated) {
	g := &gated{open: make(chan struct{}), fault: fault}
	return New(Config{Sources: g, Limits: transform.DefaultLimits(), Timeout: time.Minute}), g
}

// TestFetchShared: all that want a version of a source while it is being read share the reading; those that leave do not end
// it for the others; another version is read for itself.
func TestFetchShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, g := gatedProxy(nil)
		leaving, leave := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		for i := range 16 {
			wait.Go(func() {
				ctx := t.Context()
				if i == 0 {
					ctx = leaving
				}
				source, info, err := p.fetch(ctx, "cat", "1")
				if i == 0 && !errors.Is(err, context.Canceled) || i > 0 && (err != nil || string(source) != "cat" || info.Version != "1") {
					t.Errorf("%d: %q, %+v, %v", i, source, info, err)
				}
			})
			synctest.Wait() // the one that leaves is the one that began
		}
		wait.Go(func() {
			if _, _, err := p.fetch(t.Context(), "cat", "2"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		if n := g.opens.Load(); n != 2 {
			t.Errorf("%d readings of two versions", n)
		}
		close(g.open)
		wait.Wait()
	})
}

// TestFetchEnds: a store that never answers, or panics, fails the readings of it and nothing else.
func TestFetchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := gatedProxy(nil)
		if _, _, err := p.fetch(t.Context(), "cat", "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a store that never answers: %v", err)
		}
		p, g := gatedProxy(errors.New("boom"))
		close(g.open)
		if _, _, err := p.fetch(t.Context(), "cat", "1"); err == nil {
			t.Error("a store that panics is no error")
		}
	})
}

// TestRecent: what was read is there for a moment after its last use, within the bound, the oldest going first.
func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecent()
		r.most = 100
		source := func(n int) fetched { return fetched{source: make([]byte, n)} }
		has := func(name string) bool { _, ok := r.find(name); return ok }
		size := func() int64 {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.bytes
		}
		r.add("a", source(40))
		r.add("large", source(51))
		time.Sleep(recentTime - time.Second)
		r.add("b", source(40))
		if !has("a") || !has("b") || has("large") {
			t.Errorf("a %v, b %v, large %v", has("a"), has("b"), has("large"))
		}
		r.add("c", source(40))
		if has("a") || !has("b") || !has("c") || size() != 80 {
			t.Errorf("a %v, b %v, c %v, %d bytes", has("a"), has("b"), has("c"), size())
		}
		r.add("c", source(10))
		time.Sleep(recentTime / 2)
		has("b")
		time.Sleep(recentTime/2 + time.Millisecond)
		synctest.Wait()
		if size() != 40 {
			t.Errorf("%d bytes; want b alone", size())
		}
		time.Sleep(recentTime)
		synctest.Wait()
		if size() != 0 {
			t.Errorf("%d bytes after a while", size())
		}
		r.add("d", source(10))
		r.close()
	})
}
