package vips

import (
	"fmt"
	"image"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// maxLooked bounds the picture that is searched for what to keep, pixels after the resize. Results within the default limits
// get there only when they are enlarged many times to fill a box of another shape; the middle is kept then.
const maxLooked = 50_000_000

// interesting is what libvips calls the gravities that look at the pixels.
var interesting = map[transform.Gravity]libvips.Interesting{
	transform.Attention: libvips.InterestingAttention,
	transform.Entropy:   libvips.InterestingEntropy,
}

// look makes what libvips finds the most interesting part the window. The picture is turned for it, so that the choice does
// not depend on how the camera was held. Of an animation the first frame decides.
func (r *render) look() error {
	kind, looks := interesting[r.spec.Gravity]
	p := &r.plan
	if !looks || r.frame > 0 || p.window.Size() == p.fitted || p.fitted.X > maxLooked/p.fitted.Y {
		return nil
	}
	// The search wants colours that it knows, and reads the picture more than once.
	if err := r.profile(); err != nil {
		return err
	}
	if err := r.settle(); err != nil {
		return err
	}
	stored, err := r.image.Copy(nil)
	if err != nil {
		return malformed(err)
	}
	defer func() { r.replace(stored) }()
	if err := r.turn(); err != nil {
		return err
	}
	size := p.turn.size(p.window.Size())
	if err := r.image.Smartcrop(size.X, size.Y, &libvips.SmartcropOptions{Interesting: kind}); err != nil {
		return malformed(err)
	}
	// A cut picture says where it was: its origin lies at minus that.
	found := image.Rectangle{Max: size}.Sub(image.Pt(r.image.OffsetX(), r.image.OffsetY()))
	whole := p.turn.size(p.fitted)
	if !found.In(image.Rectangle{Max: whole}) {
		return fmt.Errorf("libvips would cut %v out of %v", found, whole)
	}
	p.window = p.turn.inverse().rect(found, whole)
	return nil
}
