package event

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is an Outbox in memory.
type shelf struct {
	mu      sync.Mutex
	waiting []*item // in their order
	dead    []string
	fault   error
	calls   int
}

type item struct {
	p   Parcel
	due time.Time
}

func (s *shelf) put(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		now := time.Now()
		e := Event{ID: name, Source: name[:1], Time: now}
		s.waiting = append(s.waiting, &item{Parcel{Event: e, Endpoint: "a", Since: now}, now})
	}
}

// heads returns the first item of each source.
func (s *shelf) heads() (heads []*item) {
	seen := map[string]bool{}
	for _, i := range s.waiting {
		if !seen[i.p.Event.Source] {
			seen[i.p.Event.Source] = true
			heads = append(heads, i)
		}
	}
	return heads
}

func (s *shelf) Next(context.Context, string) (next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for _, i := range s.heads() {
		if next.IsZero() || i.due.Before(next) {
			next = i.due
		}
	}
	return next, s.fault
}

func (s *shelf) Take(_ context.Context, _ string, now, until time.Time, limit int) (taken []Parcel, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.heads() {
		if len(taken) < limit && !i.due.After(now) && s.fault == nil {
			i.due = until
			i.p.Attempt++
			taken = append(taken, i.p)
		}
	}
	return taken, s.fault
}

func (s *shelf) Settle(_ context.Context, p Parcel, _ time.Time, v Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	at := slices.IndexFunc(s.waiting, func(i *item) bool { return i.p.Event.ID == p.Event.ID && i.p.Attempt == p.Attempt })
	switch {
	case at < 0:
	case v.Outcome == Retry:
		s.waiting[at].due = v.Due
	default:
		if v.Outcome == Dead {
			s.dead = append(s.dead, p.Event.ID)
		}
		s.waiting = slices.Delete(s.waiting, at, at+1)
	}
	return nil
}

// sender remembers what it is sent, and when.
type sender struct {
	mu    sync.Mutex
	begin time.Time
	sent  []string
	busy  int
	most  int
	send  func(ctx context.Context, e Event) error
}

func (s *sender) Send(ctx context.Context, e Event) error {
	s.mu.Lock()
	s.sent = append(s.sent, fmt.Sprintf("%s@%s", e.ID, time.Since(s.begin)))
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	}()
	if s.send == nil {
		return nil
	}
	return s.send(ctx, e)
}

// deliver runs a courier in the bubble's time until it has had the time given.
func deliver(t *testing.T, o *shelf, s *sender, during func(c *Courier), change ...func(*CourierConfig)) {
	synctest.Test(t, func(t *testing.T) {
		config := CourierConfig{Outbox: o, Routes: map[string]Sender{"a": s}, Backoff: Backoff{Draw: func() float64 { return 1 }}}
		for _, f := range change {
			f(&config)
		}
		c := NewCourier(config)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		s.begin = time.Now()
		running.Go(func() { c.Run(ctx) })
		during(c)
		stop()
		running.Wait()
	})
}

func wantSent(t *testing.T, s *sender, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// TestRetries: the first try is made at once and the further ones after growing pauses; the source's next event waits, and is
// then sent at once; that of another source does not wait.
func TestRetries(t *testing.T) {
	o, tries := &shelf{}, 0
	s := &sender{send: func(_ context.Context, e Event) error {
		if e.ID != "c1" {
			return nil
		}
		if tries++; tries < 4 {
			return errors.New("refused")
		}
		return nil
	}}
	deliver(t, o, s, func(c *Courier) {
		synctest.Wait() // it found nothing and rests
		o.put("c1", "c2")
		c.Wake()
		time.Sleep(1500 * time.Millisecond)
		o.put("d1") // by another process
		time.Sleep(time.Minute)
		if got := c.Stats(); got != (CourierStats{Delivered: 3, Failed: 3}) {
			t.Errorf("stats %+v", got)
		}
	})
	wantSent(t, s, "c1@0s", "c1@1s", "d1@2s", "c1@5s", "c1@21s", "c2@21s")
}

func TestDead(t *testing.T) {
	o := &shelf{}
	s := &sender{send: func(_ context.Context, e Event) error {
		if e.ID == "c1" {
			return errors.New("refused")
		}
		return nil
	}}
	deliver(t, o, s, func(c *Courier) {
		o.put("c1", "c2")
		c.Wake()
		time.Sleep(time.Hour)
		if got := c.Stats(); got != (CourierStats{Delivered: 1, Failed: 4, Dead: 1}) {
			t.Errorf("stats %+v", got)
		}
	}, func(c *CourierConfig) { c.Backoff.For = time.Minute })
	// The next try would be at 85 s, beyond the minute.
	wantSent(t, s, "c1@0s", "c1@1s", "c1@5s", "c1@21s", "c2@21s")
	if diff := cmp.Diff([]string{"c1"}, o.dead); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}
}

// TestHangs: a receiver that does not answer takes no more than the timeout of each delivery, and as many at once as there are
// workers.
func TestHangs(t *testing.T) {
	o := &shelf{}
	s := &sender{send: func(ctx context.Context, _ Event) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	deliver(t, o, s, func(c *Courier) {
		o.put("a", "b", "c", "d", "e", "f")
		c.Wake()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := c.Stats().Failed; got != 4 {
			t.Errorf("%d failed, want 4", got)
		}
	})
	if s.most != 4 {
		t.Errorf("%d deliveries at once, want 4", s.most)
	}
}

// TestStop: what is under way may end; what hangs is cut off after a moment.
func TestStop(t *testing.T) {
	for name, slow := range map[string]time.Duration{"ends": time.Second, "hangs": time.Hour} {
		t.Run(name, func(t *testing.T) {
			o := &shelf{}
			s := &sender{send: func(ctx context.Context, _ Event) error {
				select {
				case <-time.After(slow):
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}}
			deliver(t, o, s, func(c *Courier) {
				o.put("a1", "a2")
				c.Wake()
				synctest.Wait()
				time.AfterFunc(stopTimeout+time.Millisecond, func() {
					if slow > stopTimeout && c.Stats().Failed != 1 {
						t.Error("a delivery was not cut off")
					}
				})
			})
			left := map[string]int{"ends": 1, "hangs": 2}[name]
			if len(o.waiting) != left {
				t.Errorf("%d wait, want %d", len(o.waiting), left)
			}
			wantSent(t, s, "a1@0s")
		})
	}
}

// TestOutboxAway: while the outbox does not answer it is asked once a second, and afterwards all goes on.
func TestOutboxAway(t *testing.T) {
	o, s := &shelf{fault: errors.New("no database")}, &sender{}
	deliver(t, o, s, func(c *Courier) {
		o.put("a1")
		time.Sleep(10*time.Second + time.Millisecond)
		o.mu.Lock()
		calls := o.calls
		o.fault = nil
		o.mu.Unlock()
		if calls > 12 {
			t.Errorf("asked %d times in ten seconds", calls)
		}
		time.Sleep(time.Second)
	})
	wantSent(t, s, "a1@11s")
}

// TestUnsettled: where the outbox was not told of the end of a delivery, it is repeated once the lease has run out.
func TestUnsettled(t *testing.T) {
	o := &shelf{}
	s := &sender{send: func(context.Context, Event) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.fault == nil && o.waiting[0].p.Attempt == 1 {
			o.fault = errors.New("no database")
			time.AfterFunc(time.Second, func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.fault = nil
			})
		}
		return nil
	}}
	deliver(t, o, s, func(c *Courier) {
		o.put("a1")
		c.Wake()
		time.Sleep(time.Minute)
	})
	wantSent(t, s, "a1@0s", "a1@15s")
}
