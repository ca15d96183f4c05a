package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"deckle/origin"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// handle answers one request. fasthttp reuses ctx and recovers no panics: nothing of ctx outlives this call but what is
// copied, and a panic costs its own request only.
func (p *Proxy) handle(ctx *fasthttp.RequestCtx) {
	a := beginAccess(ctx)
	defer p.finish(ctx, a)
	p.follow(ctx, a)
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("panic", slog.Any("value", v), slog.String("stack", string(debug.Stack())))
			p.fail(ctx, a, fmt.Errorf("panic: %v", v))
		}
	}()
	if ctx.IsGet() || ctx.IsHead() {
		if read := p.readings.find(ctx.RequestURI()); read != nil && p.admits(a, read) {
			a.Path = read.path
			common(&ctx.Response.Header)
			p.get(ctx, a, read)
			return
		}
	}
	path, query := splitTarget(string(ctx.RequestURI())) // a copy: fasthttp reuses its buffers
	a.Path = path[:min(len(path), maxLoggedPath)]
	p.route(ctx, a, path, query)
}

// splitTarget returns the path and the query of a request target as they came over the wire: undecoded, dots not resolved.
func splitTarget(raw string) (path, query string) {
	if scheme := strings.Index(raw, "://"); scheme > 0 && raw[0] != '/' { // absolute form, RFC 9112 section 3.2.2
		rest := raw[scheme+3:]
		if slash := strings.IndexAny(rest, "/?"); slash >= 0 {
			raw = rest[slash:]
		} else {
			raw = "/"
		}
	}
	path, query, _ = strings.Cut(raw, "?")
	return path, query
}

func (p *Proxy) route(ctx *fasthttp.RequestCtx, a *Access, path, query string) {
	common(&ctx.Response.Header)
	if path == "/_health" || path == "/robots.txt" || path == "/favicon.ico" {
		p.fixed(ctx, path)
		return
	}
	if p.divert(ctx, a, path) {
		return
	}
	switch {
	case ctx.IsGet(), ctx.IsHead():
		p.read(ctx, a, path, query)
	case path == ConfirmPath && p.Uploads != nil && !ctx.IsOptions():
		p.confirm(ctx, a)
	case (ctx.IsPost() || ctx.IsPut()) && p.Uploads != nil:
		p.upload(ctx, a, path)
	case ctx.IsOptions():
		p.options(ctx)
	default:
		p.refuseMethod(ctx, p.methods())
	}
}

// read makes out what a URL asks for, refuses what cannot be had, and remembers the rest.
func (p *Proxy) read(ctx *fasthttp.RequestCtx, a *Access, path, query string) {
	if p.unsigned(ctx, a, path, query) {
		return
	}
	r, err := ParseRequest(path, query, p.Rules)
	if err != nil {
		p.depends(ctx, a, []byte(varyByPath(path, query)))
		p.fail(ctx, a, err)
		return
	}
	a.Source = r.Source
	vary := p.vary(&r)
	p.depends(ctx, a, []byte(vary))
	if bounded, changed := p.bound(r); changed && p.snaps() {
		r.Spec = bounded
	} else if changed {
		p.accept(ctx, a, path, query)
		p.redirectToBounds(ctx, r, bounded, path, query)
		return
	}
	r.reduce()
	if r.Want != WantInfo && r.Spec.Format != transform.Auto && !p.Engine.Writes(r.Spec.Format) {
		p.fail(ctx, a, &transform.SpecError{
			Option: "extension", Value: r.Spec.Format.Ext(),
			Hint: "the installed libvips cannot write it; choose another format",
		})
		return
	}
	p.get(ctx, a, p.readings.keep(ctx.RequestURI(), a.Path, vary, r).provenBy(a.proof))
}

// depends says which request headers the answer depends on, in every answer to come, errors included.
func (p *Proxy) depends(ctx *fasthttp.RequestCtx, a *Access, vary []byte) {
	if a.vary = vary; len(vary) > 0 {
		ctx.Response.Header.SetCanonical(headerVary, vary)
	}
}

