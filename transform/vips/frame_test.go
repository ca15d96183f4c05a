package vips

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"
	"github.com/google/go-cmp/cmp"

	"deckle/internal/testimage"
	"deckle/transform"
)

// film8 lays frames of one size below each other and writes them as a lossless animation, with a profile if there is one.
func film8(t *testing.T, profile []byte, frames ...*image.NRGBA) []byte {
	t.Helper()
	size := frames[0].Rect.Size()
	strip := image.NewNRGBA(image.Rect(0, 0, size.X, size.Y*len(frames)))
	for i, frame := range frames {
		at := image.Rectangle{Min: image.Pt(0, i*size.Y), Max: image.Pt(size.X, (i+1)*size.Y)}
		draw.Draw(strip, at, frame, frame.Rect.Min, draw.Src)
	}
	return remade(t, strip, func(v *libvips.Image) ([]byte, error) {
		attachProfile(v, profile)
		if err := v.SetPageHeight(size.Y); err != nil {
			return nil, err
		}
		return v.WebpsaveBuffer(&libvips.WebpsaveBufferOptions{Lossless: true, Keep: libvips.KeepIcc})
	})
}

// Frames lie below each other while they are decoded and encoded; what is at the edge of one is not to show in the next, nor
// what is transparent in what is not.
func TestFramesDoNotBleed(t *testing.T) {
	colours := []color.NRGBA{
		{R: 255, A: 255}, {G: 255, A: 255}, {}, {B: 255, A: 255}, {R: 255, G: 255, B: 255, A: 128}, {A: 255},
	}
	var frames []*image.NRGBA
	for _, c := range colours {
		frames = append(frames, testimage.Flat(90, 70, c))
	}
	source := film8(t, nil, frames...)
	for _, spec := range []transform.Spec{
		{Width: 41}, {Width: 200, Enlarge: true}, {Width: 9}, {Width: 30, Height: 30, Fit: transform.FitCrop},
		{Width: 31, Height: 77, Fit: transform.FitStretch}, {Crop: transform.Crop{X: 10, Y: 5, W: 50, H: 60}, Width: 20},
		{}, {Width: 40, Rotate: 90}, {Width: 40, Blur: 300},
	} {
		spec.Format, spec.Lossless = transform.WebP, true
		got := play(t, mustRender(t, source, spec).Body, transform.WebP).frames
		if len(got) != len(colours) {
			t.Fatalf("%s: %d frames", spec, len(got))
		}
		for i, frame := range got {
			for at := 0; at < len(frame.Pix); at += 4 {
				if c := (color.NRGBA{frame.Pix[at], frame.Pix[at+1], frame.Pix[at+2], frame.Pix[at+3]}); !near(c, colours[i], 2) {
					t.Errorf("%s: frame %d has %v at pixel %d, want %v", spec, i, c, at/4, colours[i])
					break
				}
			}
		}
	}
}

// Alpha that begins in a later frame, or ends, is each frame's own.
func TestFramesWithAndWithoutAlpha(t *testing.T) {
	photo, other, ramp := testimage.Photo(120, 90, 3), testimage.Photo(120, 90, 4), testimage.Alpha(120, 90)
	for name, frames := range map[string][]*image.NRGBA{
		"in the midst": {photo, ramp, other}, "first": {ramp, photo, other}, "last": {photo, other, ramp}, "in none": {photo, other},
	} {
		for _, out := range []transform.Format{transform.WebP, transform.GIF} {
			source := film8(t, nil, frames...)
			spec := transform.Spec{Format: out, Width: 50, Lossless: out == transform.WebP}
			got := play(t, mustRender(t, source, spec).Body, out).frames
			if len(got) != len(frames) {
				t.Fatalf("%s to %s: %d frames, want %d", name, out, len(got), len(frames))
			}
			for i, frame := range got {
				alone := transform.Spec{Format: transform.PNG, Width: 50}
				want := decode(t, mustRender(t, testimage.PNG(frames[i]), alone))
				if out == transform.WebP {
					if e := meanError(frame, want); e > 1 {
						t.Errorf("%s to %s: frame %d: mean error %.1f", name, out, i, e)
					}
				}
				if frames[i] != ramp && !opaque(frame.Pix, 4) {
					t.Errorf("%s to %s: frame %d is not opaque", name, out, i)
				}
			}
		}
	}
}

// What is done to a frame in memory is what libvips' operations do, to the bit: caches hold both.
func TestFramesInMemoryAreThoseThatStream(t *testing.T) {
	small := testimage.Alpha(64, 48)
	for i := range small.Pix {
		if i%4 == 3 {
			small.Pix[i] = byte(i * 7 / 4) // every alpha there is, beside every other
		}
	}
	for name, picture := range map[string]*image.NRGBA{
		"a ramp": testimage.Alpha(300, 200), "every alpha": small, "opaque": testimage.Photo(210, 130, 5),
		"clear": testimage.Flat(50, 40, color.NRGBA{R: 9, G: 200}),
	} {
		for _, size := range []image.Point{{X: 37, Y: 29}, {X: 20, Y: 90}, {X: 320, Y: 240}, {X: 1, Y: 1}} {
			streamed, held := resized(t, picture, size, weightedResize), resized(t, picture, size, (*render).fitFrame)
			if len(held) == len(streamed)/4*3 {
				held = addAlpha(nil, held, 3)
			}
			if name != "opaque" && !bytes.Equal(streamed, held) {
				t.Errorf("%s to %v differs", name, size)
			}
			for i := range streamed { // libvips' weights add up to a little less than one, and alpha with them
				if d := int(streamed[i]) - int(held[i]); d < -2 || d > 2 {
					t.Fatalf("%s to %v: byte %d is %d, streamed %d", name, size, i, held[i], streamed[i])
				}
			}
		}
	}
}

