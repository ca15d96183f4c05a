// Package ingest owns the write path: it gives out one-time tokens, and takes uploads in until they are durable and served.
//
// # Order of durability
//
// An upload is acknowledged when each of these has been done, in this order:
//
//  1. The grant is claimed: one conditional write, so that a token is used by one upload at a time.
//  2. The body is in a staged object, hashed, read as a picture and found within the limits.
//  3. The bytes are durable in the store under the id.
//  4. The record is durable in the catalog and the grant is used: one transaction.
//  5. This node knows the new version.
//
// A crash before 3 leaves a claim that runs out by itself, after which the same token is good again. A crash between 3 and 4
// leaves bytes without a record, never a record without bytes: repeating the upload with the same token finds its own bytes
// and goes on. Where a source is being replaced, such a crash leaves the record of the former bytes until then; readers ask
// the store for versions, not the catalog, so that no reader is misled. A crash after 4 loses the answer only: repeating the
// upload with the same token is answered with the same receipt for as long as the token lives.
//
// So after any failure the sender may repeat the upload with the same token, and gets a receipt or a clean error; there is
// never a second source.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"deckle/catalog"
	"deckle/origin"
	"deckle/transform"
)

// What callers branch on, beside the errors of transform (ErrUnsupported, ErrMalformed, ErrLimit, ErrBusy, ErrFormat and
// *SpecError, about the picture and its crop) and of origin (ErrBadID, ErrUnavailable).
var (
	// ErrToken says that a token is unknown, has expired, or is for another id; which one is not told.
	ErrToken = catalog.ErrToken
	// ErrUsed says that a token has been used for another body, or is being used by another upload at this moment.
	ErrUsed = catalog.ErrUsed
	// ErrHeld says that an id has an unused token already.
	ErrHeld = catalog.ErrHeld
	// ErrExists says that an id is taken and that replacing was not asked for. Its text names the remedy.
	ErrExists = catalog.ErrExists
	// ErrUnavailable says that the catalog could not be asked; the same call may succeed later.
	ErrUnavailable = catalog.ErrUnavailable
	// ErrNoImage says that the body is empty.
	ErrNoImage = errors.New("ingest: the upload holds no image")
	// ErrTooLarge says that the body has more bytes than the limits allow. The rest of it has not been read.
	ErrTooLarge = errors.New("ingest: the upload is too large")
	// ErrAborted says that the body broke off; it wraps what the reading of the body answered.
	ErrAborted = errors.New("ingest: the upload broke off")
	// ErrBusy says that as many uploads as are allowed at one time are under way.
	ErrBusy = errors.New("ingest: too many uploads at once")
)

// Versions is told of what changes.
type Versions interface {
	// Set says what the store now holds under id.
	Set(id string, info origin.Info)
	// Invalidate says that what the store holds under id may have changed.
	Invalidate(id string)
}

// Config is what a Service works with. Store, Catalog, Engine and Versions are required; zero fields of the others take the
// value in brackets.
type Config struct {
	Store    origin.Store
	Catalog  *catalog.Catalog
	Engine   transform.Engine // crops
	Limits   transform.Limits // [transform.DefaultLimits]
	Versions Versions
	// Purge drops the variants of a source that has been replaced. It is for tidiness: variants of another version are
	// never served, so that its failure is logged and no failure of the upload. [nothing]
	Purge func(ctx context.Context, id string) error
	// MaxConcurrent is how many bodies are received at one time. [8]
	MaxConcurrent int
	// TTL is how long a token is good, by the wall clock; nodes may differ by up to catalog.Skew (60 s). [15 minutes]
	TTL time.Duration
	// Lease is how long a claim outlives the process that holds it. It bounds the last step of an upload, too. [30 s]
	Lease time.Duration
	Now   func() time.Time // the wall clock [time.Now]
	Log   *slog.Logger     // what fails beside an upload that succeeds [nowhere]
}

func (c Config) withDefaults() Config {
	if c.Limits == (transform.Limits{}) {
		c.Limits = transform.DefaultLimits()
	}
	if c.Purge == nil {
		c.Purge = func(context.Context, string) error { return nil }
	}
	if c.MaxConcurrent <= 0 {
		c.MaxConcurrent = 8
	}
	if c.TTL <= 0 {
		c.TTL = 15 * time.Minute
	}
	if c.Lease <= 0 {
		c.Lease = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Service gives out tokens and receives uploads. Methods are safe for concurrent use. It runs nothing of its own: when no
// call is under way it holds nothing.
type Service struct {
	config Config
	slots  chan struct{} // one token for each body being received
	issued atomic.Uint64 // grants asked for, to sweep on one in sweepEvery
}

// New returns a service.
func New(config Config) *Service {
	config = config.withDefaults()
	return &Service{config: config, slots: make(chan struct{}, config.MaxConcurrent)}
}
