// Package vips renders pictures with libvips. It holds the only cgo of the tree; whoever wants a crash in C contained runs it
// in a process of its own.
//
// A rendering is a list of steps (see steps). Animations go through it frame by frame and keep their delays and their loop
// count where the output holds them; else, and beyond the limits, the first frame is rendered. Colours end as 8-bit sRGB,
// greys as 8-bit grey, and nothing of a source's metadata is written.
package vips

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"deckle/transform"
)

// Config says how an Engine renders. The zero value of everything but Limits stands for the default.
type Config struct {
	Limits transform.Limits // Limits.Inputs switches optional source formats on
	Effort Effort
	// WideGamut keeps colours beyond sRGB, as Display P3, where source and result can hold them.
	WideGamut bool
	Overlays  map[string][]byte // what watermarks may ask for: name (transform.IsOverlayName) and file, of any accepted type
}

// maxOutputSide is what WebP can hold, pixels (RFC 6386, section 9.1: fourteen bits).
const maxOutputSide = 1<<14 - 1

// Engine renders in this process. It is safe for concurrent use; each render takes one thread.
type Engine struct {
	limits transform.Limits
	effort Effort
	writes map[transform.Format]bool
	// exactAVIF says that AVIF can be written without loss.
	exactAVIF bool
	wide      bool // see Config.WideGamut
	overlays  map[string]overlay
	marks     string // tells one set of overlays from another
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
	if err := allowInputs(c.Limits.Inputs); err != nil {
		return nil, err
	}
	e := &Engine{limits: c.Limits, effort: effort, wide: c.WideGamut}
	e.writes = e.probe()
	e.exactAVIF = e.writes[transform.AVIF] && e.probeAVIF()
	return e, e.readOverlays(c.Overlays)
}

// Writes tells whether the installed libvips can encode f.
func (e *Engine) Writes(f transform.Format) bool { return e.writes[f] }

// Render implements transform.Engine. A source that ends early is rendered as far as it goes. ctx is looked at between steps.
func (e *Engine) Render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	header, err := e.check(source)
	if err != nil {
		return nil, err
	}
	return e.render(ctx, job{source: source, header: header, spec: spec})
}

// job is one rendering that is asked for.
type job struct {
	source []byte // nil with kept
	header transform.Header
	spec   transform.Spec
	raise  *pyramid // what is decoded is to be kept in it; nil for nothing
	kept   *pyramid // what was kept of the source; nil without
}

// render renders a source whose header is within the limits.
func (e *Engine) render(ctx context.Context, j job) (p *transform.Picture, err error) {
	// A fault in the binding costs this render, not the process.
	defer func() {
		if fault := recover(); fault != nil {
			p, err = nil, &transform.PanicError{Value: fault, Stack: debug.Stack()}
		}
	}()
	format, err := e.losslessFormat(e.outputFormat(j.header, j.spec.Format), j.spec)
	if err := errors.Join(err, e.checkWatermark(j.spec.Watermark)); err != nil {
		return nil, err
	}
	if !e.Writes(format) {
		return nil, fmt.Errorf("%w: %s", transform.ErrFormat, format)
	}
	r, err := newRender(e.limits, j, format)
	if err != nil {
		return nil, err
	}
	r.overlays, r.wide, r.stages = e.overlays, e.wide, watch(ctx)
	// C holds on to these bytes until the last step.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	for _, bytes := range j.memory() {
		pinner.Pin(&bytes[0])
	}
	defer r.close()
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	if err := r.stages.compute(r); err != nil {
		return nil, err
	}
	body, err := e.encodeWithin(ctx, r)
	if err != nil {
		return nil, err
	}
	return &transform.Picture{
		Body: r.orSource(body), Format: format, Width: r.image.Width(), Height: r.image.Height() / r.frames, Frames: r.frames, Source: j.header,
		Stages: r.stages.end(),
	}, nil
}

// memory returns what C is given to read.
func (j job) memory() (list [][]byte) {
	for _, p := range []*pyramid{j.raise, j.kept} {
		if p != nil {
			list = append(list, p.memory)
		}
	}
	if len(j.source) > 0 {
		list = append(list, j.source)
	}
	return list
}

// check reads the source's header and holds it against the limits, before libvips sees a byte.
func (e *Engine) check(source []byte) (transform.Header, error) {
	header, err := e.limits.ReadHeader(source)
	if err != nil {
		return transform.Header{}, err
	}
	if _, ok := decoders[header.Format]; !ok {
		return transform.Header{}, fmt.Errorf("%w: %s", transform.ErrUnsupported, header.Format)
	}
	return header, nil
}

// outputFormat resolves Source and Auto. Source is the source's own format where it can be written, Auto the source's own
// where every browser shows it; else GIF for an animation, PNG for a source with transparency and JPEG for one without.
func (e *Engine) outputFormat(h transform.Header, asked transform.Format) transform.Format {
	own := h.Format
	switch {
	case asked != transform.Source && asked != transform.Auto:
		return asked
	case asked == transform.Source && e.Writes(own):
		return own
	case own == transform.JPEG || own == transform.PNG || own == transform.GIF:
		return own
	case h.Frames > 1:
		return transform.GIF
	case h.Alpha:
		return transform.PNG
	}
	return transform.JPEG
}
