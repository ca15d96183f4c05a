package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"deckle/cache"
	"deckle/cache/cachetest"
)

type answer struct {
	entry *cache.Entry
	out   cache.Outcome
	err   error
}

// ask calls Get in a goroutine of its own.
func ask(ctx context.Context, c *cache.Chain, k cache.Key, fill cache.Fill) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		e, out, err := c.Get(ctx, k, fill)
		answers <- answer{e, out, err}
	}()
	return answers
}

func TestThousandRequestsShareOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, s3 := three(cache.Config{})
		defer closeChain(t, chain)
		memory.onSet = always(errBroken) // as ristretto drops writes: late requests cannot be answered by it
		e, fills, open := cachetest.Entry("x", 100), 0, make(gate)
		fill := func(ctx context.Context) (*cache.Entry, error) {
			fills++
			return e, open.wait(ctx)
		}
		var asked []<-chan answer
		for range 1000 {
			asked = append(asked, ask(t.Context(), chain, key, fill))
		}
		synctest.Wait()
		close(open)
		led, shared := 0, 0
		for _, a := range asked {
			switch a := <-a; {
			case a.err != nil || a.entry != e:
				t.Fatalf("Get = %v, %v", a.entry, a.err)
			case a.out.From == cache.FromFill && !a.out.Shared:
				led++
			case a.out.From == cache.FromShared && a.out.Shared && a.out.Origin == cache.FromFill:
				shared++
			default:
				t.Errorf("outcome %+v", a.out)
			}
		}
		late := <-ask(t.Context(), chain, key, noFill(t))
		if late.entry != e || !late.out.Shared {
			t.Errorf("right after the flight: %+v", late)
		}
		redisGets, _ := redis.counts()
		s3Gets, _ := s3.counts()
		if led != 1 || shared != 999 || fills != 1 || redisGets != 1 || s3Gets != 1 {
			t.Errorf("%d led, %d shared, %d fills, %d and %d look-ups", led, shared, fills, redisGets, s3Gets)
		}
	})
}

func TestResultIsKeptForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := cache.NewChain(cache.Config{})
		defer closeChain(t, chain)
		first, second := cachetest.Entry("first", 100), cachetest.Entry("second", 100)
		get := func(fill *cache.Entry) *cache.Entry {
			return (<-ask(t.Context(), chain, key, fillWith(fill))).entry
		}
		get(first)
		time.Sleep(cache.KeepFor - time.Millisecond) // in the bubble's time
		if get(second) != first {
			t.Error("the result was not kept")
		}
		time.Sleep(2 * time.Millisecond)
		if get(second) != second {
			t.Error("the result was kept too long")
		}
		time.Sleep(cache.KeepFor + time.Millisecond)
		if flights, live, _ := chain.Remembered(); flights+live > 0 {
			t.Errorf("%d flights, %d sources are remembered with nothing under way", flights, live)
		}
	})
}

func TestKeptResultsAreBounded(t *testing.T) {
	cases := []struct {
		name       string
		size, want int
	}{
		{"by number", 1, cache.KeepCount},
		{"by bytes", cache.KeepBytes/4 - 1000, 4},
		{"not at all when too large", cache.KeepBytes, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain := cache.NewChain(cache.Config{})
				defer closeChain(t, chain)
				e := cachetest.Entry("x", c.size)
				for i := range c.want + 10 {
					if _, _, err := chain.Get(t.Context(), cache.Key{Source: fmt.Sprint(i)}, fillWith(e)); err != nil {
						t.Fatal(err)
					}
				}
				if flights, _, _ := chain.Remembered(); flights != c.want {
					t.Errorf("%d results are kept, want %d", flights, c.want)
				}
				if c.want == 0 {
					return
				}
				if _, out, err := chain.Get(t.Context(), cache.Key{Source: fmt.Sprint(c.want + 9)}, noFill(t)); err != nil || !out.Shared {
					t.Errorf("the newest result: %+v, %v", out, err)
				}
			})
		})
	}
}

func TestLeaderLeavesAndTheFlightGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, _, _, _ := three(cache.Config{})
		defer closeChain(t, chain)
		e, open := cachetest.Entry("x", 100), make(gate)
		type contextKey struct{}
		ctx, leave := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "trace"))
		leader := ask(ctx, chain, key, func(ctx context.Context) (*cache.Entry, error) {
			if ctx.Value(contextKey{}) != "trace" {
				t.Error("the fill's context lacks the leader's values")
			}
			return e, open.wait(ctx)
		})
		synctest.Wait()
		follower := ask(t.Context(), chain, key, noFill(t))
		synctest.Wait()
		leave()
		if a := <-leader; !errors.Is(a.err, context.Canceled) {
			t.Errorf("leader's error = %v, want Canceled", a.err)
		}
		synctest.Wait()
		close(open)
		if a := <-follower; a.err != nil || a.entry != e {
			t.Errorf("follower got %v, %v", a.entry, a.err)
		}
	})
}

func TestLastToLeaveCancelsTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, _, _ := three(cache.Config{})
		defer closeChain(t, chain)
		cancelled := make(chan struct{})
		stubborn := make(gate) // a fill that goes on for a while after its context ended
		fill := func(ctx context.Context) (*cache.Entry, error) {
			<-ctx.Done()
			close(cancelled)
			<-stubborn
			return nil, ctx.Err()
		}
		ctx, leave := context.WithCancel(t.Context())
		first := ask(ctx, chain, key, fill)
		synctest.Wait() // so that the first leads
		both := []<-chan answer{first, ask(ctx, chain, key, noFill(t))}
		synctest.Wait()
		leave()
		for _, a := range both {
			if a := <-a; !errors.Is(a.err, context.Canceled) {
				t.Errorf("error = %v, want Canceled", a.err)
			}
		}
		<-cancelled
		e := cachetest.Entry("second", 10)
		if got, out, err := chain.Get(t.Context(), key, fillWith(e)); err != nil || got != e || out.Shared {
			t.Errorf("a request after the cancelled flight: %v, %+v, %v", got, out, err)
		}
		close(stubborn)
		synctest.Wait()
		if memory.entries[key] != e {
			t.Error("the cancelled flight left something in memory")
		}
		if _, _, err := chain.Get(ctx, cache.Key{Source: "other"}, noFill(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("Get with an ended context = %v, want Canceled", err)
		}
	})
}

// TestFillTimeout holds for a fill that ends with its context and for one that does not care.
func TestFillTimeout(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const timeout = 5 * time.Second
			chain, _, _, _ := three(cache.Config{FillTimeout: timeout})
			defer closeChain(t, chain)
			release := make(gate)
			fill := func(ctx context.Context) (*cache.Entry, error) {
				<-ctx.Done()
				if deaf {
					<-release
				}
				return nil, ctx.Err()
			}
			start := time.Now()
			both := []<-chan answer{ask(t.Context(), chain, key, fill), ask(t.Context(), chain, key, fill)}
			for _, a := range both {
				if a := <-a; !errors.Is(a.err, context.DeadlineExceeded) || time.Since(start) != timeout {
					t.Errorf("deaf %v: %v after %v", deaf, a.err, time.Since(start))
				}
			}
			e := cachetest.Entry("x", 10)
			if got, _, err := chain.Get(t.Context(), key, fillWith(e)); err != nil || got != e {
				t.Errorf("the next request: %v, %v", got, err)
			}
			close(release)
		})
	}
}

func TestFailedFillReachesAllAndIsNotKept(t *testing.T) {
	cases := []struct {
		name  string
		fill  func()
		check func(err error) bool
	}{
		{"error", nil, func(err error) bool { return errors.Is(err, errBroken) }},
		{"panic", func() { panic("secret at /etc/path") }, func(err error) bool {
			var p *cache.PanicError
			return errors.As(err, &p) && p.Value == "secret at /etc/path" && strings.Contains(string(p.Stack), "flight_test.go") &&
				!strings.Contains(err.Error(), "secret")
		}},
		{"goroutine ended", runtime.Goexit, func(err error) bool { return err != nil }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain, memory, _, _ := three(cache.Config{})
				defer closeChain(t, chain)
				open := make(gate)
				fill := func(ctx context.Context) (*cache.Entry, error) {
					_ = open.wait(ctx)
					if c.fill != nil {
						c.fill()
					}
					return nil, errBroken
				}
				var asked []<-chan answer
				for range 20 {
					asked = append(asked, ask(t.Context(), chain, key, fill))
				}
				synctest.Wait()
				close(open)
				for _, a := range asked {
					if a := <-a; !c.check(a.err) || a.entry != nil || a.out.From != "" {
						t.Errorf("answer %+v", a)
					}
				}
				if memory.holds(key) {
					t.Error("something was stored")
				}
				e := cachetest.Entry("x", 10)
				if got, _, err := chain.Get(t.Context(), key, fillWith(e)); err != nil || got != e {
					t.Errorf("the next request: %v, %v", got, err)
				}
			})
		})
	}
}

func TestPanickingTierStrandsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain, memory, redis, _ := three(cache.Config{})
		defer closeChain(t, chain)
		for _, broken := range []*func(context.Context) error{&redis.onGet, &memory.onSet} {
			*broken = func(context.Context) error { panic("tier") }
			var p *cache.PanicError
			if _, _, err := chain.Get(t.Context(), key, fillWith(cachetest.Entry("x", 1))); !errors.As(err, &p) {
				t.Errorf("Get = %v, want a PanicError", err)
			}
			*broken = nil
		}
		if err := chain.Purge(t.Context(), key.Source); err != nil {
			t.Errorf("Purge after a panic = %v", err)
		}
	})
}

func TestFillWithoutEntryIsAnError(t *testing.T) {
	chain := cache.NewChain(cache.Config{})
	defer closeChain(t, chain)
	if got, _, err := chain.Get(t.Context(), key, fillWith(nil)); err == nil || got != nil {
		t.Errorf("Get = %v, %v; want an error", got, err)
	}
}

// TestCrowd has many requests come, leave and purge on few keys, and checks that each answer belongs to its key.
func TestCrowd(t *testing.T) {
	chain, _, _, _ := three(cache.Config{})
	defer closeChain(t, chain)
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for round := range 200 {
				k := cache.Key{Source: fmt.Sprint(round % 3), Variant: fmt.Sprint(round % 7)}
				if worker == 0 && round%10 == 0 {
					if err := chain.Purge(context.Background(), k.Source); err != nil {
						t.Error(err)
					}
				}
				ctx, leave := context.WithCancel(context.Background())
				if worker%4 == 1 {
					go leave()
				}
				e, _, err := chain.Get(ctx, k, fillWith(cache.NewEntry(cache.Entry{Body: []byte(fmt.Sprint(k))})))
				if err != nil && !errors.Is(err, context.Canceled) || err == nil && string(e.Body) != fmt.Sprint(k) {
					t.Errorf("Get(%v) = %v, %v", k, e, err)
				}
				leave()
			}
		})
	}
	wg.Wait()
}
