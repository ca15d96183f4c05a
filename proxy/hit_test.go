package proxy

import (
	"io"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"time"

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

// awaitMemory asks until the answer comes from memory, which takes pictures behind the answer that made them.
func (e *edge) awaitMemory(method, target string, header ...string) {
	e.t.Helper()
	for begin := time.Now(); !strings.HasSuffix(e.do(method, target, header...).Header.Get("Cache-Status"), "detail=memory"); {
		if time.Since(begin) > 10*time.Second {
			e.t.Fatalf("%s does not come to memory", target)
		}
	}
}

// TestHitAllocations: a hit allocates next to nothing, negotiated or not, and so does a validator that holds.
func TestHitAllocations(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.proxy.Log = slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	for _, test := range []struct {
		target, name, value string
		most                float64
	}{
		{"/cat_30_20.webp?v=1", "Accept", "*/*", 2},
		{"/cat_30_20.auto", "Accept", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", 2},
		{"/cat_30_20.webp", "If-None-Match", `"x", *`, 2},
		{"/cat_30_20.webp", "Range", "bytes=1-4", 5},
	} {
		ctx := request(test.target)
		ctx.Request.Header.Set(test.name, test.value)
		if test.name == "Accept" {
			e.awaitMemory("GET", test.target, test.name, test.value)
		} else {
			e.awaitMemory("GET", test.target)
		}
		e.proxy.handle(ctx) // what there is to make once
		allocations := math.Inf(1)
		for range 50 { // the least of many: under the race detector sync.Pool forgets at random
			allocations = min(allocations, testing.AllocsPerRun(1, func() {
				ctx.Response.Reset()
				e.proxy.handle(ctx)
			}))
		}
		if allocations > test.most {
			t.Errorf("%s with %s: %s allocates %v times, want at most %v", test.target, test.name, test.value, allocations, test.most)
		}
		if status := ctx.Response.StatusCode(); status != 200 && status != 206 && status != 304 {
			t.Errorf("%s: %d %s", test.target, status, ctx.Response.Body())
		}
	}
}
