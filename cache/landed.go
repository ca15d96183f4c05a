package cache

import "time"

// Bounds on the results that are kept after their flights.
const (
	keepFor   = time.Second
	keepCount = 1024
	keepBytes = 32 << 20
)

// landed keeps the flights that landed last, oldest first, so that requests can join them a little longer. It is guarded by
// Chain.mu.
type landed struct {
	queue []*flight
	bytes int64
	timer *time.Timer // set for the end of the oldest when the queue is not empty
}

func (l *landed) init(expire func()) {
	l.timer = time.AfterFunc(keepFor, expire)
	l.timer.Stop()
}

// keep takes f in, giving those up to forget that make way for it. It refuses one that is larger than everything it may hold.
func (l *landed) keep(f *flight, forget func(*flight)) bool {
	size := f.entry.Size()
	if size > keepBytes {
		return false
	}
	for len(l.queue) >= keepCount || l.bytes+size > keepBytes {
		forget(l.pop())
	}
	l.queue = append(l.queue, f)
	l.bytes += size
	if len(l.queue) == 1 {
		l.timer.Reset(keepFor)
	}
	return true
}

func (l *landed) pop() *flight {
	f := l.queue[0]
	l.queue[0] = nil // the array lives on below the slice
	l.queue = l.queue[1:]
	l.bytes -= f.entry.Size()
	return f
}

// clear gives everything up to forget, and is followed by no keep.
func (l *landed) clear(forget func(*flight)) {
	l.timer.Stop()
	for len(l.queue) > 0 {
		forget(l.pop())
	}
}

// expire gives up the flights whose time is over.
func (c *Chain) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.landed
	for len(l.queue) > 0 {
		if left := keepFor - time.Since(l.queue[0].landed); left > 0 {
			l.timer.Reset(left)
			return
		}
		c.forget(l.pop())
	}
}

// forget lets no request join f any more, with mu held.
func (c *Chain) forget(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}
