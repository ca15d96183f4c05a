package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrBacklog says that a write behind an answer was dropped because too many bytes were waiting already.
var ErrBacklog = errors.New("cache: backlog of writes is full")

const (
	// writeTimeout bounds one write behind an answer, for a tier that sets itself no deadline.
	writeTimeout = 30 * time.Second
	// restPause is how often a write asks whether a tier that answers ErrOpen is back: a few times for each of its probes.
	restPause = 250 * time.Millisecond
)

// copyUp stores what a flight found or made in all layers above level: in the first at once, in the others behind the answer.
func (c *Chain) copyUp(f *flight, e *Entry, level int) {
	for i := range level {
		j := job{flight: f, entry: e}
		if i == 0 {
			c.write(0, j, true)
			continue
		}
		for range c.writeLater(i, j) {
			c.observe(c.layers[i].Name, "set", 0, ErrBacklog)
		}
	}
}

// writeLater queues a write and returns how many writes are dropped for it.
func (c *Chain) writeLater(i int, j job) (dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.flight.purged {
		return 0
	}
	j.flight.refs++
	gone := c.writers[i].add(j)
	for _, job := range gone {
		c.release(job.flight)
	}
	return len(gone)
}

// write stores an entry in one layer, unless its source was purged meanwhile or Close gave up. It returns false when the tier
// rests and the write is to be tried again, which it is not if this is its last chance.
func (c *Chain) write(i int, j job, last bool) (done bool) {
	c.mu.Lock()
	store := !j.flight.purged && c.base.Err() == nil
	if store {
		j.flight.writing++
	}
	c.mu.Unlock()
	if store {
		start := time.Now()
		err := c.set(i, j)
		if errors.Is(err, ErrOpen) && !last {
			return false
		}
		c.observe(c.layers[i].Name, "set", time.Since(start), err)
	}
	if i > 0 {
		c.mu.Lock()
		c.release(j.flight)
		c.mu.Unlock()
	}
	return true
}

func (c *Chain) set(i int, j job) error {
	defer func() { // deferred, because a panic in the first layer is recovered, and Purge waits for the end of writes
		c.mu.Lock()
		defer c.mu.Unlock()
		j.flight.writing--
		if j.flight.writing == 0 && j.flight.quiet != nil {
			close(j.flight.quiet)
			j.flight.quiet = nil
		}
	}()
	ctx, cancel := context.WithTimeout(c.base, writeTimeout)
	defer cancel()
	return c.layers[i].Tier.Set(ctx, j.flight.key, j.entry)
}

// job is an entry to be written.
type job struct {
	flight *flight
	entry  *Entry
}

// writer works off a bounded backlog of writes to one layer. When it is full, the writes that have waited longest are dropped:
// the layer has been away for as long, and what was asked for last is what will be asked for next. While the layer answers
// ErrOpen the writes wait, so that a short outage loses none.
type writer struct {
	limit  int64 // bytes
	do     func(j job, last bool) (done bool)
	ending chan struct{} // closed with closed
	done   sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	queue   []job
	bytes   int64 // of the queue and of the writes under way
	dropped uint64
	closed  bool
}

func newWriter(limit int64, workers int, do func(j job, last bool) bool) *writer {
	w := &writer{limit: limit, do: do, ending: make(chan struct{})}
	w.changed = sync.NewCond(&w.mu)
	for range workers {
		w.done.Go(w.work)
	}
	return w
}

// add queues j and returns the jobs that are dropped for it. That is j itself when the writes under way alone leave it no room.
func (w *writer) add(j job) (dropped []job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := j.entry.Size()
	for w.bytes+size > w.limit && len(w.queue) > 0 {
		oldest := w.pop()
		w.bytes -= oldest.entry.Size()
		dropped = append(dropped, oldest)
	}
	if w.closed || w.bytes+size > w.limit {
		dropped = append(dropped, j)
	} else {
		w.bytes += size
		w.queue = append(w.queue, j)
		w.changed.Signal()
	}
	w.dropped += uint64(len(dropped))
	return dropped
}

func (w *writer) pop() job {
	j := w.queue[0]
	w.queue[0] = job{} // the array lives on below the slice
	w.queue = w.queue[1:]
	return j
}

func (w *writer) work() {
	for {
		j, ok := w.next()
		if !ok {
			return
		}
		for last := false; !w.do(j, last); {
			last = w.rest()
		}
		w.mu.Lock()
		w.bytes -= j.entry.Size()
		w.mu.Unlock()
	}
}

// rest waits before the next try. It tells whether that is the last, because the writer was closed.
func (w *writer) rest() (last bool) {
	timer := time.NewTimer(restPause)
	defer timer.Stop()
	select {
	case <-w.ending:
		return true
	case <-timer.C:
		return false
	}
}

// next waits for a job; there is none when the writer was closed and the queue is worked off.
func (w *writer) next() (job, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 {
		if w.closed {
			return job{}, false
		}
		w.changed.Wait()
	}
	return w.pop(), true
}

// close lets the workers end after the queue; wait returns when they have.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	close(w.ending)
	w.changed.Broadcast()
}

func (w *writer) wait() { w.done.Wait() }

func (w *writer) addTo(s *Stats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Backlog += w.bytes
	s.Dropped += w.dropped
}
