package transform

import (
	"encoding/base64"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"
	"testing"

	"deckle/internal/testimage"

	"github.com/bbrks/go-blurhash"
	"github.com/bbrks/go-blurhash/base83"
	"go.n16f.net/thumbhash"
)

func TestPlaceholderSpec(t *testing.T) {
	for spelled, want := range map[string]string{
		".webp":                               "_100_100.png",
		".jpg":                                "_100_100.png?background=ffffff",
		"_300_200.webp":                       "_100_100.png",
		"_3000_0.webp?enlarge=true":           "_100_100.png",
		"_300_200.webp?fit=cover":             "_100_100.png",
		"_300_200.webp?fit=crop":              "_100_67.png?fit=crop",
		"_30_20.webp?fit=crop":                "_100_67.png?fit=crop",
		"_1_4000.webp?fit=crop":               "_1_100.png?fit=crop",
		"_20_30.webp?fit=stretch":             "_67_100.png?fit=stretch",
		"_20_30.gif?fit=canvas&gravity=east":  "_67_100.png?fit=canvas&gravity=east",
		".webp?rotate=90&flip=h&crop=1,2,3,4": "_100_100.png?crop=1,2,3,4&rotate=90&flip=h",
		".webp?quality=7&blur=true&gray=true": "_100_100.png?gray=true",
		".webp?lossless=true&sharpen=2":       "_100_100.png",
		".webp?animate=false":                 "_100_100.png",
		".jpg?background=ff0000":              "_100_100.png?background=ff0000",
	} {
		s, err := Parse(spelled)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Placeholder()
		if got.String() != want {
			t.Errorf("%s: %s, want %s", spelled, got, want)
		}
		if again := got.Placeholder(); again != got {
			t.Errorf("%s: %s becomes %s", spelled, got, again)
		}
		if read, err := Parse(got.String()); err != nil || read != got {
			t.Errorf("%s: %s is not canonical: %v", spelled, got, err)
		}
	}
}

// TestReadPlaceholder decodes the hashes again, with the libraries' own decoders, and compares what they show.
func TestReadPlaceholder(t *testing.T) {
	tests := []struct {
		name    string
		picture image.Image
	}{
		{"landscape", testimage.Quadrants(100, 60)}, {"portrait", testimage.Quadrants(40, 100)}, {"square", testimage.Photo(100, 100, 3)},
		{"a line", testimage.Photo(100, 1, 4)}, {"a column", testimage.Photo(1, 100, 5)}, {"a pixel", testimage.Flat(1, 1, color.NRGBA{9, 200, 30, 255})},
	}
	for _, test := range tests {
		got, err := ReadPlaceholder(testimage.PNG(test.picture))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		size := test.picture.Bounds().Size()
		across, down, err := blurhash.Components(got.BlurHash)
		if err != nil || (size.X > size.Y && (across != 4 || down != 3)) || (size.Y > size.X && (across != 3 || down != 4)) {
			t.Errorf("%s: blurhash %q has %dx%d components, %v", test.name, got.BlurHash, across, down, err)
		}
		// The first term of a BlurHash is the mean colour, in four digits behind the counts and the scale.
		mean, err := base83.Decode(got.BlurHash[2:6])
		if err != nil || meanDistance(testimage.Flat(1, 1, hexColor(t, got.Color)), testimage.Flat(1, 1, rgb(mean))) > 4 {
			t.Errorf("%s: blurhash %q has the mean %06x, %v; want %s", test.name, got.BlurHash, mean, err, got.Color)
		}
		raw, err := base64.StdEncoding.DecodeString(got.ThumbHash)
		if err != nil || len(raw) > 25 {
			t.Errorf("%s: thumbhash %q: %v", test.name, got.ThumbHash, err)
		}
		thumb, err := thumbhash.DecodeImage(raw)
		if err != nil {
			t.Errorf("%s: thumbhash %q: %v", test.name, got.ThumbHash, err)
			continue
		}
		if d := meanDistance(test.picture, thumb); d > 20 {
			t.Errorf("%s: the mean of its thumbhash is %.0f away", test.name, d)
		}
		if shape := thumb.Bounds().Size(); (size.X > size.Y) != (shape.X > shape.Y) || (size.X < size.Y) != (shape.X < shape.Y) {
			t.Errorf("%s: its thumbhash has the shape %v", test.name, shape)
		}
	}
}

