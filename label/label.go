// Package label owns what machines say of a picture: what a label is, which ones are kept, and who can be asked. The folders below
// ask: an analysis of the pixels that needs nobody, a model server over HTTP, and Amazon Rekognition.
package label

import (
	"context"
	"errors"
	"image"
)

// The categories: what a label says something about.
const (
	Object    = "object"    // a thing, a scene or an activity that is to be seen
	Face      = "face"      // what is said of a face
	Celebrity = "celebrity" // a person of public note
	Unsafe    = "unsafe"    // what not everybody should see
	Text      = "text"      // a line of text in the picture
	Colour    = "colour"    // one of the colours that take up most of it
	Kind      = "kind"      // what kind of picture it is
)

// Categories returns all categories.
func Categories() []string { return []string{Object, Face, Celebrity, Unsafe, Text, Colour, Kind} }

// Label is one thing that is said of a picture.
type Label struct {
	Name       string  // as Clean leaves it
	Category   string  // one of Categories
	Confidence float64 // how sure whoever says it is, 0-100; of a colour, its share of the picture
}

// ErrRefused says that a labeler will not take the picture, whenever it is asked, or that its answer is none. Other errors pass.
var ErrRefused = errors.New("label: the picture was refused")

// The sides of the renderings that labelers look at: the longest one, pixels. Smaller pictures are not enlarged.
const (
	SmallSide = 256  // what shows colours and textures
	LargeSide = 1600 // what shows faces of 40 pixels and lines of text, at some hundred kilobytes
)

// Picture is what a Labeler looks at. It is only read.
type Picture struct {
	Source, Version string // id and version of the source
	Width, Height   int    // pixels of the source, upright
	Frames          int    // of the source; 1 for a still picture

	// Small is a rendering within SmallSide, straight (not premultiplied) sRGB.
	Small *image.NRGBA
	// Large returns a JPEG within LargeSide, transparency on white, of at most MaxLarge bytes. It is made when somebody asks for
	// it first. Its errors are the labeler's to return.
	Large func(context.Context) ([]byte, error)
}

// MaxLarge bounds the JPEG that Picture.Large returns, bytes.
const MaxLarge = 4 << 20

// Labeler says what is in pictures. Methods are safe for concurrent use.
type Labeler interface {
	// Label returns what is to be said of the picture; nothing is an answer. It stops when ctx ends. Labels need not be clean. An
	// error that wraps ErrRefused stays as it is however often the same picture is shown.
	Label(ctx context.Context, p Picture) ([]Label, error)
}

// Named is a Labeler and the name under which its labels are kept, so that those that it says anew take the place of those that it
// said before, and of no others.
type Named struct {
	Name string
	Labeler
}
