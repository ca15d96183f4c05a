package memory

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deckle/cache"
	"deckle/cache/cachetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, bytes int64) *Tier {
	t.Helper()
	tier, err := New(bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close)
	return tier
}

func TestLaws(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cache.Tier { return open(t, 64<<20) })
}

func TestNewRefusesNoRoom(t *testing.T) {
	for _, bytes := range []int64{0, -1} {
		if _, err := New(bytes); err == nil {
			t.Errorf("New(%d) = nil error", bytes)
		}
	}
}

func TestBytesStayWithinTheLimit(t *testing.T) {
	const limit, size = 1 << 20, 10 << 10
	tier := open(t, limit)
	for i := range 1000 {
		set(t, tier, nth(i), size)
		if i%50 == 0 {
			tier.Wait()
			if held := weigh(t, tier, i); held > limit {
				t.Fatalf("after %d entries: %d bytes held, the limit is %d", i, held, limit)
			}
		}
	}
	tier.Wait()
	if held, stats := weigh(t, tier, 1000), tier.Stats(); held != stats.Bytes || held > limit || held < limit/2 {
		t.Errorf("held %d bytes, stats %+v: want the same, at most the limit and at least half of it", held, stats)
	}
}

// weigh returns the size of the entries that can be read.
func weigh(t *testing.T, tier *Tier, n int) (sum int64) {
	t.Helper()
	for i := range n + 1 {
		if e, err := tier.Get(t.Context(), nth(i)); err == nil {
			sum += (&item{key: nth(i), entry: e}).size()
		}
	}
	return sum
}

func nth(i int) cache.Key {
	return cache.Key{Source: fmt.Sprint("source", i%7), Version: "v", Variant: fmt.Sprint(i)}
}

func set(t testing.TB, tier *Tier, k cache.Key, size int) {
	t.Helper()
	if err := tier.Set(context.Background(), k, cachetest.Entry(k.Variant, size)); err != nil {
		t.Fatal(err)
	}
}

func TestEntryBeyondTheLimit(t *testing.T) {
	tier := open(t, 4096)
	if err := tier.Set(t.Context(), nth(1), cachetest.Entry("x", 4096)); !errors.Is(err, cache.ErrTooLarge) {
		t.Errorf("Set = %v, want ErrTooLarge", err)
	}
	if s := tier.Stats(); s.Bytes != 0 || s.Entries != 0 {
		t.Errorf("stats after a refusal: %+v", s)
	}
}

// TestIndexFollowsTheItems holds that whatever way items end, the index names those that are held and no others.
func TestIndexFollowsTheItems(t *testing.T) {
	tier := open(t, 200<<10) // room for about twenty
	var wg sync.WaitGroup
	for worker := range uint64(4) {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(worker, 1))
			for range 3000 {
				k := nth(dice.IntN(60))
				switch dice.IntN(10) {
				case 0:
					if err := tier.Purge(context.Background(), k.Source); err != nil {
						t.Error(err)
					}
				case 1, 2, 3:
					_, _ = tier.Get(context.Background(), k) // only moves the policy's counters
				default:
					set(t, tier, k, 8000+dice.IntN(4000))
				}
			}
		})
	}
	wg.Wait()
	tier.Wait()
	held := 0
	for i := range 60 {
		if _, err := tier.Get(t.Context(), nth(i)); err == nil {
			held++
		}
	}
	if s := tier.Stats(); s.Entries != held || s.Bytes != weigh(t, tier, 60) {
		t.Errorf("stats %+v, but %d entries of %d bytes can be read", s, held, weigh(t, tier, 60))
	}
	for i := range 7 {
		if err := tier.Purge(t.Context(), fmt.Sprint("source", i)); err != nil {
			t.Fatal(err)
		}
	}
	tier.Wait()
	if s := tier.Stats(); s.Entries != 0 || s.Bytes != 0 || len(tier.index.hashes) != 0 {
		t.Errorf("after purging everything: %+v, %d sources in the index", s, len(tier.index.hashes))
	}
}

// TestPurgeReachesWhatIsNotVisibleYet purges while many writes are waiting to be admitted.
func TestPurgeReachesWhatIsNotVisibleYet(t *testing.T) {
	const variants = 200
	tier := open(t, 1<<20)
	variant := func(i int) cache.Key { return cache.Key{Source: "s", Variant: fmt.Sprint(i)} }
	e := cachetest.Entry("x", 10)
	for round := range 50 {
		for i := range variants {
			if err := tier.Set(t.Context(), variant(i), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := tier.Purge(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for i := range variants {
				if _, err := tier.Get(t.Context(), variant(i)); !errors.Is(err, cache.ErrMiss) {
					t.Fatalf("round %d: Get after Purge = %v, want ErrMiss", round, err)
				}
			}
			tier.Wait()
		}
	}
}

func TestHeadStart(t *testing.T) {
	for cost, want := range map[time.Duration]int{
		0: 0, -time.Hour: 0, commonCost: 0, 59 * time.Millisecond: 0, 60 * time.Millisecond: 1, 240 * time.Millisecond: 2,
		time.Second: 3, time.Minute: maxHeadStart, time.Hour: maxHeadStart,
	} {
		if got := headStart(cost); got != want {
			t.Errorf("a rendering of %v begins with %d accesses more, want %d", cost, got, want)
		}
	}
}

func TestHashCollisionIsAMiss(t *testing.T) {
	tier := open(t, 1<<20)
	set(t, tier, nth(1), 100)
	tier.Wait()
	hash := tier.index.of(nth(1).Source)[0]
	other := &item{key: nth(2), entry: cachetest.Entry("other", 10)}
	tier.index.add(other.key.Source, maphash.Comparable(tier.seed, other.key)) // where its end will be told
	tier.items.Set(hash, other, 10)
	tier.Wait()
	if e, err := tier.Get(t.Context(), nth(1)); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("Get = %v, %v; want ErrMiss for another key's item", e, err)
	}
}

func BenchmarkGet(b *testing.B) {
	tier := open(b, 64<<20)
	keys := make([]cache.Key, 1000)
	for i := range keys {
		keys[i] = nth(i)
		set(b, tier, keys[i], 7<<10)
		tier.Wait()
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := tier.Get(context.Background(), keys[i%len(keys)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
