package transform

import "time"

// The constants of Predict: CPU nanoseconds a pixel on one core of an ordinary server (libvips 8.16 with SIMD, default
// encoder efforts). They were fitted to the grid of BenchmarkCost (photo-like sources of 0.2 to 12 megapixels in eight
// encodings, each rendered to four widths in every format) and then to BenchmarkCostTable, what people ask for: there each
// prediction is within a factor of 2 of the CPU time measured (bench/results/lanes.md). Other machines are faster or slower
// by about the same factor in all rows, and lanes only compare.
const (
	baseCost    = 7e6 // of any render, ns in all
	enlargeCost = 43  // a pixel of the result, when it is larger than the source
	filterCost  = 8   // a pixel of the result and filter: blur, sharpen, tone, overlay
	trimCost    = 1   // a pixel of the source, beside decoding it once more and whole
	scansCost   = 7.5 // a pixel of a progressive source: its coefficients are gone through several times
	otherDecode = 150 // formats of which nothing was measured
	otherEncode = 150
)

// decodeCost is what one pixel of a source costs: read is paid for each, and made for each that is left where the decoder
// shrinks the picture as it decodes.
var decodeCost = [numFormats]struct{ read, made float64 }{
	JPEG: {2, 3}, PNG: {37, 0}, WebP: {9.2, 0}, AVIF: {36, 0}, HEIC: {70, 0}, GIF: {14, 0}, TIFF: {9.1, 0}, BMP: {30, 0},
}

// A frame of an animated WebP costs more than a picture of its size: it is put on those before it, and tried in several ways.
const (
	movingDecode = 55
	movingEncode = 130
)

// encodeCost is what a frame of a result costs, and each of its pixels, with loss and without.
var encodeCost = [numFormats]struct{ frame, pixel, lossless float64 }{
	JPEG: {0, 35, 35}, PNG: {0, 240, 240}, WebP: {0, 76, 1000}, AVIF: {9e6, 200, 750}, GIF: {22e6, 840, 840},
	JXL: {0, 65, 1350}, HEIC: {17e6, 1720, 1720}, TIFF: {0, 330, 330},
}

// maxBytesCost is how many encodings' time it takes to find the quality that fits, when the first does not.
const maxBytesCost = 6

// usualBytes is what a pixel of a photograph takes at quality auto (bench/results/quality.md).
var usualBytes = [numFormats]float64{JPEG: 0.17, WebP: 0.135, AVIF: 0.105, HEIC: 0.095, JXL: 0.13}

// Predict returns about how much CPU time a render will take, from what is known before it: the source's header, the Spec
// and the limits; at most an hour. It is for choosing lanes, not for charging anybody.
func Predict(h Header, s Spec, l Limits) time.Duration {
	e := measure(h, s, l)
	decode := decodeCost[h.Format]
	if decode.read == 0 {
		decode.read = otherDecode
	}
	if h.Progressive {
		decode.read += scansCost
	}
	if h.Format == WebP && e.frames > 1 {
		decode.read = movingDecode
	}
	cost := decode.read*e.source + decode.made*e.decoded + encoding(e, s)
	if e.fitted > e.source {
		cost += enlargeCost * e.fitted
	}
	if s.Trim.Set {
		cost += (trimCost + decode.read + decode.made) * e.source
	}
	cost += filterCost * float64(s.filters()) * e.result
	return time.Duration(min(baseCost+cost*e.frames, float64(time.Hour)))
}

// encoding is what writing one frame costs, ns.
func encoding(e extent, s Spec) float64 {
	row := encodeCost[e.format]
	pixel := row.pixel
	switch {
	case pixel == 0:
		pixel = otherEncode
	case s.Lossless:
		pixel = row.lossless
	case e.format == WebP && e.frames > 1:
		pixel = movingEncode
	}
	cost := row.frame + pixel*e.result
	if fits := usualBytes[e.format] * e.result * e.frames; s.MaxBytes > 0 && float64(s.MaxBytes) < fits && !s.Lossless {
		cost *= maxBytesCost
	}
	return cost
}

// filters counts the steps that compute every pixel of the result anew.
func (s Spec) filters() int {
	n := 0
	for _, on := range [...]bool{
		s.Blur > 0, s.Sharpen > 0, s.Background.Blur, s.Gravity == Attention || s.Gravity == Entropy, s.Watermark != Watermark{},
		s.Brightness != 0 || s.Contrast != 0 || s.Saturation != 0,
	} {
		if on {
			n++
		}
	}
	return n
}

// extent is how much there is to do in a render.
type extent struct {
	format  Format  // of the result
	frames  float64 // that are rendered
	source  float64 // pixels of one frame, as stored
	decoded float64 // pixels of it that come out of the decoder
	shrink  float64 // by how much each side may be shrunk before it is resized
	fitted  float64 // pixels after resizing
	result  float64 // pixels that are encoded
}

// headroom is how many times larger than the result a JPEG decoder leaves the picture when it shrinks it.
const headroom = 2

// measure follows the geometry of a render as far as its cost depends on it.
func measure(h Header, s Spec, l Limits) extent {
	e := extent{format: s.Format, frames: 1, source: float64(h.Width) * float64(h.Height)}
	if e.format == Source || e.format == Auto {
		e.format = h.Format
	}
	if h.Frames > 1 && s.Page == 0 && !s.Still && e.format.Animated() && !l.StillOnly(h) {
		e.frames = float64(h.Frames)
	}
	x, y := s.cropped(h)
	if s.Rotate%180 != 0 {
		x, y = y, x
	}
	w, t := s.fitted(x, y)
	if most := float64(l.OutputSide); most > 0 && max(w, t) > most {
		w, t = w*most/max(w, t), t*most/max(w, t)
	}
	e.fitted, e.result = w*t, w*t
	if s.Width > 0 && s.Height > 0 && (s.Fit == FitCrop || s.Fit == FitCanvas) {
		e.result = float64(s.Width) * float64(s.Height)
	}
	e.decoded, e.shrink = e.source, min(x/w, y/t)/headroom
	if h.Format == JPEG {
		for factor := 2.0; factor <= min(8, e.shrink); factor *= 2 {
			e.decoded = e.source / (factor * factor)
		}
	}
	return e
}

// cropped returns the size of the part of the upright source that is used, pixels.
func (s Spec) cropped(h Header) (x, y float64) {
	width, height := h.Upright()
	x, y = float64(max(1, width)), float64(max(1, height))
	switch {
	case s.Crop == Crop{}:
	case s.Crop.Fraction:
		x, y = x*float64(s.Crop.W)/millionths, y*float64(s.Crop.H)/millionths
	default:
		x, y = min(x, float64(s.Crop.W)), min(y, float64(s.Crop.H))
	}
	return max(1, x), max(1, y)
}

// fitted returns what a part of x by y pixels is resized to.
func (s Spec) fitted(x, y float64) (w, h float64) {
	across, down := float64(s.Width)/x, float64(s.Height)/y
	var scale float64
	switch {
	case s.Width == 0 && s.Height == 0:
		return x, y
	case s.Width == 0:
		scale = down
	case s.Height == 0:
		scale = across
	case s.Fit == FitStretch:
		return float64(s.Width), float64(s.Height)
	case s.Fit == FitCrop, s.Fit == FitCover:
		scale = max(across, down)
	default:
		scale = min(across, down)
	}
	if s.Fit == FitClip && !s.Enlarge {
		scale = min(scale, 1)
	}
	return max(1, x*scale), max(1, y*scale)
}
