package proxy

import (
	"context"
	"strconv"
	"strings"

	"deckle/cache"
	"deckle/origin"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// redirectToFormat answers a negotiated URL with the one that names the format, for caches that would give one viewer's format
// to all. Only the viewer's own cache may keep the redirect, for a short while.
func (p *Proxy) redirectToFormat(wait context.Context, ctx *fasthttp.RequestCtx, q *asking, n *naming, info origin.Info) error {
	known, err := p.kind(wait, kindKey{n.request.Source, info.Version})
	if err != nil {
		return err
	}
	spec := n.request.Spec
	if known.moving && spec.Format == transform.AVIF && q.class >= classAVIF { // not known when n was made
		q.forget()
		if n, err = p.name(q, info); err != nil {
			return err
		}
		spec = n.request.Spec
	}
	if spec.Format == transform.Auto {
		spec.Format = known.family()
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderLocation, explicitURL(q, spec))
	control := append(make([]byte, 0, 64), "private, max-age="...)
	h.SetCanonical(headerCacheControl, appendSeconds(control, p.RedirectMaxAge))
	ctx.SetStatusCode(fasthttp.StatusFound)
	return nil
}

// explicitURL spells what q asks for with the format of spec in its name. Where hints changed nothing the rest of the URL stays
// as it was sent.
func explicitURL(q *asking, spec transform.Spec) string {
	path, query := splitTarget(q.read.target)
	if q.hinted != nil {
		path = "/" + encodeID(q.read.request.Source) + spec.Size() + "."
		if spec.Quality != q.read.request.Spec.Quality {
			query += "&quality=" + strconv.Itoa(spec.Quality)
		}
	}
	if q.read.request.ByPath {
		whole, _ := splitTarget(q.read.target)
		path = inPathForm(whole, spec)
	}
	var kept []string
	for _, pair := range pairsOf(query) {
		if optionName(pair) != "allow_webp" { // it would be negotiated again
			kept = append(kept, pair)
		}
	}
	location := path[:extensionAt(path)] + "." + spec.Format.Ext()
	if len(kept) > 0 {
		location += "?" + strings.Join(kept, "&")
	}
	return location
}

// Shelf holds plain copies of finished pictures where viewers fetch them without Deckle.
type Shelf interface {
	// Find returns the path of the copy of k below Config.PublicURL when it is known to be there now. It takes no longer than a
	// viewer should wait, and an error is no copy.
	Find(ctx context.Context, k cache.Key) (path string, ok bool)
}

// redirectToCopy answers with the address of the public copy, where there is one, and tells whether it did. Preconditions and
// ranges are for whoever holds the copy (RFC 9110 section 13.2.1). What has a name to be saved under is sent from here.
func (p *Proxy) redirectToCopy(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, n *naming) bool {
	r := &n.request
	if p.Public == nil || r.Bytes || r.Want != WantPicture || r.Download != "" {
		return false
	}
	path, ok := p.Public.Find(wait, n.key)
	if !ok {
		return false
	}
	a.From = fromPublic
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderLocation, p.PublicURL+path)
	h.SetCanonical(headerCacheControl, appendSeconds(append(make([]byte, 0, 64), "public, max-age="...), p.RedirectMaxAge))
	p.tag(h, r.Source)
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
	return true
}
