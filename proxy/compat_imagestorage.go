package proxy

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// Clients of image-storage-service find its endpoints on the edge: their paths are handed to an http.Handler, which is made where
// the library is known. What differs, and why, is in docs/compat.md.

// storagePaths are the first segments that it answers below, and nothing else of the edge.
var storagePaths = []string{"images", "fields", "export", "import"}

// storageMethods are what pages of other sites may use.
const storageMethods = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"

// imageStorage answers a request for what image-storage-service answers, and tells whether it was one.
func (p *Proxy) imageStorage(ctx *fasthttp.RequestCtx, a *Access, path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !slices.Contains(storagePaths, first) {
		return false
	}
	defer p.admitOrigin(ctx)
	if ctx.IsOptions() {
		h := &ctx.Response.Header
		h.Set(fasthttp.HeaderAllow, storageMethods)
		h.Set("Access-Control-Allow-Methods", storageMethods)
		h.Set("Access-Control-Allow-Headers", "accept, authorization, content-type")
		h.Set("Access-Control-Max-Age", corsMaxAge)
		ctx.SetStatusCode(http.StatusNoContent)
		return true
	}
	r, err := httpRequest(ctx)
	if err != nil {
		p.fail(ctx, a, err)
		return true
	}
	w := &handed{ctx: ctx, header: http.Header{}}
	p.ImageStorage.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	if w.status >= http.StatusBadRequest && ctx.RequestBodyStream() != nil {
		p.discardBody(ctx)
		ctx.SetConnectionClose() // what is left of the body is not read
	}
	return true
}

// httpRequest is the request as net/http has them. Its body is streamed, under the deadlines of uploads; its context does not end
// before the body of the answer, which is written when the handler has returned.
func httpRequest(ctx *fasthttp.RequestCtx) (*http.Request, error) {
	target, query := splitTarget(string(ctx.RequestURI()))
	path, err := url.PathUnescape(target)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(context.Background(), string(ctx.Method()), "/", io.NopCloser(requestBody(ctx)))
	if err != nil {
		return nil, err
	}
	r.URL = &url.URL{Path: path, RawPath: target, RawQuery: query}
	r.RequestURI, r.Host, r.RemoteAddr = string(ctx.RequestURI()), string(ctx.Host()), ctx.RemoteAddr().String()
	r.ContentLength = int64(max(ctx.Request.Header.ContentLength(), -1))
	for name, value := range ctx.Request.Header.All() {
		r.Header.Add(string(name), string(value))
	}
	return r, nil
}

// handed is the answer of a handler of net/http.
type handed struct {
	ctx    *fasthttp.RequestCtx
	header http.Header
	status int
}

// Header is what WriteHeader sends.
func (w *handed) Header() http.Header { return w.header }

// WriteHeader sets status and headers, the first time.
func (w *handed) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	w.ctx.SetStatusCode(status)
	h := &w.ctx.Response.Header
	for name, values := range w.header {
		if name == fasthttp.HeaderContentLength {
			continue // told by the body
		}
		h.Del(name)
		for _, value := range values {
			h.Add(name, value)
		}
	}
}

// Write keeps what is to be sent.
func (w *handed) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.ctx.Response.AppendBody(p)
	return len(p), nil
}

// SendBody sends a body when the handler has returned, without keeping it, and closes it. size is its bytes, or -1.
func (w *handed) SendBody(body io.ReadCloser, size int64) {
	w.WriteHeader(http.StatusOK)
	w.ctx.Response.SetBodyStream(body, int(size))
}
