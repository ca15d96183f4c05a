package testimage

import (
	"image"
	"math"
)

// Demo returns w x h opaque pixels of a landscape worth looking at: a low sun over folded hills and a lake that mirrors
// them. The picture is the same at every size but for its grain.
func Demo(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	s := newScene(w, h)
	pixel := 1 / float64(h)
	rng := noise(99)
	for y := range h {
		v := (float64(y) + 0.5) / float64(h)
		for x := range w {
			u := (float64(x) + 0.5) / float64(w)
			c := vignette(s.shade(u, v, pixel), u, v)
			grain := (rng.float() + rng.float() - 1) * 4
			put(img, x, y, colour{c[0] + grain, c[1] + grain, c[2] + grain})
		}
	}
	return img
}

// scene holds what the landscape is made of. Positions are in parts of the picture's sides, v downwards.
type scene struct {
	aspect float64    // width over height
	sky    plane      // streaks of cloud
	water  plane      // ripples
	ridges []outlines // of the hills, for each column of the picture
}

// hill is one layer, the farthest first.
type hill struct {
	base, height float64 // of its outline
	scale        float64 // how much of the noise's width is seen; larger is busier
	trees        float64 // height of the trees on it; 0 is bare
	body         colour
}

const (
	horizon    = 0.66
	sunU, sunV = 0.383, 0.372
)

var hills = []hill{
	{base: 0.580, height: 0.260, scale: 0.55, body: colour{178, 138, 160}},
	{base: 0.605, height: 0.190, scale: 0.50, body: colour{142, 108, 142}},
	{base: 0.630, height: 0.120, scale: 0.50, body: colour{105, 82, 122}},
	{base: 0.648, height: 0.070, scale: 0.52, trees: 0.008, body: colour{66, 58, 96}},
	{base: 0.662, height: 0.055, scale: 0.60, trees: 0.020, body: colour{33, 35, 64}},
}

func newScene(w, h int) *scene {
	s := &scene{
		aspect: float64(w) / float64(h),
		sky:    clouds(700, 700, 21, 0.60, 1),
		water:  clouds(512, 512, 5, 0.75, 0),
		ridges: make([]outlines, w),
	}
	crag := clouds(1024, 64, 3, 0.5, 0)
	for x := range s.ridges {
		s.ridges[x] = outline(crag, (float64(x)+0.5)/float64(w), s.aspect)
	}
	return s
}

// outlines are the heights of the hills in one column of the picture.
type outlines [5]float64

func outline(crag plane, u, aspect float64) outlines {
	var o outlines
	for i, layer := range hills {
		row := (float64(i) + 0.5) / float64(len(hills))
		ridge := crag.at(layer.scale*u+0.13*float64(i), row)
		o[i] = layer.base - layer.height*(0.5+0.42*ridge)
		if layer.trees > 0 {
			o[i] -= layer.trees * tree(u*aspect, layer.trees, uint64(i))
		}
	}
	return o
}

// tree returns the height of a row of firs at u, 0 to 1: one a cell, each a peak of its own height with ragged sides.
func tree(u, size float64, layer uint64) float64 {
	highest := 0.0
	width := size * 0.42
	first := math.Floor(u / width)
	for cell := first - 1; cell <= first+1; cell++ {
		rng := noise(uint64(int64(cell)+1e6)*31 + layer)
		centre := (cell + rng.between(0.2, 0.8)) * width
		height := rng.between(0.25, 1)
		across := math.Abs(u-centre) / (width * 0.75)
		branch := 0.10 * math.Abs(math.Mod(across*9, 1)-0.5)
		highest = max(highest, height*(1-across)-branch)
	}
	return highest
}

