package proxy

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// The bounds of Retry-After where the wait is estimated: a client that asks again within the second only adds to the load,
// and an estimate beyond half a minute says more than is known of the queue.
const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
)

// estimator is an Engine that knows about when a render that came now would begin.
type estimator interface{ RetryIn() time.Duration }

// retryLater sets Retry-After (RFC 9110 section 10.2.3): what the error knows, else, of a refusal, how long the render queue
// will take.
func (p *Proxy) retryLater(h *fasthttp.ResponseHeader, status int, err error) {
	var later *transform.Later
	after := time.Duration(0)
	switch {
	case errors.As(err, &later):
		after = max(later.After, minRetry)
	case status != fasthttp.StatusServiceUnavailable && status != fasthttp.StatusTooManyRequests:
		return
	default:
		if e, ok := p.Engine.(estimator); ok && errors.Is(err, transform.ErrBusy) {
			after = e.RetryIn()
		}
		after = min(max(after, minRetry), maxRetry)
	}
	h.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(after.Seconds()))))
}

// ErrorPicture is shown in place of a picture that cannot be had. Pages show it; the status tells machines.
type ErrorPicture struct {
	Body        []byte
	ContentType string
}

// errorBody gives the body of a failed request: the configured picture where a picture was asked for, else the problem. A 400
// is always told in words: whoever wrote the URL has to read them.
func (p *Proxy) errorBody(ctx *fasthttp.RequestCtx, a *Access, status int, problem []byte) {
	if p.ErrorPicture == nil || status <= fasthttp.StatusBadRequest || !ctx.IsGet() && !ctx.IsHead() || !namesPicture(a.Path) ||
		bytes.Contains(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte("json")) {
		ctx.Response.SetBodyRaw(problem)
		return
	}
	ctx.Response.Header.SetContentType(p.ErrorPicture.ContentType)
	ctx.Response.SetBodyRaw(p.ErrorPicture.Body)
}

// namesPicture tells whether a path ends in the extension of a picture.
func namesPicture(path string) bool {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return false
	}
	_, known := transform.FormatByExt(path[dot+1:])
	return known
}

// refuseShape answers what fasthttp reads as a request and a cache should not: a GET or HEAD with a body, both framings at once
// (RFC 9112 section 6.3), a header on several lines (section 5.2), and another version of HTTP. Others on the way may see the
// end of such a request elsewhere, so that nothing more is read of the connection. It tells whether it answered.
func (p *Proxy) refuseShape(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	length := h.ContentLength() // -1 is chunked, and -2 none
	raw := h.RawHeaders()
	version := h.Protocol()
	switch {
	case (ctx.IsGet() || ctx.IsHead()) && length != 0 && length != -2:
	case length != -2 && framedTwice(raw):
	case bytes.Contains(raw, []byte("\n ")), bytes.Contains(raw, []byte("\n\t")):
	case string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0":
	default:
		return false
	}
	p.unreadable(ctx, errShape)
	ctx.SetConnectionClose()
	return true
}

// framedTwice tells whether headers as sent name both a length and a transfer coding.
func framedTwice(raw []byte) bool {
	length, coding := false, false
	for line := range bytes.Lines(raw) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		length = length || bytes.EqualFold(name, []byte(fasthttp.HeaderContentLength))
		coding = coding || bytes.EqualFold(name, []byte(fasthttp.HeaderTransferEncoding))
	}
	return length && coding
}

// errShape says why refuseShape refused.
var errShape = errors.New("proxy: a body where none belongs, two framings, a folded header, or another version of HTTP")

// Strain is what the edge gives up while the machine is short of memory.
type Strain int32

// The steps, each with those before it.
const (
	Calm              Strain = iota
	RefuseMisses             // nothing new is rendered, and connections end with their answer
	RefuseConnections        // new connections are closed at once
)

func (s Strain) String() string {
	return [...]string{"calm", "refuse misses", "refuse connections"}[s]
}

// errStrain refuses a render for lack of memory.
var errStrain = errors.New("proxy: short of memory")

// Strain sets what is given up from now on.
func (p *Proxy) Strain(s Strain) { p.strain.Store(int32(s)) }

// permit lets a render begin, and charges it. What is there already is served without.
func (p *Proxy) permit(ctx context.Context, source string, now time.Time) error {
	if Strain(p.strain.Load()) >= RefuseMisses {
		return errStrain
	}
	return p.budgets.charge(ctx, source, now)
}
