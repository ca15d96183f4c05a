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

var otherKey = cache.Key{Source: key.Source + "2", Version: "v1"}

func wantNowhere(t *testing.T, k cache.Key, tiers ...*fake) {
	t.Helper()
	for i, tier := range tiers {
		if tier.holds(k) {
			t.Errorf("layer %d holds %v", i, k)
		}
	}
}

func TestPurgeForgetsTheKeptResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, s3 := three(cache.Config{})
		defer closeChain(t, chain)
		for _, k := range []cache.Key{key, otherKey} {
			if _, _, err := chain.Get(t.Context(), k, fillWith(cachetest.Entry("old", 10))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := chain.Purge(t.Context(), key.Source); err != nil {
			t.Fatal(err)
		}
		wantNowhere(t, key, memory, redis, s3)
		if !memory.holds(otherKey) || !s3.holds(otherKey) {
			t.Error("another source was purged too")
		}
		e := cachetest.Entry("new", 10)
		if got, _, err := chain.Get(t.Context(), key, fillWith(e)); err != nil || got != e {
			t.Errorf("Get after Purge = %v, %v; want the new entry", got, err)
		}
		synctest.Wait()
		if s3.entries[key] != e {
			t.Error("an entry made after Purge was not stored")
		}
	})
}

func TestPurgeDuringAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, s3 := three(cache.Config{})
		defer closeChain(t, chain)
		before, after, open := cachetest.Entry("old", 10), cachetest.Entry("new", 10), make(gate)
		waiting := ask(t.Context(), chain, key, func(ctx context.Context) (*cache.Entry, error) {
			return before, open.wait(ctx)
		})
		synctest.Wait()
		if err := chain.Purge(t.Context(), key.Source); err != nil {
			t.Fatal(err)
		}
		if got, out, err := chain.Get(t.Context(), key, fillWith(after)); err != nil || got != after || out.Shared {
			t.Errorf("Get after Purge = %v, %+v, %v; want a flight of its own", got, out, err)
		}
		close(open)
		if a := <-waiting; a.err != nil || a.entry != before {
			t.Errorf("who waited before got %v, %v", a.entry, a.err)
		}
		synctest.Wait()
		for i, tier := range []*fake{memory, redis, s3} {
			if tier.entries[key] != after {
				t.Errorf("layer %d holds what was made before the purge, or nothing", i)
			}
		}
	})
}

func TestPurgeDropsQueuedWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, s3 := three(cache.Config{Writers: 1})
		defer closeChain(t, chain)
		open := make(gate)
		s3.onSet = open.wait
		for _, k := range []cache.Key{otherKey, key} { // the first occupies the only writer
			if _, _, err := chain.Get(t.Context(), k, fillWith(cachetest.Entry("old", 10))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := chain.Purge(t.Context(), key.Source); err != nil {
			t.Fatal(err)
		}
		close(open)
		synctest.Wait()
		wantNowhere(t, key, memory, redis, s3)
		if !s3.holds(otherKey) {
			t.Error("another source's write was dropped")
		}
	})
}

func TestPurgeWaitsForWritesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, s3 := three(cache.Config{})
		defer closeChain(t, chain)
		open := make(gate)
		s3.onSet = open.wait
		if _, _, err := chain.Get(t.Context(), key, fillWith(cachetest.Entry("old", 10))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := chain.Purge(ctx, key.Source); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Purge while a write hangs = %v, want DeadlineExceeded", err)
		}
		purged := make(chan error, 1)
		go func() { purged <- chain.Purge(t.Context(), key.Source) }()
		synctest.Wait()
		select {
		case err := <-purged:
			t.Fatalf("Purge did not wait for the write: %v", err)
		default:
		}
		close(open)
		if err := <-purged; err != nil {
			t.Fatal(err)
		}
		wantNowhere(t, key, memory, redis, s3)
	})
}

// TestFlightDuringAPurge has a request read an old entry from a layer that the purge has not reached.
func TestFlightDuringAPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, s3 := three(cache.Config{})
		defer closeChain(t, chain)
		redis.entries[key] = cachetest.Entry("old", 10)
		atS3, reading := make(gate), make(gate)
		s3.onPurge = atS3.wait // s3 is purged first
		purged := make(chan error, 1)
		go func() { purged <- chain.Purge(t.Context(), key.Source) }()
		synctest.Wait()
		redis.onGet = reading.wait
		during := ask(t.Context(), chain, key, fillWith(cachetest.Entry("made meanwhile", 10)))
		synctest.Wait()
		close(atS3)
		if err := <-purged; err != nil {
			t.Fatal(err)
		}
		redis.onGet = nil
		e := cachetest.Entry("new", 10)
		if got, out, err := chain.Get(t.Context(), key, fillWith(e)); err != nil || got != e || out.Shared {
			t.Errorf("Get after Purge = %v, %+v, %v; want a flight of its own", got, out, err)
		}
		close(reading)
		if a := <-during; a.err != nil {
			t.Errorf("Get during Purge = %v", a.err)
		}
		synctest.Wait()
		for i, tier := range []*fake{memory, redis, s3} {
			if tier.entries[key] != e {
				t.Errorf("layer %d holds what was found during the purge, or nothing", i)
			}
		}
	})
}
