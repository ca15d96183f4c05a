package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/cache"
	"deckle/cache/cachetest"
)

// three returns a chain over tiers called memory, redis and s3.
func three(cfg cache.Config) (c *cache.Chain, memory, redis, s3 *fake) {
	memory, redis, s3 = newFake(), newFake(), newFake()
	cfg.Layers = []cache.Layer{{Name: "memory", Tier: memory}, {Name: "redis", Tier: redis}, {Name: "s3", Tier: s3}}
	return cache.NewChain(cfg), memory, redis, s3
}

func fillWith(e *cache.Entry) cache.Fill {
	return func(context.Context) (*cache.Entry, error) { return e, nil }
}

func noFill(t testing.TB) cache.Fill {
	return func(context.Context) (*cache.Entry, error) {
		t.Error("filled")
		return nil, errBroken
	}
}

// steps spells an outcome's steps, and the words for their errors.
func steps(o cache.Outcome) (list []string) {
	words := map[error]string{nil: "hit", cache.ErrMiss: "miss", cache.ErrCorrupt: "corrupt", errBroken: "broken"}
	for _, s := range o.Steps() {
		list = append(list, s.Name+" "+words[s.Err])
	}
	return list
}

func TestGetLooksDownAndCopiesUp(t *testing.T) {
	cases := []struct {
		name  string
		put   int // the layer that holds the entry; 3 for none
		from  string
		steps []string
	}{
		{"first", 0, "memory", []string{"memory hit"}},
		{"second", 1, "redis", []string{"memory miss", "redis hit"}},
		{"third", 2, "s3", []string{"memory miss", "redis miss", "s3 hit"}},
		{"none", 3, "fill", []string{"memory miss", "redis miss", "s3 miss", "fill hit"}},
	}
	for _, c := range cases {
		for _, call := range []string{"Get", "Lookup"} {
			t.Run(c.name+" "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					chain, memory, redis, s3 := three(cache.Config{})
					defer closeChain(t, chain)
					tiers, e := []*fake{memory, redis, s3}, cachetest.Entry("x", 100)
					if c.put < 3 {
						tiers[c.put].entries[key] = e
					}
					var got *cache.Entry
					var out cache.Outcome
					var err error
					if call == "Get" {
						got, out, err = chain.Get(t.Context(), key, fillWith(e))
					} else if got, out, err = chain.Lookup(t.Context(), key); c.put == 3 {
						if !errors.Is(err, cache.ErrMiss) || got != nil || out.From != "" {
							t.Errorf("Lookup = %v, %+v, %v; want ErrMiss", got, out, err)
						}
						return
					}
					if err != nil || got != e || out.From != c.from || out.Origin != c.from || out.Shared {
						t.Errorf("%s = %v, %+v, %v", call, got, out, err)
					}
					if diff := cmp.Diff(c.steps, steps(out)); diff != "" {
						t.Errorf("steps (-want +got):\n%s", diff)
					}
					if !memory.holds(key) {
						t.Error("memory was not filled before the answer")
					}
					synctest.Wait()
					for i := range min(c.put, 3) {
						if !tiers[i].holds(key) {
							t.Errorf("layer %d was not filled behind the answer", i)
						}
					}
					for i := c.put; i < 3; i++ {
						if _, sets := tiers[i].counts(); sets > 0 {
							t.Errorf("layer %d was written though it is not above the hit", i)
						}
					}
				})
			})
		}
	}
}

