package vips

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"

	"deckle/internal/testimage"
	"deckle/transform"
)

// Results say nothing of the resolution that the source was to be printed at.
func TestResolutionIsNotKept(t *testing.T) {
	const dense = 300 / 25.4
	photo := testimage.Photo(60, 40, 4)
	as := func(save func(*libvips.Image) ([]byte, error)) []byte {
		return remade(t, photo, func(v *libvips.Image) ([]byte, error) {
			marked, err := v.Copy(&libvips.CopyOptions{Xres: dense, Yres: 2 * dense})
			if err != nil {
				return nil, err
			}
			defer marked.Close()
			return save(marked)
		})
	}
	sources := map[string][]byte{
		"jpeg": as(func(v *libvips.Image) ([]byte, error) { return v.JpegsaveBuffer(&libvips.JpegsaveBufferOptions{Q: 90}) }),
		"png":  as(func(v *libvips.Image) ([]byte, error) { return v.PngsaveBuffer(nil) }),
		"tiff": as(func(v *libvips.Image) ([]byte, error) {
			return v.TiffsaveBuffer(&libvips.TiffsaveBufferOptions{Xres: dense, Yres: dense})
		}),
		"gif": testimage.GIF(photo), // has none
	}
	specs := map[string]transform.Spec{
		"small": {Width: 30}, "as it is": {}, "turned": {Rotate: 90}, "blurred": {Blur: 200}, "fitting": {MaxBytes: 1 << 20},
		"better than the source": {Quality: 100}, // for which its own bytes are the answer
	}
	for from, source := range sources {
		for _, f := range []transform.Format{transform.JPEG, transform.PNG, transform.TIFF, transform.WebP} {
			for name, spec := range specs {
				spec.Format = f
				p := mustRender(t, source, spec)
				v := openPicture(t, p.Body)
				x, y := v.ResX(), v.ResY()
				if f != transform.WebP && (math.Abs(x-perMillimetre) > 0.01 || math.Abs(y-perMillimetre) > 0.01) {
					t.Errorf("%s to %s, %s: %.2f and %.2f pixels a millimetre", from, f, name, x, y)
				}
				if bytes.Contains(p.Body, binary.BigEndian.AppendUint32([]byte("pHYs"), 11811)) {
					t.Errorf("%s to %s, %s: the source's resolution is there", from, f, name)
				}
			}
		}
	}
	// The sources mean something only if they have it.
	for _, from := range []string{"jpeg", "png", "tiff"} {
		if v := openPicture(t, sources[from]); math.Abs(v.ResX()-dense) > 0.1 {
			t.Errorf("%s source: %.2f", from, v.ResX())
		}
	}
}
