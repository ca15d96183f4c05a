package proxy

import (
	"bytes"
	"errors"
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
// strong tag whose source changed at modified, zero when unknown.
func weigh(h *fasthttp.RequestHeader, tag []byte, modified time.Time) verdict {
	if match := h.PeekAll(fasthttp.HeaderIfMatch); len(match) > 0 {
		if !anyMatches(match, tag, strong) {
			return failed
		}
	} else if since, ok := dateOf(h, fasthttp.HeaderIfUnmodifiedSince); ok && modified.Truncate(time.Second).After(since) {
		return failed
	}
	if match := h.PeekAll(fasthttp.HeaderIfNoneMatch); len(match) > 0 {
		if anyMatches(match, tag, weak) {
			return unchanged
		}
		return proceed // If-Modified-Since is passed over
	}
	if since, ok := dateOf(h, fasthttp.HeaderIfModifiedSince); ok && !modified.IsZero() && !modified.Truncate(time.Second).After(since) {
		return unchanged
	}
	return proceed
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

// comparison is how entity tags are compared (RFC 9110 section 8.8.3.2). Ours are strong.
type comparison bool

const (
	strong comparison = false
	weak   comparison = true
)

// anyMatches tells whether a tag is in the lists of one field, which may have come in several lines. A list that is "*" holds
// every tag. Elements behind one that is no entity tag are not read.
func anyMatches(lists [][]byte, tag []byte, how comparison) bool {
	for _, list := range lists {
		if string(bytes.Trim(list, " \t")) == "*" {
			return true
		}
		for len(list) > 0 {
			var candidate []byte
			var isWeak bool
			if candidate, isWeak, list = nextTag(list); candidate == nil {
				break
			}
			if bytes.Equal(candidate, tag) && (how == weak || !isWeak) {
				return true
			}
		}
	}
	return false
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
	switch weigh(&ctx.Request.Header, n.tag, n.changed) {
	case unchanged:
		a.From = fromFresh
		p.validators(&ctx.Response.Header, n)
		ctx.Response.Header.SetCanonical(headerCacheStatus, statusValidator)
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return true
	case failed:
		p.fail(ctx, a, errPrecondition)
		return true
	}
	return false
}

var statusValidator = []byte("Deckle; hit; detail=validator")

// wantedPart reads Range and If-Range (RFC 9110 section 14) for a body of size bytes. Several ranges, other units and
// malformed ones are passed over, which answers the whole. errRange means 416.
func wantedPart(ctx *fasthttp.RequestCtx, a *Access, n *naming, size int64) (origin.Range, bool, error) {
	if !a.asked.part || size <= 0 || !ctx.IsGet() {
		return origin.Range{}, false, nil
	}
	h := &ctx.Request.Header
	ranges := h.PeekAll(fasthttp.HeaderRange)
	if len(ranges) != 1 {
		return origin.Range{}, false, nil
	}
	header := string(ranges[0])
	if condition := h.PeekAll(fasthttp.HeaderIfRange); len(condition) > 0 && !sameStill(condition, n, a.begin) {
		return origin.Range{}, false, nil
	}
	return parseRange(header, size)
}

// sameStill evaluates If-Range (RFC 9110 section 13.1.5): the tag by strong comparison, or the very date. A date is a strong
// validator only when the source cannot have changed again within its second, which is over by now (section 8.8.2.2).
func sameStill(condition [][]byte, n *naming, now time.Time) bool {
	if len(condition) != 1 {
		return false
	}
	if tag := bytes.Trim(condition[0], " \t"); bytes.Equal(tag, n.tag) {
		return true
	}
	date, ok := parseDate(condition[0])
	changed := n.changed.Truncate(time.Second)
	return ok && !n.changed.IsZero() && date.Equal(changed) && now.Sub(changed) >= time.Second
}