func TestFailingTierIsAMiss(t *testing.T) {
	for _, fault := range []error{errBroken, cache.ErrCorrupt} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			observed := make(map[string]int)
			chain, memory, redis, s3 := three(cache.Config{Observe: func(tier, op string, _ time.Duration, err error) {
				mu.Lock()
				defer mu.Unlock()
				observed[fmt.Sprint(tier, " ", op, " ", err)]++
			}})
			e := cachetest.Entry("x", 100)
			redis.onGet, memory.onGet = always(fault), always(fault)
			redis.entries[key] = cachetest.Entry("old", 100)
			s3.entries[key] = e
			got, out, err := chain.Get(t.Context(), key, noFill(t))
			if err != nil || got != e || out.From != "s3" {
				t.Errorf("Get = %v, %+v, %v", got, out, err)
			}
			synctest.Wait()
			if redis.entries[key] != e || memory.entries[key] != e {
				t.Errorf("%v: not written again", fault)
			}
			redis.onPurge = always(errBroken)
			if err := chain.Purge(t.Context(), key.Source); !errors.Is(err, errBroken) {
				t.Errorf("Purge = %v, want what redis said", err)
			}
			if memory.holds(key) || s3.holds(key) {
				t.Error("Purge stopped at the layer that failed")
			}
			closeChain(t, chain)
			want := map[string]int{
				"memory get " + fault.Error(): 1, "redis get " + fault.Error(): 1, "s3 get <nil>": 1,
				"memory set <nil>": 1, "redis set <nil>": 1,
				"memory purge <nil>": 1, "redis purge " + errBroken.Error(): 1, "s3 purge <nil>": 1,
			}
			if diff := cmp.Diff(want, observed); diff != "" {
				t.Errorf("observed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChainWithoutLayers(t *testing.T) {
	chain := cache.NewChain(cache.Config{})
	defer closeChain(t, chain)
	e := cachetest.Entry("x", 1)
	if got, out, err := chain.Get(t.Context(), key, fillWith(e)); err != nil || got != e || out.From != cache.FromFill {
		t.Errorf("Get = %v, %+v, %v", got, out, err)
	}
	if _, _, err := chain.Lookup(t.Context(), key); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("Lookup = %v, want ErrMiss", err)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := cachetest.Entry("x", 1000)
		const fits = 5
		chain, memory, redis, s3 := three(cache.Config{Backlog: 2 * fits * e.Size(), Writers: 1}) // half of it for each layer
		stuck := make(gate)
		s3.onSet = stuck.wait
		for i := range 2 * fits {
			k := cache.Key{Source: fmt.Sprint(i)}
			if _, _, err := chain.Get(t.Context(), k, fillWith(e)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if !memory.holds(k) || !redis.holds(k) {
				t.Errorf("entry %d: a slow layer held another up", i)
			}
		}
		if got, want := chain.Stats(), (cache.Stats{Backlog: fits * e.Size(), Dropped: fits}); got != want {
			t.Errorf("stats = %+v, want %+v", got, want)
		}
		close(stuck)
		closeChain(t, chain)
		for i := range 2 * fits {
			underWay, newest := i == 0, i > fits
			if got, want := s3.holds(cache.Key{Source: fmt.Sprint(i)}), underWay || newest; got != want {
				t.Errorf("entry %d held: %v, want %v", i, got, want)
			}
		}
		if got := chain.Stats().Backlog; got != 0 {
			t.Errorf("backlog of a closed chain: %d bytes", got)
		}
	})
}

// TestWritesOutlastAnOutage has a tier rest for ten seconds. What fits the backlog is written afterwards, by few questions.
func TestWritesOutlastAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, _, s3 := three(cache.Config{Writers: 1})
		s3.onSet = always(cache.ErrOpen)
		for i := range 10 {
			if _, _, err := chain.Get(t.Context(), cache.Key{Source: fmt.Sprint(i)}, fillWith(cachetest.Entry("x", 10))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second) // in the bubble's time
		if err := chain.Purge(t.Context(), "3"); err != nil {
			t.Fatal(err)
		}
		if _, sets := s3.counts(); sets > 50 {
			t.Errorf("the resting tier was asked %d times in ten seconds", sets)
		}
		s3.mu.Lock()
		s3.onSet = nil
		s3.mu.Unlock()
		time.Sleep(time.Second)
		for i := range 10 {
			if got, want := s3.holds(cache.Key{Source: fmt.Sprint(i)}), i != 3; got != want {
				t.Errorf("entry %d held: %v, want %v", i, got, want)
			}
		}
		if got := chain.Stats(); got != (cache.Stats{}) {
			t.Errorf("stats after the outage: %+v", got)
		}
		closeChain(t, chain)
	})
}

