package redis

import (
	"context"
	"sync"
	"time"

	"deckle/fleet"
)

// lease is held until it is ended, by a goroutine that renews it and says the end.
type lease struct {
	leases       *Leases
	name, holder string
	once         sync.Once
	end          chan ending // capacity 1: written once, and the holder does not wait
}

// ending is how a lease ended.
type ending struct {
	result []byte // empty when there is none
	keep   time.Duration
}

var _ fleet.Lease = (*lease)(nil)

// hold returns a lease; renewed says that the server knows of it.
func (l *Leases) hold(name, holder string, renewed bool) *lease {
	h := &lease{leases: l, name: name, holder: holder, end: make(chan ending, 1)}
	l.kept.Go(func() { h.finish(h.keepUp(renewed)) })
	return h
}

// Done ends the lease with a result.
func (h *lease) Done(result []byte, keep time.Duration) {
	if len(result) > fleet.MaxResult {
		result = nil
	}
	h.once.Do(func() { h.end <- ending{result, keep} })
}

// Drop ends the lease without a result.
func (h *lease) Drop() { h.once.Do(func() { h.end <- ending{} }) }

// keepUp renews the lease until it ends. One that was lost, because this node or the server stood still, is not fought for: the
// work goes on beside that of the node that took over.
func (h *lease) keepUp(renewed bool) ending {
	life := h.leases.config.Time
	tick := time.NewTicker(life / 4)
	defer tick.Stop()
	for {
		select {
		case end := <-h.end:
			return end
		case <-h.leases.closing:
			return ending{}
		case <-tick.C:
		}
		if !renewed {
			continue
		}
		// What goes wrong here goes wrong again, or does not, at the next tick.
		_ = through(context.Background(), h.leases.circuit, h.leases.config.Call, func(ctx context.Context) error {
			return keepScript.Run(ctx, h.leases.client, leaseKeys(h.name)[:1], h.holder, life.Milliseconds()).Err()
		})
	}
}

func (h *lease) finish(end ending) {
	arguments := []any{h.holder, endedChannel, h.name}
	if len(end.result) > 0 && end.keep > 0 {
		arguments = append(arguments, end.result, max(1, end.keep.Milliseconds()))
	}
	for range tries {
		err := through(context.Background(), h.leases.circuit, max(endTimeout, h.leases.config.Call), func(ctx context.Context) error {
			return endScript.Run(ctx, h.leases.client, leaseKeys(h.name), arguments...).Err()
		})
		if err == nil {
			return
		}
	}
}
