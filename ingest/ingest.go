// Package ingest owns the write path: it gives out one-time tokens, takes uploads in until they are durable and served, and changes
// and removes what has come in.
//
// # Order of durability
//
// An upload is acknowledged when each of these has been done, in this order:
//
//  1. The grant is claimed: one conditional write, so that a token is used by one upload at a time.
//  2. The body is in a staged object, hashed, read as a picture and found within the limits and the grant's policy.
//  3. The right to change the id is taken, and what is about to be stored is written down with it: the intent.
//  4. The bytes are durable in the store under the id, or in the incoming area when they are to be published later.
//  5. The record is durable in the catalog, the grant is used, the right is given back and the event is in the outbox: one
//     transaction.
//  6. This node knows the new version.
//
// A crash before 3 leaves a claim that runs out by itself, after which the same token is good again. A crash between 3 and 5
// leaves the intent: whoever wants to change the same source next, or Recover, looks whether the bytes have come as far as the
// store, and if so does 5. Until then a new source may be served that has no record, or a replaced one that has its former
// record, never a record without bytes; readers ask the store for versions, not the catalog, so that no reader is misled. A crash
// after 5 loses the answer only: repeating the upload with the same token is answered with the same receipt for as long as the
// token lives.
//
// So after any failure the sender may repeat the upload with the same token, and gets a receipt or a clean error; there is
// never a second source.
//
// # Changes
//
// Every change of a source goes through the right to change its id, which one call has at a time, on all nodes together: others
// wait, and none is lost. It lasts for one lease, and no step of a change outlasts it.
//
//   - Publish and Restore copy the bytes out of their area, and check them against their hash; then as from 3 on. The entry of the
//     area goes with the transaction that writes the record. The bytes there go last.
//   - Rotate, Crop and Replace read the source under the right to change it, so that of two at once the second one works on what
//     the first one made; then as from 3 on. Under a new id nobody has heard of, an intent without a record is undone.
//   - Delete and Unpublish copy the bytes to their area first, where they are to be kept. Then, in one transaction, the record goes
//     and the intent to erase is written: from here on it is decided. Then the bytes go, the variants in every tier, and when both
//     are found gone the intent goes and the event is in the outbox. A crash on the way leaves the intent, and the deletion is
//     brought to its end; it is never taken back.
//
// What a crash leaves in an area is referred to by nothing, and swept when it has the age of an upload that nobody publishes.
package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
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
	// ErrFull says that the catalog has no room left; ErrUnavailable is wrapped beside it.
	ErrFull = catalog.ErrFull
	// ErrNoImage says that the body is empty.
	ErrNoImage = errors.New("ingest: the upload holds no image")
	// ErrTooLarge says that the body has more bytes than the limits allow. The rest of it has not been read.
	ErrTooLarge = errors.New("ingest: the upload is too large")
	// ErrAborted says that the body broke off; it wraps what the reading of the body answered.
	ErrAborted = errors.New("ingest: the upload broke off")
	// ErrBusy says that as many uploads as are allowed at one time are under way, or as many outputs waiting.
	ErrBusy = errors.New("ingest: too many uploads at once")
	// ErrChanging says that another call has been changing the source for as long as this one could wait.
	ErrChanging = catalog.ErrChanging
	// ErrNotFound says that there is no source of that id to do this with.
	ErrNotFound = catalog.ErrNotFound
	// ErrPolicy says that a grant's policy cannot be given, or forbids the upload; which rule is behind it.
	ErrPolicy = errors.New("ingest: against the policy")
	// ErrHash says that the bytes are not those that the caller named.
	ErrHash = errors.New("ingest: other bytes than expected")
	// ErrCollision says that other bytes of the same MD5 are stored already.
	ErrCollision = errors.New("ingest: other bytes have the same hash")
	// ErrClient says that one client uploads more often than it may.
	ErrClient = errors.New("ingest: too many uploads from one client")
	// ErrUnsigned says that the store takes no signed PUT.
	ErrUnsigned = errors.New("ingest: the store takes no signed PUT")
	// ErrSourceMissing says that nothing lies at the URL that a client named.
	ErrSourceMissing = errors.New("ingest: nothing lies at the source's URL")
	// ErrSourceFailed says that what lies at the URL that a client named could not be read: its host cannot be reached, answers
	// with an error, or breaks off.
	ErrSourceFailed = errors.New("ingest: the source's URL cannot be fetched")
	// ErrSourceSlow says that it took too long.
	ErrSourceSlow = errors.New("ingest: the source's URL is too slow")
	// ErrNoFetch says that sources are not fetched from URLs here, or that processing is not switched on.
	ErrNoFetch = errors.New("ingest: not configured")
)

// Versions is told of what changes.
type Versions interface {
	// Set says what the store now holds under id.
	Set(id string, info origin.Info)
	// Invalidate says that what the store holds under id may have changed.
	Invalidate(id string)
	// Gone says that the store holds nothing under id any more, and that its variants are to go.
	Gone(id string)
}

// Fetcher reads what lies at a URL that a client named.
type Fetcher interface {
	// Fetch opens the body at an http or https URL; whoever called closes it. It is bounded in size and time, and connects to
	// no address that the operator has not allowed, after redirects neither.
	Fetch(ctx context.Context, url string) (io.ReadCloser, error)
}

