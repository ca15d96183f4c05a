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
	size := image.Pt(strip.Width(), strip.PageHeight())
	var pixels []byte
	var result image.Point
	bands := 0
	for r.frame = range r.frames {
		if err := r.renderFrame(ctx, strip, size); err != nil {
			return fmt.Errorf("frame %d: %w", r.frame+1, err)
		}
		if r.frame == 0 {
			result, bands = imageSize(r.image), r.image.Bands()
			if err := r.checkStrip(result); err != nil {
				return err
			}
			pixels = make([]byte, 0, result.X*result.Y*bands*r.frames)
		}
		if imageSize(r.image) != result || r.image.Bands() != bands {
			return errors.New("frames differ in size or channels")
		}
		frame, err := r.image.WriteToMemory()
		if err != nil {
			return malformed(err)
		}
		pixels = append(pixels, frame...)
		// What the steps kept of this frame is not needed for the next.
		r.image.Close()
		r.image = nil
		r.pinner.Unpin()
	}
	if err := r.adopt(pixels, result.X, result.Y*r.frames, bands); err != nil {
		return err
	}
	return r.setTiming(strip, result.Y)
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
