package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"deckle/cache"
	"deckle/cache/cachetest"
)

func TestBreakerOpensAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := newFake()
		breaker := cache.NewBreaker(tier, time.Second)
		tier.onGet, tier.onSet = always(errBroken), always(errBroken)
		fail := func(want error) {
			t.Helper()
			if _, err := breaker.Get(t.Context(), key); !errors.Is(err, want) {
				t.Errorf("Get = %v, want %v", err, want)
			}
		}
		for range 4 {
			fail(errBroken)
		}
		if err := breaker.Set(t.Context(), key, cachetest.Entry("x", 1)); !errors.Is(err, errBroken) {
			t.Errorf("Set = %v", err)
		}
		asked, _ := tier.counts()
		for range 100 {
			fail(cache.ErrOpen)
		}
		if err := breaker.Set(t.Context(), key, cachetest.Entry("x", 1)); !errors.Is(err, cache.ErrOpen) {
			t.Errorf("Set with the breaker open = %v", err)
		}
		for range 3 { // each second one probe, which fails
			time.Sleep(1200 * time.Millisecond) // in the bubble's time
			fail(errBroken)
			fail(cache.ErrOpen)
		}
		if now, _ := tier.counts(); now != asked+3 {
			t.Errorf("the failing tier was asked %d times in three seconds, want 3", now-asked)
		}
		tier.onGet, tier.onSet = nil, nil
		time.Sleep(1200 * time.Millisecond)
		for range 10 {
			fail(cache.ErrMiss)
		}
	})
}

func TestBreakerProbesOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := newFake()
		breaker := cache.NewBreaker(tier, time.Second)
		tier.onGet = always(errBroken)
		for range 5 {
			_, _ = breaker.Get(t.Context(), key)
		}
		time.Sleep(1200 * time.Millisecond)
		tier.onGet = make(gate).wait
		ctx, cancel := context.WithCancel(t.Context())
		probe := make(chan error, 1)
		go func() {
			_, err := breaker.Get(ctx, key)
			probe <- err
		}()
		synctest.Wait()
		if _, err := breaker.Get(t.Context(), key); !errors.Is(err, cache.ErrOpen) {
			t.Errorf("Get during a probe = %v, want ErrOpen", err)
		}
		cancel()
		if err := <-probe; !errors.Is(err, context.Canceled) {
			t.Errorf("probe = %v", err)
		}
		tier.onGet = nil
		time.Sleep(1200 * time.Millisecond)
		if _, err := breaker.Get(t.Context(), key); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("Get after a probe that was cut short = %v, want to be asked again", err)
		}
	})
}

// TestBreakerEndsAProbe has a probe get stuck in a tier that is well for others by then.
func TestBreakerEndsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := newFake()
		breaker := cache.NewBreaker(tier, time.Second)
		tier.onGet = always(errBroken)
		for range 5 {
			_, _ = breaker.Get(t.Context(), key)
		}
		tier.onGet = make(gate).wait
		time.Sleep(1200 * time.Millisecond) // in the bubble's time
		begin := time.Now()
		if _, err := breaker.Get(t.Context(), key); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("probe = %v after %v, want to be ended after a second", err, time.Since(begin))
		}
		if _, err := breaker.Get(t.Context(), key); !errors.Is(err, cache.ErrOpen) {
			t.Errorf("Get after a probe that failed = %v, want ErrOpen", err)
		}
	})
}

// TestBreakerKnowsFailures holds that answers and callers who leave do not open it.
func TestBreakerKnowsFailures(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		open bool
	}{
		"hit": {t.Context(), nil, false}, "miss": {t.Context(), cache.ErrMiss, false},
		"corrupt": {t.Context(), cache.ErrCorrupt, false}, "too large": {t.Context(), cache.ErrTooLarge, false},
		"refused":     {t.Context(), cache.ErrRefused, false},
		"caller left": {ended, context.Canceled, false}, "deadline of the tier": {t.Context(), context.DeadlineExceeded, true},
		"fault": {t.Context(), errBroken, true},
	} {
		tier := newFake()
		tier.onGet = always(c.err)
		tier.entries[key] = cachetest.Entry("x", 1)
		breaker := cache.NewBreaker(tier, time.Minute)
		for range 20 {
			_, _ = breaker.Get(c.ctx, key)
		}
		if _, err := breaker.Get(t.Context(), key); errors.Is(err, cache.ErrOpen) != c.open {
			t.Errorf("%s: after twenty: %v, want open %v", name, err, c.open)
		}
		tier.onPurge = nil
		if err := breaker.Purge(t.Context(), key.Source); err != nil || tier.purge != 1 {
			t.Errorf("%s: Purge = %v, passed on %d times", name, err, tier.purge)
		}
	}
}
