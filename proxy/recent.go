package proxy

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

// recent keeps sources for a moment after they were read: the sizes of a picture that one page names are asked for over a
// second or two, and a store need not be read for each. It is bounded in bytes, and empty when nobody asks for a while.
type recent struct {
	most int64         // bytes
	keep time.Duration // from the last use

	mu    sync.Mutex
	list  *lru.LRU[string, *recentSource]
	bytes int64
	sweep *time.Timer // nil while nothing is kept
}

// recentSource is one of them, with when it was used last.
type recentSource struct {
	fetched
	used time.Time
}

// What is kept, and for how long.
const (
	recentBytes = 32 << 20
	recentTime  = 3 * time.Second
	maxRecent   = 1024 // sources
)

func newRecent() *recent {
	r := &recent{most: recentBytes, keep: recentTime}
	list, err := lru.NewLRU(maxRecent, func(_ string, s *recentSource) { r.bytes -= int64(len(s.source)) })
	if err != nil {
		panic(err) // only for a size below 1
	}
	r.list = list
	return r
}

// find returns a source that was read a moment ago.
func (r *recent) find(name string) (fetched, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.list.Get(name)
	if !ok {
		return fetched{}, false
	}
	s.used = time.Now()
	return s.fetched, true
}

// add keeps a source, in place of those that were used longest ago. One that would take half of the room is not kept.
func (r *recent) add(name string, f fetched) {
	if int64(len(f.source)) > r.most/2 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list.Remove(name)
	r.bytes += int64(len(f.source))
	r.list.Add(name, &recentSource{fetched: f, used: time.Now()})
	for r.bytes > r.most {
		r.list.RemoveOldest()
	}
	if r.sweep == nil {
		r.sweep = time.AfterFunc(r.keep, r.drop)
	}
}

// drop forgets what has had its time, and comes again while anything is left.
func (r *recent) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep = nil
	for {
		_, s, ok := r.list.GetOldest()
		if !ok {
			return
		}
		if left := r.keep - time.Since(s.used); left > 0 {
			r.sweep = time.AfterFunc(left, r.drop)
			return
		}
		r.list.RemoveOldest()
	}
}

// close forgets everything.
func (r *recent) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sweep != nil {
		r.sweep.Stop()
	}
	r.list.Purge()
}
