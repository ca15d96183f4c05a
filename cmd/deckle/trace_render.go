package main

import (
	"context"
	"time"

	"deckle/transform"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// tracedRenderers makes spans of waiting for a slot and of rendering. It stands behind the gate.
type tracedRenderers struct {
	renderers
	tracer *tracer
}

var _ transform.Preparer = tracedRenderers{}

// queuedKey is what a context has the time under at which its render began to wait.
type queuedKey struct{}

// Prepare notes when the render begins to wait.
func (r tracedRenderers) Prepare(ctx context.Context, source []byte, h transform.Header, s transform.Spec) (context.Context, func(), error) {
	settle := func() {}
	if p, ok := r.renderers.(transform.Preparer); ok {
		var err error
		if ctx, settle, err = p.Prepare(ctx, source, h, s); err != nil {
			return ctx, settle, err
		}
	}
	if trace.SpanFromContext(ctx).IsRecording() {
		ctx = context.WithValue(ctx, queuedKey{}, time.Now())
	}
	return ctx, settle, nil
}

// Render has its slot.
func (r tracedRenderers) Render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return r.renderers.Render(ctx, source, spec)
	}
	if begin, ok := ctx.Value(queuedKey{}).(time.Time); ok {
		_, queue := r.tracer.spans.Start(ctx, "queue", trace.WithTimestamp(begin))
		queue.End()
	}
	within, span := r.tracer.spans.Start(ctx, "render")
	defer span.End()
	begin := time.Now()
	picture, err := r.renderers.Render(transform.WithStages(within), source, spec)
	fail(span, err)
	span.SetAttributes(attribute.String("deckle.spec", spec.String()), attribute.Int("deckle.source.size", len(source)))
	if picture != nil {
		span.SetAttributes(attribute.String("deckle.format", picture.Format.String()), attribute.Int("deckle.width", picture.Width),
			attribute.Int("deckle.height", picture.Height), attribute.Int("deckle.frames", picture.Frames), attribute.Int("deckle.size", len(picture.Body)))
		r.tracer.stages(within, picture.Stages, begin)
	}
	return picture, err
}

// stages makes spans of what a renderer tells of its work, which was given to it at begin and has just ended. It tells how long each
// part took, and that one came after the other, so that they are laid end to end; one that tells of more time than there was is not
// believed.
func (t *tracer) stages(ctx context.Context, stages []transform.Stage, begin time.Time) {
	at := time.Now()
	for _, s := range stages {
		at = at.Add(-s.Took)
	}
	if at.Before(begin) {
		return
	}
	for _, s := range stages {
		_, span := t.spans.Start(ctx, s.Name, trace.WithTimestamp(at))
		at = at.Add(s.Took)
		span.End(trace.WithTimestamp(at))
	}
}
