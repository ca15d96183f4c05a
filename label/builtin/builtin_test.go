package builtin

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/draw"

	"github.com/google/go-cmp/cmp"

	"deckle/internal/testimage"
	"deckle/label"
)

// names returns what is said of a picture, as category:name, sorted.
func names(t *testing.T, p label.Picture) []string {
	t.Helper()
	labels, err := Labeler{}.Label(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := label.Clean(labels); err != nil {
		t.Error(err)
	}
	said := map[string]bool{}
	for _, l := range labels {
		said[l.Category+":"+l.Name] = true
		if l.Name != label.CleanName(l.Name) {
			t.Errorf("%q is no clean name", l.Name)
		}
	}
	return slices.Sorted(maps.Keys(said))
}

// shown is a picture of which the small rendering is all that matters.
func shown(img *image.NRGBA) label.Picture {
	return label.Picture{Width: img.Rect.Dx(), Height: img.Rect.Dy(), Frames: 1, Small: img}
}

// stripes paints each colour across an equal part of the height.
func stripes(w, h int, colours ...color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, colours[y*len(colours)/h])
		}
	}
	return img
}

var (
	red   = color.NRGBA{200, 20, 20, 255}
	sky   = color.NRGBA{120, 180, 230, 255}
	gray  = color.NRGBA{120, 121, 119, 255}
	clear = color.NRGBA{0, 0, 0, 0}
)

