package proxy

import (
	"context"
	"time"
)

// patience is a context that ends at a deadline, like those of context.WithDeadline, but costs a timer only when somebody
// waits on it: most answers come from memory, where nobody does. One goroutine uses it, and calls end when it is done.
type patience struct {
	at     time.Time
	waited context.Context
	cancel context.CancelFunc
}

var _ context.Context = (*patience)(nil)

func newPatience(d time.Duration) *patience { return &patience{at: time.Now().Add(d)} }

// Deadline returns when patience ends.
func (p *patience) Deadline() (time.Time, bool) { return p.at, true }

// Done returns a channel that is closed at the deadline, or by end.
func (p *patience) Done() <-chan struct{} {
	if p.waited == nil {
		p.waited, p.cancel = context.WithDeadline(context.Background(), p.at)
	}
	return p.waited.Done()
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
}
