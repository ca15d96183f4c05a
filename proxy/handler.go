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
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("panic", slog.Any("value", v), slog.String("stack", string(debug.Stack())))
			p.fail(ctx, a, fmt.Errorf("panic: %v", v))
		}
	}()
	if ctx.IsGet() || ctx.IsHead() {
		if read := p.readings.find(ctx.RequestURI()); read != nil {
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
	switch {
	case ctx.IsGet(), ctx.IsHead():
		p.read(ctx, a, path, query)
	case ctx.IsPost() && p.Uploads != nil:
		p.upload(ctx, a, path)
	case ctx.IsOptions():
		p.options(ctx)
	default:
		p.refuseMethod(ctx, p.methods())
	}
}

// read makes out what a URL asks for, refuses what cannot be had, and remembers the rest.
func (p *Proxy) read(ctx *fasthttp.RequestCtx, a *Access, path, query string) {
	r, err := ParseRequest(path, query, p.Rules)
	if err != nil {
		p.fail(ctx, a, err)
		return
	}
	a.Source = r.Source
	if bounded, changed := p.bound(r); changed && p.snaps() {
		r.Spec = bounded
	} else if changed {
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
	p.get(ctx, a, p.readings.keep(ctx.RequestURI(), a.Path, r))
}

// get serves a picture.
func (p *Proxy) get(ctx *fasthttp.RequestCtx, a *Access, read *reading) {
	r := read.request
	a.Source = r.Source
	if err := p.settleFormat(ctx, &r); err != nil {
		p.fail(ctx, a, err)
		return
	}
	if r.Download != "" {
		ctx.Response.Header.Set(fasthttp.HeaderContentDisposition, disposition(r.Download))
	}
	wait := newPatience(p.Timeout)
	defer wait.end()
	if err := p.answer(wait, ctx, a, read, r); err != nil {
		p.fail(ctx, a, err)
	}
}

// settleFormat turns .auto and allow_webp=true into the format that this viewer gets.
func (p *Proxy) settleFormat(ctx *fasthttp.RequestCtx, r *Request) (err error) {
	if r.Spec.Format != transform.Auto && !r.WebPOnly {
		return nil
	}
	ctx.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAccept)
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	format := r.Spec.Format
	switch {
	case format == transform.Auto:
		format = negotiate(accept, func(f transform.Format) bool {
			// Without loss WebP is the smaller one, and AVIF cannot be written so everywhere.
			return p.Engine.Writes(f) && (f != transform.AVIF || !r.Spec.Lossless)
		})
	case acceptQ(accept, transform.WebP.MediaType()) > 0 && p.Engine.Writes(transform.WebP):
		format = transform.WebP
	}
	r.Spec, err = r.Spec.As(format)
	return err
}

// answer finds the source's version and serves the stored source or a variant of it. A source that changes between the
// look-up and the rendering is met with its new version; twice is enough but for a source that changes all the time.
func (p *Proxy) answer(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, read *reading, r Request) error {
	info, err := p.Versions.Stat(wait, r.Source)
	if err != nil {
		return err
	}
	for range 3 {
		if r.Want == WantPicture && r.Spec.Bare() {
			stored, err := p.isStored(wait, r, info)
			if err != nil {
				return err
			}
			if stored {
				return p.original(wait, ctx, a, r, info)
			}
		}
		err = p.variant(wait, ctx, a, read, r, info)
		var changed *changedError
		if !errors.As(err, &changed) {
			return err
		}
		p.Versions.Invalidate(r.Source)
		info = changed.now
	}
	return fmt.Errorf("%w: %w", origin.ErrUnavailable, err)
}

// redirectToBounds answers a size beyond the bounds: 307 to the nearest size within, everything else of the URL kept.
func (p *Proxy) redirectToBounds(ctx *fasthttp.RequestCtx, r Request, bounded transform.Spec, path, query string) {
	ext := path[strings.LastIndexByte(path, '.'):]
	location := "/" + encodeID(r.Source) + bounded.Size() + ext
	if query != "" {
		location += "?" + query
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderLocation, location)
	h.Set("X-Redirect-Info", p.boundsInfo())
	h.Set(fasthttp.HeaderCacheControl, p.maxAge)
	ctx.SetStatusCode(fasthttp.StatusTemporaryRedirect)
}

// fail answers an error as the table in status.go says and keeps the cause for the log.
func (p *Proxy) fail(ctx *fasthttp.RequestCtx, a *Access, err error) {
	a.Cause = err
	status, body := StatusOf(err)
	ctx.Response.Reset()
	h := &ctx.Response.Header
	common(h)
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.SetContentType("application/problem+json")
	if status == fasthttp.StatusServiceUnavailable {
		h.Set(fasthttp.HeaderRetryAfter, "1")
	}
	if !errors.Is(err, context.Canceled) {
		h.Set("Cache-Status", "Deckle; detail="+a.From)
	}
	ctx.SetStatusCode(status)
	ctx.Response.SetBodyRaw(body)
}
