// Package testimage makes pictures in code, for tests, the bench and the first run: the same arguments give the same pixels
// on one architecture, and no picture file has to be kept in the tree.
package testimage

import (
	"image"
	"image/color"
	"image/draw"
)

// The colours of Quadrants.
var (
	TopLeft     = color.NRGBA{R: 220, G: 30, B: 30, A: 255}  // red
	TopRight    = color.NRGBA{R: 30, G: 180, B: 50, A: 255}  // green
	BottomLeft  = color.NRGBA{R: 40, G: 60, B: 220, A: 255}  // blue
	BottomRight = color.NRGBA{R: 240, G: 220, B: 40, A: 255} // yellow
)

// Quadrants returns w x h pixels in four flat colours, one a corner, so that a turned, mirrored or wrongly cut picture is
// known by four pixels. The middle row and column of odd sizes belong to the lower right.
func Quadrants(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	fill(img, image.Rect(0, 0, w/2, h/2), TopLeft)
	fill(img, image.Rect(w/2, 0, w, h/2), TopRight)
	fill(img, image.Rect(0, h/2, w/2, h), BottomLeft)
	fill(img, image.Rect(w/2, h/2, w, h), BottomRight)
	return img
}

// Flat returns w x h pixels of one colour.
func Flat(w, h int, c color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	fill(img, img.Bounds(), c)
	return img
}

// Alpha returns w x h pixels whose transparency goes from none at the left edge to full at the right, over a photo-like
// picture; the colour under the transparent pixels is vivid green, which shows wherever alpha was filtered unweighted.
func Alpha(w, h int) *image.NRGBA {
	img := Photo(w, h, 7)
	for y := range h {
		row := img.Pix[y*img.Stride:][:4*w]
		for x := range w {
			a := 255 - 255*x/max(w-1, 1)
			row[4*x+3] = uint8(a)
			if a < 8 {
				row[4*x], row[4*x+1], row[4*x+2], row[4*x+3] = 0, 255, 0, 0
			}
		}
	}
	return img
}

func fill(img *image.NRGBA, r image.Rectangle, c color.NRGBA) {
	draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
}
