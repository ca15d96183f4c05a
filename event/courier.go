package event

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Sender brings one event to one endpoint.
type Sender interface {
	// Send returns nil when the event has arrived. Its error says why not, without secrets: operators read it.
	Send(ctx context.Context, e Event) error
}

const (
	// leaseMargin is how much longer a lease is than a delivery may take, so that nobody else takes a parcel that is still
	// on its way, or has arrived a moment ago. It is also how much later than others the parcels of a process that was
	// killed go on.
	leaseMargin = 5 * time.Second
	// settleTimeout bounds how long the outbox may take to hear how a delivery ended.
	settleTimeout = 10 * time.Second
	// stopTimeout is how long deliveries under way go on once a courier is told to stop.
	stopTimeout = 3 * time.Second
)

// CourierConfig is what a Courier works with. Outbox and Routes are required; zero fields of the others take the value in
// brackets.
type CourierConfig struct {
	Outbox  Outbox
	Routes  map[string]Sender // by endpoint
	Backoff Backoff
	Timeout time.Duration // of one delivery [10 s]
	Workers int           // deliveries to one endpoint at once [4]
	Poll    time.Duration // how often to look for what other processes put in [1 s]
	Log     *slog.Logger  // [nowhere]
}

// CourierStats counts what one courier did.
type CourierStats struct {
	Delivered, Failed, Dead uint64 // attempts that succeeded and failed; events given up
}

// Courier takes what is due out of an outbox and sends it. Any number of them may share an outbox.
type Courier struct {
	CourierConfig
	wakes                   map[string]chan struct{} // by endpoint, of capacity 1: one look finds all that is due
	delivered, failed, dead atomic.Uint64
}

// NewCourier returns a courier that does not run yet.
func NewCourier(c CourierConfig) *Courier {
	c.Backoff = c.Backoff.withDefaults()
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	courier := &Courier{CourierConfig: c, wakes: make(map[string]chan struct{})}
	for endpoint := range c.Routes {
		courier.wakes[endpoint] = make(chan struct{}, 1)
	}
	return courier
}

// Stats returns what has been done so far.
func (c *Courier) Stats() CourierStats {
	return CourierStats{Delivered: c.delivered.Load(), Failed: c.failed.Load(), Dead: c.dead.Load()}
}

// Wake says that the outbox has something new. It never blocks.
func (c *Courier) Wake() {
	for endpoint := range c.wakes {
		c.wake(endpoint)
	}
}

func (c *Courier) wake(endpoint string) {
	select {
	case c.wakes[endpoint] <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends. Deliveries under way then have a few seconds to end; what was not delivered by then is when
// a courier runs again.
func (c *Courier) Run(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(stopTimeout, stop) })
	var routes sync.WaitGroup
	for endpoint, sender := range c.Routes {
		routes.Go(func() { c.serve(ctx, sending, endpoint, sender) })
	}
	routes.Wait()
}

// serve delivers to one endpoint: new deliveries begin until ctx ends, those under way end with sending.
func (c *Courier) serve(ctx, sending context.Context, endpoint string, sender Sender) {
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	slots := make(chan struct{}, c.Workers)
	for ctx.Err() == nil {
		var parcels []Parcel
		pause := c.Poll
		if free := c.Workers - len(slots); free > 0 {
			parcels, pause = c.take(ctx, endpoint, free)
		}
		for _, p := range parcels {
			slots <- struct{}{} // only this loop fills slots, and it counted them
			deliveries.Go(func() {
				c.deliver(sending, p, sender)
				<-slots
				c.wake(endpoint) // a slot is free, and the source's next event may be due
			})
		}
		if len(parcels) == 0 {
			c.rest(ctx, endpoint, pause)
		}
	}
}

// take leases what is due, up to limit; when that is nothing, pause says when to look again.
func (c *Courier) take(ctx context.Context, endpoint string, limit int) (parcels []Parcel, pause time.Duration) {
	now := time.Now()
	next, err := c.Outbox.Next(ctx, endpoint)
	switch { // looking is cheap, taking is a write
	case err == nil && next.IsZero():
		return nil, c.Poll
	case err == nil && next.After(now):
		return nil, min(c.Poll, next.Sub(now))
	case err == nil:
		parcels, err = c.Outbox.Take(ctx, endpoint, now, now.Add(c.Timeout+leaseMargin), limit)
	}
	if err != nil && ctx.Err() == nil {
		c.Log.Warn("the outbox of events does not answer", slog.String("endpoint", endpoint), slog.Any("cause", err))
	}
	return parcels, c.Poll
}

// rest waits until there may be something to do.
func (c *Courier) rest(ctx context.Context, endpoint string, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.wakes[endpoint]:
	case <-timer.C:
	}
}

// deliver makes one attempt and tells the outbox how it ended.
func (c *Courier) deliver(ctx context.Context, p Parcel, sender Sender) {
	sending, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no answer within %s", c.Timeout))
	err := sender.Send(sending, p.Event)
	cancel()
	now, verdict := time.Now(), Verdict{Outcome: Delivered}
	if err != nil {
		verdict = c.Backoff.after(p, now, err)
	}
	c.count(p, verdict)
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := c.Outbox.Settle(settling, p, now, verdict); err != nil {
		c.Log.Warn("the outbox was not told how a delivery ended; it is repeated when its lease runs out",
			slog.String("endpoint", p.Endpoint), slog.String("event", p.Event.ID), slog.Any("cause", err))
	}
}

func (c *Courier) count(p Parcel, v Verdict) {
	switch v.Outcome {
	case Delivered:
		c.delivered.Add(1)
		return
	case Dead:
		c.dead.Add(1)
		c.Log.Error("an event was given up; it can be replayed on the operator's listener", slog.String("endpoint", p.Endpoint),
			slog.String("event", p.Event.ID), slog.Int("attempts", p.Attempt), slog.String("cause", v.Reason))
	case Retry:
		c.Log.Info("an event was not delivered and will be tried again", slog.String("endpoint", p.Endpoint),
			slog.String("event", p.Event.ID), slog.Int("attempt", p.Attempt), slog.Time("due", v.Due), slog.String("cause", v.Reason))
	}
	c.failed.Add(1)
}
