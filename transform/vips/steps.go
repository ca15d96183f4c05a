package vips

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// steps is what happens to a picture between decoder and encoder, in this order; to each frame of an animation. Everything up
// to turn works on the picture as it is stored: an upright crop is turned back into the stored one, so that the source streams
// through once, and only the result, which is small, is turned.
//
// What changes colours and edges works on the result's pixels, so that a strength means the same at every size: tone before
// sharpen, because more contrast would make its edges halos; sharpen before blur, because after it the mask would undo the
// blur. The colours of background and canvas come later, because they are asked for as they shall be seen, and so does the
// watermark, which lies on everything.
var steps = []step{
	{"trim", (*render).trim},             // find borders of one colour, in a look at the source before
	{"load", (*render).load},             // decode, at the coarsest scale that loses nothing
	{"normalise", (*render).normalise},   // 8 or 16 bits a channel, colour or grey
	{"crop", (*render).crop},             // the part of the source that is asked for
	{"fit", (*render).fit},               // resize
	{"window", (*render).window},         // cut what a filled box does not show
	{"profile", (*render).profile},       // embedded profile to sRGB, 8 bits a channel
	{"turn", (*render).turn},             // EXIF orientation, rotate and flip in one
	{"tone", (*render).tone},             // brightness, contrast, saturation, grey
	{"sharpen", (*render).sharpen},       // unsharp mask
	{"blur", (*render).blur},             // Gaussian
	{"background", (*render).background}, // colour under transparency
	{"canvas", (*render).canvas},         // pad to the box
	{"watermark", (*render).watermark},   // an overlay on the result
}

// opening is how many of the steps look at the source as a whole; the others take each frame.
const opening = 2

type step struct {
	name string
	run  func(*render) error
}

// render is one rendering under way: what is asked and the picture so far.
type render struct {
	limits transform.Limits
	source []byte
	header transform.Header
	spec   transform.Spec
	format transform.Format
	plan   plan

	overlays map[string]overlay
	raising  *pyramid // see job
	kept     *pyramid
	stages   *stages

	wide bool // more colours than sRGB's are kept where the result can hold them
	p3   bool // and that is so: the picture is Display P3

	image  *libvips.Image
	frames int            // of the result; 1 for a still picture
	frame  int            // which of them is under way, from 0; what a step finds out on the first holds for all
	cel    []byte         // the frame under way, where one is held; used again for the next
	pinner runtime.Pinner // holds the pixels in Go memory that C reads
}

// newRender works out which part of the source is wanted: a page, all frames, or the first of them.
func newRender(limits transform.Limits, j job, format transform.Format) (*render, error) {
	h, spec := j.header, j.spec
	r := &render{
		limits: limits, source: j.source, header: h, spec: spec, format: format, frames: 1, raising: j.raise, kept: j.kept,
	}
	heif := h.Format == transform.HEIC || h.Format == transform.AVIF // whose decoder counts for itself
	switch {
	case spec.Page > 1 && limits.StillOnly(h):
		// A frame is made from those before it.
		return nil, fmt.Errorf("%w: of an animation as large as this only the first frame is shown", transform.ErrLimit)
	case spec.Page > 0 && !heif:
		var err error
		if r.header, err = transform.ReadPage(j.source, h, spec.Page); err != nil {
			return nil, err
		}
		return r, limits.CheckHeader(r.header)
	case spec.Page == 0 && !spec.Still && h.Frames > 1 && format.Animated() && !limits.StillOnly(h):
		r.frames = h.Frames
	}
	return r, nil
}

// run opens the source and takes it through the steps, an animation frame by frame.
func (r *render) run(ctx context.Context) error {
	if err := r.walk(ctx, steps[:opening]); err != nil {
		return err
	}
	if r.frames > 1 {
		return r.animate(ctx)
	}
	return r.walk(ctx, steps[opening:])
}

func (r *render) walk(ctx context.Context, steps []step) error {
	for _, step := range steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.stages.step(step, r); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return context.Cause(ctx)
}

// close gives all memory back at once; nothing is left to the garbage collector.
func (r *render) close() {
	r.image.Close()
	r.pinner.Unpin()
}

// replace makes image the picture so far.
func (r *render) replace(image *libvips.Image) {
	r.image.Close()
	r.image = image
}

// settle computes the picture so far into memory. Steps that read a picture out of order need it, because sources stream.
func (r *render) settle() error {
	pixels, err := r.image.WriteToMemory()
	if err != nil {
		return malformed(err)
	}
	if r.deep() {
		return r.adoptDeep(pixels)
	}
	return r.adopt(pixels, r.image.Width(), r.image.Height(), r.image.Bands())
}

// adopt makes a buffer of 8-bit pixels the picture so far: grey, grey and alpha, RGB or RGBA by its bands.
func (r *render) adopt(pixels []byte, width, height, bands int) error {
	named, err := r.picture(pixels, width, height, bands)
	if err != nil {
		return err
	}
	r.replace(named)
	return nil
}

// picture makes a picture of a buffer as adopt does. The buffer is neither changed nor collected before the render is closed.
func (r *render) picture(pixels []byte, width, height, bands int) (*libvips.Image, error) {
	r.pinner.Pin(&pixels[0])
	raw, err := libvips.NewImageFromMemory(pixels, width, height, bands)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	space := libvips.InterpretationSrgb
	if bands < 3 {
		space = libvips.InterpretationBW
	}
	return raw.Copy(&libvips.CopyOptions{Interpretation: space})
}

// malformed marks what a decoder says as the source's fault. libvips decodes while later steps pull pixels, so that its
// complaints surface there.
func malformed(err error) error {
	return fmt.Errorf("%w: %w", transform.ErrMalformed, oneLine(err))
}

// oneLine drops the line breaks of libvips' messages.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
