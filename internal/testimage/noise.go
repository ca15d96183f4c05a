package testimage

// plane is one channel of floating-point values, row by row.
type plane struct {
	w, h int
	pix  []float32
}

// noise is a splitmix64 generator (Steele, Lea, Flood, OOPSLA 2014): two multiplications a number, and any seed is good.
type noise uint64

func (n *noise) next() uint64 {
	*n += 0x9e3779b97f4a7c15
	z := uint64(*n)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float returns a number in [0, 1).
func (n *noise) float() float64 { return float64(n.next()>>11) / (1 << 53) }

// between returns a number in [low, high).
func (n *noise) between(low, high float64) float64 { return low + (high-low)*n.float() }

// clouds returns a field of mean about 0 whose octaves shrink by gain from one to the next: with 0.5 its amplitude spectrum
// falls as 1/f, as that of photographs does (Field, JOSA A 1987). Each octave is the one above it doubled in size and
// smoothed, plus fresh noise, so the whole costs about 4/3 of the last octave. smooth is how many of the finest octaves get
// no noise.
func clouds(w, h int, seed uint64, gain float32, smooth int) plane {
	top := 0
	for max(w, h)>>top > 4 {
		top++
	}
	rng := noise(seed)
	p := plane{}
	amplitude := float32(1)
	for level := top; level >= 0; level-- {
		lw, lh := (w+1<<level-1)>>level, (h+1<<level-1)>>level
		if p.pix == nil {
			p = plane{lw, lh, make([]float32, lw*lh)}
		} else {
			p = p.double(lw, lh)
		}
		if level >= smooth {
			p.addNoise(&rng, amplitude)
		}
		amplitude *= gain
	}
	return p
}

// addNoise adds numbers evenly spread over [-amplitude, amplitude).
func (p plane) addNoise(rng *noise, amplitude float32) {
	const bits = 16
	scale := 2 * amplitude / (1 << bits)
	for i := 0; i < len(p.pix); i += 4 {
		word := rng.next()
		for j := i; j < min(i+4, len(p.pix)); j++ {
			p.pix[j] += float32(word&(1<<bits-1))*scale - amplitude
			word >>= bits
		}
	}
}

// double returns the plane at w x h, at most twice its size, by the quadratic B-spline's two-scale rule: each new pixel is
// 3/4 of the nearest old one and 1/4 of the next nearest, in both directions.
func (p plane) double(w, h int) plane {
	out := plane{w, h, make([]float32, w*h)}
	row := make([]float32, p.w)
	for y := range h {
		near, far := neighbours(y, p.h)
		a, b := p.pix[near*p.w:][:p.w], p.pix[far*p.w:][:p.w]
		for x := range row {
			row[x] = 0.75*a[x] + 0.25*b[x]
		}
		dst := out.pix[y*w:][:w]
		for x := range dst {
			near, far := neighbours(x, p.w)
			dst[x] = 0.75*row[near] + 0.25*row[far]
		}
	}
	return out
}

func neighbours(i, n int) (near, far int) {
	near = i / 2
	if i%2 == 0 {
		return near, max(near-1, 0)
	}
	return near, min(near+1, n-1)
}

// at samples the plane bilinearly at u, v in units of its sides; outside it repeats the nearest edge.
func (p plane) at(u, v float64) float64 {
	x := min(max(u*float64(p.w)-0.5, 0), float64(p.w-1))
	y := min(max(v*float64(p.h)-0.5, 0), float64(p.h-1))
	x0, y0 := int(x), int(y)
	x1, y1 := min(x0+1, p.w-1), min(y0+1, p.h-1)
	fx, fy := x-float64(x0), y-float64(y0)
	top := float64(p.pix[y0*p.w+x0])*(1-fx) + float64(p.pix[y0*p.w+x1])*fx
	bottom := float64(p.pix[y1*p.w+x0])*(1-fx) + float64(p.pix[y1*p.w+x1])*fx
	return top*(1-fy) + bottom*fy
}
