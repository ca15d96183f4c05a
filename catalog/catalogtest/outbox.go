package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
)

// RunOutbox checks every law of the outbox on catalogs that open returns, each empty and closed by whoever opened it.
func RunOutbox(t *testing.T, open func(t *testing.T) *catalog.Catalog) {
	t.Run("order", func(t *testing.T) { testOrder(t, open(t)) })
	t.Run("leases", func(t *testing.T) { testEventLeases(t, open(t)) })
	t.Run("subscriptions", func(t *testing.T) { testSubscriptions(t, open(t)) })
	t.Run("with the record or not at all", func(t *testing.T) { testAnnounce(t, open(t)) })
	t.Run("dead and replayed", func(t *testing.T) { testReplay(t, open(t)) })
	t.Run("swept", func(t *testing.T) { testSweepEvents(t, open(t)) })
	t.Run("listed", func(t *testing.T) { testListEvents(t, open(t)) })
	t.Run("many at once", func(t *testing.T) { testManyCouriers(t, open(t)) })
	t.Run("faults of the outbox", func(t *testing.T) { testOutboxFaults(t, open(t)) })
}

// told is an event named for its source and a number, as in "cat 1".
func told(name string) catalog.Event {
	source, _, _ := strings.Cut(name, " ")
	return catalog.Event{ID: name, Kind: "uploaded", Source: source, Time: epoch, Data: []byte(`{"n":"` + name + `"}`)}
}

func subscribe(c *catalog.Catalog, names ...string) *atomic.Int64 {
	var wakes atomic.Int64
	list := make([]catalog.Subscriber, len(names))
	for i, name := range names {
		list[i].Name = name
	}
	c.Subscribe(list, func() { wakes.Add(1) })
	return &wakes
}

func appended(t *testing.T, c *catalog.Catalog, names ...string) {
	t.Helper()
	events := make([]catalog.Event, len(names))
	for i, name := range names {
		events[i] = told(name)
	}
	must(t, c.Append(t.Context(), events...))
}

// take returns what can be taken for the endpoint at a time after epoch, by event, and wants that to be these, in any order.
func take(t *testing.T, c *catalog.Catalog, endpoint string, after time.Duration, want ...string) map[string]catalog.Parcel {
	t.Helper()
	now := epoch.Add(after)
	parcels, err := c.Outbox().Take(t.Context(), endpoint, now, now.Add(Lease), 100)
	must(t, err)
	got, wanted := map[string]catalog.Parcel{}, map[string]bool{}
	for _, p := range parcels {
		got[p.Event.ID] = p
		if diff := cmp.Diff(told(p.Event.ID), p.Event); diff != "" {
			t.Errorf("taken (-want +got):\n%s", diff)
		}
		if p.Endpoint != endpoint {
			t.Errorf("%s is for %q, want %q", p.Event.ID, p.Endpoint, endpoint)
		}
	}
	for _, name := range want {
		wanted[name] = true
	}
	for name := range wanted {
		if _, ok := got[name]; !ok {
			t.Errorf("after %s %q was not taken", after, name)
		}
	}
	if len(parcels) != len(want) {
		t.Errorf("after %s %d were taken, want %d: %v", after, len(parcels), len(want), got)
	}
	return got
}

func testOrder(t *testing.T, c *catalog.Catalog) {
	wakes := subscribe(c, "a", "b")
	o := c.Outbox()
	next, err := o.Next(t.Context(), "a")
	must(t, err)
	if !next.IsZero() {
		t.Errorf("of nothing %s is due", next)
	}
	appended(t, c, "cat 1", "dog 1", "cat 2")
	appended(t, c, "cat 3")
	if n := wakes.Load(); n != 2 {
		t.Errorf("%d wakes of 2 appends", n)
	}
	first := take(t, c, "a", 0, "cat 1", "dog 1")
	take(t, c, "a", 0)
	if next, err = o.Next(t.Context(), "a"); err != nil || !next.Equal(epoch.Add(Lease)) {
		t.Errorf("the next is due at %s (%v), want the end of the lease", next, err)
	}

	// A source's failure holds back its own later events only, and only from the endpoint that it failed for.
	must(t, o.Defer(t.Context(), first["cat 1"], epoch.Add(time.Minute), "refused"))
	must(t, o.Delivered(t.Context(), first["dog 1"], epoch))
	appended(t, c, "dog 2", "cat 4")
	take(t, c, "a", time.Second, "dog 2")
	b := take(t, c, "b", 0, "cat 1", "dog 1")
	must(t, o.Delivered(t.Context(), b["cat 1"], epoch))
	take(t, c, "b", 0, "cat 2")

	again := take(t, c, "a", time.Minute, "cat 1", "dog 2") // the lease of dog 2 has run out
	if again["cat 1"].Attempt != 2 || !again["cat 1"].Since.Equal(epoch) {
		t.Errorf("taken again as %+v", again["cat 1"])
	}
	must(t, o.Delivered(t.Context(), again["cat 1"], epoch))
	second := take(t, c, "a", time.Minute, "cat 2")
	must(t, o.Bury(t.Context(), second["cat 2"], epoch, "gone"))
	third := take(t, c, "a", time.Minute, "cat 3")
	must(t, o.Delivered(t.Context(), third["cat 3"], epoch))
	take(t, c, "a", time.Minute, "cat 4")
}

