// Package transform says what to do to a picture: the Spec of a rendering and its spellings, the formats, what a source may
// be before it is decoded, and the bounded gate in front of the engine that decodes. It holds no cgo.
package transform

// Spec is one requested rendering: only what changes pixels or bytes, comparable, the zero value being the source itself.
// A Spec that Parse returned is canonical: two that ask for the same picture are equal.
type Spec struct {
	Format     Format
	Width      int // device pixels; 0 leaves the side free
	Height     int // device pixels; 0 leaves the side free
	Fit        Fit
	Gravity    Gravity
	Focus      Focus // takes the place of Gravity where it is set
	Enlarge    bool  // lets FitClip go beyond the source's size
	Crop       Crop
	Trim       Trim
	Rotate     int // degrees clockwise: 0, 90, 180, 270; after EXIF orientation
	Flip       Flip
	Quality    int  // 1-100; 0 is auto
	Lossless   bool // WebP, AVIF and JPEG XL
	MaxBytes   int  // of the result; 0 is no bound
	Blur       int  // hundredths of the Gaussian's sigma in pixels of the result; 0 is none
	Sharpen    int  // hundredths of the sigma of the unsharp mask's Gaussian in pixels of the result; 0 is none
	Brightness int  // per cent more or less than 100: -100 to 100
	Contrast   int  // per cent more or less than 100: -100 to 100
	Saturation int  // per cent more or less than 100: -100 to 100
	Gray       bool
	Background Background
	Page       int  // frame or page of the source, shown as a still picture; the first is 1; 0 is none in particular
	Still      bool // of an animation the first frame only
	Watermark  Watermark
}

// Fit says how a picture meets its box.
type Fit uint8

// The fits. Only Clip looks at Enlarge; the others always reach the box.
const (
	FitClip    Fit = iota // inside the box, ratio kept
	FitCrop               // fills the box, ratio kept, the rest cut off
	FitCanvas             // inside the box, padded to it
	FitCover              // the box as a minimum, ratio kept, nothing cut
	FitStretch            // exactly the box, ratio ignored
)

// Gravity says what a crop keeps and where a canvas places.
type Gravity uint8

// The nine points, and two that look at the pixels of a picture that is cropped.
const (
	Center Gravity = iota
	North
	NorthEast
	East
	SouthEast
	South
	SouthWest
	West
	NorthWest
	Attention // what catches the eye: edges, skin, strong colours
	Entropy   // where most is going on
)

// Flip mirrors a picture, after Rotate.
type Flip uint8

// The mirrorings. FlipBoth is spelled only: the canonical form is a rotation by 180 degrees.
const (
	FlipNone       Flip = iota
	FlipHorizontal      // left and right change places
	FlipVertical        // top and bottom change places
	FlipBoth
)

// Trim cuts the borders of one colour off the source before anything else: the colour of the upright picture's top left
// pixel, as far as no channel differs from it by more than Threshold. The zero value cuts nothing.
type Trim struct {
	Set       bool
	Threshold uint8
}

// Crop is a rectangle cut from the upright source, after Trim; the zero value cuts nothing.
type Crop struct {
	Fraction bool // the numbers are millionths of the source's sides, else pixels
	X, Y     int  // of the top left corner
	W, H     int  // at least 1 when a crop is asked for
}

// Background is the colour under transparent pixels and around a canvas. The zero value is unset: white where a colour is
// needed (an output without transparency, a canvas), and transparency is kept where the output holds it.
type Background struct {
	Set        bool
	R, G, B, A uint8 // straight (not premultiplied); A 255 is opaque
	Blur       bool  // instead of a colour: around a canvas a blurred copy of the picture that covers it; Set is false
}
