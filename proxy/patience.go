package proxy

import (
	"context"
	"net"
	"time"
)

// patience is a context that ends at a deadline, like those of context.WithDeadline, but costs a timer only when somebody
// waits on it: most answers come from memory, where nobody does. While somebody waits it also ends when the viewer leaves,
// which fasthttp does not tell: work that nobody waits for any more is then dropped. One goroutine uses it, and calls end
// when it is done.
type patience struct {
	at     time.Time
	viewer *connection // nil when it cannot be watched
	waited context.Context
	cancel context.CancelFunc
	look   *time.Timer
}

var _ context.Context = (*patience)(nil)

// lookEvery is how often the viewer is looked for: seldom enough to cost nothing beside what takes that long, and often enough
// to find most work of those who left still in the queue.
const lookEvery = 250 * time.Millisecond

func newPatience(d time.Duration, viewer net.Conn) *patience {
	p := &patience{at: time.Now().Add(d)}
	p.viewer, _ = viewer.(*connection)
	return p
}

// Deadline returns when patience ends.
func (p *patience) Deadline() (time.Time, bool) { return p.at, true }

// Done returns a channel that is closed at the deadline, when the viewer has left, or by end.
func (p *patience) Done() <-chan struct{} {
	if p.waited == nil {
		waited, cancel := context.WithDeadline(context.Background(), p.at)
		p.waited, p.cancel = waited, cancel
		if viewer := p.viewer; viewer != nil {
			p.look = watch(waited, cancel, viewer)
		}
	}
	return p.waited.Done()
}

// watch looks for the viewer until ctx ends, and cancels it when the viewer has gone. The timer that it returns stops it.
func watch(ctx context.Context, cancel context.CancelFunc, viewer *connection) *time.Timer {
	again := make(chan *time.Timer, 1) // the timer is not known to its own function before AfterFunc returns
	timer := time.AfterFunc(lookEvery, func() {
		timer := <-again
		switch {
		case ctx.Err() != nil:
		case viewer.gone():
			cancel()
		default:
			again <- timer
			timer.Reset(lookEvery)
		}
	})
	again <- timer
	return timer
}

// Err returns context.DeadlineExceeded from the deadline on, and nil before.
func (p *patience) Err() error {
	switch {
	case p.waited != nil:
		return p.waited.Err()
	case !time.Now().Before(p.at):
		return context.DeadlineExceeded
	}
	return nil
}

// Value returns nil: nothing is carried.
func (*patience) Value(any) any { return nil }

// end gives back what waiting took.
func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
	if p.look != nil {
		p.look.Stop()
	}
}
