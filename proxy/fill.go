package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deckle/cache"
	"deckle/origin"
	"deckle/transform"

	"github.com/valyala/fasthttp"
)

// changedError says that the source's bytes are no longer those of the version that was asked for.
type changedError struct{ now origin.Info }

func (e *changedError) Error() string { return "proxy: the source has changed" }

// variant serves a rendering of the version that info names.
func (p *Proxy) variant(wait context.Context, ctx *fasthttp.RequestCtx, a *Access, n *naming, info origin.Info) error {
	key, r := n.key, n.request
	if p.redirectToCopy(wait, ctx, a, n) || p.precondition(ctx, a, n) {
		return nil
	}
	entry, outcome := p.Chain.First(wait, key)
	var fill fillFacts
	if entry == nil {
		var err error
		entry, outcome, fill, err = p.beyondMemory(p.charging(wait, ctx), key, outcome, r, info)
		if err != nil {
			a.Outcome = outcome
			return err
		}
	}
	a.Outcome, a.From = outcome, outcome.From
	if outcome.From == cache.FromFill { // then the fill was this call's own, and it has ended
		a.From, a.fetch, a.render = fill.from(), fill.fetch, fill.render
	}
	if err := p.picture(ctx, a, n, entry); err != nil || !p.Chain.Outdated(key.Source, entry) {
		return err
	}
	p.refresh(wait, a, n, info)
	return nil
}

// beyondMemory looks in the other tiers and renders what none holds. It is apart from variant so that a hit in memory does not
// pay for what only a fill needs.
func (p *Proxy) beyondMemory(
	wait context.Context, key cache.Key, out cache.Outcome, r Request, info origin.Info,
) (*cache.Entry, cache.Outcome, fillFacts, error) {
	var fill fillFacts
	fillIt := func(ctx context.Context) (*cache.Entry, error) { return p.fill(ctx, key, r, info, &fill) }
	entry, out, err := p.Chain.Beyond(wait, key, fillIt, out)
	if err != nil && out.Shared && errors.Is(err, errClientBudget) { // that was the budget of whoever asked first
		entry, out, err = p.Chain.Beyond(wait, key, fillIt, out)
	}
	if err != nil || out.From != cache.FromFill {
		return entry, out, fillFacts{}, err // fill may be running still, for others
	}
	return entry, out, fill, nil
}

// fillFacts is where the time of one fill went. Reading it is safe once the fill has returned.
type fillFacts struct {
	fetch, render time.Duration
	elsewhere     bool // another node rendered
}

// from says for the access record who rendered.
func (f *fillFacts) from() string {
	if f.elsewhere {
		return fromFleet
	}
	return fromRender
}

// admitter is an Engine that knows beforehand when it would refuse.
type admitter interface{ Admit() error }

// render makes a variant: the source is read first, so that a slow origin never holds a render slot. What failed a moment ago
// is not tried again.
func (p *Proxy) render(ctx context.Context, key cache.Key, r Request, info origin.Info, facts *fillFacts) (*cache.Entry, error) {
	if err := p.failures.recall(key, time.Now()); err != nil {
		return nil, err
	}
	if gate, ok := p.Engine.(admitter); ok {
		if err := gate.Admit(); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	if err := p.permit(ctx, r.Source, begin); err != nil {
		return nil, err
	}
	within, end := p.step(ctx, "fetch")
	source, now, err := p.fetch(within, r.Source, info.Version)
	end(err)
	facts.fetch = time.Since(begin)
	if err != nil {
		return nil, err
	}
	if now.Version != info.Version || now.Private && !info.Private {
		return nil, &changedError{now: now}
	}
	if info.Size >= 0 && int64(len(source)) != info.Size { // the same version, so that one of its lengths is a lie
		return nil, fmt.Errorf("read %s: %w: %d bytes of %d", r.Source, origin.ErrUnavailable, len(source), info.Size)
	}
	if err := p.checkMoving(&r, source, now.Version); err != nil {
		return nil, err
	}
	begin = time.Now()
	spec := r.rendering()
	picture, err := p.Engine.Render(ctx, source, spec)
	facts.render = time.Since(begin)
	p.Observe.Render(renderedFormat(spec, picture), facts.render, err)
	p.witness(ctx, r.Want, Rendering{Source: key.Source, Version: info.Version, Spec: spec, Picture: picture, Err: err})
	if err != nil {
		err = fmt.Errorf("render %s%s: %w", r.Source, spec, err)
		p.failures.note(ctx, key, err, time.Now())
		return nil, err
	}
	entry := cache.Entry{
		Body: picture.Body, ContentType: picture.Format.MediaType(), Width: picture.Width, Height: picture.Height,
	}
	if r.Want != WantPicture {
		if entry, err = p.describe(r, info, source, picture); err != nil {
			return nil, err
		}
	}
	entry.ETag, entry.Modified, entry.Cost = etag(key, entry.Body), info.Modified, facts.render
	return cache.NewEntry(entry), nil
}

func renderedFormat(spec transform.Spec, picture *transform.Picture) transform.Format {
	if picture != nil {
		return picture.Format
	}
	return spec.Format
}
