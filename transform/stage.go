package transform

import (
	"context"
	"time"
)

// Stage is a part of a rendering and the time that passed in it.
//
// A renderer that computes only what is asked for, as libvips does, plans in most stages and decodes, resizes and corrects in one go
// when pixels are asked for: that is the stage "pixels". A stage before it is long only where it had to look at pixels itself.
type Stage struct {
	Name string // of an Engine's own list; lower case letters
	Took time.Duration
}

// stagesKey is what a context has under which an Engine is to tell of stages.
type stagesKey struct{}

// WithStages has an Engine that can tell fill Picture.Stages. It may cost the rendering a copy of the result's pixels; the bytes that
// come out are the same.
func WithStages(ctx context.Context) context.Context {
	return context.WithValue(ctx, stagesKey{}, true)
}

// WantsStages tells whether ctx is one of WithStages.
func WantsStages(ctx context.Context) bool { return ctx.Value(stagesKey{}) != nil }
