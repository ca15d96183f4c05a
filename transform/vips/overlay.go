package vips

import (
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"maps"
	"runtime"
	"slices"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// overlay is a picture that can be put on results: 8-bit sRGB with straight alpha.
type overlay struct {
	pixels []byte
	size   image.Point
}

// maxOverlay bounds an overlay's sides once it is decoded, pixels; larger ones are held at this size.
const maxOverlay = 2048

// readOverlays decodes the configured overlays, in the order of their names.
func (e *Engine) readOverlays(files map[string][]byte) error {
	e.overlays = map[string]overlay{}
	e.marks = ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !transform.IsOverlayName(name) {
			return fmt.Errorf("overlay %q: a name is 1 to 32 of a-z, 0-9, _ and -", name)
		}
		o, err := e.readOverlay(files[name])
		if err != nil {
			return fmt.Errorf("overlay %q: %w", name, err)
		}
		e.overlays[name] = o
		e.marks += fmt.Sprintf("%s %x ", name, sha256.Sum256(files[name]))
	}
	return nil
}

func (e *Engine) readOverlay(file []byte) (overlay, error) {
	header, err := e.check(file)
	if err != nil {
		return overlay{}, err
	}
	spec := transform.Spec{Format: transform.PNG, Width: maxOverlay, Height: maxOverlay}
	r, err := newRender(e.limits, job{source: file, header: header, spec: spec}, spec.Format)
	if err != nil {
		return overlay{}, err
	}
	// C holds on to these bytes until the pixels are there.
	var pinner runtime.Pinner
	pinner.Pin(&file[0])
	defer pinner.Unpin()
	defer r.close()
	if err := r.run(context.Background()); err != nil {
		return overlay{}, err
	}
	if err := r.image.Colourspace(libvips.InterpretationSrgb, nil); err != nil {
		return overlay{}, malformed(err)
	}
	if err := r.addAlpha(); err != nil {
		return overlay{}, err
	}
	pixels, err := r.image.WriteToMemory()
	if err != nil {
		return overlay{}, malformed(err)
	}
	return overlay{pixels: pixels, size: imageSize(r.image)}, nil
}
