package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"deckle/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken on purpose")

// fake is a tier whose failures and delays a test decides.
type fake struct {
	onGet, onSet, onPurge func(ctx context.Context) error // if set, called first; its error is the answer

	mu                sync.Mutex
	entries           map[cache.Key]*cache.Entry
	gets, sets, purge int
}

var _ cache.Tier = (*fake)(nil)

func newFake() *fake { return &fake{entries: make(map[cache.Key]*cache.Entry)} }

// hook reads one of the hooks, which a test may change meanwhile.
func (f *fake) hook(at *func(context.Context) error) func(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *at
}

func (f *fake) Get(ctx context.Context, k cache.Key) (*cache.Entry, error) {
	f.count(&f.gets)
	if on := f.hook(&f.onGet); on != nil {
		if err := on(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries[k]
	if e == nil {
		return nil, cache.ErrMiss
	}
	return e, nil
}

func (f *fake) Set(ctx context.Context, k cache.Key, e *cache.Entry) error {
	f.count(&f.sets)
	if on := f.hook(&f.onSet); on != nil {
		if err := on(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries[k] = e
	return nil
}

func (f *fake) Purge(ctx context.Context, source string) error {
	f.count(&f.purge)
	if on := f.hook(&f.onPurge); on != nil {
		if err := on(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for k := range f.entries {
		if k.Source == source {
			delete(f.entries, k)
		}
	}
	return nil
}

func (f *fake) count(n *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*n++
}

// counts returns how often Get and Set were called.
func (f *fake) counts() (gets, sets int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gets, f.sets
}

func (f *fake) holds(k cache.Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries[k] != nil
}

func always(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// gate is a call that waits until it is opened, or its context ends.
type gate chan struct{}

func (g gate) wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeChain closes a chain that has nothing to wait for.
func closeChain(t testing.TB, c *cache.Chain) {
	t.Helper()
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if flights, live, purging := c.Remembered(); flights+live+purging > 0 {
		t.Errorf("a closed chain remembers %d flights, %d sources, %d purges", flights, live, purging)
	}
}
