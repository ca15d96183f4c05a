package proxy

import (
	"bytes"

	"deckle/origin"

	"github.com/valyala/fasthttp"
)

// A private source is looked at with a signature only (URLS.md section 5). Without a good one it is answered as if it were not
// there: the same status, headers and body, after the same questions to the store. That it is private is known from the store with
// its version, so that the look comes before any tier, and no database is asked.

// show lets a request see a source, or answers as if there were none.
func (p *Proxy) show(ctx *fasthttp.RequestCtx, a *Access, q *asking, info origin.Info) error {
	if !info.Private {
		return nil
	}
	if a.proof == nil && !p.shown(ctx, a, q.read) {
		if info.Stale { // of what is not there nobody would know anything now
			return origin.ErrUnavailable
		}
		return origin.ErrNotFound
	}
	a.private = true
	return nil
}

// shown tells whether the target is signed well. A proof that holds need not be found anew.
func (p *Proxy) shown(ctx *fasthttp.RequestCtx, a *Access, read *reading) bool {
	if p.Signed.Verifier == nil {
		return false
	}
	if proof := read.proof.Load(); p.Signed.Verifier.Holds(proof) {
		a.proof = proof
		return true
	}
	path, query := splitTarget(string(ctx.RequestURI()))
	if p.prove(ctx, a, path, read.request.Source, query) != nil {
		return false
	}
	read.provenBy(a.proof)
	return true
}

// accept takes a signature along that nobody has asked for yet, for what the request is redirected to may be private.
func (p *Proxy) accept(ctx *fasthttp.RequestCtx, a *Access, path, query string) {
	if p.Signed.Verifier != nil && a.proof == nil {
		_ = p.prove(ctx, a, path, a.Source, query) // most URLs are not signed
	}
}

// endPrivate sees to it that nobody but the viewer keeps an answer about a private source.
func (p *Proxy) endPrivate(ctx *fasthttp.RequestCtx, a *Access) {
	h := &ctx.Response.Header
	h.Del("Surrogate-Key")
	h.Del("Cache-Tag")
	if has(h, headerCDNControl) {
		h.SetCanonical(headerCDNControl, []byte(noStore))
	}
	if control := h.PeekBytes(headerCacheControl); !bytes.Contains(control, []byte(noStore)) {
		h.SetCanonical(headerCacheControl, privateControl(a.scratch[:0], bytes.Clone(control)))
	}
}

// privateControl appends what a Cache-Control says to the cache of one viewer.
func privateControl(b, control []byte) []byte {
	b = append(b, "private"...)
	for directive := range bytes.SplitSeq(control, []byte(",")) {
		directive = bytes.Trim(directive, " ")
		switch name, _, _ := bytes.Cut(directive, []byte("=")); string(name) {
		case "max-age", "no-cache", "must-revalidate":
			b = append(append(b, ", "...), directive...)
		}
	}
	return b
}
