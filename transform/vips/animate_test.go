package vips

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/png"
	"strings"
	"testing"

	libvips "github.com/cshum/vipsgen/vips816"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/draw"

	"deckle/internal/testimage"
	"deckle/transform"
)

// reel is an animation as a test wants it: what is shown, for how long, and how often.
type reel struct {
	frames []*image.NRGBA
	delays []int // milliseconds
	loop   int   // how often it is shown; 0 is for ever
}

// movingSquare has a square go over four quarters of different colours, all of them of the palette that gif writes.
func movingSquare(w, h int) reel {
	r := reel{delays: []int{100, 250, 40, 1000}, loop: 3}
	for i := range r.delays {
		frame := testimage.Quadrants(w, h)
		at := image.Pt(w/8+i*w/5, h/4+i*h/10)
		draw.Draw(frame, image.Rectangle{Min: at, Max: at.Add(image.Pt(w/6, h/4))}, image.NewUniform(color.White), image.Point{}, draw.Src)
		paletted := image.NewPaletted(frame.Rect, palette.WebSafe)
		draw.Draw(paletted, frame.Rect, frame, image.Point{}, draw.Src)
		draw.Draw(frame, frame.Rect, paletted, image.Point{}, draw.Src)
		r.frames = append(r.frames, frame)
	}
	return r
}

