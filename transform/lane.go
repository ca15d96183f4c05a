package transform

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Lane is one of the two queues in front of the render slots.
type Lane uint8

// The lanes. Renders that take long have one of their own, so that those that do not never wait behind a row of them.
const (
	Light Lane = iota
	Heavy
	numLanes
)

// heavyCost is the predicted CPU time from which a render is heavy: several times what a thumbnail of a camera's picture
// takes, and below what one second of waiting (the longest that a viewer should) can hold ten of.
const heavyCost = 100 * time.Millisecond

// LaneOf returns the lane of a render by its predicted cost.
func LaneOf(cost time.Duration) Lane {
	if cost >= heavyCost {
		return Heavy
	}
	return Light
}

// maxPassed is how many light renders may be let past a heavy one that waits while no other heavy one runs and there is only
// one slot. Without it a steady stream of light work would starve the heavy lane.
const maxPassed = 8

// lanes hands out render slots. Light renders may take all of them, heavy ones all but one; of a single slot light renders
// are given first.
type lanes struct {
	slots     int           // in all
	mostHeavy int           // of them heavy
	queue     [numLanes]int // how many may wait

	mu      sync.Mutex
	running [numLanes]int
	waiting [numLanes]list.List // of chan struct{}, closed when the slot is given
	since   [numLanes]time.Time // when the queue was last empty, if it is not
	passed  int                 // light renders let past the first heavy one that waits
}

// newLanes returns slots with a queue of the given length for light renders and one of half that for heavy ones, which wait
// longer for each place.
func newLanes(slots, queue int) *lanes {
	slots, queue = max(1, slots), max(1, queue)
	return &lanes{slots: slots, mostHeavy: max(1, slots-1), queue: [numLanes]int{Light: queue, Heavy: max(1, queue/2)}}
}

// acquire takes a slot, waiting for it in the lane's queue. ErrBusy is answered at once when the queue is full, and when
// ctx's deadline, or the time of standing, passes before a slot is free; a ctx that ends otherwise gives its cause.
func (l *lanes) acquire(ctx context.Context, lane Lane, standing time.Duration) error {
	l.mu.Lock()
	queue := &l.waiting[lane]
	if queue.Len() == 0 && l.free(lane) {
		l.running[lane]++
		l.mu.Unlock()
		return nil
	}
	if queue.Len() >= l.queue[lane] {
		l.mu.Unlock()
		return ErrBusy
	}
	now := time.Now()
	if queue.Len() == 0 {
		l.since[lane] = now
	}
	ctx, cancel := bounded(ctx, now.Sub(l.since[lane]), standing)
	defer cancel()
	given := make(chan struct{})
	place := queue.PushBack(given)
	l.mu.Unlock()
	select {
	case <-given:
		return nil
	case <-ctx.Done():
	}
	l.leave(lane, place)
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // that is a lack of slots, and nothing about this picture
		return fmt.Errorf("%w: no slot came free in time", ErrBusy)
	}
	return err
}

// leave gives up a place in the queue, or the slot that was given at the same moment.
func (l *lanes) leave(lane Lane, place *list.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-place.Value.(chan struct{}):
		l.running[lane]--
		l.handOut()
	default:
		l.waiting[lane].Remove(place)
	}
}

// release gives a slot back.
func (l *lanes) release(lane Lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[lane]--
	l.handOut()
}

// handOut gives free slots to those who wait, with mu held.
func (l *lanes) handOut() {
	for {
		lane, ok := l.next()
		if !ok {
			return
		}
		first := l.waiting[lane].Front()
		l.waiting[lane].Remove(first)
		l.running[lane]++
		close(first.Value.(chan struct{}))
		if lane == Light && l.waiting[Heavy].Len() > 0 {
			l.passed++
		} else {
			l.passed = 0
		}
	}
}

// next returns whose turn it is, if a slot is free for anyone who waits, with mu held. Light renders come first, but for one
// heavy render at a time that has been passed often enough, or that leaves them another slot.
func (l *lanes) next() (Lane, bool) {
	light := l.waiting[Light].Len() > 0 && l.free(Light)
	heavy := l.waiting[Heavy].Len() > 0 && l.free(Heavy)
	due := l.running[Heavy] == 0 && (l.slots > 1 || l.passed >= maxPassed)
	if heavy && (due || !light) {
		return Heavy, true
	}
	return Light, light
}

// free tells whether a slot is free for a render of the lane, with mu held.
func (l *lanes) free(lane Lane) bool {
	return l.running[Light]+l.running[Heavy] < l.slots && (lane == Light || l.running[Heavy] < l.mostHeavy)
}

// full tells whether a render of the lane that came now would be refused.
func (l *lanes) full(lane Lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[lane].Len() >= l.queue[lane] && !l.free(lane)
}

// counts returns how many run and how many wait in a lane.
func (l *lanes) counts(lane Lane) (running, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running[lane], l.waiting[lane].Len()
}
