package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"deckle/cache"
	"deckle/fleet"
)

// Bounds of a purge.
const (
	purgeTime = 15 * time.Minute // for the whole, however many entries there are
	holdTime  = 10 * time.Second // for writes under way to end
	// leaseTime is how long a node stores nothing of a scope when the one that asked for it is not heard of again.
	leaseTime = 2 * time.Minute
)

// PurgingConfig says what a purge reaches.
type PurgingConfig struct {
	Chain *cache.Chain
	// Forget drops what this node remembers of sources beside their pictures: versions, failures.
	Forget   func(covers func(source string) bool)
	Messages fleet.Messages // optional: to the other nodes. Its kind fleet.KindPurge is handled here
	Log      *slog.Logger
}

// Purging removes finished pictures, or marks them as out of date, on this node, in what all nodes share, and on the others.
type Purging struct {
	PurgingConfig
	base    context.Context // ends with Close
	stop    context.CancelFunc
	running sync.WaitGroup
	turn    chan struct{} // of capacity 1: purges from here go one after the other

	mu   sync.Mutex
	held map[string]func() // by order, what other nodes asked to be held
}

// NewPurging returns a Purging. It is made before Messages run. Close it.
func NewPurging(c PurgingConfig) *Purging {
	p := &Purging{PurgingConfig: c, turn: make(chan struct{}, 1), held: make(map[string]func())}
	p.base, p.stop = context.WithCancel(context.Background())
	if p.Messages != nil {
		p.Messages.Handle(fleet.KindPurge, p.obey)
	}
	return p
}

// Close ends the purges under way and waits for them.
func (p *Purging) Close() error {
	p.stop()
	p.running.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, release := range p.held {
		release()
	}
	clear(p.held)
	return nil
}

// PurgeReport says what a purge did.
type PurgeReport struct {
	Scope        cache.Scope  `json:"scope"`
	Soft         bool         `json:"soft"`
	Complete     bool         `json:"complete"`         // everywhere; for a hard one every tier was looked through again and nothing was left
	Removed      int          `json:"removed"`          // entries, in all tiers of all nodes; what is noted of a source's version counts as one
	Tiers        []TierReport `json:"tiers"`            // of this node, and shared ones
	Nodes        []NodeReport `json:"nodes"`            // the others
	Error        string       `json:"failed,omitempty"` // what went wrong beside that
	Milliseconds float64      `json:"milliseconds"`
}

// TierReport says what was done in one tier.
type TierReport struct {
	Tier    string `json:"tier"`
	Removed int    `json:"removed"`
	Error   string `json:"error,omitempty"`
}

// NodeReport says what another node did.
type NodeReport struct {
	Node  string       `json:"node"`
	Tiers []TierReport `json:"tiers,omitempty"`
	Error string       `json:"error,omitempty"`
}

// order is what nodes are told.
type order struct {
	Op     string      `json:"op"`
	ID     string      `json:"id"`
	Scope  cache.Scope `json:"scope"`
	Before time.Time   `json:"before,omitzero"`
}

// The orders. A hard purge holds on every node before it sweeps what they share, so that none stores again what it had read
// before; each then sweeps its own tiers, and lets go.
const (
	opHold  = "hold"
	opSweep = "sweep"
	opMark  = "mark"
)

// Purge does what was asked, and goes on with it when ctx ends.
func (p *Purging) Purge(ctx context.Context, scope cache.Scope, soft bool) (PurgeReport, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return PurgeReport{}, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(p.base, purgeTime)
	done := make(chan PurgeReport, 1)
	p.running.Go(func() {
		defer func() { <-p.turn }()
		defer cancel()
		begin := time.Now()
		r := PurgeReport{Scope: scope, Soft: soft, Tiers: []TierReport{}, Nodes: []NodeReport{}}
		if soft {
			p.mark(ctx, &r)
		} else {
			p.remove(ctx, &r)
		}
		r.sum()
		r.Milliseconds = float64(time.Since(begin).Microseconds()) / 1000
		done <- r
	})
	return <-done, nil
}

