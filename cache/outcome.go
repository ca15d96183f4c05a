package cache

import "time"

// Origins of an answer beside the names of the layers, which a layer therefore cannot have.
const (
	// FromFill says that the entry was made for this request.
	FromFill = "fill"
	// FromShared says that the entry was looked up or made for another request for the same key.
	FromShared = "shared"
)

// maxSteps is enough for five layers and the fill. Steps beyond it are not recorded.
const maxSteps = 6

// Outcome says where an answer came from and what each step on the way took. It is a value, so that recording one costs
// no allocation.
type Outcome struct {
	// From is the name of the layer that held the entry, FromFill or FromShared; empty when there is no entry.
	From string
	// Origin is From, but for a shared answer: then it is where the request that did the work had it from.
	Origin string
	// Shared says that this request waited for, or was given, the work of another: its result, or its error.
	Shared bool

	steps [maxSteps]Step
	count int
}

// Step is one thing done for an answer: asking a layer, filling, or waiting for another request's work (FromShared).
type Step struct {
	Name string // a layer's name, FromFill or FromShared
	Took time.Duration
	Err  error // nil for a hit, ErrMiss, ErrCorrupt, or what went wrong
}

// Steps returns the steps in the order they were taken.
func (o *Outcome) Steps() []Step { return o.steps[:o.count] }

func (o *Outcome) add(name string, took time.Duration, err error) {
	if o.count < maxSteps {
		o.steps[o.count] = Step{Name: name, Took: took, Err: err}
		o.count++
	}
}

func (o *Outcome) from(name string) { o.From, o.Origin = name, name }
