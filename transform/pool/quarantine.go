package pool

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"deckle/transform"
)

// strikesOut is how many renderers a source may kill before it is given none for a while.
const strikesOut = 2

// maxStruck bounds the sources that are remembered; those that struck longest ago are forgotten first.
const maxStruck = 4096

// quarantine remembers sources that killed renderers, by a hash of their bytes. The hash is seeded at random, so that nobody
// can make a source that is taken for another.
type quarantine struct {
	lasts time.Duration
	seed  maphash.Seed

	mu     sync.Mutex
	struck *lru.LRU[uint64, strikes]
}

// strikes is what one source has done.
type strikes struct {
	count int
	last  time.Time
}

func newQuarantine(lasts time.Duration) *quarantine {
	struck, err := lru.NewLRU[uint64, strikes](maxStruck, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &quarantine{lasts: lasts, seed: maphash.MakeSeed(), struck: struck}
}

// check returns an error that wraps transform.ErrQuarantined while source has killed too often.
func (q *quarantine) check(source []byte) error {
	q.mu.Lock()
	empty := q.struck.Len() == 0
	q.mu.Unlock()
	if empty { // nearly always: then the bytes need not be read
		return nil
	}
	key := maphash.Bytes(q.seed, source)
	q.mu.Lock()
	defer q.mu.Unlock()
	s, known := q.struck.Peek(key)
	switch {
	case !known:
		return nil
	case time.Since(s.last) >= q.lasts:
		q.struck.Remove(key)
		return nil
	case s.count < strikesOut:
		return nil
	}
	err := fmt.Errorf("%w: it ended %d renderers", transform.ErrQuarantined, s.count)
	return &transform.Later{Err: err, After: q.lasts - time.Since(s.last)}
}

// strike notes that source killed a renderer. Strikes farther apart than the quarantine lasts do not add up.
func (q *quarantine) strike(source []byte) {
	key := maphash.Bytes(q.seed, source)
	q.mu.Lock()
	defer q.mu.Unlock()
	s, _ := q.struck.Get(key)
	if time.Since(s.last) >= q.lasts {
		s.count = 0
	}
	q.struck.Add(key, strikes{count: s.count + 1, last: time.Now()})
}

// size returns how many sources get no renderer now.
func (q *quarantine) size() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.struck.Values() {
		if s.count >= strikesOut && time.Since(s.last) < q.lasts {
			n++
		}
	}
	return n
}