// sum adds up what the parts say.
func (r *PurgeReport) sum() {
	r.Complete = r.Error == ""
	add := func(tiers []TierReport) {
		for _, t := range tiers {
			r.Removed += t.Removed
			r.Complete = r.Complete && t.Error == ""
		}
	}
	add(r.Tiers)
	for _, n := range r.Nodes {
		add(n.Tiers)
		r.Complete = r.Complete && n.Error == ""
	}
}

// mark is a soft purge.
func (p *Purging) mark(ctx context.Context, r *PurgeReport) {
	o := order{Op: opMark, Scope: r.Scope, Before: time.Now()}
	if err := p.outdate(ctx, o); err != nil {
		r.Error = p.public("mark", err)
	}
	r.Nodes = p.ask(ctx, o)
}

func (p *Purging) outdate(ctx context.Context, o order) error {
	p.Forget(o.Scope.Covers)
	// On a node that is told, what it made until it was told may be from before.
	if now := time.Now(); o.Before.Before(now) {
		o.Before = now
	}
	return p.Chain.Outdate(ctx, o.Scope, o.Before)
}

// remove is a hard purge.
func (p *Purging) remove(ctx context.Context, r *PurgeReport) {
	release, err := p.hold(ctx, r.Scope)
	defer release()
	if err != nil {
		r.Error = p.public("hold", err)
	}
	id := rand.Text()
	held := p.ask(ctx, order{Op: opHold, ID: id, Scope: r.Scope})
	r.Tiers = p.sweep(ctx, r.Scope, cache.EveryLayer)
	r.Nodes = p.ask(ctx, order{Op: opSweep, ID: id, Scope: r.Scope})
	for i, n := range r.Nodes {
		for _, h := range held {
			if h.Node == n.Node && n.Error == "" {
				r.Nodes[i].Error = h.Error
			}
		}
	}
}

func (p *Purging) hold(ctx context.Context, scope cache.Scope) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	p.Forget(scope.Covers)
	p.Chain.Mark(scope, time.Now()) // what was made before is not taken over from other nodes either
	return p.Chain.Hold(ctx, scope)
}

func (p *Purging) sweep(ctx context.Context, scope cache.Scope, which func(cache.Layer) bool) []TierReport {
	tiers := []TierReport{}
	for _, s := range p.Chain.Sweep(ctx, scope, which) {
		t := TierReport{Tier: s.Layer, Removed: s.Removed}
		if s.Err != nil {
			t.Error = p.public("sweep", s.Err)
		}
		tiers = append(tiers, t)
	}
	return tiers
}

// public is what the answer says of an error; the log has the rest.
func (p *Purging) public(step string, err error) string {
	p.Log.Error("purge", slog.String("step", step), slog.Any("cause", err))
	if errors.Is(err, context.DeadlineExceeded) {
		return step + ": it took too long"
	}
	return step + ": it failed; the log says why"
}

// ask tells the other nodes and gathers what they say.
func (p *Purging) ask(ctx context.Context, o order) []NodeReport {
	nodes := []NodeReport{}
	if p.Messages == nil {
		return nodes
	}
	payload, err := json.Marshal(o)
	if err != nil {
		return append(nodes, NodeReport{Node: "others", Error: p.public(o.Op, err)})
	}
	replies, err := p.Messages.Ask(ctx, fleet.Message{Kind: fleet.KindPurge, Payload: payload})
	if err != nil {
		return append(nodes, NodeReport{Node: "others", Error: p.public(o.Op, err)})
	}
	for _, reply := range replies {
		n := NodeReport{Node: reply.Node, Error: reply.Error}
		if len(reply.Payload) > 0 {
			if err := json.Unmarshal(reply.Payload, &n.Tiers); err != nil {
				n.Error = p.public(o.Op, fmt.Errorf("read reply of %s: %w", reply.Node, err))
			}
		}
		nodes = append(nodes, n)
	}
	return nodes
}
