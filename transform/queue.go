package transform

import (
	"context"
	"sync/atomic"
	"time"
)

// standsAfter is how long a queue has not emptied when it is taken for one that stands, and not for a burst: then waiting in
// it buys nothing, and who would wait long is better told at once (the idea of CoDel, RFC 8289, with an interval that suits
// renders; a page of new pictures may make a queue for seconds that everyone on it waits out).
const standsAfter = 10 * time.Second

// bounded bounds ctx by wait when the queue has stood too long.
func bounded(ctx context.Context, stood, wait time.Duration) (context.Context, context.CancelFunc) {
	if wait <= 0 || stood < standsAfter {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, wait)
}

// recent is the time that renders have taken of late: a mean in which each new one counts an eighth (as the round-trip time
// of RFC 6298 section 2).
type recent struct{ nanoseconds atomic.Int64 }

func (r *recent) add(took time.Duration) {
	for {
		old := r.nanoseconds.Load()
		next := old + (int64(took)-old)/8
		if old == 0 {
			next = int64(took)
		}
		if r.nanoseconds.CompareAndSwap(old, next) {
			return
		}
	}
}

// RetryIn returns about how long a render that came now would wait for its slot: those before it, at the pace of late.
func (g *Gate) RetryIn() time.Duration {
	each := time.Duration(g.recent.nanoseconds.Load())
	return each * time.Duration(g.Waiting()+g.Running()) / time.Duration(g.lanes.slots)
}
