package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"deckle/admin"
	"deckle/cache"
	"deckle/cache/redis"
	"deckle/fleet"
	"deckle/fleet/local"
	fleetRedis "deckle/fleet/redis"
	"deckle/ingest"
	"deckle/origin"
)

// openFleet joins the nodes that use the same Redis. Without one this node is alone: it has nobody to send messages to, and no
// leases, because the cache's own coalescing does all that they would.
func (n *node) openFleet(m *admin.Metrics) (fleet.Leases, fleet.Messages, error) {
	if n.config.redis == nil {
		return nil, local.New(0).Join(), nil
	}
	client, err := redis.Connect(n.config.redis.String())
	if err != nil {
		return nil, nil, fmt.Errorf("join the fleet: %w", err)
	}
	n.ends.add(client.Close)
	times := n.config.fleet
	leases := fleetRedis.NewLeases(client, fleetRedis.LeaseConfig{Time: times.lease, Wait: times.wait, Call: times.timeout})
	n.ends.add(leases.Close)
	messages := fleetRedis.NewMessages(client)
	count := func(name, help string, value func() uint64) {
		m.Count(name, help, func() float64 { return float64(value()) })
	}
	count("deckle_fleet_leases_held_total", "Renders that this node did for the whole fleet.", func() uint64 { return leases.Stats().Held })
	count("deckle_fleet_results_total", "Renders that another node did and this one got.", func() uint64 { return leases.Stats().Given })
	count("deckle_fleet_alone_total", "Renders that this node did without a lease: Redis was away, or another node too slow.", func() uint64 { return leases.Stats().Alone })
	count("deckle_fleet_messages_sent_total", "Messages to the other nodes.", func() uint64 { return messages.Stats().Sent })
	count("deckle_fleet_messages_failed_total", "Messages that could not be sent.", func() uint64 { return messages.Stats().Failed })
	count("deckle_fleet_messages_received_total", "Messages of other nodes.", func() uint64 { return messages.Stats().Received })
	count("deckle_fleet_messages_lost_total", "Times that messages may have been missed, so that all versions were asked for anew.", func() uint64 { return messages.Stats().Lost })
	return leases, messages, nil
}

// follow does what other nodes tell, until the node ends. All handlers are known by then.
func (n *node) follow(messages fleet.Messages, versions *origin.Versions, fast cache.Tier) {
	messages.Handle(fleet.KindSource, func(ctx context.Context, m fleet.Message) (json.RawMessage, error) {
		versions.Invalidate(m.Source)
		n.edge.Forget(func(source string) bool { return source == m.Source })
		if !m.Deleted {
			return nil, nil // what was rendered of the former bytes is not addressed any more, and makes way
		}
		if err := fast.Purge(ctx, m.Source); err != nil {
			n.log.Warn("a deleted source's variants were left in memory", slog.String("id", m.Source), slog.Any("cause", err))
		}
		return nil, nil
	})
	messages.Lost(func() {
		all := func(string) bool { return true }
		versions.Forget(all)
		n.edge.Forget(all)
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { messages.Run(ctx) })
	n.ends.add(func() error { stop(); running.Wait(); return nil })
}

// announcer is the versions of this node, which tells the others of what changes here.
type announcer struct {
	*origin.Versions
	messages fleet.Messages
	log      *slog.Logger
	learn    func(id string, info origin.Info) // has it noted for the next process
}

var _ ingest.Versions = (*announcer)(nil)

// Set remembers a new version and tells of it, before the upload is acknowledged.
func (a *announcer) Set(id string, info origin.Info) {
	a.Versions.Set(id, info)
	a.learn(id, info)
	a.tell(fleet.Message{Kind: fleet.KindSource, Source: id, Version: info.Version})
}

// Invalidate forgets a version and tells the others to do so.
func (a *announcer) Invalidate(id string) {
	a.Versions.Invalidate(id)
	a.tell(fleet.Message{Kind: fleet.KindSource, Source: id})
}

// Gone forgets a version and tells the others that the source was deleted, so that its variants leave their memory.
func (a *announcer) Gone(id string) {
	a.Versions.Invalidate(id)
	a.tell(fleet.Message{Kind: fleet.KindSource, Source: id, Deleted: true})
}

// tell has a bound of its own. Nodes that could not be told find out when they ask the store again.
func (a *announcer) tell(m fleet.Message) {
	if err := a.messages.Publish(context.Background(), m); err != nil {
		a.log.Warn("other nodes were not told of a change, and see it within --version-stale", slog.String("id", m.Source), slog.Any("cause", err))
	}
}
