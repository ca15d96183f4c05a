package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"deckle/cache"
	"deckle/cache/cachetest"
)

// sweepable is a fake that can be gone through and keeps a text.
type sweepable struct {
	*fake
	onSweep func(ctx context.Context) error // if set, called behind each sweep
	text    []byte
	keeps   int
}

func (s *sweepable) Sweep(ctx context.Context, scope cache.Scope) (removed int, err error) {
	s.mu.Lock()
	for k := range s.entries {
		if scope.Covers(k.Source) {
			delete(s.entries, k)
			removed++
		}
	}
	s.mu.Unlock()
	if s.onSweep != nil {
		err = s.onSweep(ctx)
	}
	return removed, err
}

func (s *sweepable) Keep(_ context.Context, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = text
	s.keeps++
	return nil
}

func (s *sweepable) Kept(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, nil
}

func sweepables() (chain *cache.Chain, memory, shared *sweepable) {
	memory, shared = &sweepable{fake: newFake()}, &sweepable{fake: newFake()}
	return cache.NewChain(cache.Config{Layers: []cache.Layer{
		{Name: "memory", Tier: memory}, {Name: "s3", Tier: cache.NewBreaker(shared, time.Second), Shared: true},
	}}), memory, shared
}

func mustFill(t *testing.T, chain *cache.Chain, sources ...string) {
	t.Helper()
	for _, source := range sources {
		if _, _, err := chain.Get(t.Context(), cache.Key{Source: source}, fillWith(cachetest.Entry(source, 10))); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}

func TestSweepLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, shared := sweepables()
		defer closeChain(t, chain)
		mustFill(t, chain, "a/b", "a/bc", "a/b/c")
		again := 0
		shared.onSweep = func(context.Context) error {
			if again++; again == 1 { // another node stores what it had read
				shared.mu.Lock()
				defer shared.mu.Unlock()
				shared.entries[cache.Key{Source: "a/b/late"}] = cachetest.Entry("late", 10)
			}
			return nil
		}
		got := chain.Sweep(t.Context(), cache.Scope{Prefix: "a/b"}, cache.EveryLayer)
		want := []cache.Swept{{Layer: "s3", Removed: 3}, {Layer: "memory", Removed: 2}}
		if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("Sweep (-want +got):\n%s", diff)
		}
		if shared.holds(cache.Key{Source: "a/b/late"}) || !shared.holds(cache.Key{Source: "a/bc"}) {
			t.Error("the sweep left what came meanwhile, or removed a neighbour")
		}
		got = chain.Sweep(t.Context(), cache.Scope{All: true}, func(l cache.Layer) bool { return !l.Shared })
		if diff := cmp.Diff([]cache.Swept{{Layer: "memory", Removed: 1}}, got, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("Sweep of what is not shared (-want +got):\n%s", diff)
		}
	})
}

func TestSweepSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, shared := sweepables()
		defer closeChain(t, chain)
		mustFill(t, chain, "a")
		shared.onSweep = always(errBroken)
		got := chain.Sweep(t.Context(), cache.Scope{All: true}, cache.EveryLayer)
		if len(got) != 2 || !errors.Is(got[0].Err, errBroken) || got[0].Removed != 1 || got[1].Err != nil || got[1].Removed != 1 {
			t.Errorf("Sweep of a broken tier = %+v", got)
		}
		shared.onSweep = func(context.Context) error {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			shared.entries[cache.Key{Source: "a"}] = cachetest.Entry("again", 10)
			return nil
		}
		mustFill(t, chain, "b")
		if got := chain.Sweep(t.Context(), cache.Scope{All: true}, cache.EveryLayer); got[0].Err == nil {
			t.Errorf("Sweep of a tier that fills again and again = %+v, want an error", got[0])
		}
		unsweepable := cache.NewChain(cache.Config{Layers: []cache.Layer{{Name: "x", Tier: newFake()}, {Name: "y", Tier: cache.NewBreaker(newFake(), time.Second)}}})
		defer closeChain(t, unsweepable)
		for _, s := range unsweepable.Sweep(t.Context(), cache.Scope{All: true}, cache.EveryLayer) {
			if !errors.Is(s.Err, errors.ErrUnsupported) {
				t.Errorf("Sweep of %s = %v", s.Layer, s.Err)
			}
		}
	})
}

// TestHold has flights begin before and during a hold. None may leave anything behind, for any kind of scope.
func TestHold(t *testing.T) {
	for _, scope := range []cache.Scope{{Source: "a/b"}, {Prefix: "a"}, {Tag: "a/"}, {All: true}} {
		synctest.Test(t, func(t *testing.T) {
			chain, memory, shared := sweepables()
			defer closeChain(t, chain)
			k, open := cache.Key{Source: "a/b"}, make(gate)
			slow := func(ctx context.Context) (*cache.Entry, error) { return cachetest.Entry("old", 10), open.wait(ctx) }
			before := ask(t.Context(), chain, k, slow)
			synctest.Wait()
			release, err := chain.Hold(t.Context(), scope)
			if err != nil {
				t.Fatal(err)
			}
			during := ask(t.Context(), chain, k, slow)
			synctest.Wait()
			mustFill(t, chain, "elsewhere")
			chain.Sweep(t.Context(), scope, cache.EveryLayer)
			release()
			release() // does nothing more
			if got, _, err := chain.Get(t.Context(), k, fillWith(cachetest.Entry("new", 10))); err != nil || string(got.Body[:3]) != "new" {
				t.Errorf("%v: Get after release = %v, %v", scope, got, err)
			}
			close(open)
			for _, waiting := range []<-chan answer{before, during} {
				if a := <-waiting; a.err != nil || string(a.entry.Body[:3]) != "old" {
					t.Errorf("%v: who waited got %v, %v", scope, a.entry, a.err)
				}
			}
			synctest.Wait()
			for i, tier := range []*sweepable{memory, shared} {
				if e := tier.entries[k]; e == nil || string(e.Body[:3]) != "new" {
					t.Errorf("%v: layer %d holds %v, want what was made after", scope, i, e)
				}
				if got, want := tier.holds(cache.Key{Source: "elsewhere"}), !scope.All; got != want {
					t.Errorf("%v: layer %d holds another source: %v, want %v", scope, i, got, want)
				}
			}
		})
	}
}
