package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"deckle/cache"
	"deckle/cache/cachetest"
	"deckle/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, url string, options Options) *Tier {
	t.Helper()
	tier, err := New(url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return tier
}

// patience is for tests that are not about time: a loaded machine may take longer than a viewer would wait.
const patience = 10 * time.Second

// damaged is a tier whose stored bytes the laws can change.
type damaged struct{ *Tier }

func (d damaged) Damage(t testing.TB, k cache.Key, change func([]byte) []byte) {
	t.Helper()
	name := entryKey(indexKey(k.Source), cache.VariantName(k))
	data, err := d.client.Get(t.Context(), name).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.client.Set(t.Context(), name, change(data), 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestLaws(t *testing.T) {
	server := testserver.Redis(t)
	cachetest.Run(t, func(t *testing.T) cache.Tier {
		tier := damaged{open(t, server.URL(), Options{Timeout: patience})}
		if err := tier.client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return tier
	})
}

func TestLawsWithRoomForLargeEntries(t *testing.T) {
	server := testserver.Redis(t)
	tier := open(t, server.URL(), Options{MaxEntry: 8 << 20, Timeout: patience})
	k, e := cache.Key{Source: "s"}, cachetest.Entry("x", 5<<20)
	if err := tier.Set(t.Context(), k, e); err != nil {
		t.Fatal(err)
	}
	got, err := tier.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	cachetest.Equal(t, got, e)
}

func TestSizeCap(t *testing.T) {
	server := testserver.Redis(t)
	k, e := cache.Key{Source: "s"}, cachetest.Entry("x", 1000)
	size := int64(len(cache.Encode(k, e)))
	for maxEntry, want := range map[int64]error{size + 1: nil, size: nil, size - 1: cache.ErrTooLarge, 10: cache.ErrTooLarge} {
		tier := open(t, server.URL(), Options{MaxEntry: maxEntry})
		if err := tier.Set(t.Context(), k, e); !errors.Is(err, want) {
			t.Errorf("Set of %d bytes, cap %d: %v, want %v", size, maxEntry, err, want)
		}
	}
}

func TestEverythingExpires(t *testing.T) {
	server := testserver.Redis(t)
	tier := open(t, server.URL(), Options{TTL: time.Minute})
	for i := range 3 {
		k := cache.Key{Source: fmt.Sprint(i % 2), Variant: fmt.Sprint(i)}
		if err := tier.Set(t.Context(), k, cachetest.Entry("x", 10)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := tier.client.Keys(t.Context(), "*").Result()
	if err != nil || len(names) != 5 {
		t.Fatalf("keys = %q, %v; want three entries and two indexes", names, err)
	}
	for _, name := range names {
		left, err := tier.client.TTL(t.Context(), name).Result()
		if err != nil || left <= 0 || left > time.Minute {
			t.Errorf("time left of %s = %v, %v; want up to a minute", name, left, err)
		}
	}
}

func TestIndexForgetsExpiredEntries(t *testing.T) {
	server := testserver.Redis(t)
	tier := open(t, server.URL(), Options{})
	index := indexKey("s")
	long := float64(time.Now().Add(-2 * indexSlack).Unix())
	if err := tier.client.ZAdd(t.Context(), index, goredis.Z{Score: long, Member: "expired"}).Err(); err != nil {
		t.Fatal(err)
	}
	k := cache.Key{Source: "s"}
	if err := tier.Set(t.Context(), k, cachetest.Entry("x", 10)); err != nil {
		t.Fatal(err)
	}
	members, err := tier.client.ZRange(t.Context(), index, 0, -1).Result()
	if err != nil || len(members) != 1 || members[0] != cache.VariantName(k) {
		t.Errorf("index = %q, %v; want the new entry alone", members, err)
	}
}

func TestPurgeOfManyEntries(t *testing.T) {
	server := testserver.Redis(t)
	tier := open(t, server.URL(), Options{})
	for i := range purgeBatch + 10 {
		if err := tier.Set(t.Context(), cache.Key{Source: "s", Variant: fmt.Sprint(i)}, cachetest.Entry("x", 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tier.Purge(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	if names, err := tier.client.Keys(t.Context(), "*").Result(); err != nil || len(names) > 0 {
		t.Errorf("%d keys left, %v", len(names), err)
	}
}

// TestOutage holds that a server which is down or frozen costs each call no more than its deadline, that calls cost nothing
// once the breaker is open, and that the tier is used again by itself when the server is back.
func TestOutage(t *testing.T) {
	faults := []struct {
		name        string
		begin, over func(s *testserver.RedisServer)
	}{
		{"down", func(s *testserver.RedisServer) { s.Stop() }, func(s *testserver.RedisServer) { s.Start() }},
		{"frozen", func(s *testserver.RedisServer) { s.Pause() }, func(s *testserver.RedisServer) { s.Resume() }},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			server := testserver.Redis(t)
			tier := open(t, server.URL(), Options{})
			k, e := cache.Key{Source: "s"}, cachetest.Entry("x", 1000)
			if err := tier.Set(t.Context(), k, e); err != nil {
				t.Fatal(err)
			}
			fault.begin(server)
			failures := awaitOpen(t, tier, k)
			if failures != 5 {
				t.Errorf("the breaker opened after %d failures, want 5", failures)
			}
			for range 100 {
				if _, err := tier.Get(t.Context(), k); !errors.Is(err, cache.ErrOpen) {
					t.Fatalf("Get with the breaker open = %v", err)
				}
			}
			if err := tier.Purge(t.Context(), "s"); err == nil {
				t.Error("Purge of a server that is away = nil error")
			}
			fault.over(server)
			if took := awaitAnswer(t, tier, k); took > 3*time.Second {
				t.Errorf("the tier was used again after %v", took)
			}
		})
	}
}

// awaitOpen calls Get until the breaker opens and returns how many failures that took.
func awaitOpen(t *testing.T, tier *Tier, k cache.Key) int {
	t.Helper()
	const scheduling = 150 * time.Millisecond // what a loaded machine may add to a deadline
	for failures := range 100 {
		start := time.Now()
		_, err := tier.Get(t.Context(), k)
		took := time.Since(start)
		switch {
		case err == nil, errors.Is(err, cache.ErrMiss):
			t.Fatalf("Get of a server that is away = %v", err)
		case errors.Is(err, cache.ErrOpen):
			return failures
		case took > DefaultTimeout+scheduling:
			t.Errorf("call %d took %v, the deadline is %v", failures, took, DefaultTimeout)
		}
	}
	t.Fatal("the breaker never opened")
	return 0
}

// awaitAnswer calls Get until the server answers, as requests would.
func awaitAnswer(t *testing.T, tier *Tier, k cache.Key) time.Duration {
	t.Helper()
	start := time.Now()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for time.Since(start) < 10*time.Second {
		if _, err := tier.Get(t.Context(), k); err == nil || errors.Is(err, cache.ErrMiss) {
			return time.Since(start)
		}
		<-poll.C
	}
	t.Fatal("the tier never recovered")
	return 0
}

func TestFullServerRefusesAndAnswers(t *testing.T) {
	server := testserver.Redis(t)
	tier := open(t, server.URL(), Options{})
	kept := cache.Key{Source: "kept"}
	if err := tier.Set(t.Context(), kept, cachetest.Entry("x", 1000)); err != nil {
		t.Fatal(err)
	}
	if err := tier.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // far more than open the breaker
		if err := tier.Set(t.Context(), cache.Key{Source: "new"}, cachetest.Entry("y", 1000)); !errors.Is(err, cache.ErrRefused) {
			t.Errorf("Set on a full server = %v, want ErrRefused", err)
		}
	}
	if _, err := tier.Get(t.Context(), kept); err != nil {
		t.Errorf("Get on a full server = %v", err)
	}
}

// TestReplicaIsRead: after a failover the client may talk to a server that has become a replica.
func TestReplicaIsRead(t *testing.T) {
	primary, server := testserver.Redis(t), testserver.Redis(t)
	tier := open(t, server.URL(), Options{})
	host, port, _ := strings.Cut(primary.Addr, ":")
	if err := tier.client.SlaveOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := tier.Set(t.Context(), cache.Key{}, cachetest.Entry("y", 1000)); !errors.Is(err, cache.ErrRefused) {
			t.Fatalf("Set on a replica = %v, want ErrRefused", err)
		}
	}
	if _, err := tier.Get(t.Context(), cache.Key{}); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("Get on a replica = %v, want ErrMiss", err)
	}
}

func TestURL(t *testing.T) {
	good := map[string]func(c goredis.UniversalClient) bool{
		"redis://localhost:1/2": func(c goredis.UniversalClient) bool {
			o := c.(*goredis.Client).Options()
			return o.Addr == "localhost:1" && o.DB == 2 && o.TLSConfig == nil && o.MaxRetries == 0 && o.ContextTimeoutEnabled
		},
		"rediss://u:p@localhost:1": func(c goredis.UniversalClient) bool {
			o := c.(*goredis.Client).Options()
			return o.TLSConfig != nil && o.Username == "u" && o.Password == "p"
		},
		"redis+sentinel://localhost:1/3?master_name=m&addr=localhost:2": func(c goredis.UniversalClient) bool {
			o := c.(*goredis.Client).Options()
			return o.Addr == "FailoverClient" && o.DB == 3
		},
		"rediss+cluster://localhost:1?addr=localhost:2": func(c goredis.UniversalClient) bool {
			o := c.(*goredis.ClusterClient).Options()
			return len(o.Addrs) == 2 && o.TLSConfig != nil
		},
	}
	for url, check := range good {
		if tier := open(t, url, Options{}); !check(tier.client) {
			t.Errorf("%s: read wrongly", url)
		}
	}
	for _, url := range []string{
		"", "localhost:6379", "http://localhost", "redis://localhost/x", "redis+magic://localhost", "unix:///tmp/socket",
		"redis+sentinel://localhost", "redis://localhost?nonsense=1", "redis://user:secret@[bad",
	} {
		tier, err := New(url, Options{})
		if err == nil {
			_ = tier.Close()
			t.Errorf("New(%q) = nil error", url)
		} else if text := err.Error(); strings.Contains(text, "secret") {
			t.Errorf("the error shows the password: %s", text)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	tier := open(b, testserver.Redis(b).URL(), Options{})
	k := cache.Key{Source: "s"}
	if err := tier.Set(b.Context(), k, cachetest.Entry("x", 16<<10)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tier.Get(context.Background(), k); err != nil {
			b.Fatal(err)
		}
	}
}