// testEventLeases has a lease run out under whoever holds it, who then can change nothing.
func testEventLeases(t *testing.T, c *catalog.Catalog) {
	subscribe(c, "a")
	o := c.Outbox()
	appended(t, c, "cat 1", "cat 2")
	late := take(t, c, "a", 0, "cat 1")["cat 1"]
	take(t, c, "a", Lease-time.Millisecond)
	held := take(t, c, "a", Lease, "cat 1")["cat 1"]
	must(t, o.Delivered(t.Context(), late, epoch))
	must(t, o.Bury(t.Context(), late, epoch, "late"))
	must(t, o.Defer(t.Context(), late, epoch, "late"))
	take(t, c, "a", Lease+time.Second)
	must(t, o.Delivered(t.Context(), held, epoch))
	must(t, o.Delivered(t.Context(), held, epoch))
	take(t, c, "a", Lease, "cat 2")
	one, err := o.Take(t.Context(), "a", epoch.Add(time.Hour), epoch.Add(2*time.Hour), 0)
	must(t, err)
	if len(one) != 0 {
		t.Errorf("%d taken of a limit of 0", len(one))
	}
}

func testSubscriptions(t *testing.T, c *catalog.Catalog) {
	appended(t, c, "cat 0") // nobody listens
	c.Subscribe([]catalog.Subscriber{{Name: "all"}, {Name: "some", Kinds: []string{"deleted", "uploaded"}}, {Name: "deletions", Kinds: []string{"deleted"}}}, func() {})
	appended(t, c, "cat 1")
	appended(t, c, "cat 1") // the same event again
	take(t, c, "all", 0, "cat 1")
	take(t, c, "some", 0, "cat 1")
	take(t, c, "deletions", 0)
	take(t, c, "nobody", 0)
	subscribe(c, "later")
	take(t, c, "later", 0) // only what happens from now on
}

func testAnnounce(t *testing.T, c *catalog.Catalog) {
	subscribe(c, "a")
	g := grant("token", "cat", false, epoch)
	must(t, c.Issue(t.Context(), g, epoch))
	g, err := c.Claim(t.Context(), g, epoch, epoch.Add(Lease))
	must(t, err)
	announce := func(r catalog.Record) []catalog.Event {
		if r.Created.IsZero() {
			t.Error("the record that is announced is not the one that stands")
		}
		return []catalog.Event{told("cat 1")}
	}
	stale := g
	stale.Attempt--
	if _, err := c.Finish(t.Context(), stale, record("cat", "v0", epoch), "upload", announce); !errors.Is(err, catalog.ErrUsed) {
		t.Fatalf("finish of a claim that is lost: %v", err)
	}
	take(t, c, "a", 0)
	_, err = c.Finish(t.Context(), g, record("cat", "v1", epoch), "upload", announce)
	must(t, err)
	take(t, c, "a", 0, "cat 1")
}

