package transform

import "context"

// A pyramid is a decoded source at its size and at a half, a quarter, ... of it: level n is 1/2^n of each side. Renderings
// that start from a level decode nothing.

// Keeper is an Engine that can keep what it decodes of a source for later renderings of it, in memory that it is given.
type Keeper interface {
	// Keep is Render, and writes the levels of the source's pyramid from first on into memory. kept is how many bytes of it they
	// take from its start; 0 when this source cannot be kept, which is no error.
	Keep(ctx context.Context, source []byte, spec Spec, first int, memory []byte) (p *Picture, kept int, err error)
	// RenderKept renders from levels that Keep wrote; header is the source's. Levels that do not hold together are ErrMalformed,
	// and so is a Spec for which LevelOf tells of a level before the first of them.
	RenderKept(ctx context.Context, header Header, levels []byte, spec Spec) (*Picture, error)
}

// maxLevel bounds the levels: 1/128 of the longest side that is accepted is a thumbnail.
const maxLevel = 7

// leastKept is the size from which a source is worth keeping, pixels: below it decoding costs less than what surrounds it.
const leastKept = 1 << 20

// layered are the formats whose decoding can be spared. A drawing is decoded at the size of the result.
var layered = NewFormatSet(JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF, BMP, JXL, JP2)

// LevelOf returns the coarsest level of a source's pyramid that leaves a rendering twice its size on each side, as a decoder
// that shrinks would. ok is false when a rendering has no use for a pyramid: results no smaller than the source, pages,
// results with frames, each of which would have to be kept, drawings, sources that decode quickly, and trim, which looks at
// every pixel of the source.
func LevelOf(h Header, s Spec, l Limits) (level int, ok bool) {
	if !layered.Has(h.Format) || s.Page > 0 || s.Trim.Set || h.Width*h.Height < leastKept {
		return 0, false
	}
	e := measure(h, s, l)
	if e.frames > 1 || e.shrink*headroom <= 1 {
		return 0, false
	}
	return LevelWithin(e.shrink), true
}

// LevelWithin returns the coarsest level that is shrunk by no more than shrink.
func LevelWithin(shrink float64) (level int) {
	for level < maxLevel && float64(int(2)<<level) <= shrink {
		level++
	}
	return level
}

// keptHead is how much room the description of a pyramid takes, an embedded profile included, bytes.
const keptHead = 2 << 20

// KeptSize bounds the memory that Keep needs for the levels of a source from first on, bytes: four for each pixel.
func KeptSize(h Header, first int) int {
	size := keptHead
	for level := first; level <= maxLevel; level++ {
		w, t := LevelSize(h.Width, level), LevelSize(h.Height, level)
		size += 4 * w * t
	}
	return size
}

// LevelSize returns how long a side is at a level, pixels.
func LevelSize(side, level int) int { return max(1, (side+1<<level-1)>>level) }