func weightedResize(r *render, w, h int) error {
	return r.weighted(func() error { return resize(r.image, w, h) })
}

func resized(t *testing.T, picture *image.NRGBA, size image.Point, fit func(r *render, w, h int) error) []byte {
	t.Helper()
	r := &render{frames: 2}
	defer r.close()
	if err := r.adopt(bytes.Clone(picture.Pix), picture.Rect.Dx(), picture.Rect.Dy(), 4); err != nil {
		t.Fatal(err)
	}
	if err := fit(r, size.X, size.Y); err != nil {
		t.Fatal(err)
	}
	pixels, err := r.image.WriteToMemory()
	if err != nil {
		t.Fatal(err)
	}
	return pixels
}

// Colours of an animation with a profile are converted, frame by frame, as those of a still picture are.
func TestFramesKeepTheirProfile(t *testing.T) {
	vivid, dull := testimage.Flat(60, 40, color.NRGBA{R: 200, G: 40, B: 30, A: 255}), testimage.Flat(60, 40, color.NRGBA{R: 20, G: 160, B: 40, A: 100})
	source := film8(t, transform.DisplayP3Profile(), vivid, dull)
	got := play(t, mustRender(t, source, transform.Spec{Format: transform.WebP, Width: 30, Lossless: true}).Body, transform.WebP).frames
	for i, frame := range []*image.NRGBA{vivid, dull} {
		still := remade(t, frame, func(v *libvips.Image) ([]byte, error) {
			attachProfile(v, transform.DisplayP3Profile())
			return v.PngsaveBuffer(&libvips.PngsaveBufferOptions{Keep: libvips.KeepIcc})
		})
		want := decode(t, mustRender(t, still, transform.Spec{Format: transform.PNG, Width: 30})).NRGBAAt(15, 10)
		if c := got[i].NRGBAAt(15, 10); !near(c, want, 2) || near(c, frame.NRGBAAt(15, 10), 5) {
			t.Errorf("frame %d is %v, want %v", i, c, want)
		}
	}
}

func TestAlphaByHand(t *testing.T) {
	pixels := []byte{10, 20, 30, 255, 200, 100, 50, 128, 255, 255, 255, 1, 7, 8, 9, 0}
	if opaque(pixels, 4) || !opaque(pixels[:4], 4) {
		t.Error("opaque looks at something else than alpha")
	}
	if diff := cmp.Diff([]byte{10, 20, 30, 200, 100, 50, 255, 255, 255, 7, 8, 9}, dropAlpha(bytes.Clone(pixels), 4)); diff != "" {
		t.Errorf("without alpha (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]byte{1, 3, 5}, dropAlpha([]byte{1, 2, 3, 4, 5, 6}, 2)); diff != "" {
		t.Errorf("greys without alpha (-want +got):\n%s", diff)
	}
	premultiply(pixels, 4)
	if diff := cmp.Diff([]byte{10, 20, 30, 255, 100, 50, 25, 128, 1, 1, 1, 1, 0, 0, 0, 0}, pixels); diff != "" {
		t.Errorf("multiplied (-want +got):\n%s", diff)
	}
	unpremultiply(pixels, 4)
	if diff := cmp.Diff([]byte{10, 20, 30, 255, 199, 100, 50, 128, 255, 255, 255, 1, 0, 0, 0, 0}, pixels); diff != "" {
		t.Errorf("and back (-want +got):\n%s", diff)
	}
	filtered := []byte{200, 100} // a filter may leave more colour than alpha
	if unpremultiply(filtered, 2); filtered[0] != 255 {
		t.Errorf("more colour than alpha is %d", filtered[0])
	}
}

// readRows takes exactly what it computes, and says what the decoder says.
func TestReadRows(t *testing.T) {
	photo := testimage.Photo(61, 47, 2)
	r := &render{frames: 1}
	defer r.close()
	if err := r.adopt(photo.Pix, 61, 47, 4); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(photo.Pix))
	if err := readRows(r.image, got); err != nil || !bytes.Equal(got, photo.Pix) {
		t.Errorf("other pixels, or %v", err)
	}
	for _, room := range []int{0, len(got) - 1} {
		if readRows(r.image, got[:room]) == nil {
			t.Errorf("pixels were written to %d bytes", room)
		}
	}
	long := testimage.JPEG(testimage.Flat(16, 4000, color.NRGBA{A: 255}), 80)
	broken, err := libvips.NewJpegloadBuffer(long, &libvips.JpegloadBufferOptions{Shrink: 1, Access: libvips.AccessSequential})
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	last := make([]byte, broken.Width()*broken.Height()*broken.Bands())
	if err := readRows(broken, last); err != nil {
		t.Fatal(err)
	}
	if err := readRows(broken, last); !errors.Is(err, transform.ErrMalformed) { // lines that streamed by do not come back
		t.Errorf("a second reading of what streams: %v", err)
	}
}