// Rendered is a variant that was made.
type Rendered struct {
	Format        string // as transform.Format spells it
	Width, Height int    // pixels
	Quality       int    // 0 where the format or the request has none
	Bytes         int64
}

// Renderer makes variants and stores them in all tiers.
type Renderer interface {
	// Render makes the variant of the source id that output names: the last segment of its URL, as in "300x300.webp".
	Render(ctx context.Context, id, output string) (Rendered, error)
	// Look returns what Render would, if the variant is stored already: nothing is rendered.
	Look(ctx context.Context, id, output string) (made Rendered, there bool, err error)
	// Check returns the error that Render has for an output whatever the source is; nil when it can be made of some.
	Check(output string) error
}

// Config is what a Service works with. Store, Catalog, Engine and Versions are required; zero fields of the others take the
// value in brackets.
type Config struct {
	Store    origin.Store
	Catalog  *catalog.Catalog
	Engine   transform.Engine // crops
	Limits   transform.Limits // [transform.DefaultLimits]
	Versions Versions
	// Purge drops the variants of a source in every tier. For one that was replaced that is tidiness: variants of another
	// version are never served, so that a failure is logged and no failure of the upload. For one that was deleted it is part of
	// the deletion. [nothing]
	Purge func(ctx context.Context, id string) error
	// MaxConcurrent is how many bodies are received at one time. [8]
	MaxConcurrent int
	// SlotWait is how long one more waits for one of them to end, before it is refused. [2 s]
	SlotWait time.Duration
	// TTL is how long a token is good, by the wall clock; nodes may differ by up to catalog.Skew (60 s). [15 minutes]
	TTL time.Duration
	// MaxTTL is the longest that a policy may ask for. [24 hours]
	MaxTTL time.Duration
	// Lease is how long a claim, or the right to change a source, outlives the process that holds it. It bounds the last step of
	// an upload, and every other change, too. Clocks of nodes must not differ by more. [30 s]
	Lease time.Duration
	// Patience is how long a call waits for another one that changes the same source. [5 s]
	Patience time.Duration

	// Decode has every upload looked at to its end and decoded, so that broken and truncated files are refused, and makes
	// its placeholder. The file is in memory meanwhile, for at most two uploads at one time. [false]
	Decode bool
	// Scrub leaves EXIF, XMP and comments out, unless the policy keeps them: see transform.Blank for the formats in which they are
	// overwritten. What cannot be rid of them is refused. BMP, ICO and SVG stay as they are. [false]
	Scrub bool

	// IncomingTTL is how long uploads wait to be published. [2 hours]
	IncomingTTL time.Duration
	// Undelete is how long deleted sources are kept in the trash. [not at all]
	Undelete time.Duration

	// Labelled has what is published, and what gets new bytes, put into the queue of Labellers. [false]
	Labelled bool

	Fetcher  Fetcher  // [sources are not fetched]
	Renderer Renderer // [nothing is rendered in the background]
	// RenderWorkers render at one time on this node, and Process takes no more when RenderQueue outputs wait. [2, 256]
	RenderWorkers, RenderQueue int

	// NoPrivate says why no source can be private here. [it can]
	NoPrivate string

	// ClientUploads is how many uploads one client may begin a minute, and at once. [any number]
	ClientUploads int

	Now func() time.Time // the wall clock [time.Now]
	Log *slog.Logger     // what fails beside an upload that succeeds [nowhere]
}

func (c Config) withDefaults() Config {
	if c.Limits == (transform.Limits{}) {
		c.Limits = transform.DefaultLimits()
	}
	if c.Purge == nil {
		c.Purge = func(context.Context, string) error { return nil }
	}
	setDefault(&c.MaxConcurrent, 8)
	setDefault(&c.SlotWait, 2*time.Second)
	setDefault(&c.TTL, 15*time.Minute)
	setDefault(&c.MaxTTL, 24*time.Hour)
	setDefault(&c.Lease, 30*time.Second)
	setDefault(&c.Patience, 5*time.Second)
	setDefault(&c.IncomingTTL, 2*time.Hour)
	setDefault(&c.RenderWorkers, 2)
	setDefault(&c.RenderQueue, 256)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// Service gives out tokens, receives uploads and changes sources. Methods are safe for concurrent use. It runs nothing by
// itself: Tend and Work are called for that.
type Service struct {
	config  Config
	slots   chan struct{} // one token for each body being received
	decodes chan struct{} // one token for each body being decoded
	issued  atomic.Uint64 // grants asked for, to sweep on one in sweepEvery
	clients *clients
	worker  string // who leases jobs
	queued  signal // outputs
	ended   signal // a job
}

// decodesAtOnce bounds the files that are in memory, at most the largest source each.
const decodesAtOnce = 2

// New returns a service.
func New(config Config) *Service {
	config = config.withDefaults()
	s := &Service{
		config: config, slots: make(chan struct{}, config.MaxConcurrent), decodes: make(chan struct{}, decodesAtOnce),
		clients: newClients(config.ClientUploads), worker: rand.Text(),
	}
	config.Catalog.OnEnqueue(func(kind string) {
		if kind == kindOutput {
			s.queued.happen()
		}
	})
	return s
}
