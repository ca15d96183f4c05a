package transform

// maxScanSteps is how many coefficients the scans of a JPEG may go through for each pixel: of the picture or, if it is smaller,
// of the largest that is accepted by default. A picture with one scan for each of four inks takes 4, a progressive one of three
// colours, arithmetic and not subsampled, 7. A scan may be empty, and decoders still go through all of it.
const maxScanSteps = 8

// leastSteps is what a block takes in a progressive scan that only passes over it.
const leastSteps = 8

// scanWork adds up what the scans of a JPEG make a decoder do.
type scanWork struct {
	components  [4]scanComponent
	count       int
	progressive bool
	arithmetic  bool
	steps       uint64
}

type scanComponent struct {
	id     byte
	blocks uint64 // of 8 x 8 coefficients
}

// frame notes the components of a frame header that was checked (T.81 B.2.2, A.1.1).
func (w *scanWork) frame(marker byte, width, height int, components []byte) {
	w.progressive = marker == markerSOF2 || marker == markerSOFA
	w.arithmetic = marker == markerSOF9 || marker == markerSOFA
	w.count = 0
	across, down := 1, 1
	for c := components; len(c) > 0; c = c[3:] {
		across, down = max(across, int(c[1]>>4)), max(down, int(c[1]&15))
	}
	for c := components; len(c) > 0; c = c[3:] {
		x, y := blocksOf(width, int(c[1]>>4), across), blocksOf(height, int(c[1]&15), down)
		w.components[w.count] = scanComponent{id: c[0], blocks: x * y}
		w.count++
	}
}

// blocksOf is how many blocks a side has that is sampled so many times out of the most.
func blocksOf(side, sampling, most int) uint64 {
	samples := (side*sampling + most - 1) / most
	return uint64(samples+7) / 8
}

// scan adds a scan by its header (T.81 B.2.3); false when that is broken.
func (w *scanWork) scan(segment []byte) bool {
	if len(segment) < 1 || len(segment) != 1+2*int(segment[0])+3 {
		return false
	}
	end := 1 + 2*int(segment[0])
	first, last := segment[end], segment[end+1]
	if w.progressive && (last > 63 || first > last) { // other scans are of everything, whatever they say
		return false
	}
	each := uint64(64)
	switch {
	case w.progressive && w.arithmetic:
		each = max(leastSteps, uint64(last-first)+1)
	case w.progressive: // whole runs of blocks are one code
		each = leastSteps
	}
	for c := segment[1:end]; len(c) > 0; c = c[2:] {
		for _, component := range w.components[:w.count] {
			if component.id == c[0] {
				w.steps += component.blocks * each
			}
		}
	}
	return true
}

// tooLong tells whether the scans are more than a picture of so many pixels needs.
func (w *scanWork) tooLong(pixels int64) bool {
	return w.steps > maxScanSteps*uint64(max(pixels, DefaultLimits().SourcePixels))
}
