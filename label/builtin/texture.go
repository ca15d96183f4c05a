package builtin

import (
	"image"
	"math"
)

// The differences between neighbours that are gentle, of 255, by the channel that differs most. A step of one is what a smooth
// gradient has; a greater one than the last is an edge.
const (
	leastGentle = 2
	mostGentle  = 24
)

// leastSide is the shortest side of a picture that is judged, pixels: edges are most of what an icon is.
const leastSide = 48

// Texture is how the pixels of a picture differ from the next ones, to the right and below: shares of 1.
type Texture struct {
	Gentle float64 // differ gently
	Same   float64 // do not differ
}

// ReadTexture looks at a picture's pixels as far as they are to be seen; ok tells whether it is large enough to be judged.
func ReadTexture(img *image.NRGBA) (t Texture, ok bool) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	if w < leastSide || h < leastSide {
		return Texture{}, false
	}
	var pairs, gentle, same int
	compare := func(a, b []uint8) {
		if a[3] < visible || b[3] < visible {
			return
		}
		pairs++
		switch d := step(a, b); {
		case d == 0:
			same++
		case d >= leastGentle && d <= mostGentle:
			gentle++
		}
	}
	for y := range h {
		for x := range w {
			at := img.Pix[y*img.Stride+4*x:]
			if x+1 < w {
				compare(at, at[4:])
			}
			if y+1 < h {
				compare(at, at[img.Stride:])
			}
		}
	}
	if pairs < leastSide*leastSide {
		return Texture{}, false
	}
	return Texture{float64(gentle) / float64(pairs), float64(same) / float64(pairs)}, true
}

// step is by how much two pixels differ in the channel that differs most.
func step(a, b []uint8) int {
	most := 0
	for c := range 3 {
		most = max(most, int(a[c])-int(b[c]), int(b[c])-int(a[c]))
	}
	return most
}

// What Judge goes by, read off some six hundred photographs, screenshots, diagrams, logos and icons. The share of gentle steps alone
// tells nearly all of them apart; equal neighbours tell a page of text, grey when it is small, from a picture of a clear sky.
const (
	sameWeight = .3
	between    = .20 // photographs have more, graphics less
	spread     = .04 // of the logistic curve around it
	sureFrom   = 75  // per cent
)

// Judge says whether a picture of a texture is a photograph or a graphic, and how sure that is, per cent. Lenses, light and grain
// leave hardly two equal pixels side by side in a photograph, and gentle steps nearly everywhere; what was drawn is flat, smooth, or
// has edges. The measure is the share of gentle steps less three tenths of that of equal ones. The name is empty for what could be
// either. Paintings are photographs to this measure, and so is a noisy drawing.
func Judge(t Texture) (name string, confidence float64) {
	photograph := 100 / (1 + math.Exp((between-(t.Gentle-sameWeight*t.Same))/spread))
	switch {
	case photograph >= sureFrom:
		return "photograph", photograph
	case 100-photograph >= sureFrom:
		return "graphic", 100 - photograph
	}
	return "", 0
}
