package main

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"syscall"
	"time"

	"deckle/admin"
	"deckle/catalog"
	"deckle/event"
	"deckle/event/webhook"
	"deckle/origin"
	"deckle/proxy"
)

// openRecords opens the records, and tells of what is put in them.
func (n *node) openRecords(m *admin.Metrics) (*catalog.Catalog, proxy.Observer, error) {
	records, err := n.config.database.open()
	if err != nil {
		return nil, nil, err
	}
	n.ends.add(records.Close)
	observe, err := n.openEvents(records, m)
	return records, observe, err
}

// openEvents has endpoints told of what happens, and statsd where there is one: the observer returned tells m and them. It comes
// before the records are used.
func (n *node) openEvents(records *catalog.Catalog, m *admin.Metrics) (proxy.Observer, error) {
	n.openWebhooks(records, m)
	all := observers{each: []proxy.Observer{m}}
	if renders := n.openNotices(records); renders != nil {
		all.witness = renders
		m.Count("deckle_events_dropped_total", "Events of renders that were dropped: the records did not take them in time.", func() float64 { return float64(renders.dropped.Load()) })
	}
	if n.config.events.statsd != "" {
		counts, err := openStatsd(n.config.events, &n.ends)
		if err != nil {
			return nil, err
		}
		all.each = append(all.each, counts)
	}
	if len(all.each) == 1 && all.witness == nil {
		return m, nil
	}
	return all, nil
}

func (n *node) openWebhooks(records *catalog.Catalog, m *admin.Metrics) {
	c := n.config.events
	routes := map[string]event.Sender{}
	subscribers := make([]catalog.Subscriber, len(c.endpoints))
	for i, e := range c.endpoints {
		endpoint := webhook.New(webhook.Config{URL: e.url, Secret: e.secret, Control: c.control(e)})
		n.ends.add(endpoint.Close)
		routes[e.name], subscribers[i] = endpoint, catalog.Subscriber{Name: e.name, Kinds: e.kinds}
	}
	outbox := records.Outbox()
	courier := event.NewCourier(event.CourierConfig{
		Outbox: eventOutbox{outbox}, Routes: routes, Backoff: c.backoff, Timeout: c.timeout, Log: n.log,
	})
	records.Subscribe(subscribers, courier.Wake)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { courier.Run(ctx) })
	running.Go(func() { n.sweepEvents(ctx, outbox) })
	n.ends.add(func() error { stop(); running.Wait(); return nil })
	m.Count("deckle_events_delivered_total", "Events that an endpoint took.", func() float64 { return float64(courier.Stats().Delivered) })
	m.Count("deckle_events_failed_total", "Deliveries of events that failed.", func() float64 { return float64(courier.Stats().Failed) })
	m.Count("deckle_events_dead_total", "Events given up after failing for --webhook-retry-for.", func() float64 { return float64(courier.Stats().Dead) })
	m.Gauge("deckle_events_waiting", "Events that endpoints have yet to get, on all nodes.", func() float64 { return n.waitingEvents(outbox) })
}

// control returns what is asked about the endpoint's addresses; nil when all are allowed.
func (c eventing) control(e webhookEndpoint) func(network, address string, _ syscall.RawConn) error {
	if !c.publicOnly {
		return nil
	}
	port := map[string]uint64{"http": 80, "https": 443}[e.url.Scheme]
	if given, err := strconv.ParseUint(e.url.Port(), 10, 16); err == nil {
		port = given
	}
	return origin.Guard{Ports: []uint16{uint16(port)}}.Control
}

// waitingEvents counts for all endpoints of the configuration; what cannot be counted is left out.
func (n *node) waitingEvents(outbox catalog.Outbox) float64 {
	sum := 0
	for _, e := range n.config.events.endpoints {
		waiting, _, err := outbox.Backlog(context.Background(), e.name)
		if err != nil {
			n.log.Warn("events that wait were not counted", slog.Any("cause", err))
		}
		sum += waiting
	}
	return float64(sum)
}

const (
	// sweepEventsEvery is how often events are looked through for what need not be kept any longer.
	sweepEventsEvery = 10 * time.Minute
	// sweptEvents is how many go in one transaction, while uploads wait.
	sweptEvents = 500
)

// sweepEvents removes what has been kept long enough until ctx ends.
func (n *node) sweepEvents(ctx context.Context, outbox catalog.Outbox) {
	tick := time.NewTicker(sweepEventsEvery)
	defer tick.Stop()
	for {
		now, swept := time.Now(), sweptEvents
		var err error
		for swept == sweptEvents && err == nil {
			swept, err = outbox.SweepEvents(ctx, now.Add(-n.config.events.keep), now, sweptEvents)
		}
		if err != nil && ctx.Err() == nil {
			n.log.Warn("old events were not swept", slog.Any("cause", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// eventOutbox is the catalog's outbox as couriers know it.
type eventOutbox struct{ catalog.Outbox }

var _ event.Outbox = eventOutbox{}

// Take translates.
func (o eventOutbox) Take(ctx context.Context, endpoint string, now, until time.Time, limit int) ([]event.Parcel, error) {
	taken, err := o.Outbox.Take(ctx, endpoint, now, until, limit)
	if err != nil {
		return nil, err
	}
	parcels := make([]event.Parcel, len(taken))
	for i, p := range taken {
		e := event.Event{ID: p.Event.ID, Kind: event.Kind(p.Event.Kind), Time: p.Event.Time, Source: p.Event.Source, Data: p.Event.Data}
		parcels[i] = event.Parcel{Event: e, Endpoint: p.Endpoint, Number: p.Number, Attempt: p.Attempt, Since: p.Since}
	}
	return parcels, nil
}

// Settle does what the verdict says.
func (o eventOutbox) Settle(ctx context.Context, p event.Parcel, now time.Time, v event.Verdict) error {
	taken := catalog.Parcel{
		Event: catalog.Event{ID: p.Event.ID, Source: p.Event.Source}, Endpoint: p.Endpoint, Number: p.Number, Attempt: p.Attempt,
	}
	switch v.Outcome {
	case event.Delivered:
		return o.Delivered(ctx, taken, now)
	case event.Dead:
		return o.Bury(ctx, taken, now, v.Reason)
	}
	return o.Defer(ctx, taken, v.Due, v.Reason)
}
