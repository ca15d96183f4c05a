package proxy

import (
	"deckle/cache"
	"deckle/transform"
)

// Rendering is one variant that was rendered, or could not be.
type Rendering struct {
	Source, Version string
	Spec            transform.Spec
	Picture         *transform.Picture // nil when it failed; only read, and not kept
	Err             error
}

// Witness is an Observer that is also told which variants are rendered. Rendered is called like the Observer's methods.
type Witness interface {
	Rendered(r Rendering)
}

// witness tells an observer that wants to know. What is rendered to describe a source is no variant.
func (p *Proxy) witness(key cache.Key, want Want, spec transform.Spec, picture *transform.Picture, err error) {
	if w, ok := p.Observe.(Witness); ok && want == WantPicture {
		w.Rendered(Rendering{Source: key.Source, Version: key.Version, Spec: spec, Picture: picture, Err: err})
	}
}