func testReplay(t *testing.T, c *catalog.Catalog) {
	wakes := subscribe(c, "a", "b")
	o := c.Outbox()
	appended(t, c, "cat 1", "cat 2", "dog 1", "cat 3")
	for _, name := range []string{"cat 1", "cat 2"} {
		p, err := o.Take(t.Context(), "a", epoch, epoch.Add(Lease), 100)
		must(t, err)
		for _, p := range p {
			if p.Event.ID == name || p.Event.ID == "dog 1" {
				must(t, o.Bury(t.Context(), p, epoch, "why"))
			}
		}
	}
	replay := func(id string, want int) {
		t.Helper()
		before := wakes.Load()
		n, err := o.Replay(t.Context(), id, epoch.Add(time.Hour))
		must(t, err)
		if n != want || (wakes.Load() > before) != (want > 0) {
			t.Errorf("replay of %q: %d, want %d; %d wakes", id, n, want, wakes.Load()-before)
		}
	}
	replay("nobody", 0)
	replay("cat 3", 0) // waits as it is
	replay("dog 1", 1)
	dog := take(t, c, "a", time.Hour, "dog 1", "cat 3")
	if p := dog["dog 1"]; p.Attempt != 1 || !p.Since.Equal(epoch.Add(time.Hour)) {
		t.Errorf("replayed as %+v, want it to begin anew", p)
	}
	replay("", 2)
	take(t, c, "a", time.Hour) // cat 3 is under way
	appended(t, c, "cat 4")
	take(t, c, "a", time.Hour)
	must(t, o.Delivered(t.Context(), dog["cat 3"], epoch))
	first := take(t, c, "a", time.Hour, "cat 1") // in their order, behind the one under way
	must(t, o.Delivered(t.Context(), first["cat 1"], epoch))
	take(t, c, "a", time.Hour, "cat 2")

	appended(t, c, "owl 1", "owl 2")
	for _, name := range []string{"owl 1", "owl 2"} {
		must(t, o.Bury(t.Context(), take(t, c, "a", time.Hour, name)[name], epoch, "why"))
	}
	replay("", 2)
	take(t, c, "a", time.Hour, "owl 1")
	take(t, c, "b", 0, "cat 1", "dog 1", "owl 1") // b has nothing to do with it
}

func testSweepEvents(t *testing.T, c *catalog.Catalog) {
	subscribe(c, "a", "gone")
	o := c.Outbox()
	appended(t, c, "cat 1", "dog 1", "owl 1")
	parcels := take(t, c, "a", 0, "cat 1", "dog 1", "owl 1")
	must(t, o.Delivered(t.Context(), parcels["cat 1"], epoch.Add(time.Minute)))
	must(t, o.Bury(t.Context(), parcels["dog 1"], epoch.Add(time.Hour), "why"))
	appended(t, c, "cat 2")
	late := told("cat 3")
	late.Time = epoch.Add(2 * time.Hour)
	must(t, c.Append(t.Context(), late))
	for _, step := range []struct {
		before      time.Duration
		limit, want int
	}{
		{0, 100, 0},
		{time.Minute, 100, 2},     // owl 1 and cat 2 are older than anything is tried
		{time.Minute + 1, 100, 0}, // to the millisecond
		{time.Minute + time.Millisecond, 100, 1},
		{2 * time.Hour, 0, 0},
		{2 * time.Hour, 100, 1},
		{2 * time.Hour, 100, 0},
	} {
		n, err := o.SweepEvents(t.Context(), epoch.Add(step.before), epoch.Add(3*time.Hour), step.limit)
		must(t, err)
		if n != step.want {
			t.Errorf("before %s: %d swept, want %d", step.before, n, step.want)
		}
	}
	// The lines that were cut go on.
	for _, endpoint := range []string{"a", "gone"} {
		got, err := o.Take(t.Context(), endpoint, epoch.Add(4*time.Hour), epoch.Add(5*time.Hour), 100)
		must(t, err)
		if len(got) != 1 || got[0].Event.ID != "cat 3" {
			t.Errorf("%s is left with %+v", endpoint, got)
		}
	}
}