// shade returns the colour at u, v; above the horizon the land and sky, below it their reflection.
func (s *scene) shade(u, v, pixel float64) colour {
	if v < horizon {
		return s.land(u, v, pixel)
	}
	depth := (v - horizon) / (1 - horizon) // 0 at the far shore, 1 at the viewer's feet
	// Perspective squeezes the ripples of the far shore together.
	near := 1 / (1.08 - depth)
	ripple := s.water.at(math.Mod(0.5*u*s.aspect*(1.05-0.6*depth)+0.1, 1), math.Mod(0.35*near+0.02, 1))
	mirrored := horizon - (v-horizon)*0.92 + ripple*0.030*(0.12+depth)
	uu := min(max(u+ripple*0.006*(0.2+depth), 0), 1)
	c := s.land(uu, min(mirrored, horizon-0.001), pixel*(1+6*depth))
	c = c.mix(colour{24, 36, 74}, 0.20+0.34*depth)
	// Tinted like the rest, the sun's own image would look dead.
	fromSun := math.Hypot((uu-sunU)*s.aspect, mirrored-sunV)
	c = c.mix(colour{255, 216, 160}, 0.85*min(max((0.036-fromSun)/0.008+0.5, 0), 1))
	// The sun's path on the water: narrow far off, broken up by the ripples nearby.
	across := (u - sunU) * s.aspect / (0.020 + 0.10*depth)
	glitter := math.Exp(-across*across) * min(max(ripple*1.5+0.45-0.25*depth, 0), 1)
	c = c.brighten(colour{255, 214, 150}, 0.75*glitter)
	shore := math.Exp(-depth * 70)
	return c.mix(colour{236, 186, 168}, 0.35*shore)
}

// brighten is mix where it makes a channel lighter.
func (a colour) brighten(b colour, t float64) colour {
	m := a.mix(b, t)
	return colour{max(a[0], m[0]), max(a[1], m[1]), max(a[2], m[2])}
}

// land returns the sky with the hills before it.
func (s *scene) land(u, v, pixel float64) colour {
	o := &s.ridges[min(int(u*float64(len(s.ridges))), len(s.ridges)-1)]
	c := s.heaven(u, v)
	distance := math.Hypot((u-sunU)*s.aspect, v-sunV)
	for i, layer := range hills {
		cover := min(max((v-o[i])/pixel+0.5, 0), 1)
		if cover == 0 {
			continue
		}
		// Haze gathers at the foot of each layer and glows toward the sun.
		foot := min(max((v-o[i])/0.12, 0), 1)
		far := 1 - float64(i)/float64(len(hills))
		body := layer.body.mix(colour{246, 190, 160}, (0.10+0.45*foot)*far)
		body = body.mix(colour{255, 190, 130}, 0.40*far*math.Exp(-distance*4.5))
		c = c.mix(body, cover)
	}
	return c
}

// skyStops are the sky's colours from the zenith to the horizon.
var skyStops = []struct {
	v float64
	c colour
}{
	{0, colour{38, 52, 110}},
	{0.22, colour{92, 92, 160}},
	{0.36, colour{196, 130, 158}},
	{0.46, colour{252, 172, 134}},
	{0.66, colour{255, 214, 160}},
}

func (s *scene) heaven(u, v float64) colour {
	c := skyStops[len(skyStops)-1].c
	for i := 1; i < len(skyStops); i++ {
		if low, high := skyStops[i-1], skyStops[i]; v < high.v {
			t := (v - low.v) / (high.v - low.v)
			c = low.c.mix(high.c, t*t*(3-2*t))
			break
		}
	}
	distance := math.Hypot((u-sunU)*s.aspect, v-sunV)
	c = c.mix(colour{255, 190, 140}, 0.75*math.Exp(-distance*6.5))
	// Streaks: the noise stretched sideways, gathered into bands, lit from below near the sun.
	streak := s.sky.at(0.18+0.55*u, 0.05+1.35*v) + 0.5*s.sky.at(0.9-0.5*u, 0.2+0.7*v)
	band := (v - 0.24) / 0.19
	cloud := min(max((streak+0.10)*0.8, 0), 1) * math.Exp(-band*band)
	lit := colour{120, 96, 150}.mix(colour{255, 178, 140}, min(1, 0.25+1.5*math.Exp(-distance*2.6)))
	c = c.mix(lit, 0.9*cloud)
	// The disc last, soft at its edge.
	disc := min(max((0.036-distance)/0.004+0.5, 0), 1)
	return c.mix(colour{255, 247, 222}, disc)
}

func vignette(c colour, u, v float64) colour {
	d := (u-0.5)*(u-0.5) + (v-0.5)*(v-0.5)
	return c.mix(colour{12, 12, 34}, 0.42*d)
}
