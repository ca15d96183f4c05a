package admin

import (
	"maps"
	"sync"
	"sync/atomic"
)

// series remembers what was found by label. Reading takes no lock and allocates nothing; there are few keys, and each is
// added once.
type series[K comparable, V any] struct {
	known atomic.Pointer[map[K]V]
	mu    sync.Mutex
}

// get returns the value of key, made by find the first time.
func (s *series[K, V]) get(key K, find func() V) V {
	if known := s.known.Load(); known != nil {
		if v, ok := (*known)[key]; ok {
			return v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[K]V{}
	if known := s.known.Load(); known != nil {
		if v, ok := (*known)[key]; ok {
			return v
		}
		next = maps.Clone(*known)
	}
	next[key] = find()
	s.known.Store(&next)
	return next[key]
}
