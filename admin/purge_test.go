package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"deckle/cache"
	"deckle/cache/cachetest"
	"deckle/cache/disk"
	"deckle/cache/memory"
	"deckle/fleet"
	"deckle/fleet/local"
)

// purgeable is a node that can purge, with a tier of its own and one that it shares.
type purgeable struct {
	own     *memory.Tier
	chain   *cache.Chain
	handler http.Handler
	purging *Purging
	forgot  []string // of "a" and "b", what it was told to forget
}

func newPurgeable(t *testing.T, messages fleet.Messages, shared cache.Tier) *purgeable {
	t.Helper()
	own, err := memory.New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	n := &purgeable{own: own, chain: cache.NewChain(cache.Config{Layers: []cache.Layer{
		{Name: "memory", Tier: own}, {Name: "disk", Tier: shared, Shared: true},
	}})}
	t.Cleanup(func() {
		if err := n.chain.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	n.purging = NewPurging(PurgingConfig{
		Chain: n.chain, Messages: messages, Log: slog.New(slog.DiscardHandler),
		Forget: func(covers func(string) bool) {
			for _, source := range []string{"a", "b"} {
				if covers(source) {
					n.forgot = append(n.forgot, source)
				}
			}
		},
	})
	t.Cleanup(func() { _ = n.purging.Close() })
	n.handler = New(Config{
		Grants: &granter{}, Purging: n.purging, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler), APIKeys: []string{"k"},
	}).Handler()
	return n
}

func (n *purgeable) fill(t *testing.T, sources ...string) {
	t.Helper()
	for _, source := range sources {
		if _, _, err := n.chain.Get(t.Context(), cache.Key{Source: source}, func(context.Context) (*cache.Entry, error) {
			return cachetest.Entry(source, 10), nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	n.own.Wait()
}

func (n *purgeable) purge(t *testing.T, body string) (int, PurgeReport) {
	t.Helper()
	got := call(n.handler, "POST", "/purge", body, "X-API-Key", "k")
	var r PurgeReport
	if err := json.Unmarshal(got.Body.Bytes(), &r); err != nil {
		t.Fatalf("%s: %v", got.Body, err)
	}
	return got.Code, r
}

func openDisk(t *testing.T) *disk.Tier {
	t.Helper()
	tier, err := disk.New(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tier.Close() })
	return tier
}

func TestPurgeRefused(t *testing.T) {
	n := newPurgeable(t, nil, openDisk(t))
	tests := []struct{ name, body, field string }{
		{"nothing", `{}`, "source"},
		{"only soft", `{"soft": true}`, "source"},
		{"all is false", `{"all": false}`, "source"},
		{"two", `{"source": "a", "prefix": "b"}`, "prefix"},
		{"a slip", `{"pefix": "a"}`, "pefix"},
		{"a slip beside all", `{"all": true, "sotf": true}`, "sotf"},
		{"another type", `{"all": "yes"}`, "all"},
		{"no JSON", `all`, "body"},
		{"an array", `["a"]`, "body"},
		{"two objects", `{"all": true} {"all": true}`, "body"},
		{"empty", ``, "body"},
		{"bad source", `{"source": "../a"}`, "source"},
		{"bad prefix", `{"prefix": "a//"}`, "prefix"},
		{"a slash alone", `{"prefix": "/"}`, "prefix"},
		{"bad tag", `{"tag": "%2e%2e/a"}`, "tag"},
		{"a tag that is not encoded well", `{"tag": "%zz"}`, "tag"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n.fill(t, "a")
			got := call(n.handler, "POST", "/purge", test.body, "X-API-Key", "k")
			var said struct{ Field, Detail string }
			if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || got.Code != 400 || said.Field != test.field || said.Detail == "" {
				t.Errorf("%d %s %v, want 400 that names %s", got.Code, got.Body, err, test.field)
			}
			if got := got.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type %s", got)
			}
			if _, _, err := n.chain.Lookup(t.Context(), cache.Key{Source: "a"}); err != nil {
				t.Errorf("a refused purge removed something: %v", err)
			}
		})
	}
	if got := call(n.handler, "POST", "/purge", `{"all": true}`); got.Code != 401 {
		t.Errorf("without a key: %d", got.Code)
	}
	if got := call(n.handler, "POST", "/purge", `{"source": "`+strings.Repeat("a", 20<<10)+`"}`, "X-API-Key", "k"); got.Code != 413 {
		t.Errorf("a body too long: %d", got.Code)
	}
}

// TestPurgeOverNodes purges from one of two nodes on one durable tier.
func TestPurgeOverNodes(t *testing.T) {
	shared, nodes := openDisk(t), local.New(0)
	first, second := nodes.Join(), nodes.Join()
	a, b := newPurgeable(t, first, shared), newPurgeable(t, second, shared)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan struct{}, 2)
	for _, m := range []fleet.Messages{first, second} {
		go func() { m.Run(ctx); ran <- struct{}{} }()
	}
	defer func() { cancel(); <-ran; <-ran }()
	awaitOther(t, a)
	for range 2 {
		a.fill(t, "a", "b")
		b.fill(t, "a", "b")
		code, r := a.purge(t, `{"source": "a"}`)
		if code != 200 || !r.Complete || len(r.Nodes) != 1 || r.Nodes[0].Error != "" || len(r.Nodes[0].Tiers) != 1 || r.Nodes[0].Tiers[0].Removed != 1 {
			t.Errorf("%d %+v", code, r)
		}
		for i, n := range []*purgeable{a, b} {
			if _, out, err := n.chain.Lookup(t.Context(), cache.Key{Source: "a"}); !errors.Is(err, cache.ErrMiss) {
				t.Errorf("node %d has what was purged in %s, %v", i, out.From, err)
			}
			if _, _, err := n.chain.Lookup(t.Context(), cache.Key{Source: "b"}); err != nil {
				t.Errorf("node %d lost another source: %v", i, err)
			}
		}
	}
	if strings.Contains(strings.Join(a.forgot, ""), "b") || len(b.forgot) == 0 {
		t.Errorf("forgot %v and %v", a.forgot, b.forgot)
	}
	entry := cachetest.Entry("old", 10)
	if code, r := b.purge(t, `{"all": true, "soft": true}`); code != 200 || !r.Complete || len(r.Nodes) != 1 || r.Removed != 0 {
		t.Errorf("%d %+v", code, r)
	}
	for i, n := range []*purgeable{a, b} {
		if !n.chain.Outdated("b", entry) {
			t.Errorf("node %d was not marked", i)
		}
	}
}

