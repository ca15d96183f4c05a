package proxy

import (
	"strconv"
	"strings"
	"time"

	"deckle/cache"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
)

// etag names a variant's representation. It comes from the key alone, so that a validator can be answered before any tier is
// asked: same source bytes, same Spec, same settings, same tag on every node.
func etag(k cache.Key) string {
	var d xxhash.Digest
	d.Reset()
	for _, part := range [...]string{k.Source, k.Version, k.Variant} {
		_, _ = d.WriteString(part) // never fails
		_, _ = d.Write([]byte{0})
	}
	return `"` + strconv.FormatUint(d.Sum64(), 36) + `"`
}

// picture writes a variant.
func (p *Proxy) picture(ctx *fasthttp.RequestCtx, a *Access, r Request, e *cache.Entry) {
	h := &ctx.Response.Header
	h.SetContentType(e.ContentType)
	p.validators(h, r, e.ETag, e.Modified)
	h.SetCanonical(headerCacheStatus, cacheStatus(a.scratch[:0], a))
	h.SetCanonical(headerServerTiming, serverTiming(a.scratch[:0], a))
	ctx.Response.SetBodyRaw(e.Body) // shared, and only read
}

// Names of headers that every picture carries, in the form that fasthttp writes, so that it need not make it each time.
var (
	headerCacheStatus  = []byte("Cache-Status")
	headerServerTiming = []byte("Server-Timing")
)

// conditional tells whether the viewer has a copy to compare.
func conditional(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	return len(h.Peek(fasthttp.HeaderIfNoneMatch)) > 0 || len(h.Peek(fasthttp.HeaderIfModifiedSince)) > 0
}

// validators sets what lets a viewer keep and re-validate an answer.
func (p *Proxy) validators(h *fasthttp.ResponseHeader, r Request, tag string, modified time.Time) {
	h.Set(fasthttp.HeaderETag, tag)
	if !modified.IsZero() {
		h.SetLastModified(modified)
	}
	if r.Versioned {
		h.Set(fasthttp.HeaderCacheControl, "public, max-age=31536000, immutable")
		return
	}
	h.Set(fasthttp.HeaderCacheControl, p.maxAge)
}

// maxAge is the Cache-Control of an answer that may change.
func maxAge(d time.Duration) string {
	return "public, max-age=" + strconv.FormatInt(int64(d/time.Second), 10)
}

// notModified answers 304 with what a 200 would say of caching (RFC 9110 section 15.4.5).
func (p *Proxy) notModified(ctx *fasthttp.RequestCtx, r Request, tag string, modified time.Time) {
	p.validators(&ctx.Response.Header, r, tag, modified)
	ctx.Response.Header.Set("Cache-Status", "Deckle; hit; detail=validator")
	ctx.SetStatusCode(fasthttp.StatusNotModified)
}

// fresh tells whether the viewer's own copy is current: If-None-Match, else If-Modified-Since (RFC 9110 section 13.2.2).
func (p *Proxy) fresh(ctx *fasthttp.RequestCtx, tag string, modified time.Time) bool {
	if match := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); len(match) > 0 {
		return matches(string(match), tag)
	}
	since := ctx.Request.Header.Peek(fasthttp.HeaderIfModifiedSince)
	if len(since) == 0 || modified.IsZero() {
		return false
	}
	date, err := fasthttp.ParseHTTPDate(since)
	return err == nil && !modified.Truncate(time.Second).After(date)
}

// matches compares a tag with a list of entity tags by weak comparison (RFC 9110 section 8.8.3.2); * matches any.
func matches(list, tag string) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for candidate := range strings.SplitSeq(list, ",") {
		if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == tag {
			return true
		}
	}
	return false
}

// cacheStatus appends where the answer came from (RFC 9211).
func cacheStatus(b []byte, a *Access) []byte {
	how, detail := "hit", a.From
	switch {
	case a.From == fromRender:
		how = "fwd=miss; stored"
	case a.From == fromOriginal:
		how = "fwd=bypass"
	case a.From == cache.FromShared && a.Outcome.Origin == cache.FromFill:
		how, detail = "fwd=miss; collapsed", fromRender
	case a.From == cache.FromShared:
		how, detail = "hit; collapsed", a.Outcome.Origin
	}
	b = append(b, "Deckle; "...)
	b = append(b, how...)
	b = append(b, "; detail="...)
	return append(b, detail...)
}

// serverTiming appends where the time went, milliseconds (W3C Server Timing).
func serverTiming(b []byte, a *Access) []byte {
	for _, s := range a.Outcome.Steps() {
		if s.Name != cache.FromFill { // told as fetch and render
			b = appendTiming(b, s.Name, s.Took)
		}
	}
	if a.From == fromRender {
		b = appendTiming(b, "fetch", a.fetch)
		b = appendTiming(b, "render", a.render)
	}
	return b
}

func appendTiming(b []byte, name string, took time.Duration) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(append(b, name...), ";dur="...)
	return strconv.AppendFloat(b, float64(took.Microseconds())/1000, 'f', -1, 64)
}
