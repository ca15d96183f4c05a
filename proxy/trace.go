package proxy

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// Tracer follows requests, those that it chooses. Its methods are called from many goroutines.
type Tracer interface {
	// Begin is called with each request, and returns nil for one that is not followed. parent is its traceparent (W3C Trace
	// Context) as it was sent: empty, or anything; it must not be kept.
	Begin(parent []byte, begin time.Time) Followed
	// Step begins a part of what ctx is for. The context that it returns is that of the part; end is called once, when it is over.
	Step(ctx context.Context, name string) (within context.Context, end func(err error))
}

// Followed is a request that is followed.
type Followed interface {
	TraceID() string
	// Within returns ctx for what is done for the request.
	Within(ctx context.Context) context.Context
	// End is told what is known of the request at its end; it must not keep the Access.
	End(a *Access)
}

// follow asks the tracer about a request.
func (p *Proxy) follow(ctx *fasthttp.RequestCtx, a *Access) {
	if p.Tracer == nil {
		return
	}
	if f := p.Tracer.Begin(ctx.Request.Header.Peek("Traceparent"), a.begin); f != nil {
		a.followed, a.TraceID = f, f.TraceID()
	}
}

// within returns ctx for what is done for the request: itself when nobody follows.
func (a *Access) within(ctx context.Context) context.Context {
	if a.followed == nil {
		return ctx
	}
	return a.followed.Within(ctx)
}

// step begins a part of what ctx is for.
func (p *Proxy) step(ctx context.Context, name string) (within context.Context, end func(err error)) {
	if p.Tracer == nil {
		return ctx, unfollowed
	}
	return p.Tracer.Step(ctx, name)
}

func unfollowed(error) {}
