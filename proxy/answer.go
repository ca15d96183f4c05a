package proxy

import (
	"strconv"
	"time"

	"deckle/cache"

	"github.com/cespare/xxhash/v2"
	"github.com/valyala/fasthttp"
)

// keyTag is what the entity tags of all renderings of a key begin with. It comes from the key alone, so that If-None-Match can
// be answered before any tier is asked: same source bytes, same Spec, same settings, same beginning on every node.
func keyTag(k cache.Key) string {
	var d xxhash.Digest
	d.Reset()
	for _, part := range [...]string{k.Source, k.Version, k.Variant} {
		_, _ = d.WriteString(part) // never fails
		_, _ = d.Write([]byte{0})
	}
	return `"` + strconv.FormatUint(d.Sum64(), 36) + "-"
}

// etag is the strong entity tag of one rendering of a key. Two of them show the same and need not have the same bytes: a part
// of the one may not be joined to a part of the other (RFC 9110 section 8.8.1).
func etag(k cache.Key, body []byte) string {
	return keyTag(k) + strconv.FormatUint(xxhash.Sum64(body), 36) + `"`
}

// picture writes a variant, or the part of it that a Range asks for.
func (p *Proxy) picture(ctx *fasthttp.RequestCtx, a *Access, n *naming, e *cache.Entry) error {
	body := e.Body
	part, partial, err := wantedPart(ctx, a, n, e.ETag, int64(len(body)))
	if err != nil {
		p.unsatisfiable(ctx, a, int64(len(body)), err)
		return nil
	}
	if partial {
		body = body[part.Offset : part.Offset+part.Length]
		partially(ctx, part, int64(len(e.Body)))
	}
	h := &ctx.Response.Header
	h.SetContentType(e.ContentType)
	h.SetCanonical(headerRanges, valueBytes)
	p.validators(h, n, e.ETag)
	h.SetCanonical(headerCacheStatus, cacheStatus(a.scratch[:0], a))
	h.SetCanonical(headerServerTiming, serverTiming(a.scratch[:0], a))
	ctx.Response.SetBodyRaw(body) // shared, and only read
	return nil
}

// validators sets what lets a viewer keep and re-validate an answer: the same for a 200, a 206 and a 304 (RFC 9110 section
// 15.4.5).
func (p *Proxy) validators(h *fasthttp.ResponseHeader, n *naming, tag string) {
	h.SetBytesK(headerETag, tag)
	if len(n.date) > 0 {
		h.SetCanonical(headerModified, n.date)
	}
	if n.private {
		h.SetCanonical(headerCacheControl, p.told.private)
		return
	}
	p.keep(h, &n.request)
	p.tag(h, n.request.Source)
}

// cacheStatus appends where the answer came from (RFC 9211).
func cacheStatus(b []byte, a *Access) []byte {
	how, detail := "hit", a.From
	switch {
	case a.From == fromRender:
		how = "fwd=miss; stored"
	case a.From == fromFleet:
		how = "fwd=miss; collapsed"
	case a.From == fromOriginal:
		how = "fwd=bypass"
	case a.From == cache.FromShared && a.Outcome.Origin == cache.FromFill:
		how, detail = "fwd=miss; collapsed", fromRender
	case a.From == cache.FromShared:
		detail = a.Outcome.Origin
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
