package vips

import (
	"bytes"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/transform"
)

// losslessFormat returns the format to write when spec asks for lossless: the one that was worked out if it can keep every
// pixel, PNG for Auto if it cannot. Other formats are answered with a *transform.SpecError.
func (e *Engine) losslessFormat(format transform.Format, spec transform.Spec) (transform.Format, error) {
	if !spec.Lossless {
		return format, nil
	}
	switch format {
	case transform.PNG, transform.TIFF, transform.WebP, transform.JXL:
		return format, nil
	case transform.AVIF:
		if e.exactAVIF {
			return format, nil
		}
	}
	if spec.Format == transform.Auto {
		return transform.PNG, nil
	}
	spec.Format = format
	return format, spec.LosslessError()
}

// probeAVIF finds out whether AVIF can be written without loss, by reading back what was written: older versions of libheif
// turn colours into luma and chroma of 8 bits all the same, which loses one or two levels.
func (e *Engine) probeAVIF() bool {
	const side = 16
	pixels := make([]byte, 3*side*side)
	for i := range pixels {
		pixels[i] = byte(i * 89)
	}
	r := render{frames: 1}
	defer r.close()
	if err := r.adopt(pixels, side, side, 3); err != nil {
		return false
	}
	body, err := e.encoder(r.image, transform.AVIF, 0, libvips.KeepNone)
	if err != nil {
		return false
	}
	back, err := libvips.NewHeifloadBuffer(body, nil)
	if err != nil {
		return false
	}
	defer back.Close()
	got, err := back.WriteToMemory()
	return err == nil && bytes.Equal(got, pixels)
}
