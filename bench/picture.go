package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"sync/atomic"
)

// picture is what one request asks for.
type picture struct {
	source string
	width  int // pixels of the box
	height int
	format string // extension
}

// pictures are the pictures of a run, in an order shuffled by the seed. No two are equal, so that whoever takes each once
// never asks a server for what it has, or is just making.
type pictures struct {
	sources []string
	format  string
	least   int
	sides   int
	lane    int // of lanes: the numbers that are this run's
	lanes   int
	order   []uint32
	taken   atomic.Int64
	weights []float64 // of the set of a hit workload, summed up
}

// newPictures chooses as many pictures as the run may need, or fails when sources and sides do not give as many.
func newPictures(c Config) (*pictures, error) {
	if c.Workload == Srcset {
		return newSrcsets(c)
	}
	p := &pictures{sources: c.Sources, format: c.Format, least: c.MinSide, sides: c.MaxSide - c.MinSide + 1, lane: c.Lane, lanes: c.Lanes}
	space := p.sides * p.sides * len(c.Sources) / p.lanes
	need := c.needs(space)
	if need > space || need > MaxRequests {
		return nil, fmt.Errorf("the run needs %d different pictures: %d sources of %d to %d pixels a side give %d, and at most %d are used; widen the sides, add sources, or ask for less",
			need, len(c.Sources), c.MinSide, c.MaxSide, space, MaxRequests)
	}
	p.order = make([]uint32, need)
	for i := range p.order {
		p.order[i] = uint32(i)
	}
	random := rand.New(rand.NewPCG(c.Seed, 0))
	random.Shuffle(len(p.order), func(i, j int) { p.order[i], p.order[j] = p.order[j], p.order[i] })
	if c.hasSet() {
		p.weigh(c.Set, c.Zipf)
		p.taken.Store(int64(c.Set)) // what comes behind the set is new
	}
	return p, nil
}

// needs returns how many different pictures of a space the run asks for.
func (c *Config) needs(space int) int {
	need := 0
	if c.hasSet() {
		need = c.Set
	}
	var fresh int // of a round
	switch c.Workload {
	case Miss, Mixed:
		if fresh = c.roundRequests(); fresh == 0 { // how many a server answers is not known before
			return max(need, min(space, MaxRequests))
		}
	case Storm:
		fresh = 1 + loneMisses
	default:
		return need
	}
	return need + len(c.Targets)*(c.WarmUp+c.Rounds*fresh)
}

// at returns the nth picture. Boxes near the square come first in the numbering, so that a run which needs few of them uses
// boxes of about the same work.
func (p *pictures) at(n int) picture {
	number := int(p.order[n])*p.lanes + p.lane
	source := number % len(p.sources)
	number /= len(p.sources)
	width := number % p.sides
	height := (width + number/p.sides) % p.sides
	return picture{source: p.sources[source], width: p.least + width, height: p.least + height, format: p.format}
}

// take returns a picture that was never taken before; false when all were.
func (p *pictures) take() (picture, bool) {
	n := p.taken.Add(1) - 1
	if n >= int64(len(p.order)) {
		return picture{}, false
	}
	return p.at(int(n)), true
}

// weigh makes draw follow Zipf's law: the nth picture in proportion to 1/n^exponent.
func (p *pictures) weigh(set int, exponent float64) {
	p.weights = make([]float64, set)
	sum := 0.0
	for i := range p.weights {
		sum += math.Pow(float64(i+1), -exponent)
		p.weights[i] = sum
	}
}

// draw returns the number of a picture of the set.
func (p *pictures) draw(random *rand.Rand) int {
	at := random.Float64() * p.weights[len(p.weights)-1]
	return min(sort.SearchFloat64s(p.weights, at), len(p.weights)-1)
}

// newSrcsets is newPictures for a srcset workload: each target needs a source of its own for every set, and may share them with
// the other targets.
func newSrcsets(c Config) (*pictures, error) {
	need := (c.WarmUp + c.Rounds*c.Requests + srcsetSize() - 1) / srcsetSize()
	if need > len(c.Sources) {
		return nil, fmt.Errorf("the run needs %d sources, one for each %d requests to a target; %d are given", need, srcsetSize(), len(c.Sources))
	}
	return &pictures{sources: c.Sources}, nil
}

func srcsetSize() int { return len(SrcsetWidths) * len(SrcsetFormats) }

// ofSrcset returns the nth picture of a target's srcsets; false when there are no more sources.
func (p *pictures) ofSrcset(n int) (picture, bool) {
	source, variant := n/srcsetSize(), n%srcsetSize()
	if source >= len(p.sources) {
		return picture{}, false
	}
	width := SrcsetWidths[variant%len(SrcsetWidths)]
	return picture{source: p.sources[source], width: width, height: width, format: SrcsetFormats[variant/len(SrcsetWidths)]}, true
}
