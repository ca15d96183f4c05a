package proxy

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"deckle/cache"
	"deckle/signature"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// Access is what is known of one answered request: one value feeds the log and the metrics.
type Access struct {
	Method  string
	Path    string // as sent, bounded; without the query, which may hold a secret
	Source  string // id; empty when the path names none
	Status  int
	Bytes   int           // of the body; -1 when it is streamed and its size unknown
	Took    time.Duration // until the answer was ready to be sent
	From    string        // where the answer came from: a tier's name, cache.FromShared, or one of those below
	Outcome cache.Outcome
	Cause   error  // what the client is not told
	TraceID string // hexadecimal; empty when the request is not followed

	followed Followed // nil when the request is not
	asked    asked
	proof    *signature.Proof // that the request is signed; nil when it need not be
	vary     []byte           // the request headers that the answer depends on; empty for none
	begin    time.Time
	stale    bool          // the source could not be asked about
	private  bool          // the source is, and the signature lets this request see it
	fetch    time.Duration // reading the source, where this request did that
	render   time.Duration // waiting for a slot and rendering, likewise
	scratch  [192]byte     // where header values are put together
}

// What Access.From says of answers that no tier gave.
const (
	fromNone     = "none"     // an error, or an answer that needs no picture
	fromRender   = "render"   // rendered for this request
	fromOriginal = "original" // the stored source itself
	fromFresh    = "fresh"    // the viewer's own copy, by validator
	fromPublic   = "public"   // a redirect to the public copy
)

// maxLoggedPath bounds what a log line repeats of a path, bytes.
const maxLoggedPath = 256

// accesses keeps records for the next requests.
var accesses = sync.Pool{New: func() any { return new(Access) }}

func beginAccess(ctx *fasthttp.RequestCtx) *Access {
	a := accesses.Get().(*Access)
	*a = Access{Method: method(ctx), From: fromNone, begin: time.Now()}
	return a
}

// method names the request's method without copying the usual ones.
func method(ctx *fasthttp.RequestCtx) string {
	switch {
	case ctx.IsGet():
		return fasthttp.MethodGet
	case ctx.IsHead():
		return fasthttp.MethodHead
	case ctx.IsPost():
		return fasthttp.MethodPost
	}
	return string(ctx.Method()) // fasthttp reuses its buffers
}

// finish writes the access line and tells the observer. It runs after the answer is complete and before it is sent.
func (p *Proxy) finish(ctx *fasthttp.RequestCtx, a *Access) {
	defer accesses.Put(a)
	p.endWithSignature(ctx, a)
	a.Status, a.Took = ctx.Response.StatusCode(), time.Since(a.begin)
	if a.Bytes == 0 && !ctx.Response.IsBodyStream() { // Body would read a stream
		a.Bytes = len(ctx.Response.Body())
	}
	p.Observe.Request(a)
	if a.followed != nil {
		a.followed.End(a)
	}
	level := slog.LevelInfo
	if a.Status >= 500 {
		level = slog.LevelError
	}
	if !p.Log.Enabled(context.Background(), level) {
		return
	}
	attrs := [...]slog.Attr{
		slog.String("method", a.Method),
		slog.String("path", a.Path),
		slog.Int("status", a.Status),
		slog.Int("bytes", a.Bytes),
		slog.Float64("ms", float64(a.Took.Microseconds())/1000),
		slog.String("from", a.From),
		{}, {}, // places for what most lines do not have
	}
	list := attrs[:len(attrs)-2]
	if a.TraceID != "" {
		list = append(list, slog.String("trace_id", a.TraceID))
	}
	if a.Cause != nil {
		list = append(list, slog.String("cause", a.Cause.Error()))
		p.logPanic(a.Cause)
	}
	// A Logger would look for the caller's line, which is this one always and in no line of the log.
	line := slog.NewRecord(a.begin.Add(a.Took), level, "request", 0)
	line.AddAttrs(list...)
	_ = p.Log.Handler().Handle(context.Background(), line) // there is nowhere left to report that the log cannot be written
}

// logPanic writes what a panic of a fill or of the engine left behind, which its error does not say.
func (p *Proxy) logPanic(cause error) {
	var fill *cache.PanicError
	var engine *transform.PanicError
	switch {
	case errors.As(cause, &fill):
		p.Log.Error("panic", slog.Any("value", fill.Value), slog.String("stack", string(fill.Stack)))
	case errors.As(cause, &engine):
		p.Log.Error("panic", slog.Any("value", engine.Value), slog.String("stack", string(engine.Stack)))
	}
}
