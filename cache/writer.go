package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrBacklog says that a write behind an answer was dropped because too many bytes were waiting already.
var ErrBacklog = errors.New("cache: backlog of writes is full")

// writeTimeout bounds one write behind an answer, for a tier that sets itself no deadline.
const writeTimeout = 30 * time.Second

// copyUp stores what a flight found or made in all layers above level: in the first at once, in the others behind the answer.
func (c *Chain) copyUp(f *flight, e *Entry, level int) {
	for i := range level {
		j := job{flight: f, entry: e}
		if i == 0 {
			c.write(0, j)
		} else if err := c.writeLater(i, j); err != nil {
			c.observe(c.layers[i].Name, "set", 0, err)
		}
	}
}

func (c *Chain) writeLater(i int, j job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if j.flight.purged {
		return nil
	}
	if !c.writers[i].add(j) {
		return ErrBacklog
	}
	j.flight.refs++ // before a worker can release it, which takes mu
	return nil
}

// write stores an entry in one layer, unless its source was purged meanwhile or Close gave up.
func (c *Chain) write(i int, j job) {
	c.mu.Lock()
	store := !j.flight.purged && c.base.Err() == nil
	if store {
		j.flight.writing++
	}
	c.mu.Unlock()
	if store {
		c.set(i, j)
	}
	if i > 0 {
		c.mu.Lock()
		c.release(j.flight)
		c.mu.Unlock()
	}
}

func (c *Chain) set(i int, j job) {
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
	start := time.Now()
	err := c.layers[i].Tier.Set(ctx, j.flight.key, j.entry)
	c.observe(c.layers[i].Name, "set", time.Since(start), err)
}

// job is an entry to be written.
type job struct {
	flight *flight
	entry  *Entry
}

// writer works off a bounded backlog of writes to one layer. When it is full, new ones are dropped: the entries are the ones
// that will be asked for next anyway, and the older ones have waited their time.
type writer struct {
	limit int64 // bytes
	do    func(job)
	done  sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	queue   []job
	bytes   int64 // of the queue and of the writes under way
	dropped uint64
	closed  bool
}

func newWriter(limit int64, workers int, do func(job)) *writer {
	w := &writer{limit: limit, do: do}
	w.changed = sync.NewCond(&w.mu)
	for range workers {
		w.done.Go(w.work)
	}
	return w
}

// add queues j, or drops it and returns false.
func (w *writer) add(j job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if size := j.entry.Size(); w.closed || w.bytes+size > w.limit {
		w.dropped++
		return false
	}
	w.bytes += j.entry.Size()
	w.queue = append(w.queue, j)
	w.changed.Signal()
	return true
}

func (w *writer) work() {
	for {
		j, ok := w.next()
		if !ok {
			return
		}
		w.do(j)
		w.mu.Lock()
		w.bytes -= j.entry.Size()
		w.mu.Unlock()
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
	j := w.queue[0]
	w.queue[0] = job{} // the array lives on below the slice
	w.queue = w.queue[1:]
	return j, true
}

// close lets the workers end after the queue; wait returns when they have.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.changed.Broadcast()
}

func (w *writer) wait() { w.done.Wait() }

func (w *writer) addTo(s *Stats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Backlog += w.bytes
	s.Dropped += w.dropped
}
