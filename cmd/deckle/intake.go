package main

import (
	"context"
	"sync"

	"deckle/catalog"
	"deckle/fleet"
	"deckle/ingest"
	"deckle/origin"
	"deckle/origin/web"
)

// openIntake opens the write path, and has it look after what uploads and changes left over, until the node ends.
func (n *node) openIntake(sources *origin.Route, records *catalog.Catalog, versions *origin.Versions, messages fleet.Messages) *ingest.Service {
	c := n.config
	fetcher := web.NewFetcher(web.Config{Guard: origin.Guard{Allow: c.allowUpstream, Ports: c.compat.ports}, MaxBytes: c.limits.SourceBytes})
	n.ends.add(fetcher.Close)
	uploads := ingest.New(ingest.Config{
		Store: sources, Catalog: records, Engine: n.gate, Limits: c.limits, Versions: &announcer{versions, messages, n.log, n.known.Learn},
		Purge: n.chain.Purge, TTL: c.tokenLifetime, Log: n.log, Fetcher: fetcher, Renderer: outputs{n},
		NoPrivate: n.privacy.why, Decode: c.intake.check, Scrub: c.intake.scrub, IncomingTTL: c.intake.pending, Undelete: c.intake.undelete, ClientUploads: c.intake.rate, MaxConcurrent: c.intake.slots, Labelled: c.labels.on(),
	})
	ctx, stop := context.WithCancel(context.Background())
	var tending sync.WaitGroup
	tending.Go(func() { uploads.Tend(ctx) })
	n.ends.add(func() error {
		stop()
		tending.Wait()
		return nil
	})
	return uploads
}

// work has the node make what uploads ask for, until it ends. The edge, which makes it, is there by then.
func (n *node) work() {
	ctx, stop := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { n.uploads.Work(ctx) })
	n.ends.add(func() error { stop(); working.Wait(); return nil })
}
