package transform

import "time"

// Later is an error that says when the same call may succeed.
type Later struct {
	Err   error
	After time.Duration // from when the error was made
}

func (e *Later) Error() string { return e.Err.Error() }

func (e *Later) Unwrap() error { return e.Err }
