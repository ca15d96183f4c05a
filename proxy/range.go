package proxy

import (
	"errors"
	"strconv"
	"strings"

	"deckle/origin"

	"github.com/valyala/fasthttp"
)

// errRange says that a range begins behind the end.
var errRange = errors.New("proxy: range not satisfiable")

// parseRange reads a Range header for a body of size bytes (at least 1). A header that asks for anything but one range of
// bytes, or is malformed, is no range: ok is false. errRange answers a range that begins behind the end.
func parseRange(header string, size int64) (r origin.Range, ok bool, err error) {
	unit, set, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return origin.Range{}, false, nil
	}
	from, to, found := strings.Cut(strings.TrimSpace(set), "-")
	if !found || strings.Contains(set, ",") {
		return origin.Range{}, false, nil
	}
	if from == "" {
		return suffixRange(to, size)
	}
	first, ok := position(from)
	if !ok {
		return origin.Range{}, false, nil
	}
	last := size - 1
	if to != "" {
		if last, ok = position(to); !ok || last < first {
			return origin.Range{}, false, nil
		}
	}
	if first >= size {
		return origin.Range{}, false, errRange
	}
	return origin.Range{Offset: first, Length: min(last, size-1) - first + 1}, true, nil
}

func suffixRange(length string, size int64) (origin.Range, bool, error) {
	n, ok := position(length)
	switch {
	case !ok:
		return origin.Range{}, false, nil
	case n == 0:
		return origin.Range{}, false, errRange
	}
	n = min(n, size)
	return origin.Range{Offset: size - n, Length: n}, true, nil
}

// position reads digits only: no sign, no white space. A number too large for any body is as good as the largest.
func position(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = 1<<63 - 1
	}
	return n, true
}

// partially labels an answer as a part of a body of size bytes.
func partially(ctx *fasthttp.RequestCtx, part origin.Range, size int64) {
	b := append(make([]byte, 0, 64), "bytes "...)
	b = append(strconv.AppendInt(b, part.Offset, 10), '-')
	b = append(strconv.AppendInt(b, part.Offset+part.Length-1, 10), '/')
	ctx.Response.Header.SetBytesV(fasthttp.HeaderContentRange, strconv.AppendInt(b, size, 10))
	ctx.SetStatusCode(fasthttp.StatusPartialContent)
}

// unsatisfiable answers 416 with the length that there is.
func (p *Proxy) unsatisfiable(ctx *fasthttp.RequestCtx, a *Access, size int64, err error) {
	p.fail(ctx, a, err)
	ctx.Response.Header.Set(fasthttp.HeaderContentRange, "bytes */"+strconv.FormatInt(size, 10))
}
