package vips

import (
	"image"

	"deckle/transform"
)

// orSource returns the source's own bytes instead of body where they are the better answer: no pixel is asked to change,
// the format stays, and they are no more. They go without their metadata; sources that cannot be stripped of it without
// being encoded anew (transform.Strip) are answered with body, however large.
func (r *render) orSource(body []byte) []byte {
	if !r.untouched() {
		return body
	}
	if own, ok := transform.Strip(r.source, r.header.Format); ok && len(own) <= len(body) {
		return own
	}
	return body
}

// untouched tells whether the result shows the source as it is: all of it, at its size, and nothing done to it.
func (r *render) untouched() bool {
	s, p := r.spec, r.plan
	// What is left in s once the geometry, which the plan knows, and the encoder's settings are taken out changes pixels.
	s.Format, s.Width, s.Height, s.Fit, s.Gravity, s.Enlarge, s.Quality = 0, 0, 0, 0, transform.Center, false, 0
	s.Still = false // the frames are counted
	// Its own bytes lose nothing, and are no more than those that were found to fit.
	s.Focus, s.Lossless, s.MaxBytes = transform.Focus{}, false, 0
	whole := image.Rectangle{Max: p.source}
	return s == transform.Spec{} && r.format == r.header.Format && r.frames == r.header.Frames && p.turn == symmetry{} &&
		p.crop == whole && p.fitted == p.source && p.window == whole && p.canvas == p.source
}
