package proxy

import (
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// request is a fasthttp context as the server hands it to the handler.
func request(target string) *fasthttp.RequestCtx {
	var r fasthttp.Request
	r.SetRequestURI(target)
	r.Header.SetHost("x")
	var ctx fasthttp.RequestCtx
	ctx.Init(&r, &net.TCPAddr{}, nil)
	return &ctx
}

// BenchmarkHit is the handler on a picture in memory, without the socket; the access log is written to nowhere.
func BenchmarkHit(b *testing.B) {
	for _, logged := range []string{"all", "errors"} {
		b.Run("logged="+logged, func(b *testing.B) {
			e := newEdge(b)
			e.keep("cat", cat())
			level := slog.LevelInfo
			if logged == "errors" {
				level = slog.LevelError
			}
			e.proxy.Log = slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: level}))
			ctx := request("/cat_30_20.webp?v=1")
			e.proxy.handle(ctx)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				e.proxy.handle(ctx)
			}
			if ctx.Response.StatusCode() != fasthttp.StatusOK {
				b.Fatalf("status %d", ctx.Response.StatusCode())
			}
		})
	}
}
