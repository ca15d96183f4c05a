package transform

import "fmt"

// Limits bound what a source may ask of a renderer. Each is checked on the header, before anything is decoded.
type Limits struct {
	SourceBytes     int64 // bytes of the file
	SourcePixels    int64 // width x height of one frame
	SourceSide      int   // pixels, either side
	Frames          int   // frames of an animation
	FramePixels     int64 // width x height of a frame of an animation
	AnimationPixels int64 // width x height x frames
	OutputSide      int   // pixels, either side of a result

	// Inputs are the optional formats (OptionalInputs) that are read; none unless they are named.
	Inputs FormatSet
}

// DefaultLimits are what the edge starts with: 32 MiB, 50 megapixels, sides of 16,384, 100 frames of at most
// 16 megapixels that make up 100, results of at most 4,096 pixels a side.
func DefaultLimits() Limits {
	return Limits{
		SourceBytes: 32 << 20, SourcePixels: 50e6, SourceSide: 16384,
		Frames: 100, FramePixels: 16e6, AnimationPixels: 100e6, OutputSide: 4096,
	}
}

// CheckSize tells whether a source of n bytes may be read. The error wraps ErrLimit.
func (l Limits) CheckSize(n int64) error {
	if n > l.SourceBytes {
		return fmt.Errorf("%w: the source has %d bytes; at most %d are accepted", ErrLimit, n, l.SourceBytes)
	}
	return nil
}

// ReadHeader returns the header of a source whose bytes, type and size are all within the limits. Errors are those of the
// package's ReadHeader and of CheckHeader.
func (l Limits) ReadHeader(data []byte) (Header, error) {
	if err := l.CheckSize(int64(len(data))); err != nil {
		return Header{}, err
	}
	h, err := readHeader(data, l.Inputs)
	if err != nil {
		return Header{}, err
	}
	return h, l.CheckHeader(h)
}

// CheckHeader tells whether a source with header h may be decoded. The error wraps ErrLimit and says which bound is broken.
// Frames beyond the limits are no error: of such an animation only the first frame is decoded (StillOnly).
func (l Limits) CheckHeader(h Header) error {
	switch {
	case h.Width > l.SourceSide || h.Height > l.SourceSide:
		return fmt.Errorf("%w: the source is %dx%d pixels; sides of at most %d are accepted", ErrLimit, h.Width, h.Height, l.SourceSide)
	case int64(h.Width)*int64(h.Height) > l.SourcePixels:
		return fmt.Errorf("%w: the source is %dx%d pixels; at most %d pixels are accepted", ErrLimit, h.Width, h.Height, l.SourcePixels)
	}
	return nil
}

// StillOnly tells whether an animation is too long or too large to be decoded beyond its first frame. Such a source is
// rendered as a still picture, whatever is asked for.
func (l Limits) StillOnly(h Header) bool {
	if h.Frames < 2 {
		return false
	}
	frame := int64(h.Width) * int64(h.Height)
	return h.Frames > l.Frames || frame > l.FramePixels || frame*int64(h.Frames) > l.AnimationPixels
}
