// Package memory is the cache tier in the process's own memory.
package memory

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"deckle/cache"
)

// averageEntry is what an entry is taken to weigh, bytes, when the admission policy is sized. It counts accesses in forty
// counters (about 3 bytes each) for every entry that fits: its authors advise ten, with which a memory that holds a hundredth
// of the pictures forgets most of them before they are asked for again (bench/results/policy.md: 26 % of hits instead of 30).
const (
	averageEntry     = 16 << 10
	countersPerEntry = 40
	minCounters      = 1 << 10
	getBuffer        = 64 // the size that its authors measured to be right
)

// An entry begins with one access more than it had for each fourfold of commonCost that its rendering took, so that among
// entries asked for as often those stay that would take long to make again. On traces of pictures that costs up to 0.7 of 100
// requests their hit and saves 1 to 7 % more of the rendering time (bench/results/policy.md).
const (
	commonCost   = 15 * time.Millisecond
	maxHeadStart = 4
)

func headStart(cost time.Duration) (accesses int) {
	for limit := 4 * commonCost; cost >= limit && accesses < maxHeadStart; limit *= 4 {
		accesses++
	}
	return accesses
}

// Tier holds entries up to a number of bytes and keeps those that are asked for most (TinyLFU admission, sampled LFU
// eviction). Set is asynchronous: an entry is visible a moment later, or never, when the policy finds it less worth than what
// is there or too many writes come at once. Get allocates nothing.
//
// Entries are found by a 64-bit hash of their key, seeded anew in each process, and carry the key, which Get compares: two
// keys of one hash displace each other, they are never taken for one another.
type Tier struct {
	items *ristretto.Cache[uint64, *item]
	limit int64
	seed  maphash.Seed
	index index
	bytes atomic.Int64
}

type item struct {
	key   cache.Key
	entry *cache.Entry
}

func (i *item) size() int64 {
	return i.entry.Size() + int64(len(i.key.Source)+len(i.key.Version)+len(i.key.Variant))
}

var _ cache.Tier = (*Tier)(nil)

// New returns a tier for entries of bytes in all, counted as cache.Entry.Size does plus the key's length.
func New(bytes int64) (*Tier, error) {
	if bytes <= 0 {
		return nil, errors.New("memory: a tier needs room for at least one byte")
	}
	t := &Tier{limit: bytes, seed: maphash.MakeSeed(), index: index{hashes: make(map[string]map[uint64]int)}}
	items, err := ristretto.NewCache(&ristretto.Config[uint64, *item]{
		NumCounters:        max(minCounters, bytes/averageEntry*countersPerEntry),
		MaxCost:            bytes,
		BufferItems:        getBuffer,
		IgnoreInternalCost: true, // Entry.Size counts it
		KeyToHash:          func(hash uint64) (uint64, uint64) { return hash, 0 },
		OnExit:             t.exit,
	})
	if err != nil {
		return nil, err
	}
	t.items = items
	return t, nil
}

// Get returns the entry for k or ErrMiss. It never waits, so that it ignores ctx.
func (t *Tier) Get(_ context.Context, k cache.Key) (*cache.Entry, error) {
	found, ok := t.items.Get(maphash.Comparable(t.seed, k))
	if !ok || found.key != k {
		return nil, cache.ErrMiss
	}
	return found.entry, nil
}

// Set offers e to the tier. A write that the tier drops is no error.
func (t *Tier) Set(ctx context.Context, k cache.Key, e *cache.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	added := &item{key: k, entry: e}
	if added.size() > t.limit {
		return cache.ErrTooLarge
	}
	hash := maphash.Comparable(t.seed, k)
	t.index.add(k.Source, hash)
	t.bytes.Add(added.size())
	for range headStart(e.Cost) {
		t.items.Get(hash) // counts as an access whether it is there or not
	}
	if !t.items.Set(hash, added, added.size()) {
		t.exit(added)
	}
	return nil
}

// exit is called once for each item that was offered and is not held, or not any more: refused, replaced, evicted or
// deleted. A deletion that finds nothing calls it with nil.
func (t *Tier) exit(gone *item) {
	if gone == nil {
		return
	}
	t.index.remove(gone.key.Source, maphash.Comparable(t.seed, gone.key))
	t.bytes.Add(-gone.size())
}

// Wait returns when all that was set before is visible, or refused.
func (t *Tier) Wait() { t.items.Wait() }

// Stats are figures of a tier at one moment.
type Stats struct {
	Bytes   int64 // held, and waiting to be admitted
	Limit   int64
	Entries int
}

// Stats returns the tier's figures.
func (t *Tier) Stats() Stats {
	return Stats{Bytes: t.bytes.Load(), Limit: t.limit, Entries: t.index.len()}
}

// Close drops all entries and ends the tier. Nothing else may be called while it runs or afterwards.
func (t *Tier) Close() { t.items.Close() }

// index knows which hashes a source's items have, to purge them. It counts items rather than naming hashes once, because the
// end of one item may be told after the beginning of the next with the same hash.
type index struct {
	mu     sync.Mutex
	hashes map[string]map[uint64]int
	items  int
}

func (x *index) add(source string, hash uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	counts := x.hashes[source]
	if counts == nil {
		counts = make(map[uint64]int)
		x.hashes[source] = counts
	}
	counts[hash]++
	x.items++
}

func (x *index) remove(source string, hash uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	counts := x.hashes[source]
	counts[hash]--
	x.items--
	if counts[hash] == 0 {
		delete(counts, hash)
	}
	if len(counts) == 0 {
		delete(x.hashes, source)
	}
}

func (x *index) len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.items
}
