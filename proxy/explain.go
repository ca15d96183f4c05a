package proxy

import (
	"context"
	"net/http"
	"strings"

	"deckle/cache"
	"deckle/origin"
	"deckle/signature"
	"deckle/transform"
)

// Explanation is how the edge reads a URL, and what it has for it. What comes after the point at which the request would be refused
// is zero.
type Explanation struct {
	Request    Request
	Needs      string // why it has to be signed; empty when it need not be
	Signature  error  // what is wrong with its signature; nil when that is good or not needed
	RedirectTo string // the URL within the bounds, where the request would be sent there
	Info       origin.Info
	Key        cache.Key // of the rendering, its format settled
	Stored     bool      // the stored source itself is the answer
	Held       []cache.Held
	Outdated   []string // the layers whose entry is marked as out of date
	Err        error    // why the request is refused
}

// Why a URL has to be signed.
const (
	needsAll     = "all reads need a signature"
	needsPrefix  = "the id is one of --private, or below one"
	needsPrivate = "the source is private"
)

// Explain reads a request target as a GET of it is read, for a viewer who sends accept, and looks for the picture. Nothing is
// rendered, stored or counted.
func (p *Proxy) Explain(ctx context.Context, target, accept string) (x Explanation) {
	path, query := splitTarget(target)
	if x.Request, x.Err = ParseRequest(path, query, p.Rules); x.Err != nil {
		return x
	}
	r := &x.Request
	signed := func(why string) bool {
		x.Needs, x.Signature = why, signature.ErrMissing
		if p.Signed.Verifier != nil {
			_, x.Signature = p.Signed.Verifier.Check(signature.Request{Method: http.MethodGet, Path: path, Source: r.Source, Query: query})
		}
		return x.Signature == nil
	}
	if p.Signed.reads(r.Source) {
		why := needsPrefix
		if p.Signed.Reads {
			why = needsAll
		}
		if !signed(why) {
			x.Err = x.Signature
			return x
		}
	}
	if bounded, changed := p.bound(*r); changed && p.snaps() {
		r.Spec = bounded
	} else if changed {
		x.RedirectTo = boundedPath(r, bounded, path)
		if query != "" {
			x.RedirectTo += "?" + query
		}
		return x
	}
	r.reduce()
	if r.Want != WantInfo && r.Spec.Format != transform.Auto && !p.Engine.Writes(r.Spec.Format) {
		x.Err = transform.ErrFormat
		return x
	}
	if x.Info, x.Err = p.Versions.Stat(ctx, r.Source); x.Err != nil {
		return x
	}
	if x.Info.Private && x.Needs == "" && !signed(needsPrivate) {
		x.Err = origin.ErrNotFound // as viewers are told
		return x
	}
	p.locate(ctx, &x, accept)
	return x
}

// locate finds what a request is answered with.
func (p *Proxy) locate(ctx context.Context, x *Explanation, accept string) {
	n, err := p.newNaming(x.Request, p.classBy([][]byte{[]byte(accept)}, &x.Request), x.Info)
	if err != nil {
		x.Err = err
		return
	}
	x.Request, x.Key = n.request, n.key
	if x.Request.Want == WantPicture && x.Request.Spec.Bare() {
		if x.Stored, err = p.isStored(ctx, n.request, x.Info); err != nil {
			x.Err = err
			return
		}
	}
	x.Held = p.Chain.Where(ctx, n.key)
	for _, h := range x.Held {
		if h.Entry != nil && p.Chain.Outdated(n.key.Source, h.Entry) {
			x.Outdated = append(x.Outdated, h.Layer)
		}
	}
}

// Canonical returns the URL that spells the request in the one way that is remembered: device pixels, options in the table's order.
func (r *Request) Canonical() string {
	variant := strings.TrimSuffix(r.variant(), "#still")
	return "/" + encodeID(r.Source) + variant
}
