package disk

import "sync"

// usage counts the bytes that a tier takes, while files come and go and a sweep counts them anew. Where it cannot be exact
// it counts too much, so that the tier never passes its limit: what comes or goes during a count may be counted until the
// next one.
type usage struct {
	mu       sync.Mutex
	stored   int64 // bytes of files in their places
	reserved int64 // bytes of files being written
	counting bool
	before   int64 // stored when the count began
}

// reserve sets size aside for a file, unless that would pass the limit. It returns what is taken then.
func (u *usage) reserve(size, limit int64) (taken int64, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken = u.stored + u.reserved + size
	if taken > limit {
		return taken, false
	}
	u.reserved += size
	return taken, true
}

// settle ends a reservation. The file is in its place if stored is true.
func (u *usage) settle(size int64, stored bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reserved -= size
	if stored {
		u.stored += size
	}
}

// remove says that a file went. During a count it changes nothing: the count may not have met the file.
func (u *usage) remove(size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.counting {
		u.stored -= size
	}
}

func (u *usage) beginCount() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counting, u.before = true, u.stored
}

// endCount takes over what a count found, and keeps what was stored since it began.
func (u *usage) endCount(total int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counting = false
	u.stored += total - u.before
}

// cancelCount ends a count that did not get through.
func (u *usage) cancelCount() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counting = false
}

func (u *usage) taken() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stored + u.reserved
}
