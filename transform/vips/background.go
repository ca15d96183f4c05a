package vips

import (
	"bytes"
	"image"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// canvas pads the picture to its box. Without a background asked for, the padding is white.
func (r *render) canvas() error {
	size := r.plan.canvas
	if imageSize(r.image) == size {
		return nil
	}
	b := r.spec.Background
	if b.Blur {
		return r.backdrop()
	}
	if !b.Set {
		b = transform.Background{R: 255, G: 255, B: 255, A: 255}
	}
	if b.A < 255 && r.format.Alpha() {
		if err := r.addAlpha(); err != nil {
			return err
		}
	} else {
		b = overWhite(b)
	}
	if err := r.colourFor(b); err != nil {
		return err
	}
	err := r.image.Embed(r.plan.offset.X, r.plan.offset.Y, size.X, size.Y, &libvips.EmbedOptions{
		Extend: libvips.ExtendBackground, Background: r.ink(b),
	})
	if err != nil {
		return malformed(err)
	}
	return nil
}

// background puts a colour under transparent pixels where one is asked for or the output holds no transparency; without one
// asked for it is white.
func (r *render) background() error {
	b := r.spec.Background
	switch {
	case !r.image.HasAlpha():
		return nil
	case !r.format.Alpha():
		b = overWhite(b)
	case !b.Set || b.A == 0:
		return nil
	}
	if err := r.colourFor(b); err != nil {
		return err
	}
	if b.A < 255 {
		return r.underlay(b)
	}
	ink := r.ink(b)
	if err := r.image.Flatten(&libvips.FlattenOptions{Background: ink[:len(ink)-1], MaxAlpha: 255}); err != nil {
		return malformed(err)
	}
	return nil
}

// underlay composites the picture over a translucent colour.
func (r *render) underlay(b transform.Background) error {
	size := imageSize(r.image)
	ink := r.ink(b)
	pixel := make([]byte, len(ink))
	for i, v := range ink {
		pixel[i] = byte(v)
	}
	top := r.image
	r.image = nil
	defer top.Close()
	if err := r.adopt(bytes.Repeat(pixel, size.X*size.Y), size.X, size.Y, len(ink)); err != nil {
		return err
	}
	space := r.image.Interpretation()
	if err := r.image.Composite2(top, libvips.BlendModeOver, &libvips.Composite2Options{CompositingSpace: space}); err != nil {
		return malformed(err)
	}
	if err := r.image.Cast(libvips.BandFormatUchar, nil); err != nil {
		return malformed(err)
	}
	return nil
}

// overWhite returns the opaque colour that b shows on white. Unset, it is white.
func overWhite(b transform.Background) transform.Background {
	if !b.Set {
		return transform.Background{R: 255, G: 255, B: 255, A: 255}
	}
	mix := func(v uint8) uint8 { return uint8((int(v)*int(b.A) + 255*(255-int(b.A)) + 127) / 255) }
	return transform.Background{Set: true, R: mix(b.R), G: mix(b.G), B: mix(b.B), A: 255}
}

// colourFor gives a grey picture colour channels when b is not grey.
func (r *render) colourFor(b transform.Background) error {
	if !r.grey() || b.R == b.G && b.G == b.B {
		return nil
	}
	if err := r.image.Colourspace(libvips.InterpretationSrgb, nil); err != nil {
		return malformed(err)
	}
	return nil
}

func (r *render) addAlpha() error {
	if r.image.HasAlpha() {
		return nil
	}
	if err := r.image.Addalpha(); err != nil {
		return malformed(err)
	}
	return nil
}

// ink returns b as the picture's bands.
func (r *render) ink(b transform.Background) []float64 {
	if r.p3 {
		b.R, b.G, b.B = transform.DisplayP3(b.R, b.G, b.B)
	}
	ink := []float64{float64(b.R), float64(b.G), float64(b.B)}
	if r.grey() {
		ink = ink[:1]
	}
	if r.image.HasAlpha() {
		ink = append(ink, float64(b.A))
	}
	return ink
}

func imageSize(img *libvips.Image) image.Point { return image.Pt(img.Width(), img.Height()) }
