package vips

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// animate takes each frame through the steps that follow load, and lays the results below each other with the delays and the
// loop count of the source. One frame of the source is decoded at a time; the results are held whole.
func (r *render) animate(ctx context.Context) error {
	strip := r.image
	r.image = nil
	defer strip.Close()
	if err := r.checkStrip(r.plan.canvas); err != nil {
		return err
	}
	size := image.Pt(strip.Width(), strip.PageHeight())
	var made film
	for r.frame = range r.frames {
		if err := r.renderFrame(ctx, strip, size); err != nil {
			return fmt.Errorf("frame %d: %w", r.frame+1, err)
		}
		if r.frame == 0 {
			made.start(r.image, r.frames)
		}
		if err := made.add(r.image); err != nil {
			return err
		}
		// What the steps kept of this frame is not needed for the next.
		r.image.Close()
		r.image = nil
		r.pinner.Unpin()
	}
	r.cel = nil
	if err := r.adopt(made.pixels, made.size.X, made.size.Y*r.frames, made.bands); err != nil {
		return err
	}
	return r.setTiming(strip, made.size.Y)
}

// film is the frames made so far, below each other. It has an alpha channel from the first frame on that has one.
type film struct {
	pixels []byte
	size   image.Point // of a frame
	bands  int
	frames int // that there will be
}

// start says what the first of so many frames looks like.
func (f *film) start(first *libvips.Image, frames int) {
	f.size, f.bands, f.frames = imageSize(first), first.Bands(), frames
	f.pixels = make([]byte, 0, f.size.X*f.size.Y*f.bands*frames)
}

// add computes another frame.
func (f *film) add(frame *libvips.Image) error {
	if frame.HasAlpha() && f.bands == frame.Bands()-1 {
		all := make([]byte, 0, len(f.pixels)/f.bands*frame.Bands())
		f.pixels, f.bands = addAlpha(slices.Grow(all, f.size.X*f.size.Y*frame.Bands()*f.frames), f.pixels, f.bands), frame.Bands()
	}
	bands := frame.Bands()
	if imageSize(frame) != f.size || bands != f.bands && (frame.HasAlpha() || bands != f.bands-1) {
		return errors.New("frames differ in size or channels")
	}
	pixels := f.size.X * f.size.Y
	at := len(f.pixels)
	if bands == f.bands {
		f.pixels = f.pixels[:at+pixels*bands]
		return readRows(frame, f.pixels[at:])
	}
	bare := make([]byte, pixels*bands)
	if err := readRows(frame, bare); err != nil {
		return err
	}
	f.pixels = addAlpha(f.pixels, bare, bands)
	return nil
}

// renderFrame makes frame r.frame of a strip the picture so far and takes it through the steps.
func (r *render) renderFrame(ctx context.Context, strip *libvips.Image, size image.Point) error {
	frame, err := strip.Copy(nil)
	if err != nil {
		return malformed(err)
	}
	r.image = frame
	if err := r.extract(0, r.frame*size.Y, size.X, size.Y); err != nil {
		return err
	}
	return r.walk(ctx, steps[opening:])
}

// checkStrip holds a result of frames of a size against the limit that its source met too.
func (r *render) checkStrip(size image.Point) error {
	if all := int64(size.X) * int64(size.Y) * int64(r.frames); all > r.limits.AnimationPixels {
		return fmt.Errorf("%w: the result would have %d frames of %dx%d; at most %d pixels in all are made",
			transform.ErrLimit, r.frames, size.X, size.Y, r.limits.AnimationPixels)
	}
	return nil
}

// setTiming marks the picture so far as frames of a height, timed as the source's are.
func (r *render) setTiming(source *libvips.Image, height int) error {
	delays, err := source.PageDelay()
	if err != nil || len(delays) == 0 {
		delays = []int{100} // milliseconds; what viewers take for a frame that says nothing
	}
	delays = slices.Clone(delays[:min(len(delays), r.frames)])
	for len(delays) < r.frames {
		delays = append(delays, delays[len(delays)-1])
	}
	if err := r.image.SetArrayInt("delay", delays); err != nil {
		return err
	}
	r.image.SetLoop(source.Loop())
	return r.image.SetPageHeight(height)
}

// frameSize returns the size of one frame of what was loaded, and sees to it that r.frames is what the decoder counts.
func (r *render) frameSize() (image.Point, error) {
	size := imageSize(r.image)
	if r.frames == 1 {
		return size, nil
	}
	height := r.image.PageHeight()
	if height < 1 || size.Y%height != 0 {
		return size, malformed(errors.New("the frames do not make up the picture"))
	}
	r.frames = size.Y / height
	h := r.header
	if h.Frames = r.frames; r.limits.StillOnly(h) {
		return size, fmt.Errorf("%w: it has %d frames", transform.ErrLimit, r.frames)
	}
	return image.Pt(size.X, height), nil
}
