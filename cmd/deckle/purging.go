package main

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"deckle/admin"
	"deckle/fleet"
	"deckle/origin"
)

const (
	// marksEvery is how often a node looks for soft purges of others that it was not told of.
	marksEvery = time.Minute
	// marksTime bounds the look at the start. Nothing waits for it longer: the next look follows.
	marksTime = 5 * time.Second
)

// openPurging lets operators purge. messages may be nil, when there are no other nodes; they do not run yet.
func (n *node) openPurging(ctx context.Context, versions *origin.Versions, messages fleet.Messages) *admin.Purging {
	purging := admin.NewPurging(admin.PurgingConfig{
		Chain: n.chain, Messages: messages, Log: n.log,
		Forget: func(covers func(source string) bool) {
			versions.Forget(covers)
			n.edge.Forget(covers)
		},
	})
	n.ends.add(purging.Close)
	at, cancel := context.WithTimeout(ctx, marksTime)
	defer cancel()
	if err := n.chain.LoadMarks(at); err != nil {
		n.log.Warn("soft purges of the past are not known yet", slog.Any("cause", err))
	}
	following, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { n.chain.FollowMarks(following, marksEvery) })
	n.ends.add(func() error { stop(); done.Wait(); return nil })
	return purging
}

// warmer asks this node's own edge.
func (n *node) warmer() *admin.Warmer {
	w := &admin.Warmer{Edge: n.ownEdge, Rules: n.config.rules, Concurrency: n.config.renderers}
	if v := n.privacy.signed.Verifier; v != nil {
		w.Sign = signForWarming(v, min(n.config.viewTime, time.Minute)) // it is used at once
	}
	return w
}

// ownEdge is the edge as this machine reaches it, once it listens.
func (n *node) ownEdge() string {
	host, port, err := net.SplitHostPort(n.edgeAt.Addr().String())
	if ip := net.ParseIP(host); err == nil && (ip == nil || ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
