package transform

import (
	"context"
	"errors"
)

// What callers branch on.
var (
	// ErrUnsupported says that the source's bytes are of no accepted type.
	ErrUnsupported = errors.New("transform: unsupported source type")
	// ErrMalformed says that the source's bytes are broken.
	ErrMalformed = errors.New("transform: malformed source")
	// ErrLimit says that the source or the result is larger than the limits allow.
	ErrLimit = errors.New("transform: over the limit")
	// ErrBusy says that every render slot and every place in the queue is taken.
	ErrBusy = errors.New("transform: too many renders waiting")
	// ErrMaxBytes says that no quality makes the result as small as was asked for.
	ErrMaxBytes = errors.New("transform: more bytes than asked for")
	// ErrFormat says that the installed libvips cannot write the format.
	ErrFormat = errors.New("transform: format cannot be written here")
	// ErrCrashed says that the renderer died of the source. Whoever asks again gets the same.
	ErrCrashed = errors.New("transform: the renderer crashed")
	// ErrQuarantined says that the source ended several renderers, and is given none for a while.
	ErrQuarantined = errors.New("transform: source in quarantine")
)

// Picture is one rendering and the facts about it.
type Picture struct {
	Body   []byte
	Format Format  // never Source or Auto: what Body is
	Width  int     // pixels
	Height int     // pixels
	Frames int     // 1 for a still picture
	Source Header  // what the source was
	Stages []Stage `json:",omitempty"` // what took how long, in the order in which it was done; only where it was asked for (WithStages)
}

// Engine renders pictures: the bytes of a source and a Spec in, the bytes of a picture and facts out. Nothing is shared with
// the caller but source, which is only read and not kept after the return, so that an engine can be another process.
// Errors wrap the sentinels of this package. An engine may go on working for a while after ctx has ended.
type Engine interface {
	Render(ctx context.Context, source []byte, spec Spec) (*Picture, error)
	// Writes tells whether the engine can encode f.
	Writes(f Format) bool
}

// Preparer is an Engine that does better when it knows of a render before its turn comes.
type Preparer interface {
	// Prepare is told of a render that is about to be asked for, and waits as long as that render is better off without a slot:
	// until something is there that spares it work. The render is then asked for with the context that is returned; done is
	// called at its end, or when it is given up. Errors are ctx's cause.
	Prepare(ctx context.Context, source []byte, h Header, s Spec) (prepared context.Context, done func(), err error)
}
