package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"deckle/transform"
)

// errNotBegun says that a child was dead before it read the request: it died of something else.
var errNotBegun = errors.New("pool: renderer died before the render")

// Render implements transform.Engine. It returns as soon as ctx ends; the child is dead by then.
func (p *Pool) Render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	header, err := p.config.Limits.ReadHeader(source)
	if err != nil {
		return nil, err
	}
	if err := p.quarantine.check(source); err != nil {
		p.counts.refused.Add(1)
		return nil, err
	}
	e, prepared := errandOf(ctx)
	if !prepared {
		e = p.expect(source, header, spec)
		defer p.pyramids.forget(e)
	}
	j := job{source: source, shared: -1, header: header, spec: spec, errand: e, timeout: p.config.StillTimeout, stages: transform.WantsStages(ctx)}
	if header.Frames > 1 {
		j.timeout = p.config.AnimationTimeout
	}
	defer func() { j.unshare() }()
	// Once for every child that may have died in its seat, and once more.
	for range p.config.Slots + p.config.Spares + 1 {
		picture, err := p.try(ctx, &j)
		if !errors.Is(err, errNotBegun) {
			return picture, err
		}
	}
	return nil, fmt.Errorf("%w: renderers die before they render", transform.ErrBusy)
}

// job is what one call of Render wants done.
type job struct {
	source  []byte
	shared  int // descriptor of the same bytes; -1 as long as no child had to have them
	header  transform.Header
	spec    transform.Spec
	errand  *errand // nil for what has no use for a pyramid
	timeout time.Duration
	stages  bool // are to be told

	choice
	room int // bytes of what raising may fill
}

// share makes the source's bytes ready to be handed to a child.
func (j *job) share() (err error) {
	if j.shared < 0 {
		j.shared, err = share(j.source)
	}
	return err
}

func (j *job) unshare() {
	if j.shared >= 0 {
		_ = unix.Close(j.shared) // it was only written, and wholly
	}
}

// try lets one child do the job.
func (p *Pool) try(ctx context.Context, j *job) (*transform.Picture, error) {
	settle, err := p.prepare(ctx, j)
	if err != nil {
		return nil, err
	}
	c, err := p.take(ctx)
	if err != nil {
		settle(0)
		return nil, err
	}
	picture, kept, err := p.renderIn(ctx, c, *j)
	settle(kept)
	return picture, err
}

// take waits for a child that is free, but no longer than one render may take: if none comes, none can be started.
func (p *Pool) take(ctx context.Context) (*child, error) {
	select {
	case c := <-p.offers:
		return c, nil
	default:
	}
	late := time.NewTimer(p.config.StillTimeout)
	defer late.Stop()
	select {
	case c := <-p.offers:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.stop:
		return nil, ErrClosed
	case <-late.C:
		return nil, fmt.Errorf("%w: no renderer is ready", transform.ErrBusy)
	}
}

// renderIn lets c do the job and gives it back to its seat, dead or alive. levels is how many bytes of a pyramid it has kept.
func (p *Pool) renderIn(ctx context.Context, c *child, j job) (picture *transform.Picture, levels int, err error) {
	p.counts.renders.Add(1)
	bounded, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	killed := make(chan struct{})
	spare := context.AfterFunc(bounded, func() {
		c.kill()
		close(killed)
	})
	picture, levels, fault, err := c.exchange(j, p.config.Limits)
	if !spare() {
		<-killed
		if err == nil {
			// The picture came in the same instant. It is good; the child is gone.
			c.back <- left(ctx)
			return picture, levels, fault
		}
	}
	if err == nil {
		p.recent.note(false)
		c.back <- kept
		return picture, levels, fault
	}
	c.kill()
	why, err := p.blame(ctx, bounded, j, err)
	c.back <- why
	return nil, 0, err
}

// left tells apart whose clock ran out.
func left(ctx context.Context) reason {
	if ctx.Err() != nil {
		return canceled
	}
	return late
}

// suspicion is by how much a render must overrun what it was predicted to take before that is held against its source.
const suspicion = 8

// suspicious tells a source that keeps a decoder busy from work that is just large, or has to share the machine: such work is
// refused too when its time is up, but says nothing against other sizes of the same picture.
func (p *Pool) suspicious(j job) bool {
	return suspicion*transform.Predict(j.header, j.spec, p.config.Limits) < j.timeout
}

// blame finds out why a render gave nothing, and notes what it says about the source.
func (p *Pool) blame(ctx, bounded context.Context, j job, err error) (reason, error) {
	switch {
	case p.closed():
		return stopped, ErrClosed
	case ctx.Err() != nil: // whoever waited has left; the source is not to blame
		return canceled, context.Cause(ctx)
	case bounded.Err() != nil:
		if p.suspicious(j) {
			p.quarantine.strike(j.source)
		}
		p.recent.note(false)
		return late, fmt.Errorf("render takes longer than %s: %w", j.timeout, context.DeadlineExceeded)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		// Linux says so when the other end of a socket pair is closed with the request unread in it. A child that has read it
		// and dies leaves an end of file.
		return idle, errNotBegun
	}
	p.quarantine.strike(j.source)
	p.recent.note(true)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return crashed, transform.ErrCrashed
	}
	return crashed, fmt.Errorf("%w: %w", transform.ErrCrashed, err)
}
