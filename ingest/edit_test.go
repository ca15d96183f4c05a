package ingest

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"sync"
	"syscall"
	"testing"
	"time"

	"deckle/event"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/transform"
)

// errFull is what a full disk says.
var errFull = syscall.ENOSPC

// shown decodes a picture and orients it as its EXIF says.
func shown(t *testing.T, data []byte) *image.NRGBA {
	t.Helper()
	header, err := transform.DefaultLimits().ReadHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return oriented(img, header.Orientation)
}

// turnedBy turns pixels one by one, clockwise.
func turnedBy(img *image.NRGBA, turn Turn) *image.NRGBA {
	for range (int(turn) + 360) % 360 / 90 {
		w, h := img.Rect.Dx(), img.Rect.Dy()
		out := image.NewNRGBA(image.Rect(0, 0, h, w))
		for y := range h {
			for x := range w {
				out.Set(h-1-y, x, img.At(x, y))
			}
		}
		img = out
	}
	return img
}

// TestRotateJPEG turns pictures of every orientation: what is shown is what turning the shown pixels gives, to the last bit, and
// the coded pixels are the same bytes.
func TestRotateJPEG(t *testing.T) {
	plain := testimage.JPEG(testimage.Quadrants(48, 32), 90)
	b := newBench(t)
	for orientation := range 9 {
		body := plain
		if orientation > 0 {
			body = testimage.WithGPS(plain, orientation)
		}
		for _, turn := range []Turn{TurnLeft, TurnRight, TurnOver} {
			before := b.mustSend("cat", b.token("cat", true), body)
			got, err := b.Rotate(t.Context(), "cat", turn, Target{})
			if err != nil {
				t.Fatal(err)
			}
			stored := b.stored("cat")
			want := turnedBy(shown(t, body), turn)
			if now := shown(t, stored); !bytes.Equal(now.Pix, want.Pix) || now.Rect != want.Rect {
				t.Errorf("orientation %d turned by %d shows something else", orientation, turn)
			}
			if got.Width != want.Rect.Dx() || got.Height != want.Rect.Dy() || got.Version == before.Version || got.SHA256 != sha(stored) {
				t.Errorf("receipt %+v, before %+v", got, before)
			}
			if coded := plain[bytes.Index(plain, []byte{0xFF, 0xDB}):]; !bytes.HasSuffix(stored, coded) {
				t.Error("the coded pixels were touched")
			}
		}
	}
	if len(b.engine.specs) > 0 {
		t.Errorf("the engine rendered %v", b.engine.specs)
	}
	b.checkWhole()
}

func TestRotateOthers(t *testing.T) {
	b := newBench(t)
	b.listen()
	png := testimage.PNG(testimage.Quadrants(40, 30))
	b.mustSend("cat", b.token("cat", false), png)
	if _, err := b.Rotate(t.Context(), "cat", TurnRight, Target{}); err != nil {
		t.Fatal(err)
	}
	if want := turnedBy(shown(t, png), TurnRight); !bytes.Equal(shown(t, b.stored("cat")).Pix, want.Pix) {
		t.Error("a PNG shows something else")
	}
	side := testimage.WithEXIF(testimage.JPEG(testimage.Quadrants(40, 30), 95), 6)
	b.mustSend("dog", b.token("dog", false), side)
	got, err := b.Rotate(t.Context(), "dog", TurnAuto, Target{})
	if err != nil || got.Width != 30 || got.Height != 40 {
		t.Fatalf("%+v, %v", got, err)
	}
	if config, err := jpeg.DecodeConfig(bytes.NewReader(b.stored("dog"))); err != nil || config.Width != 30 {
		t.Errorf("the pixels are not upright: %+v, %v", config, err)
	}
	again, err := b.Rotate(t.Context(), "dog", TurnAuto, Target{})
	if err != nil || again.Version != got.Version {
		t.Errorf("an upright picture: %+v, %v; want it unchanged", again, err)
	}
	b.mustHear("dog", event.Uploaded, event.Rotated)
	for _, row := range []struct {
		id   string
		turn Turn
		to   Target
		want error
	}{
		{"cow", TurnRight, Target{}, ErrNotFound},
		{"cat", TurnRight, Target{NewID: "dog"}, ErrExists},
		{"cat", TurnRight, Target{NewID: "../x"}, origin.ErrBadID},
	} {
		if _, err := b.Rotate(t.Context(), row.id, row.turn, row.to); !errors.Is(err, row.want) {
			t.Errorf("%+v: %v", row, err)
		}
	}
	var spec *transform.SpecError
	if _, err := b.Rotate(t.Context(), "cat", 45, Target{}); !errors.As(err, &spec) {
		t.Errorf("by 45: %v", err)
	}
}

