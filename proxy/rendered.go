package proxy

import (
	"context"

	"deckle/transform"
)

// Rendering is one variant that was rendered, or could not be.
type Rendering struct {
	Source, Version string // Version is the source's own
	Spec            transform.Spec
	Picture         *transform.Picture // nil when it failed; only read, and not kept
	Err             error
	// Ordered says that Proxy.Render made it, whose caller learns of it by itself, and by another name.
	Ordered bool
}

// Witness is an Observer that is also told which variants are rendered. Rendered is called like the Observer's methods.
type Witness interface {
	Rendered(r Rendering)
}

// witness tells an observer that wants to know. What is rendered to describe a source is no variant.
func (p *Proxy) witness(ctx context.Context, want Want, r Rendering) {
	if w, ok := p.Observe.(Witness); ok && want == WantPicture {
		r.Ordered = ctx.Value(ordered{}) != nil
		w.Rendered(r)
	}
}

// ordered marks the context of what Render makes.
type ordered struct{}
