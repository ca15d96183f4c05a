package proxy

import (
	"context"
	"errors"
	"fmt"

	"deckle/cache"
	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"
)

var _ ingest.Renderer = (*Proxy)(nil)

// ReadOutput reads the name of a variant as it stands behind a source in the path form: 300x300.webp, or, where there are
// suffixes, BI.jpg. The format is named, or JPEG. Errors are transform.ErrNoVariant and *transform.SpecError.
func (rules *Rules) ReadOutput(name string) (transform.Spec, error) {
	spec, query := transform.Spec{}, ""
	if _, suffix, ext, ok := rules.Suffixes.cut(anyKey + name); ok {
		var err error
		spec.Format, _ = transform.FormatByExt(ext)
		if spec, query, err = rules.Suffixes.presets.expand(suffix, spec, ""); err != nil {
			return spec, err
		}
	} else {
		var err error
		if spec, err = transform.ParseVariant(name); err != nil {
			return spec, err
		}
	}
	if spec.Format == transform.Auto {
		return spec, &transform.SpecError{Option: "extension", Value: spec.Format.Ext(), Hint: "nobody looks at it whose browser could be asked; name a format"}
	}
	return transform.ParseQuery(spec, query, nil)
}

// anyKey stands before a suffix.
const anyKey = "0000000000_0000000000"

// Render makes the variant of a source that output names, unless a tier holds it. It is in memory when Render returns, and on
// its way to the other tiers. Errors are those of a request for its URL.
func (p *Proxy) Render(ctx context.Context, id, output string) (ingest.Rendered, error) {
	spec, err := p.output(output)
	if err != nil {
		return ingest.Rendered{}, err
	}
	info, err := p.Versions.Stat(ctx, id)
	if err != nil {
		return ingest.Rendered{}, err
	}
	ctx = context.WithValue(ctx, ordered{}, true)
	q := asking{read: &reading{request: Request{Source: id, Spec: spec}}}
	for range 3 { // as for a viewer: the source may change, and turn out to be an animation
		made, err := p.make(ctx, &q, info)
		var changed *changedError
		switch {
		case errors.As(err, &changed):
			p.Versions.Invalidate(id)
			info = changed.now
		case errors.Is(err, movingError{}):
			q.forget()
		default:
			return made, err
		}
	}
	return ingest.Rendered{}, fmt.Errorf("%w: the source changes all the time", origin.ErrUnavailable)
}

// Look returns what Render would, if a tier holds the variant, or if it is the stored source: nothing is rendered.
func (p *Proxy) Look(ctx context.Context, id, output string) (ingest.Rendered, bool, error) {
	spec, err := p.output(output)
	if err != nil {
		return ingest.Rendered{}, false, err
	}
	info, err := p.Versions.Stat(ctx, id)
	if err != nil {
		return ingest.Rendered{}, false, err
	}
	n, err := p.name(&asking{read: &reading{request: Request{Source: id, Spec: spec}}}, info)
	if err != nil {
		return ingest.Rendered{}, false, err
	}
	spec = n.request.Spec
	if spec.Bare() {
		if stored, err := p.isStored(ctx, n.request, info); err != nil || stored {
			made, err := p.asStored(ctx, &n.request, info, err)
			return made, err == nil, err
		}
	}
	entry, _, err := p.Chain.Lookup(ctx, n.key)
	if errors.Is(err, cache.ErrMiss) && n.request.losesMotion() { // not every node knows whether the source moves
		still, key := n.request, n.key
		still.Moving = true
		key.Variant = still.variant()
		entry, _, err = p.Chain.Lookup(ctx, key)
	}
	if err != nil {
		if errors.Is(err, cache.ErrMiss) {
			err = nil
		}
		return ingest.Rendered{}, false, err
	}
	return renderedOf(spec, entry), true, nil
}

// Check returns the error that Render has for an output whatever the source is.
func (p *Proxy) Check(output string) error {
	_, err := p.output(output)
	return err
}

// output reads the name of a variant that can be made here.
func (p *Proxy) output(name string) (transform.Spec, error) {
	spec, err := p.ReadOutput(name)
	if err != nil {
		return spec, err
	}
	if bounded, changed := p.bound(Request{Spec: spec, Sized: spec.Size() != ""}); changed {
		return spec, &transform.SpecError{Option: "size", Value: bounded.Size(), Hint: p.boundsInfo()}
	}
	if !p.Engine.Writes(spec.Format) {
		return spec, transform.ErrFormat
	}
	return spec, nil
}

// make makes what q asks for at one version.
func (p *Proxy) make(ctx context.Context, q *asking, info origin.Info) (ingest.Rendered, error) {
	n, err := p.name(q, info)
	if err != nil {
		return ingest.Rendered{}, err
	}
	spec := n.request.Spec
	if spec.Bare() {
		if stored, err := p.isStored(ctx, n.request, info); err != nil || stored {
			return p.asStored(ctx, &n.request, info, err)
		}
	}
	entry, outcome := p.Chain.First(ctx, n.key)
	if entry == nil {
		if entry, _, _, err = p.beyondMemory(ctx, n.key, outcome, n.request, info); err != nil {
			return ingest.Rendered{}, err
		}
	}
	return renderedOf(spec, entry), nil
}

func renderedOf(spec transform.Spec, entry *cache.Entry) ingest.Rendered {
	return ingest.Rendered{
		Format: spec.Format.String(), Width: entry.Width, Height: entry.Height, Quality: spec.Quality, Bytes: int64(len(entry.Body)),
	}
}

// asStored says of the stored source, which is its own variant, what is said of others.
func (p *Proxy) asStored(ctx context.Context, r *Request, info origin.Info, err error) (ingest.Rendered, error) {
	if err != nil {
		return ingest.Rendered{}, err
	}
	source, _, err := p.fetch(ctx, r.Source, info.Version)
	if err != nil {
		return ingest.Rendered{}, err
	}
	header, err := p.Limits.ReadHeader(source)
	if err != nil {
		return ingest.Rendered{}, err
	}
	made := ingest.Rendered{Format: r.Spec.Format.String(), Bytes: int64(len(source))}
	made.Width, made.Height = header.Upright()
	return made, nil
}
