package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"deckle/cache"
	"deckle/origin"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/valyala/fasthttp"
)

// How long what a store of originals last said is good for (TRUST.md fault F10), and how often it is written down anew
// although it has not changed: the first holds to within the second.
const (
	lastKnownFor   = 24 * time.Hour
	lastKnownAgain = 6 * time.Hour
)

// The bounds of what waits to be written down, and of what is remembered of having been; what is beyond them is written at a
// later look.
const (
	maxLastQueue = 4096
	maxLastNoted = 100_000
	lastTimeout  = 2 * time.Second // of one write, and of all that is left at the end
)

// staleMaxAge is the Cache-Control of an answer whose source could not be asked about: kept long enough to spare the server,
// and asked again soon.
const staleMaxAge = "public, max-age=10"

// lastKey names the record of a source in the tier. No variant is named so: a version has another length.
func lastKey(id string) cache.Key { return cache.Key{Source: id, Version: "last", Variant: "known"} }

// lastRecord is what a store last said of a source.
type lastRecord struct {
	Version  string    `json:"version,omitempty"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	At       time.Time `json:"at"`
	Missing  bool      `json:"missing,omitempty"`
	Private  bool      `json:"private,omitempty"`
}

// Recaller is a Versions that can be told what was known before it began.
type Recaller interface {
	Versions
	Recall(id string, info origin.Info, at time.Time)
}

// LastKnown writes down, in a tier that outlasts the process, which version each source was last known to have, so that a node
// that starts while its store of originals is down can name, and so serve, the variants that its tiers hold. It is a Reader:
// what Stat says through it is noted, behind the answer, by one goroutine; nothing is lost but time when a note is. What is
// noted of one source is one entry of the tier, bounded, swept and purged like the others. A source that is gone is noted as
// that, so that it does not come back with an outage.
type LastKnown struct {
	origin.Reader
	tier  cache.Tier
	noted *lru.Cache[string, lastRecord]
	queue chan lastNote
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once
}

type lastNote struct {
	id     string
	record lastRecord
}

var _ origin.Reader = (*LastKnown)(nil)

// NewLastKnown returns a Reader of sources that notes in tier. Close it before the tier.
func NewLastKnown(sources origin.Reader, tier cache.Tier) *LastKnown {
	noted, err := lru.New[string, lastRecord](maxLastNoted)
	if err != nil {
		panic(err) // only for a size below 1
	}
	k := &LastKnown{
		Reader: sources, tier: tier, noted: noted,
		queue: make(chan lastNote, maxLastQueue), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go k.run()
	return k
}

// Close writes what waits, for as long as one write may take, and ends.
func (k *LastKnown) Close() error {
	k.once.Do(func() { close(k.stop) })
	<-k.done
	return nil
}

// Stat asks the store, and has its answer noted.
func (k *LastKnown) Stat(ctx context.Context, id string) (origin.Info, error) {
	info, err := k.Reader.Stat(ctx, id)
	switch {
	case err == nil:
		k.Learn(id, info)
	case errors.Is(err, origin.ErrNotFound):
		k.note(id, lastRecord{Missing: true})
	}
	return info, err
}

// Learn has noted what became of a source here, without asking the store. It comes behind what was noted before.
func (k *LastKnown) Learn(id string, info origin.Info) {
	k.note(id, lastRecord{Version: info.Version, Size: info.Size, Modified: info.Modified, Private: info.Private})
}

func (k *LastKnown) note(id string, r lastRecord) {
	r.At = time.Now()
	was, ok := k.noted.Get(id)
	if ok && was.Version == r.Version && was.Missing == r.Missing && was.Private == r.Private && r.At.Sub(was.At) < lastKnownAgain {
		return
	}
	select {
	case k.queue <- lastNote{id, r}:
	default: // the next question to the store brings it again
	}
}

func (k *LastKnown) run() {
	defer close(k.done)
	for {
		select {
		case n := <-k.queue:
			ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
			k.write(ctx, n)
			cancel()
		case <-k.stop:
			ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
			defer cancel()
			for ctx.Err() == nil {
				select {
				case n := <-k.queue:
					k.write(ctx, n)
				default:
					return
				}
			}
			return
		}
	}
}

// write notes one record. That a source is missing is written only over a record of it, so that guesses leave nothing behind.
func (k *LastKnown) write(ctx context.Context, n lastNote) {
	if n.record.Missing {
		switch _, err := k.tier.Get(ctx, lastKey(n.id)); {
		case errors.Is(err, cache.ErrMiss):
			return
		case err != nil && !errors.Is(err, cache.ErrCorrupt):
			return
		}
	}
	body, err := json.Marshal(n.record)
	if err != nil {
		return // strings, numbers and times: cannot fail
	}
	entry := cache.NewEntry(cache.Entry{Body: body, ContentType: "application/json"})
	if err := k.tier.Set(ctx, lastKey(n.id), entry); err == nil { // else it is tried again when the store is asked next
		k.noted.Add(n.id, n.record)
	}
}

// recall returns what the store last said, if that is good still.
func (k *LastKnown) recall(ctx context.Context, id string) (info origin.Info, at time.Time, ok bool) {
	entry, err := k.tier.Get(ctx, lastKey(id))
	if err != nil {
		return origin.Info{}, time.Time{}, false
	}
	var r lastRecord
	if err := json.Unmarshal(entry.Body, &r); err != nil || r.Version == "" || r.Missing {
		return origin.Info{}, time.Time{}, false
	}
	now := time.Now()
	if r.At.After(now) {
		r.At = now // a clock was set back
	}
	return origin.Info{Version: r.Version, Size: r.Size, Modified: r.Modified, Private: r.Private}, r.At, now.Sub(r.At) < lastKnownFor
}

// Versions returns v, with what was noted behind it for a source that v knows nothing of while the store is unavailable.
func (k *LastKnown) Versions(v Recaller) Versions { return &recalling{Recaller: v, known: k} }

type recalling struct {
	Recaller
	known *LastKnown
}

// Stat answers what the store says, what it said a moment ago, or, marked as stale, what was noted.
func (v *recalling) Stat(ctx context.Context, id string) (origin.Info, error) {
	info, err := v.Recaller.Stat(ctx, id)
	if err == nil || !errors.Is(err, origin.ErrUnavailable) || ctx.Err() != nil {
		return info, err
	}
	last, at, ok := v.known.recall(ctx, id)
	if !ok {
		return info, err
	}
	v.Recall(id, last, at) // so that the next request need not wait for the store
	last.Stale = true
	return last, nil
}

// fromStale is what Access.From says of a picture whose source could not be asked about.
const fromStale = "stale"

// markStale says of a good answer that it may be out of date: kept for a short time only, whatever the URL promises, and told
// in Cache-Status.
func markStale(ctx *fasthttp.RequestCtx, a *Access) {
	if ctx.Response.StatusCode() >= fasthttp.StatusBadRequest {
		return
	}
	a.From = fromStale
	h := &ctx.Response.Header
	if has(h, headerCDNControl) {
		h.SetCanonical(headerCDNControl, []byte(staleMaxAge))
	}
	h.Set(fasthttp.HeaderCacheControl, staleMaxAge)
	h.Set("Cache-Status", "Deckle; hit; ttl=0; detail="+fromStale)
}
