package testimage

import (
	"bytes"
	"image"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
)

// JPEG returns img as a baseline JPEG of quality 1-100, 4:2:0. Transparent pixels become black.
func JPEG(img image.Image, quality int) []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}))
	return b.Bytes()
}

// PNG returns img as a PNG: lossless, alpha kept, and quickly rather than small.
func PNG(img image.Image) []byte {
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	must(encoder.Encode(&b, img))
	return b.Bytes()
}

// GIF returns the frames, all of the first's size, as a GIF that loops forever with a tenth of a second a frame. Colours
// become the nearest of 216 fixed ones, pixels of less than half opacity transparent.
func GIF(frames ...image.Image) []byte {
	pal := append(palette.WebSafe[:len(palette.WebSafe):len(palette.WebSafe)], image.Transparent.C)
	g := gif.GIF{}
	for _, frame := range frames {
		p := image.NewPaletted(frame.Bounds(), pal)
		draw.Draw(p, p.Rect, frame, frame.Bounds().Min, draw.Src)
		g.Image = append(g.Image, p)
		g.Delay = append(g.Delay, 10)
		g.Disposal = append(g.Disposal, gif.DisposalBackground)
	}
	var b bytes.Buffer
	must(gif.EncodeAll(&b, &g))
	return b.Bytes()
}

// must stops a test or a bench whose own pictures cannot be made: writing to memory fails only by a mistake in this package.
func must(err error) {
	if err != nil {
		panic("testimage: " + err.Error())
	}
}