func TestLabel(t *testing.T) {
	rare := stripes(40, 100, gray)
	for x := range 36 { // nine in a thousand: less than one in a hundred
		rare.SetNRGBA(x, 7, red)
	}
	half := stripes(100, 100, color.NRGBA{200, 20, 20, 128})
	tests := []struct {
		name    string
		picture label.Picture
		want    []string
	}{
		{"one colour", shown(stripes(30, 40, red)), []string{"colour:red", "kind:portrait"}},
		{"two", shown(stripes(40, 30, red, sky)), []string{"colour:blue", "colour:red", "kind:landscape"}},
		{"nothing is to be seen", shown(stripes(40, 40, clear)), []string{"kind:square", "kind:transparent"}},
		{"what is seen counts", shown(stripes(42, 40, red, clear, clear)), []string{"colour:red", "kind:landscape", "kind:transparent"}},
		{"seen through", shown(half), []string{"colour:red", "kind:graphic", "kind:square", "kind:transparent"}},
		{"grey", shown(rare), []string{"colour:grey", "kind:monochrome", "kind:portrait"}},
		{"nearly grey", shown(stripes(40, 100, gray, gray, gray, gray, gray, gray, gray, gray, red, red)), []string{"colour:grey", "colour:red", "kind:portrait"}},
		{"moving", label.Picture{Width: 10, Height: 10, Frames: 2}, []string{"kind:animated", "kind:square"}},
		{"facts of the source", label.Picture{Width: 3000, Height: 100, Frames: 1, Small: stripes(256, 9, red)}, []string{"colour:red", "kind:landscape"}},
		{"nothing known", label.Picture{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(t, test.picture)); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShape(t *testing.T) {
	for size, want := range map[[2]int]string{
		{100, 100}: "square", {104, 100}: "square", {100, 104}: "square", {105, 100}: "landscape", {100, 105}: "portrait", {1, 9}: "portrait",
	} {
		if got := shape(size[0], size[1]); got != want {
			t.Errorf("%v is called %s, want %s", size, got, want)
		}
	}
}

func TestShares(t *testing.T) {
	labels, err := Labeler{}.Label(context.Background(), shown(stripes(60, 100, red, sky, sky, sky)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, l := range labels {
		if l.Category == label.Colour {
			got[l.Name] = l.Confidence
		}
	}
	if diff := cmp.Diff(map[string]float64{"red": 25, "blue": 75}, got); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
}

// TestColourName: colours by the names that CSS gives them, where these are a basic term with an adverb, or a thing of one.
func TestColourName(t *testing.T) {
	for name, colours := range map[string][]uint32{
		"black": {0x000000, 0x080808}, "white": {0xffffff, 0xf5f5f5, 0xfffafa}, "grey": {0x808080, 0xa9a9a9, 0x696969, 0x778899},
		"red": {0xff0000, 0x8b0000, 0xdc143c, 0xb22222}, "orange": {0xffa500, 0xff8c00, 0xff7f50}, "yellow": {0xffff00, 0xffd700},
		"green":  {0x008000, 0x006400, 0x90ee90, 0x228b22, 0x32cd32, 0x2e8b57, 0x6b8e23, 0x556b2f, 0x98fb98},
		"blue":   {0x0000ff, 0x00008b, 0xadd8e6, 0x4169e1, 0x87cefa, 0x4682b4, 0x191970, 0x6495ed, 0x00bfff},
		"purple": {0x800080, 0x663399, 0x9370db, 0x4b0082, 0x9932cc, 0xba55d3},
		"pink":   {0xffc0cb, 0xffb6c1, 0xff69b4, 0xff1493, 0xdb7093}, "brown": {0x8b4513, 0xa0522d, 0x654321, 0x5c4033},
	} {
		for _, c := range colours {
			if got := ColourName(uint8(c>>16), uint8(c>>8), uint8(c)); got != name {
				t.Errorf("#%06x is called %s, want %s", c, got, name)
			}
		}
	}
	terms := map[string]bool{}
	for _, row := range Palette {
		terms[row.Name] = true
		for _, c := range row.Colours {
			if got := ColourName(uint8(c>>16), uint8(c>>8), uint8(c)); got != row.Name {
				t.Errorf("#%06x of the palette is called %s, want %s", c, got, row.Name)
			}
		}
	}
	if len(terms) != 11 {
		t.Errorf("there are %d basic terms, want 11", len(terms))
	}
}

// TestMade: pictures that are made here, at twice the size that is looked at, compressed, and made small again.
func TestMade(t *testing.T) {
	t.Parallel()
	made := map[string]map[string]*image.NRGBA{
		"photograph": {
			"a scene": testimage.Demo(400, 300), "leaves": testimage.Photo(480, 360, 1), "high": testimage.Photo(300, 500, 3),
		},
		"graphic": {
			"quadrants": testimage.Quadrants(512, 512), "flat": testimage.Flat(600, 300, red), "stripes": stripes(512, 400, red, sky, gray),
			"gradient": gradient(512, 512), "text": text(700, 900), "chart": chart(640, 480),
		},
	}
	for want, pictures := range made {
		for name, img := range pictures {
			for _, quality := range []int{50, 95} {
				if got := kindOf(t, small(t, img, quality)); got != want {
					t.Errorf("%s at quality %d is called %q, want %s", name, quality, got, want)
				}
			}
		}
	}
	if got := kindOf(t, testimage.Quadrants(40, 400)); got != "" {
		t.Errorf("a picture that is too small to be judged is called %q", got)
	}
}

func kindOf(t *testing.T, img *image.NRGBA) string {
	t.Helper()
	for _, name := range names(t, shown(img)) {
		if name == "kind:photograph" || name == "kind:graphic" {
			return strings.TrimPrefix(name, "kind:")
		}
	}
	return ""
}

// small is a picture as the labeler gets it to see, after a JPEG of a quality.
func small(t *testing.T, img image.Image, quality int) *image.NRGBA {
	t.Helper()
	decoded, err := jpeg.Decode(bytes.NewReader(testimage.JPEG(img, quality)))
	if err != nil {
		t.Fatal(err)
	}
	w, h := decoded.Bounds().Dx(), decoded.Bounds().Dy()
	long := max(w, h, label.SmallSide)
	to := image.NewNRGBA(image.Rect(0, 0, w*label.SmallSide/long, h*label.SmallSide/long))
	draw.CatmullRom.Scale(to, to.Rect, decoded, decoded.Bounds(), draw.Src, nil)
	return to
}

func gradient(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{uint8(60 + 180*x/w), uint8(40 + 150*y/h), 120, 255})
		}
	}
	return img
}

// text is a page of dark strokes in lines, with margins.
func text(w, h int) *image.NRGBA {
	img := stripes(w, h, color.NRGBA{255, 255, 255, 255})
	random := rand.New(rand.NewPCG(1, 2))
	for y := 60; y < h-60; y += 16 {
		end := w - 60 - random.IntN(w/3)
		for x := 60; x < end; x += 3 + random.IntN(6) {
			for dy := range 5 + random.IntN(5) {
				img.SetNRGBA(x, y+dy, color.NRGBA{30, 30, 30, 255})
				img.SetNRGBA(x+1, y+dy, color.NRGBA{30, 30, 30, 255})
			}
		}
	}
	return img
}

// chart is bars on white.
func chart(w, h int) *image.NRGBA {
	img := stripes(w, h, color.NRGBA{255, 255, 255, 255})
	for bar := range 8 {
		for y := h - 40 - bar*37%(h-80); y < h-40; y++ {
			for x := 40 + bar*w/10; x < 40+bar*w/10+w/14; x++ {
				img.SetNRGBA(x, y, []color.NRGBA{red, sky}[bar%2])
			}
		}
	}
	return img
}

func BenchmarkLabel(b *testing.B) {
	p := shown(testimage.Photo(label.SmallSide, label.SmallSide, 1))
	for b.Loop() {
		if _, err := (Labeler{}).Label(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}
