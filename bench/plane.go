package bench

import (
	"image"
	"math"
)

// plane is the luma of a picture, 0-255, row by row.
type plane struct {
	w, h int
	pix  []float32
}

func newPlane(w, h int) plane { return plane{w, h, make([]float32, w*h)} }

// lumaOf returns the luma (ITU-R BT.601) of a picture on black. JPEG and WebP store it as it is, JPEG in the full range (JFIF)
// and WebP in 16-235 (RFC 6386 section 9.2), which Go's decoder hands on as if it were the full one.
func lumaOf(d decoded) plane {
	bounds := d.image.Bounds()
	p := newPlane(bounds.Dx(), bounds.Dy())
	var planes *image.YCbCr
	switch img := d.image.(type) {
	case *image.YCbCr:
		planes = img
	case *image.NYCbCrA:
		planes = &img.YCbCr
	}
	for y := range p.h {
		row := p.pix[y*p.w:][:p.w]
		for x := range row {
			if planes == nil {
				r, g, b, _ := d.image.At(bounds.Min.X+x, bounds.Min.Y+y).RGBA()
				row[x] = (0.299*float32(r) + 0.587*float32(g) + 0.114*float32(b)) / 257
				continue
			}
			row[x] = float32(planes.Y[planes.YOffset(bounds.Min.X+x, bounds.Min.Y+y)])
			if d.format == "webp" {
				row[x] = min(max((row[x]-16)*255/219, 0), 255)
			}
		}
	}
	return p
}

// lobes of the kernel: how far it reaches, in pixels of the smaller picture.
const lobes = 3

// lanczos is the windowed sinc of three lobes (Duchon, Journal of Applied Meteorology 18, 1979).
func lanczos(x float64) float64 {
	if x == 0 {
		return 1
	}
	if math.Abs(x) >= lobes {
		return 0
	}
	x *= math.Pi
	return lobes * math.Sin(x) * math.Sin(x/lobes) / (x * x)
}

// resize returns the plane at another size, by Lanczos 3 over the whole source: first along rows, then along columns. What the
// kernel shoots over is cut off, as in any picture of eight bits.
func (p plane) resize(w, h int) plane {
	out := p.resizeRows(w).turn().resizeRows(h).turn()
	for i, v := range out.pix {
		out.pix[i] = min(max(v, 0), 255)
	}
	return out
}

// turn swaps rows and columns.
func (p plane) turn() plane {
	out := newPlane(p.h, p.w)
	for y := range p.h {
		for x := range p.w {
			out.pix[x*p.h+y] = p.pix[y*p.w+x]
		}
	}
	return out
}

func (p plane) resizeRows(w int) plane {
	out := newPlane(w, p.h)
	scale := float64(p.w) / float64(w)
	stretch := max(scale, 1) // of the kernel, so that it takes in all that becomes one pixel
	for x := range w {
		centre := (float64(x)+0.5)*scale - 0.5
		first := max(int(math.Ceil(centre-lobes*stretch)), 0)
		last := min(int(math.Floor(centre+lobes*stretch)), p.w-1)
		weights := make([]float32, last-first+1)
		sum := float32(0)
		for i := range weights {
			weights[i] = float32(lanczos((float64(first+i) - centre) / stretch))
			sum += weights[i]
		}
		for y := range p.h {
			row := p.pix[y*p.w+first:][:len(weights)]
			value := float32(0)
			for i, weight := range weights {
				value += weight * row[i]
			}
			out.pix[y*w+x] = value / sum
		}
	}
	return out
}

// ssim returns the mean structural similarity of two planes of one size over 8x8 windows, four pixels apart (Wang, Bovik,
// Sheikh, Simoncelli, IEEE TIP 2004): 1 for equal ones, near 0 for strangers. The whole is one window when it is smaller.
func ssim(a, b plane) float64 {
	const step, c1, c2 = 4, 6.5025, 58.5225
	windowW, windowH := min(8, a.w), min(8, a.h)
	count := float64(windowW * windowH)
	sum, n := 0.0, 0
	for y := 0; y+windowH <= a.h; y += step {
		for x := 0; x+windowW <= a.w; x += step {
			var ma, mb, aa, bb, ab float64
			for dy := range windowH {
				at := (y+dy)*a.w + x
				for i, v := range a.pix[at:][:windowW] {
					p, q := float64(v), float64(b.pix[at+i])
					ma, mb, aa, bb, ab = ma+p, mb+q, aa+p*p, bb+q*q, ab+p*q
				}
			}
			ma, mb = ma/count, mb/count
			va, vb, cov := aa/count-ma*ma, bb/count-mb*mb, ab/count-ma*mb
			sum += (2*ma*mb + c1) * (2*cov + c2) / ((ma*ma + mb*mb + c1) * (va + vb + c2))
			n++
		}
	}
	return sum / float64(max(n, 1))
}