// lastLook is a shared tier that calls do when a purge has looked through it for the last time.
type lastLook struct {
	*disk.Tier
	do func()
}

func (l *lastLook) Sweep(ctx context.Context, s cache.Scope) (removed int, err error) {
	removed, err = l.Tier.Sweep(ctx, s)
	if removed == 0 && l.do != nil {
		l.do()
	}
	return removed, err
}

// TestPurgeHoldsOtherNodes has a fill of the other node, begun before the purge, end when the shared tier has been swept and
// before that node is told to sweep its own.
func TestPurgeHoldsOtherNodes(t *testing.T) {
	shared, nodes := openDisk(t), local.New(0)
	first, second := nodes.Join(), nodes.Join()
	look := &lastLook{Tier: shared}
	a, b := newPurgeable(t, first, look), newPurgeable(t, second, shared)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{}, 2)
	for _, m := range []fleet.Messages{first, second} {
		go func() { m.Run(ctx); ran <- struct{}{} }()
	}
	defer func() { cancel(); <-ran; <-ran }()
	awaitOther(t, a)
	began, open, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, _, err := b.chain.Get(ctx, cache.Key{Source: "a"}, func(context.Context) (*cache.Entry, error) {
			close(began)
			<-open
			return cachetest.Entry("old", 10), nil
		})
		ended <- err
	}()
	<-began
	look.do = func() {
		close(open)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for b.chain.Stats().Backlog > 0 { // nothing tells of a write behind an answer
			time.Sleep(time.Millisecond)
		}
	}
	if code, r := a.purge(t, `{"source": "a"}`); code != 200 || !r.Complete {
		t.Errorf("%d %+v", code, r)
	}
	for i, n := range []*purgeable{a, b} {
		if _, out, err := n.chain.Lookup(t.Context(), cache.Key{Source: "a"}); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("node %d has in %s what was made before the purge, %v", i, out.From, err)
		}
	}
}

// awaitOther waits until the other node hears: there is nothing to be told by.
func awaitOther(t *testing.T, n *purgeable) {
	t.Helper()
	for begin := time.Now(); ; {
		if _, r := n.purge(t, `{"source": "nothing"}`); len(r.Nodes) == 1 && r.Complete {
			return
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the other node does not hear")
		}
	}
}

// TestHeldNodeLetsGo: a node that was told to hold, and is not told to sweep, stores again after a while.
func TestHeldNodeLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPurgeable(t, nil, openDisk(t))
		order := func(text string) error {
			_, err := n.purging.obey(t.Context(), fleet.Message{Payload: json.RawMessage(text)})
			return err
		}
		if err := order(`{"op": "hold", "id": "1", "scope": {"source": "a"}}`); err != nil {
			t.Fatal(err)
		}
		n.fill(t, "a")
		synctest.Wait()
		if _, _, err := n.chain.Lookup(t.Context(), cache.Key{Source: "a"}); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("a node that holds stored: %v", err)
		}
		time.Sleep(leaseTime + time.Second) // in the bubble's time
		n.fill(t, "a")
		synctest.Wait()
		if _, _, err := n.chain.Lookup(t.Context(), cache.Key{Source: "a"}); err != nil {
			t.Errorf("a node that let go did not store: %v", err)
		}
		if err := order(`{"op": "sweep", "id": "1", "scope": {"source": "a"}}`); err != nil {
			t.Errorf("an order to sweep that comes late: %v", err)
		}
		for _, text := range []string{`{"op": "dance"}`, `7`} {
			if err := order(text); err == nil {
				t.Errorf("the order %s was obeyed", text)
			}
		}
	})
}
