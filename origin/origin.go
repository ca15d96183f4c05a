// Package origin says where originals live and how they are read, written and versioned, whatever store holds them.
package origin

import (
	"context"
	"errors"
	"io"
	"time"
)

// What callers branch on.
var (
	// ErrNotFound says that the store holds no source of that id.
	ErrNotFound = errors.New("origin: not found")
	// ErrExists says that a source of that id is there already and may not be replaced.
	ErrExists = errors.New("origin: exists already")
	// ErrBadID says that an id is outside the grammar; no store was touched.
	ErrBadID = errors.New("origin: bad id")
	// ErrTooLarge says that a source is larger than the reader may take.
	ErrTooLarge = errors.New("origin: source too large")
	// ErrForbidden says that the address of an upstream may not be connected to.
	ErrForbidden = errors.New("origin: address not allowed")
	// ErrReadOnly says that the store which holds an id is only read from.
	ErrReadOnly = errors.New("origin: store is read-only")
	// ErrFull says that the store has no room left; ErrUnavailable is wrapped beside it.
	ErrFull = errors.New("origin: store is full")
	// ErrUnavailable says that the store could not be asked; the same call may succeed later.
	ErrUnavailable = errors.New("origin: store unavailable")
)

// Info describes one stored source.
type Info struct {
	Version  string    // opaque; differs whenever the bytes differ; [0-9A-Za-z_-]{1,64}
	Size     int64     // bytes; -1 when an upstream does not say
	Modified time.Time // whole seconds; zero when unknown
	Stale    bool      // the store cannot be asked now: this is what it said before
	Private  bool      // not for everybody to read; no part of Version
}

// Range asks for part of a source: Length bytes from Offset, or all from Offset when Length is 0.
// The zero value is the whole source. Offset is at least 0; a range is cut at the source's end.
type Range struct {
	Offset int64 // bytes
	Length int64 // bytes
}

// Check refuses a negative offset or length, which no caller has a reason to ask for.
func (r Range) Check() error {
	if r.Offset < 0 || r.Length < 0 {
		return errors.New("origin: negative range")
	}
	return nil
}

// Within cuts a checked range at the end of a source of size bytes.
func (r Range) Within(size int64) (offset, length int64) {
	offset = min(r.Offset, size)
	length = size - offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	return offset, length
}

// Object is an opened source. Its Info is that of the bytes being read, which may be newer than an earlier Stat's.
type Object struct {
	Info
	Body io.ReadCloser // whoever opened it closes it
}

// Reader finds sources. Methods are safe for concurrent use, stop when ctx ends, and answer ErrBadID for an id outside the
// grammar, ErrNotFound for an absent one, ErrUnavailable (wrapped) when the store cannot be asked.
type Reader interface {
	Stat(ctx context.Context, id string) (Info, error)
	Open(ctx context.Context, id string, r Range) (*Object, error)
}

// Writer stores sources.
type Writer interface {
	// Stage opens room for a new source. Nothing of it can be read by id until Commit.
	Stage(ctx context.Context) (Staged, error)
	// Delete removes a source; ErrNotFound when there is none.
	Delete(ctx context.Context, id string) error
	// SetPrivate says durably whether a source is private, and returns what Stat will say; ErrNotFound when there is none.
	// Whoever opens it while that changes sees either. No reader ever finds bytes that have been private all along otherwise.
	SetPrivate(ctx context.Context, id string, private bool) (Info, error)
}

// Staged is a source being written: written, looked at, then committed or aborted. It is used by one goroutine.
type Staged interface {
	io.Writer
	// Path names a local file that holds what was written so far, readable until Commit or Abort.
	Path() string
	// SetPrivate says whether the source is to be private, before Commit; it is not unless this says so.
	SetPrivate(private bool)
	// Commit makes the bytes durable under id, all at once, and returns what Stat will say. With replace false it answers
	// ErrExists when id is taken, atomically. After an error nothing is stored under id that was not there before, and Abort
	// is still owed; after ErrExists Commit may be called again, with replace or for another id.
	Commit(ctx context.Context, id string, replace bool) (Info, error)
	// Abort drops what was written. After a successful Commit it does nothing, so that it can be deferred.
	Abort() error
}

// Store reads and writes.
type Store interface {
	Reader
	Writer
}
