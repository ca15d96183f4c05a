package proxy

import (
	"errors"
	"net"

	"github.com/valyala/fasthttp"
)

// common sets what every answer of the edge carries: pictures may be embedded anywhere and timed, and nothing that a browser
// is talked into opening here can run (TRUST.md threat 10).
func common(h *fasthttp.ResponseHeader) {
	for i := range commonHeaders {
		h.SetCanonical(commonHeaders[i].name, commonHeaders[i].value)
	}
}

var commonHeaders = []struct{ name, value []byte }{
	{[]byte("Access-Control-Allow-Origin"), []byte("*")},
	{[]byte("Cross-Origin-Resource-Policy"), []byte("cross-origin")},
	{[]byte("Timing-Allow-Origin"), []byte("*")},
	{[]byte("X-Content-Type-Options"), []byte("nosniff")},
	{[]byte("Content-Security-Policy"), []byte("default-src 'none'; sandbox")},
}

// fixed answers the paths that name no picture.
func (p *Proxy) fixed(ctx *fasthttp.RequestCtx, path string) {
	if !ctx.IsGet() && !ctx.IsHead() {
		p.refuseMethod(ctx, "GET, HEAD")
		return
	}
	h := &ctx.Response.Header
	h.SetContentType("text/plain; charset=utf-8")
	switch path {
	case "/_health":
		h.Set(fasthttp.HeaderCacheControl, "no-store")
		ctx.SetBodyString("OK")
	case "/robots.txt":
		h.Set(fasthttp.HeaderCacheControl, "public, max-age=86400")
		rule := "Disallow"
		if p.AllowIndexing {
			rule = "Allow"
		}
		ctx.SetBodyString("User-agent: *\n" + rule + ": /\n")
	default: // browsers ask for an icon wherever they are
		h.Set(fasthttp.HeaderCacheControl, "public, max-age=86400")
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func (p *Proxy) methods() string {
	if p.Uploads == nil {
		return "GET, HEAD, OPTIONS"
	}
	return "GET, HEAD, POST, PUT, OPTIONS"
}

func (p *Proxy) refuseMethod(ctx *fasthttp.RequestCtx, allowed string) {
	ctx.Response.Header.Set(fasthttp.HeaderAllow, allowed)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, noStore) // a 405 may be kept otherwise (RFC 9110 section 15.5.6)
	ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
	ctx.SetConnectionClose() // whatever body was sent is not read
}

// unreadable answers what fasthttp could not read as a request; the connection is closed behind it.
func (p *Proxy) unreadable(ctx *fasthttp.RequestCtx, err error) {
	common(&ctx.Response.Header)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		ctx.SetStatusCode(fasthttp.StatusRequestHeaderFieldsTooLarge)
	case errors.As(err, &network) && network.Timeout():
		ctx.SetStatusCode(fasthttp.StatusRequestTimeout)
	default:
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
	}
	p.Observe.Request(&Access{Status: ctx.Response.StatusCode(), From: fromNone, Cause: err})
}
