// Package cache keeps finished pictures in tiers, looks them up from the fastest to the slowest, and fills each missing
// one once however many ask for it.
package cache

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// ErrMiss says that a tier does not hold the key. It is an answer, not a fault.
var ErrMiss = errors.New("cache: miss")

// ErrCorrupt says that stored bytes are not the entry that was stored: truncated, altered, or another key's.
var ErrCorrupt = errors.New("cache: corrupt entry")

// ErrTooLarge says that a tier does not take entries of this size. Such an entry is skipped, which is not a fault.
var ErrTooLarge = errors.New("cache: entry too large for the tier")

// ErrRefused says that a tier which is well does not take the entry for now: it is full, or it may only be read.
var ErrRefused = errors.New("cache: tier takes no entries now")

// Key names one finished picture.
type Key struct {
	Source  string // the source's id
	Version string // changes whenever the source's bytes change, so that a stale entry cannot be addressed
	Variant string // transform.Spec.String() after negotiation and clamping
}

// PrivateMark ends the version of a key whose picture is not for everybody to read.
const PrivateMark = ".private"

// Private tells whether the picture is not for everybody: no tier puts it where it can be read without asking us.
func (k Key) Private() bool { return strings.HasSuffix(k.Version, PrivateMark) }

// Entry is one finished picture. It is immutable: whoever holds one may share it and must not change it, Body included.
type Entry struct {
	Body        []byte
	ContentType string
	ETag        string        // strong and quoted
	Width       int           // pixels
	Height      int           // pixels
	Modified    time.Time     // when the source last changed, whole seconds; zero when unknown
	Stored      time.Time     // when the entry was made, milliseconds
	Cost        time.Duration // what making it took
	Checksum    uint64        // xxHash64 of Body
}

// NewEntry returns e with Stored and Checksum filled in from the clock and e.Body, and ETag from the body if it is empty.
func NewEntry(e Entry) *Entry {
	e.Stored = time.Now().Truncate(time.Millisecond)
	e.Checksum = xxhash.Sum64(e.Body)
	if e.ETag != "" {
		return &e
	}
	e.ETag = `"` + strconv.FormatUint(e.Checksum, 36) + "-" + strconv.FormatInt(int64(len(e.Body)), 36) + `"`
	return &e
}

// Size returns about how many bytes of memory the entry takes.
func (e *Entry) Size() int64 {
	return int64(len(e.Body)+len(e.ContentType)+len(e.ETag)) + entryOverhead
}

// entryOverhead is the size of an Entry and of its place in a map, bytes.
const entryOverhead = 256

// Tier is one place where entries live. Methods are safe for concurrent use and stop when ctx ends.
type Tier interface {
	// Get returns the entry for k, or ErrMiss. An entry that does not verify is removed and answered as ErrCorrupt.
	Get(ctx context.Context, k Key) (*Entry, error)
	// Set stores e under k and replaces what was there. Whoever reads sees the old entry or the new one, never a mix.
	Set(ctx context.Context, k Key, e *Entry) error
	// Purge removes every entry of a source, whatever its version and variant. Purging nothing is no fault.
	Purge(ctx context.Context, source string) error
}

// Fill makes the entry for a key that no tier holds.
type Fill func(ctx context.Context) (*Entry, error)
