package testimage

import (
	"image"
	"math"
)

// Photo returns w x h opaque pixels with the statistics of a photograph: overlapping discs whose sizes follow a power law
// (the dead leaves model: Lee, Mumford, Huang, IJCV 2001) for the edges, clouds of 1/f amplitude for the texture, and a
// gradient of light over all. JPEG compresses it to about what it makes of photographs, which neither noise nor flat colour
// does. Twelve megapixels take about a second.
func Photo(w, h int, seed uint64) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	rng := noise(seed)
	paintGround(img, &rng)
	side := float64(max(w, h))
	for range leaves {
		// Radii by a power law of exponent 3, which makes the picture look alike at every scale.
		radius := side * leafMin / math.Sqrt(1-rng.float()*(1-leafMin*leafMin/(leafMax*leafMax)))
		paintLeaf(img, &rng, rng.between(0, float64(w)), rng.between(0, float64(h)), radius)
	}
	texture(img, seed)
	return img
}

// The dead leaves: how many, and the bounds of their radii as parts of the longer side.
const (
	leaves  = 700
	leafMin = 0.012
	leafMax = 0.28
)

// colour is straight RGB, 0-255, before rounding.
type colour [3]float64

func (a colour) mix(b colour, t float64) colour {
	return colour{a[0] + (b[0]-a[0])*t, a[1] + (b[1]-a[1])*t, a[2] + (b[2]-a[2])*t}
}

func randomColour(rng *noise) colour {
	grey := rng.between(35, 215)
	return colour{grey + rng.between(-38, 38), grey + rng.between(-25, 25), grey + rng.between(-45, 35)}
}

// paintGround fills the picture with a gradient between two colours, light from above.
func paintGround(img *image.NRGBA, rng *noise) {
	top, bottom := randomColour(rng), randomColour(rng)
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for y := range h {
		c := top.mix(bottom, float64(y)/float64(h))
		for x := range w {
			put(img, x, y, c)
		}
	}
}

// paintLeaf draws one disc, lit from the upper left, with an edge one pixel soft.
func paintLeaf(img *image.NRGBA, rng *noise, cx, cy, radius float64) {
	base := randomColour(rng)
	lit, dark := base.mix(colour{255, 250, 235}, 0.25), base.mix(colour{10, 12, 25}, 0.35)
	w, h := img.Rect.Dx(), img.Rect.Dy()
	for y := max(0, int(cy-radius)); y < min(h, int(cy+radius)+2); y++ {
		dy := float64(y) - cy
		outer := math.Sqrt(max(0, (radius+1)*(radius+1)-dy*dy))
		inner := math.Sqrt(max(0, (radius-1)*(radius-1)-dy*dy))
		for x := max(0, int(cx-outer)); x < min(w, int(cx+outer)+2); x++ {
			dx := float64(x) - cx
			c := lit.mix(dark, (dx+dy)/(2.83*radius)+0.5)
			// Only the outermost pixels need the exact distance.
			if math.Abs(dx) >= inner {
				cover := min(max(radius-math.Hypot(dx, dy)+0.5, 0), 1)
				c = get(img, x, y).mix(c, cover)
			}
			put(img, x, y, c)
		}
	}
}

// texture adds brightness in clouds and a trace of grain to every pixel.
func texture(img *image.NRGBA, seed uint64) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	light := clouds(w, h, seed^0xa5a5, 0.76, 0)
	rng := noise(seed ^ 0x5a5a)
	for y := range h {
		row, field := img.Pix[y*img.Stride:][:4*w], light.pix[y*w:][:w]
		for x := range field {
			grain := float32(rng.next()&7) - 3.5
			add := field[x]*25 + grain*0.5
			for i := 4 * x; i < 4*x+3; i++ {
				row[i] = uint8(min(max(float32(row[i])+add, 0), 255))
			}
		}
	}
}

func put(img *image.NRGBA, x, y int, c colour) {
	pix := img.Pix[y*img.Stride+4*x:][:4]
	pix[0] = uint8(min(max(c[0]+0.5, 0), 255))
	pix[1] = uint8(min(max(c[1]+0.5, 0), 255))
	pix[2] = uint8(min(max(c[2]+0.5, 0), 255))
	pix[3] = 255
}

func get(img *image.NRGBA, x, y int) colour {
	i := y*img.Stride + 4*x
	return colour{float64(img.Pix[i]), float64(img.Pix[i+1]), float64(img.Pix[i+2])}
}
