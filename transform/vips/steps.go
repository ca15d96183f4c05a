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

// steps is what happens to a picture between decoder and encoder, in this order. Everything up to turn works on the picture
// as it is stored: an upright crop is turned back into the stored one, so that the source streams through once, and only the
// result, which is small, is turned.
var steps = []step{
	{"load", (*render).load},             // decode, at the coarsest scale that loses nothing
	{"normalise", (*render).normalise},   // 8 bits a channel, colour or grey
	{"crop", (*render).crop},             // the part of the source that is asked for
	{"fit", (*render).fit},               // resize
	{"window", (*render).window},         // cut what a filled box does not show
	{"profile", (*render).profile},       // embedded profile to sRGB
	{"turn", (*render).turn},             // EXIF orientation, rotate and flip in one
	{"blur", (*render).blur},             // Gaussian
	{"background", (*render).background}, // colour under transparency
	{"canvas", (*render).canvas},         // pad to the box
}

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

	image  *libvips.Image
	pinner runtime.Pinner // holds the Go memory that C reads
}

func (r *render) run(ctx context.Context) error {
	for _, step := range steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := step.run(r); err != nil {
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
	return r.adopt(pixels, r.image.Width(), r.image.Height(), r.image.Bands())
}

// adopt makes a buffer of 8-bit pixels the picture so far: grey, grey and alpha, RGB or RGBA by its bands.
func (r *render) adopt(pixels []byte, width, height, bands int) error {
	r.pinner.Pin(&pixels[0])
	raw, err := libvips.NewImageFromMemory(pixels, width, height, bands)
	if err != nil {
		return err
	}
	defer raw.Close()
	space := libvips.InterpretationSrgb
	if bands < 3 {
		space = libvips.InterpretationBW
	}
	named, err := raw.Copy(&libvips.CopyOptions{Interpretation: space})
	if err != nil {
		return err
	}
	r.replace(named)
	return nil
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
