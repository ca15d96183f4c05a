package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"deckle/admin"
	"deckle/cache"
	"deckle/proxy"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

const (
	// maxTraces is how many requests a second are followed at most, whatever strangers write into traceparent.
	maxTraces = 100
	// traceTimeout bounds the delivery of what is left at the end.
	traceTimeout = 5 * time.Second
	// traceparentLength is that of the only version there is (W3C Trace Context section 3.2).
	traceparentLength = 55
)

// tracer follows requests in spans of OpenTelemetry. What it tells of a request is bounded: of what strangers send only the source's
// id, which has been checked, and no text of errors, which may name a URL with its password.
type tracer struct {
	spans trace.Tracer
	ratio float64
	limit *rate.Limiter
	to    propagation.TraceContext
}

var _ proxy.Tracer = (*tracer)(nil)

// openTracer begins to deliver spans to the configured collector, behind what it follows, until the node ends.
func (n *node) openTracer(ctx context.Context) (*tracer, error) {
	t := n.config.telemetry
	at := *t.collector
	if at.Path == "" || at.Path == "/" {
		at.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(at.String()))
	if err != nil {
		return nil, fmt.Errorf("open the collector of traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		n.log.Warn("traces were not delivered", slog.Any("cause", err))
	}))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithSampler(sdk.AlwaysSample()), // Begin has chosen
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "deckle"), attribute.String("service.version", revision()))))
	n.ends.add(func() error {
		late, cancel := context.WithTimeout(context.Background(), traceTimeout)
		defer cancel()
		if err := provider.Shutdown(late); err != nil {
			n.log.Warn("the last traces were not delivered", slog.Any("cause", err))
		}
		return nil
	})
	return &tracer{spans: provider.Tracer("deckle"), ratio: t.ratio, limit: rate.NewLimiter(maxTraces, maxTraces)}, nil
}

// openTraced opens what renders, and follows it where requests are followed.
func (n *node) openTraced(ctx context.Context, m *admin.Metrics) (renderers, error) {
	if n.config.telemetry.collector != nil {
		var err error
		if n.tracer, err = n.openTracer(ctx); err != nil {
			return nil, err
		}
	}
	engine, err := n.openRenderers(n.config.engine, m)
	if err != nil || n.tracer == nil {
		return engine, err
	}
	return tracedRenderers{engine, n.tracer}, nil
}

// edge is the tracer as the edge knows it; nil when there is none.
func (t *tracer) edge() proxy.Tracer {
	if t == nil {
		return nil
	}
	return t
}

// tiers is what look-ups are told to; nil when there is no tracer.
func (t *tracer) tiers() func(ctx context.Context, tier string, begin time.Time, err error) {
	if t == nil {
		return nil
	}
	return t.tier
}

// header has web origins know which trace they are asked for; nil when nothing is traced.
func (t telemetry) header() func(context.Context, http.Header) {
	if t.collector == nil {
		return nil
	}
	return func(ctx context.Context, h http.Header) {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	}
}

// Begin follows a request whose traceparent says that it is followed, and of those without a good one the configured part.
func (t *tracer) Begin(parent []byte, begin time.Time) proxy.Followed {
	ctx := context.Background()
	if len(parent) == traceparentLength {
		ctx = t.to.Extract(ctx, propagation.MapCarrier{"traceparent": string(parent)})
	}
	switch remote := trace.SpanContextFromContext(ctx); {
	case remote.IsValid() && !remote.IsSampled(), !remote.IsValid() && rand.Float64() >= t.ratio, !t.limit.Allow():
		return nil
	}
	_, span := t.spans.Start(ctx, "request", trace.WithTimestamp(begin), trace.WithSpanKind(trace.SpanKindServer))
	return followed{span}
}

// Step begins a span below that of ctx.
func (t *tracer) Step(ctx context.Context, name string) (context.Context, func(error)) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(error) {}
	}
	within, span := t.spans.Start(ctx, name)
	return within, func(err error) {
		fail(span, err)
		span.End()
	}
}

// tier makes a span of a look-up.
func (t *tracer) tier(ctx context.Context, tier string, begin time.Time, err error) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	_, span := t.spans.Start(ctx, "tier "+tier, trace.WithTimestamp(begin))
	span.SetAttributes(attribute.Bool("deckle.hit", err == nil))
	if !errors.Is(err, cache.ErrMiss) {
		fail(span, err)
	}
	span.End()
}

// fail marks a span, by the status that the edge answers such an error with.
func fail(span trace.Span, err error) {
	if err == nil {
		return
	}
	status, _ := proxy.StatusOf(err)
	span.SetStatus(codes.Error, "")
	span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
}

// followed is one request.
type followed struct{ span trace.Span }

// TraceID is what the log and the exemplars call the trace by.
func (f followed) TraceID() string { return f.span.SpanContext().TraceID().String() }

// Within has what is done under ctx belong to the request.
func (f followed) Within(ctx context.Context) context.Context {
	return trace.ContextWithSpan(ctx, f.span)
}

// methods are told by name.
var methods = map[string]bool{http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true, http.MethodOptions: true}

// End tells of the answer.
func (f followed) End(a *proxy.Access) {
	method := a.Method
	if !methods[method] {
		method = "_OTHER" // as OpenTelemetry's conventions for HTTP call it
	}
	f.span.SetAttributes(
		attribute.String("http.request.method", method), attribute.Int("http.response.status_code", a.Status),
		attribute.Int("http.response.body.size", a.Bytes), attribute.String("deckle.source", a.Source), attribute.String("deckle.outcome", a.From),
	)
	if a.Status >= http.StatusInternalServerError {
		f.span.SetStatus(codes.Error, "")
	}
	f.span.End()
}
