package transform

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"github.com/bbrks/go-blurhash"
	"go.n16f.net/thumbhash"
	"golang.org/x/image/draw"
)

// placeholderSide is the longest side of the rendering that placeholders are made from, pixels: what ThumbHash is specified
// for (evanw.github.io/thumbhash), and more than BlurHash needs.
const placeholderSide = 100

// Placeholder is what a page shows before a picture has come.
type Placeholder struct {
	ThumbHash string // base64 with padding, transparency kept
	BlurHash  string // four by three components along the longer side, over white
	Color     string // #rrggbb: the mean colour in linear light, by opacity; white when nothing is to be seen
}

// Placeholder returns the Spec of the small PNG that ReadPlaceholder takes: what s shows, in its shape. Sizes that differ
// only in scale have the same one.
func (s Spec) Placeholder() Spec {
	if s.Format != Source && !s.Format.Alpha() && !s.Background.Set {
		s.Background = Background{Set: true, R: 255, G: 255, B: 255, A: 255} // as the encoder of that format does
	}
	s.Format, s.Quality, s.Lossless, s.MaxBytes, s.Blur, s.Sharpen, s.Still = PNG, 0, false, 0, 0, 0, false
	boxed := s.Width > 0 && s.Height > 0
	if boxed && (s.Fit == FitCrop || s.Fit == FitCanvas || s.Fit == FitStretch) {
		over := max(s.Width, s.Height)
		s.Width, s.Height = scaleSide(s.Width, placeholderSide, over), scaleSide(s.Height, placeholderSide, over)
	} else { // the ratio is the source's own, whatever the box
		s.Width, s.Height, s.Fit, s.Enlarge = placeholderSide, placeholderSide, FitClip, false
		s.Gravity, s.Focus = Center, Focus{}
	}
	return s
}

// ReadPlaceholder makes the placeholders of a rendering by Spec.Placeholder.
func ReadPlaceholder(rendering []byte) (Placeholder, error) {
	config, err := png.DecodeConfig(bytes.NewReader(rendering))
	if err != nil {
		return Placeholder{}, fmt.Errorf("read the small rendering: %w", err)
	}
	if config.Width > placeholderSide || config.Height > placeholderSide {
		return Placeholder{}, fmt.Errorf("the small rendering is %dx%d pixels", config.Width, config.Height)
	}
	picture, err := png.Decode(bytes.NewReader(rendering))
	if err != nil {
		return Placeholder{}, fmt.Errorf("read the small rendering: %w", err)
	}
	if isP3(rendering) {
		picture = fromP3(picture)
	}
	// BlurHash knows no shape, and like ThumbHash takes a side of a few pixels for a wave.
	onWhite := image.NewRGBA(image.Rect(0, 0, placeholderSide, placeholderSide))
	draw.Draw(onWhite, onWhite.Rect, image.White, image.Point{}, draw.Src)
	draw.ApproxBiLinear.Scale(onWhite, onWhite.Rect, picture, picture.Bounds(), draw.Over, nil)
	long := max(config.Width, config.Height)
	full := image.NewRGBA(image.Rect(0, 0, scaleSide(config.Width, placeholderSide, long), scaleSide(config.Height, placeholderSide, long)))
	draw.ApproxBiLinear.Scale(full, full.Rect, picture, picture.Bounds(), draw.Src, nil)
	across, down := 4, 3
	if config.Height > config.Width {
		across, down = down, across
	}
	blur, err := blurhash.Encode(across, down, onWhite)
	if err != nil {
		return Placeholder{}, fmt.Errorf("encode blurhash: %w", err)
	}
	return Placeholder{
		ThumbHash: base64.StdEncoding.EncodeToString(thumbhash.EncodeImage(full)),
		BlurHash:  blur,
		Color:     meanColor(picture),
	}, nil
}

// meanColor averages light, not its encoding: sums of sRGB values are too dark.
func meanColor(picture image.Image) string {
	var sum [3]float64
	var weight float64
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := color.NRGBAModel.Convert(picture.At(x, y)).(color.NRGBA)
			alpha := float64(c.A)
			weight += alpha
			for i, value := range [...]uint8{c.R, c.G, c.B} {
				sum[i] += alpha * linear(value)
			}
		}
	}
	if weight == 0 {
		return "#ffffff"
	}
	return fmt.Sprintf("#%02x%02x%02x", encoded(sum[0]/weight), encoded(sum[1]/weight), encoded(sum[2]/weight))
}

// linear returns the light, 0-1, that an sRGB value stands for (IEC 61966-2-1).
func linear(value uint8) float64 {
	v := float64(value) / 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// encoded is the inverse of linear.
func encoded(light float64) uint8 {
	v := 1.055*math.Pow(light, 1/2.4) - 0.055
	if light <= 0.0031308 {
		v = 12.92 * light
	}
	return uint8(math.Round(255 * min(max(v, 0), 1)))
}