// get serves a picture.
func (p *Proxy) get(ctx *fasthttp.RequestCtx, a *Access, read *reading) {
	r := &read.request
	a.Source, a.asked = r.Source, look(&ctx.Request.Header)
	p.depends(ctx, a, read.vary)
	q := asking{read: read, class: p.classOf(ctx, r)}
	if p.ClientHints {
		if hinted := *r; p.hint(ctx, &hinted) {
			q.hinted = &hinted
		}
	}
	if r.Download != "" {
		ctx.Response.Header.Set(fasthttp.HeaderContentDisposition, disposition(r.Download))
	}
	wait := newPatience(p.Timeout, ctx.Conn())
	defer wait.end()
	if err := p.answer(a.within(wait), ctx, a, &q); err != nil {
		p.fail(ctx, a, err)
	} else if a.stale && !redirects(ctx) {
		markStale(ctx, a)
	}
}

// redirects tells whether the answer is a redirect, which says itself how long it may be kept and by whom.
func redirects(ctx *fasthttp.RequestCtx) bool {
	return len(ctx.Response.Header.Peek(fasthttp.HeaderLocation)) > 0
}

// answer finds the source's version and serves the stored source or a variant of it. A source that changes between the
// look-up and the rendering is met with its new version; three times is enough but for a source that changes all the time.
func (p *Proxy) answer(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, q *asking) error {
	info, err := p.Versions.Stat(wait, q.read.request.Source)
	if err != nil {
		return err
	}
	a.stale = info.Stale
	for range 3 {
		if err := p.show(ctx, a, q, info); err != nil {
			return err
		}
		var n *naming
		if n, err = p.name(q, info); err != nil {
			return err
		}
		err = p.serve(wait, ctx, a, q, n, info)
		var changed *changedError
		switch {
		case errors.As(err, &changed):
			p.Versions.Invalidate(n.request.Source)
			info = changed.now
		case errors.Is(err, movingError{}):
			q.forget()
		default:
			return err
		}
	}
	return fmt.Errorf("%w: %w", origin.ErrUnavailable, err)
}

// serve answers with what a naming names.
func (p *Proxy) serve(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, q *asking, n *naming, info origin.Info) error {
	r := &n.request
	if p.AutoRedirect && q.read.request.negotiates() {
		return p.redirectToFormat(wait, ctx, q, n, info)
	}
	if r.Want == WantPicture && r.Spec.Bare() {
		stored, err := p.isStored(wait, n.request, info)
		if err != nil && !info.Stale { // a variant may be there still
			return err
		}
		if stored {
			return p.original(wait, ctx, a, n, info)
		}
	}
	return p.variant(wait, ctx, a, n, info)
}

// redirectToBounds answers a size beyond the bounds: 307 to the nearest size within, everything else of the URL kept.
func (p *Proxy) redirectToBounds(ctx *fasthttp.RequestCtx, r Request, bounded transform.Spec, path, query string) {
	location := boundedPath(&r, bounded, path)
	if query != "" {
		location += "?" + query
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderLocation, location)
	h.Set("X-Redirect-Info", p.boundsInfo())
	p.keep(h, &r)
	p.tag(h, r.Source)
	ctx.SetStatusCode(fasthttp.StatusTemporaryRedirect)
}

// fail answers an error as the table in status.go says and keeps the cause for the log. It carries no Cache-Status: that is
// for answers that a cache had, or asked for (RFC 9211 section 2).
func (p *Proxy) fail(ctx *fasthttp.RequestCtx, a *Access, err error) {
	a.Cause = err
	status, body := StatusOf(err)
	ctx.Response.Reset()
	h := &ctx.Response.Header
	common(h)
	p.depends(ctx, a, a.vary)
	control := []byte(noStore)
	if lasting[status] && (ctx.IsGet() || ctx.IsHead()) {
		control = p.told.failed
		p.tag(h, a.Source)
	}
	h.SetCanonical(headerCacheControl, control)
	h.SetContentType("application/problem+json")
	p.retryLater(h, status, err)
	ctx.SetStatusCode(status)
	if p.failAsImageServer(ctx, err) {
		return
	}
	if p.ErrorPicture != nil && len(a.vary) == 0 {
		h.Set(fasthttp.HeaderVary, fasthttp.HeaderAccept) // which may ask for words
	}
	p.errorBody(ctx, a, status, body)
}