func TestEditToANewID(t *testing.T) {
	b := newBench(t)
	b.listen()
	b.mustSend("cat", b.grant("cat", Policy{Name: "Cat"}), photo(1))
	copied, err := b.Crop(t.Context(), "cat", transform.Crop{W: 20, H: 10}, Target{NewID: "part"})
	if err != nil || copied.Width != 20 || !bytes.Equal(b.stored("cat"), photo(1)) {
		t.Fatalf("%+v, %v", copied, err)
	}
	moved, err := b.Rotate(t.Context(), "cat", TurnRight, Target{NewID: "cat2", Move: true})
	if err != nil || moved.ID != "cat2" || moved.Width != 48 || b.stored("cat") != nil {
		t.Fatalf("%+v, %v", moved, err)
	}
	r, err := b.catalog.Record(t.Context(), "cat2")
	if err != nil || r.Name != "Cat" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := b.catalog.Record(t.Context(), "cat"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the former record: %v", err)
	}
	b.mustHear("cat", event.Uploaded, event.Deleted)
	b.mustHear("cat2", event.Rotated)
	if _, err := b.Replace(t.Context(), "cat2", bytes.NewReader(photo(3))); err != nil || !bytes.Equal(b.stored("cat2"), photo(3)) {
		t.Error(err)
	}
	if _, err := b.Replace(t.Context(), "cat", bytes.NewReader(photo(3))); !errors.Is(err, ErrNotFound) {
		t.Errorf("replaced nothing: %v", err)
	}
	b.checkWhole()
}

// TestConcurrentChanges turns, replaces and deletes one source at once. Whatever the order, the turns that are acknowledged are all
// in the picture, records and bytes agree, and what is deleted last stays deleted.
func TestConcurrentChanges(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Patience = 20 * time.Second })
	b.config.Purge = func(context.Context, string) error { return nil } // the bench's own is not for many at once
	b.mustSend("cat", b.token("cat", false), photo(1))
	var turns sync.WaitGroup
	const n = 5
	for range n {
		turns.Go(func() {
			if _, err := b.Rotate(t.Context(), "cat", TurnRight, Target{}); err != nil {
				t.Error(err)
			}
		})
	}
	turns.Wait()
	if want := turnedBy(shown(t, photo(1)), n*TurnRight); !bytes.Equal(shown(t, b.stored("cat")).Pix, want.Pix) {
		t.Errorf("%d turns at once were not all kept", n)
	}
	for range 4 {
		turns.Go(func() {
			if _, err := b.Rotate(t.Context(), "cat", TurnRight, Target{}); err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		})
		turns.Go(func() {
			if _, err := b.Replace(t.Context(), "cat", bytes.NewReader(photo(2))); err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		})
	}
	turns.Go(func() {
		if got, err := b.Delete(t.Context(), []string{"cat"}); err != nil || got[0].Err != nil || !got[0].Found {
			t.Errorf("%+v, %v", got, err)
		}
	})
	turns.Wait()
	if _, err := b.catalog.Record(t.Context(), "cat"); !errors.Is(err, ErrNotFound) || b.stored("cat") != nil {
		t.Errorf("the deleted source is back: %v", err)
	}
	b.checkWhole()
}
