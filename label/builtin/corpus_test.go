package builtin

import (
	"bytes"
	"errors"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deckle/label"
	"deckle/transform"
	"deckle/transform/vips"
)

// corpus holds real pictures. It is no part of the repository; where it is not, nothing is read, and the pictures that are made in
// code stand alone.
const corpus = "../../../shared/corpus/good"

// drawn are the pictures of the corpus that nobody photographed, by what their names begin with.
var drawn = []string{
	"Pillow__blend", "image-png__cicp", "images__basn", "images__dancing", "images__tv-test", "imagor__gopher", "imagor__test.svg", "imgproxy__test1",
	"sharp__8bit_depth", "sharp__Flag", "sharp__blackbug", "sharp__tbgn", "thumbor__cmyk", "thumbor__grayscale", "thumbor__Rotating",
}

// TestCorpus says how often real pictures are taken for what they are not. The rate is what docs/labels.md states.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(corpus, "*"))
	if err != nil || len(files) == 0 {
		t.Logf("there is no corpus: %v", err)
		return
	}
	limits := transform.DefaultLimits()
	limits.Inputs = transform.NewFormatSet(transform.OptionalInputs()...)
	engine, err := vips.New(vips.Config{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	said, wrong := 0, 0
	for _, file := range files {
		img := rendered(t, engine, file)
		if img == nil {
			continue
		}
		want := "photograph"
		for _, name := range drawn {
			if strings.HasPrefix(filepath.Base(file), name) {
				want = "graphic"
			}
		}
		switch got := kindOf(t, img); got {
		case want:
			said++
		case "":
			t.Logf("%s: nothing is said", filepath.Base(file))
		default:
			said++
			wrong++
			t.Logf("%s is called a %s", filepath.Base(file), got)
		}
	}
	t.Logf("%d pictures: %d were called photograph or graphic, %d of them wrongly", len(files), said, wrong)
	if wrong > len(files)/20 || said < len(files)*3/4 {
		t.Errorf("of %d pictures %d were called something, %d of them wrongly", len(files), said, wrong)
	}
}

func rendered(t *testing.T, engine *vips.Engine, file string) *image.NRGBA {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec := transform.Spec{Format: transform.PNG, Width: label.SmallSide, Height: label.SmallSide, Still: true}
	picture, err := engine.Render(t.Context(), source, spec)
	if errors.Is(err, transform.ErrFormat) || errors.Is(err, transform.ErrUnsupported) {
		return nil // this libvips cannot read it
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	img, err := png.Decode(bytes.NewReader(picture.Body))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	straight := image.NewNRGBA(img.Bounds())
	draw.Draw(straight, straight.Rect, img, img.Bounds().Min, draw.Src)
	return straight
}
