package cache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"deckle/cache"
	"deckle/cache/cachetest"
)

func wantOutdated(t *testing.T, chain *cache.Chain, source string, e *cache.Entry, want bool) {
	t.Helper()
	if got := chain.Outdated(source, e); got != want {
		t.Errorf("Outdated(%q, stored %v) = %v, want %v", source, e.Stored, got, want)
	}
}

func TestOutdate(t *testing.T) {
	for _, test := range []struct {
		scope     cache.Scope
		yes, none []string
	}{
		{cache.Scope{Source: "a/b"}, []string{"a/b"}, []string{"a", "a/b/c", "a/bc"}},
		{cache.Scope{Prefix: "a/b"}, []string{"a/b", "a/b/c", "a/b/c/d"}, []string{"a", "a/bc"}},
		{cache.Scope{Prefix: "a/b/"}, []string{"a/b/c", "a/b/c/d"}, []string{"a/b", "a/bc/d"}},
		{cache.Scope{Tag: "a/"}, []string{"a/b"}, []string{"a", "ab/c"}},
		{cache.Scope{All: true}, []string{"a", "a/b", "猫"}, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			chain, _, _ := sweepables()
			defer closeChain(t, chain)
			old := cachetest.Entry("old", 10)
			wantOutdated(t, chain, test.yes[0], old, false)
			if err := chain.Outdate(t.Context(), test.scope, time.Now()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Millisecond) // in the bubble's time; marks are rounded up to the millisecond
			for _, source := range test.yes {
				wantOutdated(t, chain, source, old, true)
				wantOutdated(t, chain, source, cachetest.Entry("new", 10), false)
			}
			for _, source := range test.none {
				wantOutdated(t, chain, source, old, false)
			}
		})
	}
}

// TestMarksOutlastTheChain: another chain on the same tier knows the marks when it has loaded them, also those that were set
// while both had marks of their own.
func TestMarksOutlastTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, _, shared := sweepables()
		defer closeChain(t, first)
		second := cache.NewChain(cache.Config{Layers: []cache.Layer{{Name: "memory", Tier: newFake()}, {Name: "s3", Tier: cache.NewBreaker(shared, time.Second)}}})
		defer closeChain(t, second)
		old := cachetest.Entry("old", 10)
		time.Sleep(time.Second)
		for chain, source := range map[*cache.Chain]string{first: "one", second: "two"} {
			if err := chain.Outdate(t.Context(), cache.Scope{Source: source}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		shared.text = []byte("{damaged")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go first.FollowMarks(ctx, time.Minute)
		time.Sleep(time.Minute + time.Second)
		if err := second.LoadMarks(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for _, chain := range []*cache.Chain{first, second} {
			wantOutdated(t, chain, "one", old, true)
			wantOutdated(t, chain, "two", old, true)
			wantOutdated(t, chain, "three", old, false)
		}
		keeps := shared.keeps
		time.Sleep(10 * time.Minute)
		if shared.keeps != keeps {
			t.Errorf("marks that did not change were written %d times", shared.keeps-keeps)
		}
		cancel()
		synctest.Wait()
	})
}

// TestMarksAreBounded: beyond the bound marks become one for everything, so that nothing marked is taken for current.
func TestMarksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, shared := sweepables()
		defer closeChain(t, chain)
		old, kept := cachetest.Entry("old", 10), map[string]time.Time{}
		const marked = 2000
		for i := range marked {
			time.Sleep(10 * time.Millisecond)
			kept[fmt.Sprint(i)] = time.Now()
		}
		var err error
		if shared.text, err = json.Marshal(kept); err != nil {
			t.Fatal(err)
		}
		if err := chain.LoadMarks(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range marked {
			wantOutdated(t, chain, fmt.Sprint(i), old, true)
		}
		wantOutdated(t, chain, "not marked", old, true)
		wantOutdated(t, chain, "0", cachetest.Entry("new", 10), false)
		clear(kept)
		if err := json.Unmarshal(shared.text, &kept); err != nil || len(kept) > 1024 {
			t.Errorf("%d marks are kept, %v", len(kept), err)
		}
	})
}

func TestMarkAheadOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, _ := sweepables()
		defer closeChain(t, chain)
		old := cachetest.Entry("old", 10)
		time.Sleep(time.Second)
		if err := chain.Outdate(t.Context(), cache.Scope{All: true}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		wantOutdated(t, chain, "a", old, true)
		time.Sleep(time.Second)
		wantOutdated(t, chain, "a", cachetest.Entry("new", 10), false)
	})
}

func TestFillBegunBeforeAMarkIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, shared := sweepables()
		defer closeChain(t, chain)
		open := make(gate)
		waiting := ask(t.Context(), chain, key, func(ctx context.Context) (*cache.Entry, error) {
			err := open.wait(ctx)
			return cachetest.Entry("old", 10), err // stored after the mark, of what was read before it
		})
		synctest.Wait()
		if err := chain.Outdate(t.Context(), cache.Scope{Source: key.Source}, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		close(open)
		if a := <-waiting; a.err != nil {
			t.Fatal(a.err)
		}
		synctest.Wait()
		wantNowhere(t, key, memory.fake, shared.fake)
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, shared := sweepables()
		defer closeChain(t, chain)
		mustFill(t, chain, key.Source)
		k := cache.Key{Source: key.Source}
		old := memory.entries[k]
		open, fresh := make(gate), cachetest.Entry("new", 10)
		fill := func(ctx context.Context) (*cache.Entry, error) { return fresh, open.wait(ctx) }
		gone, cancel := context.WithCancel(t.Context())
		if !chain.Refresh(gone, k, fill) {
			t.Fatal("Refresh = false, want it begun")
		}
		cancel() // the request that began it is answered
		if chain.Refresh(t.Context(), k, fill) {
			t.Error("a second Refresh of the key began")
		}
		synctest.Wait()
		if got, out, err := chain.Get(t.Context(), k, nil); err != nil || got != old || out.From != "memory" {
			t.Errorf("Get meanwhile = %v, %+v, %v; want the old entry from memory", got, out, err)
		}
		close(open)
		synctest.Wait()
		if memory.entries[k] != fresh || shared.entries[k] != fresh {
			t.Error("the refreshed entry is not stored in all layers")
		}
		delete(memory.entries, k) // a write to memory may be dropped
		shared.onGet = always(errBroken)
		if got, _, err := chain.Get(t.Context(), k, nil); err != nil || got != fresh {
			t.Errorf("Get right after = %v, %v; want what was just made", got, err)
		}
	})
}

func TestRefreshIsBoundedAndMayFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, _ := sweepables()
		defer closeChain(t, chain)
		mustFill(t, chain, "0")
		open, began := make(gate), 0
		for i := range 10 {
			if chain.Refresh(t.Context(), cache.Key{Source: fmt.Sprint(i)}, func(ctx context.Context) (*cache.Entry, error) {
				_ = open.wait(ctx)
				if i == 0 {
					panic("on purpose")
				}
				return nil, errBroken
			}) {
				began++
			}
		}
		if began != 2 {
			t.Errorf("%d refreshes began at one time, want 2", began)
		}
		close(open)
		synctest.Wait()
		if memory.entries[cache.Key{Source: "0"}] == nil {
			t.Error("a refresh that failed took the old entry away")
		}
		if !chain.Refresh(t.Context(), cache.Key{Source: "0"}, fillWith(cachetest.Entry("new", 10))) {
			t.Error("after those that failed none begins any more")
		}
		synctest.Wait()
	})
}
