package proxy

import (
	"context"
	"log/slog"

	"deckle/cache"
	"deckle/origin"
)

// waiter is an Engine that knows how many renders wait for it.
type waiter interface{ Waiting() int }

// refresh says of an answer that a soft purge has marked its entry as out of date, and has the entry made anew behind it. That
// gives way to viewers: it does not begin while a render waits for its slot, but after a later request.
func (p *Proxy) refresh(wait context.Context, a *Access, n *naming, info origin.Info) {
	a.stale = true
	if engine, ok := p.Engine.(waiter); ok && engine.Waiting() > 0 {
		return
	}
	key, r := n.key, n.request
	p.Chain.Refresh(wait, key, func(ctx context.Context) (*cache.Entry, error) {
		var facts fillFacts
		entry, err := p.fill(ctx, key, r, info, &facts)
		if err != nil {
			p.Log.Warn("refresh", slog.String("source", key.Source), slog.Any("cause", err))
			p.Versions.Invalidate(key.Source) // it may have changed
		}
		return entry, err
	})
}
