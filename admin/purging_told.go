package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"deckle/cache"
	"deckle/fleet"
)

var (
	errFailed  = errors.New("it failed; the node's log says why")
	errUnended = errors.New("it goes on still")
)

// obey does what another node orders. It may come late, after this one was cut off.
func (p *Purging) obey(ctx context.Context, m fleet.Message) (json.RawMessage, error) {
	var o order
	if err := json.Unmarshal(m.Payload, &o); err != nil {
		return nil, fmt.Errorf("purge: read order: %w", err)
	}
	var err error
	switch o.Op {
	case opHold:
		err = p.holdFor(ctx, o)
	case opSweep:
		return p.sweepOwn(ctx, o)
	case opMark:
		err = p.outdate(ctx, o)
	default:
		return nil, errors.New("purge: unknown order") // of a later version
	}
	if err != nil {
		_ = p.public(o.Op, err)
		return nil, errFailed
	}
	return nil, nil
}

// holdFor holds until the order to sweep comes, or leaseTime is over.
func (p *Purging) holdFor(ctx context.Context, o order) error {
	release, err := p.hold(ctx, o.Scope)
	timer := time.AfterFunc(leaseTime, func() {
		p.Log.Warn("purge", slog.String("step", o.Op), slog.String("cause", "the order to sweep did not come"))
		p.letGo(o.ID)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[o.ID] = func() { timer.Stop(); release() }
	return err
}

func (p *Purging) letGo(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if release := p.held[id]; release != nil {
		release()
		delete(p.held, id)
	}
}

// sweepOwn goes through the tiers that no other node sees, and goes on with it when ctx ends.
func (p *Purging) sweepOwn(ctx context.Context, o order) (json.RawMessage, error) {
	done := make(chan []TierReport, 1)
	p.running.Go(func() {
		defer p.letGo(o.ID)
		ctx, cancel := context.WithTimeout(p.base, purgeTime)
		defer cancel()
		release, err := p.hold(ctx, o.Scope) // the lease may be over, or the order to hold have been missed
		defer release()
		if err != nil {
			_ = p.public(opHold, err)
		}
		done <- p.sweep(ctx, o.Scope, func(l cache.Layer) bool { return !l.Shared })
	})
	select {
	case tiers := <-done:
		return json.Marshal(tiers)
	case <-ctx.Done():
		return nil, errUnended
	}
}
