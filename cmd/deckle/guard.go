package main

import (
	"time"

	"deckle/admin"
	"deckle/cache"
	"deckle/origin"
	"deckle/proxy"
)

// guarded adds to the edge's configuration what bounds strangers.
func (n *node) guarded(c proxy.Config) proxy.Config {
	g := n.config.guard
	c.Connections, c.Forwarding, c.Budgets, c.ErrorPicture = g.connections, g.forwarding, g.budgets, g.errorPicture
	return c
}

// lastKnown notes versions in the lowest tier, which is the durable one. It is closed before the tier.
func (n *node) lastKnown(sources origin.Reader, layers []cache.Layer) *proxy.LastKnown {
	known := proxy.NewLastKnown(sources, layers[len(layers)-1].Tier)
	n.ends.add(known.Close)
	return known
}

// guardMetrics publishes what was refused.
func (n *node) guardMetrics(m *admin.Metrics) {
	m.Gauge("deckle_connections", "Connections of the edge that are open.", func() float64 { return float64(n.edge.ConnectionStats().Open) })
	m.Count("deckle_connections_refused_total", "Connections closed because there were too many in all, or too little memory.", func() float64 {
		return float64(n.edge.ConnectionStats().RefusedTotal)
	})
	m.Count("deckle_client_connections_refused_total", "Connections closed because there were too many of one client.", func() float64 {
		return float64(n.edge.ConnectionStats().RefusedClient)
	})
	m.Count("deckle_client_budget_refusals_total", "Renders refused because the client has asked for too many.", func() float64 {
		return float64(n.edge.BudgetStats().Client)
	})
	m.Count("deckle_source_budget_refusals_total", "Renders refused because too many of the source were asked for.", func() float64 {
		return float64(n.edge.BudgetStats().Source)
	})
}

// shrinkable is the memory tier, by its size; nothing happens where the first tier is another.
func shrinkable(layers []cache.Layer) func(bytes int64) {
	if tier, ok := layers[0].Tier.(interface{ Resize(bytes int64) }); ok {
		return tier.Resize
	}
	return func(int64) {}
}

// linger goes on serving for the time that a balancer takes to see that readiness fails, unless a listener has ended.
func (n *node) linger(failed <-chan error) error {
	select {
	case <-time.After(n.config.guard.drainDelay):
		return nil
	case err := <-failed:
		return err
	}
}