// TestReadPlaceholderKeepsTransparency: ThumbHash alone can, and does.
func TestReadPlaceholderKeepsTransparency(t *testing.T) {
	got, err := ReadPlaceholder(testimage.PNG(testimage.Alpha(100, 100)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(got.ThumbHash)
	if err != nil {
		t.Fatal(err)
	}
	thumb, err := thumbhash.DecodeImage(raw)
	if err != nil {
		t.Fatal(err)
	}
	least, most := uint32(0xffff), uint32(0)
	for y := range thumb.Bounds().Dy() {
		for x := range thumb.Bounds().Dx() {
			_, _, _, a := thumb.At(x, y).RGBA()
			least, most = min(least, a), max(most, a)
		}
	}
	if least > 0x4000 || most < 0xc000 {
		t.Errorf("opacity from %#x to %#x", least, most)
	}
}

func rgb(n int) color.NRGBA { return color.NRGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 255} }

func hexColor(t *testing.T, text string) color.NRGBA {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "#"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return rgb(int(n))
}

// meanDistance is the greatest difference between the mean sRGB channels of two pictures.
func meanDistance(a, b image.Image) float64 {
	mean := func(img image.Image) (m [3]float64) {
		r := img.Bounds()
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
				for i, v := range [...]uint8{c.R, c.G, c.B} {
					m[i] += float64(v) / float64(r.Dx()*r.Dy())
				}
			}
		}
		return m
	}
	ma, mb := mean(a), mean(b)
	return max(math.Abs(ma[0]-mb[0]), math.Abs(ma[1]-mb[1]), math.Abs(ma[2]-mb[2]))
}

func TestPlaceholderColor(t *testing.T) {
	halves := image.NewNRGBA(image.Rect(0, 0, 10, 10)) // black and white
	clear := testimage.Flat(10, 10, color.NRGBA{200, 10, 10, 0})
	mostly := testimage.Flat(10, 10, color.NRGBA{0, 0, 255, 0})
	for i := range 100 {
		v := uint8(255 * (i % 2))
		halves.SetNRGBA(i%10, i/10, color.NRGBA{v, v, v, 255})
	}
	mostly.SetNRGBA(4, 4, color.NRGBA{0, 128, 0, 255})
	for _, test := range []struct {
		name    string
		picture image.Image
		want    string
	}{
		{"one colour", testimage.Flat(3, 3, color.NRGBA{18, 52, 86, 255}), "#123456"},
		{"half the light is sRGB 188", halves, "#bcbcbc"},
		{"nothing to be seen", clear, "#ffffff"},
		{"what is transparent has no colour", mostly, "#008000"},
		{"grey file", image.NewGray(image.Rect(0, 0, 2, 2)), "#000000"},
	} {
		got, err := ReadPlaceholder(testimage.PNG(test.picture))
		if err != nil || got.Color != test.want {
			t.Errorf("%s: %s, %v; want %s", test.name, got.Color, err, test.want)
		}
	}
	// Over white, a picture that is not there is white.
	got, err := ReadPlaceholder(testimage.PNG(clear))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := blurhash.Decode(got.BlurHash, 8, 8, 1)
	if err != nil || meanDistance(shown, testimage.Flat(8, 8, color.NRGBA{255, 255, 255, 255})) > 8 {
		t.Errorf("blurhash %q of nothing: %v", got.BlurHash, err)
	}
}
