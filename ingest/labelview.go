package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"sync"
	"time"

	"deckle/catalog"
	"deckle/label"
	"deckle/origin"
	"deckle/transform"
)

// labelPatience is how long a rendering for labelers waits for viewers' renders before it joins their queue: labels come late
// on a server that is always busy, and come.
const labelPatience = 10 * time.Second

// picture reads the bytes of the job's version and renders what labelers look at.
func (l *Labeller) picture(ctx context.Context, job catalog.Job) (label.Picture, error) {
	source, err := l.read(ctx, job)
	if err != nil {
		return label.Picture{}, err
	}
	header, err := l.config.Limits.ReadHeader(source)
	if err != nil {
		return label.Picture{}, err
	}
	spec := transform.Spec{Format: transform.PNG, Width: label.SmallSide, Height: label.SmallSide, Still: header.Frames > 1}
	small, err := l.render(ctx, source, spec)
	if err != nil {
		return label.Picture{}, err
	}
	decoded, err := png.Decode(bytes.NewReader(small.Body))
	if err != nil {
		return label.Picture{}, fmt.Errorf("read the small rendering: %w", err)
	}
	straight := image.NewNRGBA(image.Rect(0, 0, decoded.Bounds().Dx(), decoded.Bounds().Dy()))
	draw.Draw(straight, straight.Rect, decoded, decoded.Bounds().Min, draw.Src)
	p := label.Picture{Source: job.Subject, Version: job.Version, Frames: header.Frames, Small: straight}
	p.Width, p.Height = header.Upright()
	large := sync.OnceValues(func() ([]byte, error) {
		spec.Format, spec.Width, spec.Height, spec.Quality, spec.MaxBytes = transform.JPEG, label.LargeSide, label.LargeSide, 85, label.MaxLarge
		made, err := l.render(ctx, source, spec)
		if err != nil {
			return nil, fmt.Errorf("render for labels: %w", err)
		}
		return made.Body, nil
	})
	p.Large = func(context.Context) ([]byte, error) { return large() } // all of one job's contexts are one
	return p, nil
}

// read reads the source, if it is of the job's version still.
func (l *Labeller) read(ctx context.Context, job catalog.Job) (source []byte, err error) {
	object, err := l.config.Store.Open(ctx, job.Subject, origin.Range{})
	if errors.Is(err, origin.ErrNotFound) {
		return nil, errStale
	}
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	if object.Version != job.Version {
		return nil, errStale
	}
	if source, err = io.ReadAll(io.LimitReader(object.Body, l.config.Limits.SourceBytes+1)); err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	return source, nil
}

// render takes its turn behind viewers. While every place in their queue is taken it waits.
func (l *Labeller) render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	crowded, _ := l.config.Engine.(interface{ Waiting() int })
	begin := time.Now()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if crowded == nil || crowded.Waiting() == 0 || time.Since(begin) > labelPatience {
			made, err := l.config.Engine.Render(ctx, source, spec)
			if !errors.Is(err, transform.ErrBusy) {
				return made, err
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: %w", transform.ErrBusy, context.Cause(ctx))
		}
	}
}
