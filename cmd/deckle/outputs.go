package main

import (
	"context"

	"deckle/ingest"
)

// outputs makes the variants that uploads ask for, on the node's own edge, which is there before anything is uploaded.
type outputs struct{ node *node }

var _ ingest.Renderer = outputs{}

// Look returns a variant that is there.
func (o outputs) Look(ctx context.Context, id, output string) (ingest.Rendered, bool, error) {
	return o.node.edge.Look(ctx, id, output)
}

// Check tells whether an output can be made.
func (o outputs) Check(output string) error { return o.node.edge.Check(output) }

// Render makes one variant.
func (o outputs) Render(ctx context.Context, id, output string) (ingest.Rendered, error) {
	return o.node.edge.Render(ctx, id, output)
}
