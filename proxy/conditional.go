package proxy

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"deckle/origin"

	"github.com/valyala/fasthttp"
)

// asked says which headers of a request need a second look; most requests have none of them.
type asked struct{ condition, part bool }

// look finds them in one pass.
func look(h *fasthttp.RequestHeader) (a asked) {
	for name := range h.All() {
		switch {
		case len(name) > 3 && string(name[:3]) == "If-":
			a.condition = true
		case string(name) == fasthttp.HeaderRange:
			a.part = true
		}
	}
	return a
}

// verdict is what the preconditions of a request come to.
type verdict uint8

const (
	proceed verdict = iota
	unchanged
	failed
)

// weigh evaluates the preconditions of a GET or HEAD in the order of RFC 9110 section 13.2.2, for a representation with this
// tag, or with one that begins with it, whose source changed at modified, zero when unknown. current is the tag of the copy
// that the viewer has, when that decided.
func weigh(h *fasthttp.RequestHeader, tag string, modified time.Time) (v verdict, current string) {
	if match := h.PeekAll(fasthttp.HeaderIfMatch); len(match) > 0 {
		if _, ok := anyMatches(match, tag, strong); !ok {
			return failed, ""
		}
	} else if since, ok := dateOf(h, fasthttp.HeaderIfUnmodifiedSince); ok && modified.Truncate(time.Second).After(since) {
		return failed, ""
	}
	if match := h.PeekAll(fasthttp.HeaderIfNoneMatch); len(match) > 0 {
		if current, ok := anyMatches(match, tag, weak); ok {
			return unchanged, current
		}
		return proceed, "" // If-Modified-Since is passed over
	}
	if since, ok := dateOf(h, fasthttp.HeaderIfModifiedSince); ok && !modified.IsZero() && !modified.Truncate(time.Second).After(since) {
		return unchanged, ""
	}
	return proceed, ""
}

// dateOf reads a header that holds one HTTP-date. Anything else there is passed over (RFC 9110 sections 13.1.3 and 13.1.4).
func dateOf(h *fasthttp.RequestHeader, name string) (time.Time, bool) {
	values := h.PeekAll(name)
	if len(values) != 1 {
		return time.Time{}, false
	}
	return parseDate(values[0])
}

// parseDate reads the three forms of RFC 9110 section 5.6.7.
func parseDate(value []byte) (time.Time, bool) {
	text := string(bytes.Trim(value, " \t"))
	for _, form := range [...]string{
		"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC,
	} {
		if date, err := time.Parse(form, text); err == nil {
			return date, true
		}
	}
	return time.Time{}, false
}

// comparison is how entity tags are compared (RFC 9110 section 8.8.3.2). Ours are strong; of two renderings of a key, which
// differ in bytes alone, either is as good for who asks whether his copy is current.
type comparison bool

const (
	strong comparison = false
	weak   comparison = true
)

// anyMatches tells whether a tag is in the lists of one field, which may have come in several lines. A list that is "*" holds
// every tag. Elements behind one that is no entity tag are not read. which is the tag of the list that matched.
func anyMatches(lists [][]byte, tag string, how comparison) (which string, ok bool) {
	for _, list := range lists {
		if string(bytes.Trim(list, " \t")) == "*" {
			return "", true
		}
		for len(list) > 0 {
			var candidate []byte
			var isWeak bool
			if candidate, isWeak, list = nextTag(list); candidate == nil {
				break
			}
			if begins(candidate, tag) && (how == weak || !isWeak) {
				return string(candidate), true
			}
		}
	}
	return "", false
}

// begins tells whether a candidate is tag, or begins with it when it is the beginning of several (keyTag).
func begins(candidate []byte, tag string) bool {
	if strings.HasSuffix(tag, `"`) {
		return string(candidate) == tag
	}
	return bytes.HasPrefix(candidate, []byte(tag))
}

// nextTag takes the first entity tag, with its quotes and without W/, off a list (RFC 9110 sections 5.6.1 and 8.8.3): a comma
// between quotes belongs to the tag. A nil tag means that there is none.
func nextTag(list []byte) (tag []byte, isWeak bool, rest []byte) {
	list = bytes.TrimLeft(list, " \t,") // empty elements are allowed
	rest, isWeak = bytes.CutPrefix(list, []byte("W/"))
	if len(rest) == 0 || rest[0] != '"' {
		return nil, false, nil
	}
	end := bytes.IndexByte(rest[1:], '"')
	if end < 0 {
		return nil, false, nil
	}
	tag, rest = rest[:end+2], bytes.TrimLeft(rest[end+2:], " \t")
	if len(rest) > 0 && rest[0] != ',' {
		return nil, false, nil
	}
	return tag, isWeak, rest
}

// errPrecondition says that If-Match or If-Unmodified-Since does not hold.
var errPrecondition = errors.New("proxy: precondition failed")

// precondition answers a request whose preconditions say that it needs no picture, and tells whether it did.
func (p *Proxy) precondition(ctx *fasthttp.RequestCtx, a *Access, n *naming) bool {
	if !a.asked.condition {
		return false
	}
	v, current := weigh(&ctx.Request.Header, n.tag, n.changed)
	switch v {
	case unchanged:
		a.From = fromFresh
		if current == "" {
			current = p.currentTag(ctx, n)
		}
		p.validators(&ctx.Response.Header, n, current)
		ctx.Response.Header.SetCanonical(headerCacheStatus, statusValidator)
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return true
	case failed:
		p.fail(ctx, a, errPrecondition)
		return true
	}
	return false
}

// currentTag returns the entity tag for a 304 to a viewer that did not say which copy he has: that of the rendering in memory,
// or one that all renderings of the key have weakly in common. The tiers below are not asked for it.
func (p *Proxy) currentTag(ctx context.Context, n *naming) string {
	if strings.HasSuffix(n.tag, `"`) {
		return n.tag
	}
	if e, _ := p.Chain.First(ctx, n.key); e != nil {
		return e.ETag
	}
	return "W/" + n.tag + `"`
}

var statusValidator = []byte("Deckle; hit; detail=validator")

// wantedPart reads Range and If-Range (RFC 9110 section 14) for a body of size bytes. Several ranges, other units and
// malformed ones are passed over, which answers the whole. errRange means 416.
func wantedPart(ctx *fasthttp.RequestCtx, a *Access, n *naming, tag string, size int64) (origin.Range, bool, error) {
	if !a.asked.part || size <= 0 || !ctx.IsGet() {
		return origin.Range{}, false, nil
	}
	h := &ctx.Request.Header
	ranges := h.PeekAll(fasthttp.HeaderRange)
	if len(ranges) != 1 {
		return origin.Range{}, false, nil
	}
	header := string(ranges[0])
	if condition := h.PeekAll(fasthttp.HeaderIfRange); len(condition) > 0 && !sameStill(condition, n, tag, a.begin) {
		return origin.Range{}, false, nil
	}
	return parseRange(header, size)
}

// sameStill evaluates If-Range (RFC 9110 section 13.1.5): the tag by strong comparison, or the very date. A date is a strong
// validator only when the source cannot have changed again within its second, which is over by now (section 8.8.2.2).
func sameStill(condition [][]byte, n *naming, tag string, now time.Time) bool {
	if len(condition) != 1 {
		return false
	}
	if string(bytes.Trim(condition[0], " \t")) == tag {
		return true
	}
	if tag != n.tag { // another rendering may have the same date
		return false
	}
	date, ok := parseDate(condition[0])
	changed := n.changed.Truncate(time.Second)
	return ok && !n.changed.IsZero() && date.Equal(changed) && now.Sub(changed) >= time.Second
}