func testListEvents(t *testing.T, c *catalog.Catalog) {
	subscribe(c, "a", "b")
	o := c.Outbox()
	appended(t, c, "cat 1", "cat 2", "dog 1")
	p := take(t, c, "a", 0, "cat 1", "dog 1")
	must(t, o.Bury(t.Context(), p["cat 1"], epoch.Add(time.Second), strings.Repeat("x", 1000)))
	must(t, o.Delivered(t.Context(), p["dog 1"], epoch.Add(time.Second)))
	list := func(before int64, dead bool, limit int, want ...string) []catalog.EventState {
		t.Helper()
		got, err := o.Events(t.Context(), before, dead, limit)
		must(t, err)
		var names []string
		for _, s := range got {
			names = append(names, s.ID)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("events below %d, dead %v (-want +got):\n%s", before, dead, diff)
		}
		return got
	}
	all := list(math.MaxInt64, false, 100, "dog 1", "cat 2", "cat 1")
	want := catalog.EventState{Event: told("dog 1"), Number: all[0].Number, Deliveries: []catalog.Delivery{
		{Endpoint: "a", State: catalog.StateDelivered, Attempts: 1, Settled: epoch.Add(time.Second)},
		{Endpoint: "b", State: catalog.StateDue, Due: epoch},
	}}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Errorf("dog 1 (-want +got):\n%s", diff)
	}
	list(math.MaxInt64, false, 1, "dog 1")
	list(all[0].Number, false, 100, "cat 2", "cat 1")
	dead := list(math.MaxInt64, true, 100, "cat 1")
	if d := dead[0].Deliveries; len(d) != 2 || d[0].State != catalog.StateDead || len(d[0].Reason) != 300 || d[1].State != catalog.StateDue {
		t.Errorf("cat 1 is listed as %+v", d)
	}
	list(dead[0].Number, true, 100)
	waiting, buried, err := o.Backlog(t.Context(), "a")
	if must(t, err); waiting != 1 || buried != 1 {
		t.Errorf("a waits for %d and lacks %d, want 1 and 1", waiting, buried)
	}
	if waiting, buried, err = o.Backlog(t.Context(), "b"); err != nil || waiting != 3 || buried != 0 {
		t.Errorf("b waits for %d and lacks %d (%v), want 3 and 0", waiting, buried, err)
	}
}

// testManyCouriers appends and delivers from many places at once: each event arrives once, those of a source in their order.
func testManyCouriers(t *testing.T, c *catalog.Catalog) {
	subscribe(c, "a")
	const sources, each, couriers = 5, 8, 4
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		arrived = map[string][]string{}
		left    atomic.Int64
	)
	left.Store(sources * each)
	for source := range sources {
		group.Go(func() {
			for n := range each {
				e := told(fmt.Sprintf("s%d %d", source, n))
				patiently(t, func() error { return c.Append(t.Context(), e) })
			}
		})
	}
	for range couriers {
		group.Go(func() {
			for left.Load() > 0 && t.Context().Err() == nil {
				var parcels []catalog.Parcel
				patiently(t, func() (err error) {
					parcels, err = c.Outbox().Take(t.Context(), "a", epoch, epoch.Add(Lease), 3)
					return err
				})
				for _, p := range parcels {
					mu.Lock()
					arrived[p.Event.Source] = append(arrived[p.Event.Source], p.Event.ID)
					mu.Unlock()
					left.Add(-1)
					patiently(t, func() error { return c.Outbox().Delivered(t.Context(), p, epoch) })
				}
			}
		})
	}
	group.Wait()
	for source := range sources {
		var want []string
		for n := range each {
			want = append(want, fmt.Sprintf("s%d %d", source, n))
		}
		if diff := cmp.Diff(want, arrived[fmt.Sprint("s", source)]); diff != "" {
			t.Errorf("source %d (-want +got):\n%s", source, diff)
		}
	}
}

// patiently repeats what did not get its turn in time, on a busy machine.
func patiently(t *testing.T, do func() error) {
	err := do()
	for errors.Is(err, catalog.ErrUnavailable) && t.Context().Err() == nil {
		err = do()
	}
	if err != nil {
		t.Error(err)
	}
}

func testOutboxFaults(t *testing.T, c *catalog.Catalog) {
	subscribe(c, "a")
	o, p := c.Outbox(), catalog.Parcel{Endpoint: "a"}
	must(t, c.Close())
	for name, call := range map[string]func(context.Context) error{
		"Append":    func(ctx context.Context) error { return c.Append(ctx, told("cat 1")) },
		"Next":      func(ctx context.Context) error { _, err := o.Next(ctx, "a"); return err },
		"Take":      func(ctx context.Context) error { _, err := o.Take(ctx, "a", epoch, epoch, 1); return err },
		"Delivered": func(ctx context.Context) error { return o.Delivered(ctx, p, epoch) },
		"Bury":      func(ctx context.Context) error { return o.Bury(ctx, p, epoch, "") },
		"Defer":     func(ctx context.Context) error { return o.Defer(ctx, p, epoch, "") },
		"Replay":    func(ctx context.Context) error { _, err := o.Replay(ctx, "", epoch); return err },
		"Sweep":     func(ctx context.Context) error { _, err := o.SweepEvents(ctx, epoch, epoch, 1); return err },
		"Events":    func(ctx context.Context) error { _, err := o.Events(ctx, 1, false, 1); return err },
		"Backlog":   func(ctx context.Context) error { _, _, err := o.Backlog(ctx, "a"); return err },
	} {
		if err := call(t.Context()); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("%s on a closed database: %v, want ErrUnavailable", name, err)
		}
	}
}
