package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// Origins are the sites whose pages may upload from a browser, as browsers spell them in Origin: "https://example.com". None
// stands for all, and so does "*". Pictures are for pages of every site.
type Origins []string

// CheckOrigin tells whether a configured origin can match what a browser sends.
func CheckOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin || strings.ToLower(origin) != origin || strings.Contains(origin, "*") {
		return errors.New("an origin is written https://example.com, in small letters and without a path or slash behind it")
	}
	return nil
}

// any tells whether pages of every site may upload.
func (o Origins) any() bool { return len(o) == 0 || slices.Contains(o, "*") }

var (
	headerAllowOrigin = []byte("Access-Control-Allow-Origin")
	headerOrigin      = []byte("Origin")
)

// admitOrigin lets the page that sent an upload read the answer, if it is of an allowed site. The request is carried out all
// the same: what allows it is its token, and programs have no origin.
func (p *Proxy) admitOrigin(ctx *fasthttp.RequestCtx) {
	if p.Origins.any() {
		return // every answer says so, see fixed.go
	}
	h := &ctx.Response.Header
	h.Add(fasthttp.HeaderVary, "Origin")
	if from := ctx.Request.Header.PeekBytes(headerOrigin); slices.Contains(p.Origins, string(from)) {
		h.SetCanonical(headerAllowOrigin, from)
		return
	}
	h.DelBytes(headerAllowOrigin)
}

// What a page may send. Range and the validators are for reading, the token and the type of a body for uploading.
const (
	corsHeaders = "accept, content-type, if-match, if-modified-since, if-none-match, if-range, range, x-token"
	corsMaxAge  = "86400" // seconds; browsers keep it for less
)

// options answers a preflight (Fetch standard, section 3.3): which methods and headers a page of another origin may use. One
// that asks to read is let through whoever asks.
func (p *Proxy) options(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderAllow, p.methods())
	h.Set("Access-Control-Allow-Methods", p.methods())
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	switch string(ctx.Request.Header.Peek("Access-Control-Request-Method")) {
	case fasthttp.MethodGet, fasthttp.MethodHead:
	default:
		p.admitOrigin(ctx)
	}
	if !p.Origins.any() {
		h.Add(fasthttp.HeaderVary, "Access-Control-Request-Method")
	}
}

// UploadPath returns the path of the edge that takes an upload of id, percent-encoded.
func UploadPath(id string) string {
	path := "/" + encodeID(id)
	if read, err := uploadID(path); err != nil || read != id {
		path += "." + transform.JPEG.Ext() // the id ends like an extension, which is taken off
	}
	return path
}
