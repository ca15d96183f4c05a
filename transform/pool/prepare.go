package pool

import (
	"context"

	"deckle/transform"
)

var _ transform.Preparer = (*Pool)(nil)

// errandKey is where a context carries the errand of a rendering that has been prepared.
type errandKey struct{}

func errandOf(ctx context.Context) (e *errand, prepared bool) {
	e, prepared = ctx.Value(errandKey{}).(*errand)
	return e, prepared
}

// Prepare implements transform.Preparer: a rendering waits, before it has a slot, for levels that another one of the same
// source is keeping.
func (p *Pool) Prepare(ctx context.Context, source []byte, h transform.Header, s transform.Spec) (context.Context, func(), error) {
	e := p.expect(source, h, s)
	done := func() { p.pyramids.forget(e) }
	if e != nil {
		if err := p.pyramids.await(ctx, e); err != nil {
			done()
			return nil, nil, err
		}
	}
	return context.WithValue(ctx, errandKey{}, e), done, nil
}

// expect notes a rendering, if its source can be kept.
func (p *Pool) expect(source []byte, h transform.Header, s transform.Spec) *errand {
	if !p.hello.Keeps {
		return nil
	}
	return p.pyramids.expect(source, h, s, p.config.Limits)
}

// prepare chooses what the job is made from and makes it ready. settle is called when the job has been tried, with the bytes
// of levels that it has kept.
func (p *Pool) prepare(ctx context.Context, j *job) (settle func(levels int), err error) {
	y := p.pyramids
	if j.errand == nil {
		return func(int) {}, j.share()
	}
	if !y.ready(j.errand) {
		// Sharing takes a moment, in which those that were asked for together with this one are heard of.
		if err := j.share(); err != nil {
			return nil, err
		}
	}
	for busy := true; busy; {
		if err := y.await(ctx, j.errand); err != nil {
			return nil, err
		}
		j.choice, busy = y.choose(j.errand)
	}
	j.room = 0
	switch {
	case j.kept != nil:
		kept := j.kept
		return func(int) { y.release(kept) }, nil
	case j.raising == nil:
		return func(int) {}, j.share()
	}
	raising := j.raising
	settle = func(levels int) { y.finish(j.errand, raising, levels, ctx.Err() != nil) }
	size := transform.KeptSize(j.header, raising.first)
	if raising.fd, err = room(size); err == nil {
		err = j.share()
	}
	if err != nil {
		settle(0)
		return nil, err
	}
	j.room = size
	return settle, nil
}
