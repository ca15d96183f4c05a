package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"deckle/cache"
	"deckle/origin"

	"golang.org/x/sync/singleflight"
)

// fetches reads sources: a bounded number at a time, each once for all that want it at the moment, so that a page that names
// ten sizes of a new picture costs its store one reading.
type fetches struct {
	under  singleflight.Group
	recent *recent
	slots  chan struct{}
}

func newFetches(most int) *fetches {
	return &fetches{recent: newRecent(), slots: make(chan struct{}, most)}
}

// fetched is a source that was read. It is shared, and must not be changed.
type fetched struct {
	source []byte
	info   origin.Info
}

// fetch reads a whole source into memory, within the limit. The version is the one that the caller means to get; what it does
// get is in the Info. One reading serves all who ask for a version while it is under way, and a moment longer. It goes on when
// some of them leave, on a deadline of its own.
func (p *Proxy) fetch(ctx context.Context, id, version string) ([]byte, origin.Info, error) {
	name := id + "\x00" + version
	if f, ok := p.fetches.recent.find(name); ok {
		return f.source, f.info, nil
	}
	result := p.fetches.under.DoChan(name, func() (any, error) {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Timeout)
		defer cancel()
		begin := time.Now()
		f, err := p.readSource(within, id)
		p.Observe.Fetch(time.Since(begin), len(f.source), err)
		if err == nil && f.info.Version == version && !f.info.Private { // it may be public in a moment, and then be asked for as that
			p.fetches.recent.add(name, f)
		}
		return f, err
	})
	select {
	case r := <-result:
		f := r.Val.(fetched)
		return f.source, f.info, r.Err
	case <-ctx.Done():
		return nil, origin.Info{}, context.Cause(ctx)
	}
}

// readSource reads a source when it is its turn. A store that panics fails this reading, not the process.
func (p *Proxy) readSource(ctx context.Context, id string) (f fetched, err error) {
	defer func() {
		if v := recover(); v != nil {
			f, err = fetched{}, &cache.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	select {
	case p.fetches.slots <- struct{}{}:
	case <-ctx.Done():
		return f, context.Cause(ctx)
	}
	defer func() { <-p.fetches.slots }()
	object, err := p.Sources.Open(ctx, id, origin.Range{})
	if err != nil {
		return f, err
	}
	defer func() { _ = object.Body.Close() }() // it was only read
	f.info = object.Info
	if err := p.Limits.CheckSize(object.Size); err != nil {
		return f, err
	}
	if object.Size >= 0 {
		f.source = make([]byte, object.Size)
		if _, err := io.ReadFull(object.Body, f.source); err != nil {
			return fetched{info: f.info}, fmt.Errorf("read %s: %w: %w", id, origin.ErrUnavailable, err)
		}
		return f, nil
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(object.Body, p.Limits.SourceBytes+1)); err != nil {
		if errors.Is(err, origin.ErrTooLarge) {
			return f, err
		}
		return f, fmt.Errorf("read %s: %w: %w", id, origin.ErrUnavailable, err)
	}
	f.source = b.Bytes()
	return f, p.Limits.CheckSize(int64(b.Len()))
}
