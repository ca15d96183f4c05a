// Package vips renders pictures with libvips. It holds the only cgo of the tree; whoever wants a crash in C contained runs it
// in a process of its own.
//
// A rendering is a list of steps (see steps). Of an animation the first frame is rendered. Colours end as 8-bit sRGB, greys
// as 8-bit grey, and nothing of a source's metadata is written.
package vips

import (
	"context"
	"fmt"
	"runtime/debug"

	"deckle/transform"
)

// Config says how an Engine renders. The zero value of everything but Limits stands for the default.
type Config struct {
	Limits   transform.Limits
	Effort   Effort
	Baseline bool // JPEG: write baseline files, not progressive ones
}

// maxOutputSide is what WebP can hold, pixels (RFC 6386, section 9.1: fourteen bits).
const maxOutputSide = 1<<14 - 1

// Engine renders in this process. It is safe for concurrent use; each render takes one thread.
type Engine struct {
	limits   transform.Limits
	effort   Effort
	baseline bool
	writes   map[transform.Format]bool
}

var _ transform.Engine = (*Engine)(nil)

// New starts libvips, once for the process, and finds out which formats the installed one can write.
func New(c Config) (*Engine, error) {
	if err := start(); err != nil {
		return nil, err
	}
	if c.Limits.OutputSide < 1 || c.Limits.OutputSide > maxOutputSide {
		return nil, fmt.Errorf("the output side is limited to %d pixels: it is 1 to %d", c.Limits.OutputSide, maxOutputSide)
	}
	effort, err := c.Effort.complete()
	if err != nil {
		return nil, err
	}
	e := &Engine{limits: c.Limits, effort: effort, baseline: c.Baseline}
	e.writes = e.probe()
	return e, nil
}

// Writes tells whether the installed libvips can encode f.
func (e *Engine) Writes(f transform.Format) bool { return e.writes[f] }

// Render implements transform.Engine. A source that ends early is rendered as far as it goes. ctx is looked at between steps.
func (e *Engine) Render(ctx context.Context, source []byte, spec transform.Spec) (p *transform.Picture, err error) {
	// A fault in the binding costs this render, not the process.
	defer func() {
		if fault := recover(); fault != nil {
			p, err = nil, &transform.PanicError{Value: fault, Stack: debug.Stack()}
		}
	}()
	header, err := e.check(source)
	if err != nil {
		return nil, err
	}
	format := e.outputFormat(header, spec.Format)
	if !e.Writes(format) {
		return nil, fmt.Errorf("%w: %s", transform.ErrFormat, format)
	}
	r := &render{limits: e.limits, source: source, header: header, spec: spec, format: format}
	defer r.close()
	// C holds on to these bytes until the last step.
	r.pinner.Pin(&source[0])
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	body, err := e.encode(r.image, format, r.quality())
	if err != nil {
		return nil, err
	}
	return &transform.Picture{
		Body: body, Format: format, Width: r.image.Width(), Height: r.image.Height(), Frames: 1, Source: header,
	}, nil
}

// check reads the source's header and holds it against the limits, before libvips sees a byte.
func (e *Engine) check(source []byte) (transform.Header, error) {
	if err := e.limits.CheckSize(int64(len(source))); err != nil {
		return transform.Header{}, err
	}
	header, err := transform.ReadHeader(source)
	if err != nil {
		return transform.Header{}, err
	}
	if _, ok := decoders[header.Format]; !ok {
		return transform.Header{}, fmt.Errorf("%w: %s", transform.ErrUnsupported, header.Format)
	}
	return header, e.limits.CheckHeader(header)
}

// outputFormat resolves Source and Auto. Source is the source's own format where it can be written, Auto the source's own
// where every browser shows it; else PNG for a source with transparency and JPEG for one without.
func (e *Engine) outputFormat(h transform.Header, asked transform.Format) transform.Format {
	own := h.Format
	switch {
	case asked != transform.Source && asked != transform.Auto:
		return asked
	case asked == transform.Source && e.Writes(own):
		return own
	case own == transform.JPEG || own == transform.PNG || own == transform.GIF:
		return own
	case h.Alpha:
		return transform.PNG
	}
	return transform.JPEG
}
