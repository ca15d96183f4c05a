package memory

import (
	"container/heap"
	"container/list"
	"context"
	"hash/maphash"
	"testing"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"
)

// asConfigured is the tier itself. Each write is waited for, as the next request for a picture comes long after it.
type asConfigured struct {
	*Tier
	lossy bool // writes are not waited for
}

func (a asConfigured) get(p *picture) bool {
	_, err := a.Get(context.Background(), p.key)
	return err == nil
}

func (a asConfigured) put(p *picture) {
	_ = a.Set(context.Background(), p.key, p.entry) // a refusal is part of the policy
	if !a.lossy {
		a.Wait()
	}
}

// tuned is ristretto with other settings.
type tuned struct {
	items *ristretto.Cache[uint64, *item]
	seed  maphash.Seed
	// cost weighs an entry; nil for its bytes. boost is how many more accesses than its own an entry begins with.
	cost  func(p *picture) int64
	boost func(p *picture) int
}

// settings are those of ristretto that are tried.
type settings struct {
	capacity         int64
	averageEntry     int64
	countersPerEntry int64
	buffer           int64
	cost             func(p *picture) int64
	boost            func(p *picture) int
}

func newTuned(t testing.TB, s settings) *tuned {
	t.Helper()
	items, err := ristretto.NewCache(&ristretto.Config[uint64, *item]{
		NumCounters: max(minCounters, s.capacity/s.averageEntry*s.countersPerEntry),
		MaxCost:     s.capacity, BufferItems: s.buffer, IgnoreInternalCost: true,
		KeyToHash: func(hash uint64) (uint64, uint64) { return hash, 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(items.Close)
	return &tuned{items: items, seed: maphash.MakeSeed(), cost: s.cost, boost: s.boost}
}

func (c *tuned) get(p *picture) bool {
	_, found := c.items.Get(maphash.Comparable(c.seed, p.key))
	return found
}

func (c *tuned) put(p *picture) {
	hash, cost := maphash.Comparable(c.seed, p.key), p.size
	if c.cost != nil {
		cost = c.cost(p)
	}
	if c.boost != nil {
		for range c.boost(p) {
			c.items.Get(hash)
		}
	}
	c.items.Set(hash, p.item, cost)
	c.items.Wait()
}

// otterCache is W-TinyLFU with an adaptive window, by bytes.
type otterCache struct{ *otter.Cache[uint64, *picture] }

func newOtter(t testing.TB, capacity int64) otterCache {
	t.Helper()
	c, err := otter.New(&otter.Options[uint64, *picture]{
		MaximumWeight: uint64(capacity),
		Weigher:       func(_ uint64, p *picture) uint32 { return uint32(p.size) },
		Executor:      func(f func()) { f() }, // at once, as the next request comes long after
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.StopAllGoroutines() })
	return otterCache{c}
}

func (c otterCache) get(p *picture) bool {
	_, found := c.GetIfPresent(p.hash())
	return found
}

func (c otterCache) put(p *picture) { c.Set(p.hash(), p) }

var rivalSeed = maphash.MakeSeed()

func (p *picture) hash() uint64 { return maphash.Comparable(rivalSeed, p.key) }

// lru removes what was not asked for longest.
type lru struct {
	left  int64
	order *list.List // of *picture, the latest first
	at    map[*picture]*list.Element
}

func newLRU(capacity int64) *lru {
	return &lru{left: capacity, order: list.New(), at: make(map[*picture]*list.Element)}
}

func (c *lru) get(p *picture) bool {
	found := c.at[p]
	if found == nil {
		return false
	}
	c.order.MoveToFront(found)
	return true
}

func (c *lru) put(p *picture) {
	c.left -= p.size
	c.at[p] = c.order.PushFront(p)
	for c.left < 0 {
		oldest := c.order.Remove(c.order.Back()).(*picture)
		delete(c.at, oldest)
		c.left += oldest.size
	}
}

// gdsf is GreedyDual-Size-Frequency (Cherkasova, 1998): what is removed has the least clock + requests x cost / bytes.
type gdsf struct {
	left  int64
	clock float64
	queue ranking
	at    map[*picture]*ranked
}

type ranked struct {
	p        *picture
	requests float64
	rank     float64
	index    int
}

func newGDSF(capacity int64) *gdsf { return &gdsf{left: capacity, at: make(map[*picture]*ranked)} }

func (c *gdsf) rank(r *ranked) float64 {
	return c.clock + r.requests*r.p.entry.Cost.Seconds()/float64(r.p.size)
}

func (c *gdsf) get(p *picture) bool {
	r := c.at[p]
	if r == nil {
		return false
	}
	r.requests++
	r.rank = c.rank(r)
	heap.Fix(&c.queue, r.index)
	return true
}

func (c *gdsf) put(p *picture) {
	r := &ranked{p: p, requests: 1}
	r.rank = c.rank(r)
	heap.Push(&c.queue, r)
	c.at[p] = r
	for c.left -= p.size; c.left < 0; {
		gone := heap.Pop(&c.queue).(*ranked)
		delete(c.at, gone.p)
		c.left += gone.p.size
		c.clock = gone.rank
	}
}

type ranking []*ranked

func (q ranking) Len() int           { return len(q) }
func (q ranking) Less(i, j int) bool { return q[i].rank < q[j].rank }
func (q ranking) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *ranking) Push(x any) {
	r := x.(*ranked)
	r.index = len(*q)
	*q = append(*q, r)
}

func (q *ranking) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