// gif writes r with Go's encoder. A loop count of n is spelled as n-1 repetitions, -1 being none.
func (r reel) gif(t testing.TB) []byte {
	t.Helper()
	var g gif.GIF
	for i, frame := range r.frames {
		p := image.NewPaletted(frame.Rect, palette.WebSafe)
		draw.Draw(p, p.Rect, frame, image.Point{}, draw.Src)
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, r.delays[i]/10)
	}
	switch r.loop {
	case 0:
		g.LoopCount = 0
	case 1:
		g.LoopCount = -1
	default:
		g.LoopCount = r.loop - 1
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// play reads an animation back, every frame as a viewer would see it.
func play(t testing.TB, body []byte, f transform.Format) reel {
	t.Helper()
	var strip *libvips.Image
	var err error
	switch f {
	case transform.GIF:
		strip, err = libvips.NewGifloadBuffer(body, &libvips.GifloadBufferOptions{N: -1})
	case transform.WebP:
		strip, err = libvips.NewWebploadBuffer(body, &libvips.WebploadBufferOptions{N: -1})
	default:
		t.Fatalf("%s holds no animation", f)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer strip.Close()
	height := strip.PageHeight()
	saved, err := strip.PngsaveBuffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	r := reel{loop: strip.Loop()}
	if r.delays, err = strip.PageDelay(); err != nil {
		t.Fatal(err)
	}
	for y := 0; y < img.Bounds().Dy(); y += height {
		frame := image.NewNRGBA(image.Rect(0, 0, img.Bounds().Dx(), height))
		draw.Draw(frame, frame.Rect, img, image.Pt(0, y), draw.Src)
		r.frames = append(r.frames, frame)
	}
	return r
}

// What is done to a still picture is done to each frame of an animation, and nothing else: frames, delays and loop count stay.
func TestAnimationsKeepTheirFrames(t *testing.T) {
	original := movingSquare(120, 80)
	asGIF := original.gif(t)
	list := map[transform.Format][]byte{
		transform.GIF:  asGIF,
		transform.WebP: mustRender(t, asGIF, transform.Spec{Format: transform.WebP, Lossless: true}).Body,
	}
	specs := []transform.Spec{
		{}, {Width: 60}, {Width: 240, Enlarge: true},
		{Fit: transform.FitCrop, Width: 50, Height: 50, Gravity: transform.East},
		{Fit: transform.FitCanvas, Width: 100, Height: 100, Background: transform.Background{Set: true, R: 200, A: 255}},
		{Fit: transform.FitStretch, Width: 33, Height: 77},
		{Rotate: 90}, {Flip: transform.FlipHorizontal, Width: 70}, {Blur: 200},
		{Crop: transform.Crop{X: 30, Y: 10, W: 60, H: 50}, Width: 30},
	}
	for in, source := range list {
		for _, out := range []transform.Format{transform.GIF, transform.WebP} {
			for _, spec := range specs {
				spec.Format, spec.Lossless = out, out == transform.WebP
				t.Run(fmt.Sprintf("%s to %s", in, spec), func(t *testing.T) { checkReel(t, original, source, spec) })
			}
		}
	}
}

// checkReel compares each frame of a rendering with a rendering of that frame alone.
func checkReel(t *testing.T, original reel, source []byte, spec transform.Spec) {
	t.Helper()
	p := mustRender(t, source, spec)
	got := play(t, p.Body, p.Format)
	if p.Frames != len(original.frames) || len(got.frames) != p.Frames {
		t.Fatalf("%d frames, the picture says %d; want %d", len(got.frames), p.Frames, len(original.frames))
	}
	if got.loop != original.loop {
		t.Errorf("shown %d times, want %d", got.loop, original.loop)
	}
	if diff := cmp.Diff(original.delays, got.delays); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
	alone := spec
	alone.Format, alone.Lossless = transform.PNG, false
	for i, frame := range got.frames {
		want := mustRender(t, testimage.PNG(original.frames[i]), alone)
		if frame.Rect.Dx() != p.Width || frame.Rect.Dy() != p.Height || p.Width != want.Width || p.Height != want.Height {
			t.Fatalf("frame %d is %v, the picture says %dx%d, want %dx%d", i, frame.Rect, p.Width, p.Height, want.Width, want.Height)
		}
		if e := meanError(frame, decode(t, want)); e > 5 {
			t.Errorf("frame %d: mean error %.1f", i, e)
		}
	}
}

func TestLoopCounts(t *testing.T) {
	for _, loop := range []int{0, 1, 2, 7} {
		original := movingSquare(40, 30)
		original.loop = loop
		for _, out := range []transform.Format{transform.GIF, transform.WebP} {
			p := mustRender(t, original.gif(t), transform.Spec{Format: out, Width: 20})
			if got := play(t, p.Body, out).loop; got != loop {
				t.Errorf("%s: shown %d times, want %d", out, got, loop)
			}
		}
	}
}

// Where the output holds no animation, or none is wanted, one frame is shown.
func TestStillsOfAnimations(t *testing.T) {
	original := movingSquare(120, 80)
	source := original.gif(t)
	tests := []struct {
		spec  transform.Spec
		frame int
	}{
		{transform.Spec{Format: transform.GIF, Still: true}, 0},
		{transform.Spec{Format: transform.WebP, Still: true, Width: 60}, 0},
		{transform.Spec{Format: transform.WebP, Page: 1}, 0},
		{transform.Spec{Format: transform.GIF, Page: 3}, 2},
		{transform.Spec{Format: transform.JPEG, Page: 4, Width: 60}, 3},
	}
	for _, f := range transform.OutputFormats() {
		if !f.Animated() {
			tests = append(tests, struct {
				spec  transform.Spec
				frame int
			}{transform.Spec{Format: f}, 0})
		}
	}
	webp := mustRender(t, source, transform.Spec{Format: transform.WebP, Quality: 100}).Body
	for _, tt := range tests {
		for in, source := range map[string][]byte{"gif": source, "webp": webp} {
			p := mustRender(t, source, tt.spec)
			if p.Frames != 1 || p.Source.Frames != 4 {
				t.Errorf("%s to %s: %d frames of %d", in, tt.spec, p.Frames, p.Source.Frames)
			}
			want := reference(original.frames[tt.frame], p.Width, p.Height)
			if e := meanError(decode(t, p), want); e > 6 {
				t.Errorf("%s to %s: mean error %.1f to frame %d", in, tt.spec, e, tt.frame)
			}
		}
	}
}

// tiffOf makes a TIFF with a page for each picture; all are of one size.
func tiffOf(t *testing.T, pages ...*image.NRGBA) []byte {
	t.Helper()
	size := pages[0].Rect.Size()
	strip := image.NewNRGBA(image.Rect(0, 0, size.X, size.Y*len(pages)))
	for i, page := range pages {
		draw.Draw(strip, image.Rectangle{Min: image.Pt(0, i*size.Y), Max: image.Pt(size.X, (i+1)*size.Y)}, page, image.Point{}, draw.Src)
	}
	return remade(t, strip, func(v *libvips.Image) ([]byte, error) {
		if err := v.SetPageHeight(size.Y); err != nil {
			return nil, err
		}
		return v.TiffsaveBuffer(&libvips.TiffsaveBufferOptions{PageHeight: size.Y})
	})
}

func TestPagesOfTIFF(t *testing.T) {
	pages := movingSquare(90, 60).frames
	source := tiffOf(t, pages...)
	for n := range pages {
		p := mustRender(t, source, transform.Spec{Format: transform.PNG, Page: n + 1})
		if p.Source.Pages != len(pages) {
			t.Fatalf("%d pages, want %d", p.Source.Pages, len(pages))
		}
		if e := meanError(decode(t, p), pages[n]); e > 0 {
			t.Errorf("page %d: mean error %.1f", n+1, e)
		}
	}
	p := mustRender(t, source, transform.Spec{Format: transform.WebP, Width: 30})
	if p.Frames != 1 {
		t.Errorf("without a page asked for there are %d frames", p.Frames)
	}
}

func TestPageBeyondTheLast(t *testing.T) {
	photo := testimage.Photo(64, 48, 1)
	list := sources(t, photo)
	list[transform.GIF] = movingSquare(40, 30).gif(t)
	list[transform.TIFF] = tiffOf(t, photo, photo)
	hints := map[transform.Format]string{transform.GIF: "4 pages", transform.TIFF: "2 pages"}
	for f, source := range list {
		_, err := engine.Render(context.Background(), source, transform.Spec{Format: transform.PNG, Page: 5})
		var wrong *transform.SpecError
		if !errors.As(err, &wrong) || wrong.Option != "page" {
			t.Errorf("%s: %v", f, err)
			continue
		}
		hint := hints[f]
		if hint == "" {
			hint = "one page"
		}
		if !strings.Contains(wrong.Hint, hint) {
			t.Errorf("%s: the hint is %q, want it to say %q", f, wrong.Hint, hint)
		}
	}
}

// Of what is too long or too large to be shown whole the first frame is shown, and nothing is decoded for a later one.
func TestAnimationsBeyondTheLimits(t *testing.T) {
	source := movingSquare(120, 80).gif(t)
	few, small, wide := transform.DefaultLimits(), transform.DefaultLimits(), transform.DefaultLimits()
	few.Frames = 3
	wide.FramePixels = 120*80 - 1
	small.AnimationPixels = 120*80*4 - 1
	for name, limits := range map[string]transform.Limits{"frames": few, "pixels": small, "pixels of a frame": wide} {
		e, err := New(Config{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Render(context.Background(), source, transform.Spec{Width: 60})
		if err != nil || p.Frames != 1 || p.Height != 40 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if _, err := e.Render(context.Background(), source, transform.Spec{Page: 2}); !errors.Is(err, transform.ErrLimit) {
			t.Errorf("%s: a later frame: %v", name, err)
		}
	}
	small.AnimationPixels++
	e, err := New(Config{Limits: small})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Render(context.Background(), source, transform.Spec{Width: 240, Enlarge: true}); !errors.Is(err, transform.ErrLimit) {
		t.Errorf("enlarged beyond the limit: %v", err)
	}
}

func TestAnimationsGiveTheirMemoryBack(t *testing.T) {
	source := movingSquare(120, 80).gif(t)
	for _, spec := range []transform.Spec{
		{Width: 60}, {Rotate: 90, Blur: 100}, {Format: transform.WebP}, {Format: transform.JPEG}, {Page: 3},
		{Crop: transform.Crop{X: 5000, W: 1, H: 1}},
	} {
		for _, part := range []int{100, 80, 40} {
			_, err := engine.Render(context.Background(), source[:len(source)*part/100], spec)
			var wrong *transform.SpecError
			if err != nil && !errors.Is(err, transform.ErrMalformed) && !errors.As(err, &wrong) {
				t.Errorf("%d%% to %s: %v", part, spec, err)
			}
		}
	}
	checkMemory(t, Memory{}) // at rest libvips holds nothing
}