// TestCloseDoesNotWaitForARestingTier: each write that waits is tried once more.
func TestCloseDoesNotWaitForARestingTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, _, s3 := three(cache.Config{Writers: 1})
		s3.onSet = always(cache.ErrOpen)
		for i := range 10 {
			if _, _, err := chain.Get(t.Context(), cache.Key{Source: fmt.Sprint(i)}, fillWith(cachetest.Entry("x", 10))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		begin := time.Now()
		closeChain(t, chain)
		if took := time.Since(begin); took > 0 {
			t.Errorf("Close took %v", took)
		}
	})
}

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, _, s3 := three(cache.Config{Writers: 1})
		s3.onSet = func(context.Context) error { time.Sleep(time.Second); return nil } // a slow server, in the bubble's time
		for i := range 10 {
			if _, _, err := chain.Get(t.Context(), cache.Key{Source: fmt.Sprint(i)}, fillWith(cachetest.Entry("x", 10))); err != nil {
				t.Fatal(err)
			}
		}
		closed := make(chan error, 2)
		for range cap(closed) {
			go func() { closed <- chain.Close(context.Background()) }()
		}
		synctest.Wait()
		if _, _, err := chain.Get(t.Context(), cache.Key{Source: "new"}, noFill(t)); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("Get of a closed chain = %v, want ErrClosed", err)
		}
		if _, _, err := chain.Lookup(t.Context(), cache.Key{Source: "new"}); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("Lookup of a closed chain = %v, want ErrClosed", err)
		}
		if _, out, err := chain.Get(t.Context(), cache.Key{Source: "1"}, noFill(t)); err != nil || out.From != "memory" {
			t.Errorf("Get from memory of a closed chain = %+v, %v", out, err)
		}
		for range cap(closed) {
			if err := <-closed; err != nil {
				t.Errorf("Close = %v", err)
			}
		}
		if _, sets := s3.counts(); sets != 10 || len(s3.entries) != 10 {
			t.Errorf("%d of 10 entries were written", len(s3.entries))
		}
		closeChain(t, chain)
	})
}

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, _, s3 := three(cache.Config{Writers: 1})
		s3.onSet = make(gate).wait
		for i := range 3 {
			if _, _, err := chain.Get(t.Context(), cache.Key{Source: fmt.Sprint(i)}, fillWith(cachetest.Entry("x", 10))); err != nil {
				t.Fatal(err)
			}
		}
		filling := make(chan error, 1)
		go func() {
			_, _, err := chain.Get(context.Background(), key, func(ctx context.Context) (*cache.Entry, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			filling <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := chain.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v, want DeadlineExceeded", err)
		}
		if err := <-filling; !errors.Is(err, context.Canceled) {
			t.Errorf("Get under way = %v, want Canceled", err)
		}
		closeChain(t, chain) // the rest was cancelled
		if len(s3.entries) > 0 {
			t.Errorf("%d entries were written after Close gave up", len(s3.entries))
		}
	})
}

func BenchmarkHit(b *testing.B) {
	chain, memory, _, _ := three(cache.Config{})
	defer closeChain(b, chain)
	memory.entries[key] = cachetest.Entry("x", 7<<10)
	ctx, fill := context.Background(), noFill(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, out, err := chain.Get(ctx, key, fill); err != nil || out.From != "memory" {
			b.Fatal(out, err)
		}
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	chain, memory, _, _ := three(cache.Config{Observe: func(string, string, time.Duration, error) {}})
	defer closeChain(t, chain)
	memory.entries[key] = cachetest.Entry("x", 7<<10)
	ctx, fill := t.Context(), noFill(t)
	if n := testing.AllocsPerRun(1000, func() { _, _, _ = chain.Get(ctx, key, fill) }); n > 0 {
		t.Errorf("a hit allocates %v times", n)
	}
}
