package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"deckle/cache"
	"deckle/cache/memory"
	"deckle/origin"

	"github.com/google/go-cmp/cmp"
)

// moody is a store of originals of which a test says what it answers.
type moody struct {
	origin.Reader
	mu   sync.Mutex
	says map[string]error // nil for a source that is there; not listed for one that is not
	down bool
	asks int
}

func (m *moody) Stat(_ context.Context, id string) (origin.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asks++
	_, there := m.says[id]
	switch {
	case m.down:
		return origin.Info{}, fmt.Errorf("moody: %w", origin.ErrUnavailable)
	case !there:
		return origin.Info{}, origin.ErrNotFound
	}
	return origin.Info{Version: "v-" + id, Size: 7, Modified: time.Unix(1e9, 0).UTC()}, nil
}

func (m *moody) set(change func(*moody)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// began is a memory of versions as a node has it that has just begun, over a tier that outlasts it.
func began(t *testing.T, store origin.Reader, tier cache.Tier) (Versions, *LastKnown) {
	t.Helper()
	known := NewLastKnown(store, tier)
	versions := origin.NewVersions(known, origin.VersionsConfig{})
	t.Cleanup(func() {
		versions.Close()
		if err := known.Close(); err != nil {
			t.Error(err)
		}
	})
	return known.Versions(versions), known
}

// TestLastKnown: a node that begins while the store is down knows what one before it was told, marked as stale; not of what
// was never there or has gone, and only until the store answers.
func TestLastKnown(t *testing.T) {
	tier, err := memory.New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close) // after what writes to it
	store := &moody{says: map[string]error{"cat": nil, "dog": nil}}
	first, known := began(t, store, tier)
	want, err := first.Stat(t.Context(), "cat")
	if err != nil || want.Stale {
		t.Fatalf("%+v %v", want, err)
	}
	if _, err := first.Stat(t.Context(), "dog"); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Stat(t.Context(), "ghost"); !errors.Is(err, origin.ErrNotFound) {
		t.Fatal(err)
	}
	if err := known.Close(); err != nil { // what it was told is written now
		t.Fatal(err)
	}
	tier.Wait()
	second, known := began(t, store, tier) // after dog has gone
	store.set(func(m *moody) { delete(m.says, "dog") })
	if _, err := second.Stat(t.Context(), "dog"); !errors.Is(err, origin.ErrNotFound) {
		t.Fatal(err)
	}
	if err := known.Close(); err != nil {
		t.Fatal(err)
	}
	tier.Wait()
	store.set(func(m *moody) { m.down = true })
	third, _ := began(t, store, tier)
	want.Stale = true
	for range 3 {
		got, err := third.Stat(t.Context(), "cat")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	}
	if store.asks != 3+1+1 {
		t.Errorf("the store was asked %d times, want once while it is down", store.asks)
	}
	for _, id := range []string{"dog", "ghost", "fox"} {
		if info, err := third.Stat(t.Context(), id); !errors.Is(err, origin.ErrUnavailable) {
			t.Errorf("%s: %+v %v, want ErrUnavailable", id, info, err)
		}
	}
	store.set(func(m *moody) { m.down, m.says = false, nil })
	third.Invalidate("cat")
	if info, err := third.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("the store says that it is gone, and the answer is %+v %v", info, err)
	}
}

// TestLastKnownIsOld: what was noted longer ago than it is good for, or damaged, is not used; a clock that was set back does
// not make it worse.
func TestLastKnownIsOld(t *testing.T) {
	tier, err := memory.New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close) // after what writes to it
	record := `{"version":"v","size":1,"modified":"2001-09-09T01:46:40Z","at":"%s"}`
	for name, test := range map[string]struct {
		body string
		good bool
	}{
		"fresh":        {fmt.Sprintf(record, time.Now().Format(time.RFC3339)), true},
		"tomorrow":     {fmt.Sprintf(record, time.Now().Add(48*time.Hour).Format(time.RFC3339)), true},
		"two days old": {fmt.Sprintf(record, time.Now().Add(-48*time.Hour).Format(time.RFC3339)), false},
		"damaged":      {"{", false},
		"empty":        {"{}", false},
	} {
		entry := cache.NewEntry(cache.Entry{Body: []byte(test.body), ContentType: "application/json"})
		if err := tier.Set(t.Context(), lastKey("cat"), entry); err != nil {
			t.Fatal(err)
		}
		tier.Wait()
		versions, _ := began(t, &moody{down: true}, tier)
		info, err := versions.Stat(t.Context(), "cat")
		if good := err == nil && info.Stale; good != test.good {
			t.Errorf("%s: %+v %v", name, info, err)
		}
	}
}

// TestLastKnownIsBounded: more sources than can wait for a slow tier are dropped, and nobody waits for it.
func TestLastKnownIsBounded(t *testing.T) {
	hang := make(chan struct{})
	known := NewLastKnown(&moody{}, stuck{hang})
	for i := range 2 * maxLastQueue {
		known.note(fmt.Sprint(i), lastRecord{Version: "v"})
	}
	if n := len(known.queue); n > maxLastQueue {
		t.Errorf("%d wait", n)
	}
	close(hang)
	if err := known.Close(); err != nil {
		t.Error(err)
	}
}

// stuck is a tier that answers when it is let.
type stuck struct{ hang chan struct{} }

func (s stuck) Get(context.Context, cache.Key) (*cache.Entry, error) { return nil, cache.ErrMiss }

func (s stuck) Set(ctx context.Context, _ cache.Key, _ *cache.Entry) error {
	select {
	case <-s.hang:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s stuck) Purge(context.Context, string) error { return nil }

// TestStaleForCDNs: what CDNs obey instead of Cache-Control lets them keep a stale answer no longer than others may, signed or not.
func TestStaleForCDNs(t *testing.T) {
	e, now := newSignedEdge(t, Signed{})
	e.keep("cat", cat())
	e.proxy.CDN = "max-age=86400"
	e.proxy.told = e.proxy.tell()
	e.do("GET", "/cat_30_20.webp").want(t, 200, "CDN-Cache-Control", "max-age=86400")
	e.proxy.Versions = down{e.proxy.Versions}
	e.do("GET", "/cat_30_20.webp").want(t, 200, "Cache-Status", "detail=stale", "Cache-Control", staleMaxAge, "CDN-Cache-Control", staleMaxAge)
	e.proxy.Signed.Reads = true
	target := sign("GET", "/cat_30_20.webp", "", now, time.Minute)
	got := e.do("GET", target)
	got.want(t, 200, "Cache-Status", "detail=stale", "Cache-Control", staleMaxAge+", must-revalidate")
	if told := got.Header.Values("CDN-Cache-Control"); len(told) != 1 || told[0] != staleMaxAge+", must-revalidate" {
		t.Errorf("CDN-Cache-Control: %q", told)
	}
}
