package pool

import (
	"log/slog"
	"time"
)

// reason is why a child ended.
type reason uint8

// The reasons. kept is none: the child goes on.
const (
	kept     reason = iota
	crashed         // it died of a render, or broke the protocol
	late            // a render took too long
	canceled        // nobody waited for a render any more
	recycled        // it had rendered enough, or grown
	idle            // it died between renders
	unready         // it did not start
	stopped         // Close
	reasons
)

var reasonNames = [reasons]string{"kept", "crash", "deadline", "cancel", "recycle", "idle", "start", "stop"}

// The pause before another try, when a child did not start or died without a render to blame, doubles from the first of
// these to the second.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 30 * time.Second
)

// keep sees to it that there is a child in one seat, until the pool is closed. It may be handed one that has been started.
func (p *Pool) keep(c *child) {
	pause, replacing := firstPause, false
	for !p.closed() {
		var err error
		if c == nil {
			c, err = p.start()
		}
		if replacing {
			<-p.recycling
		}
		why := unready
		if err == nil {
			why = p.offer(c)
			if c.renders > 0 {
				pause = firstPause
			}
		}
		if why != stopped && !p.closed() {
			p.counts.ended[why].Add(1)
		}
		if c != nil {
			p.end(c)
			c = nil
		}
		replacing = why == recycled
		if why == unready || why == idle {
			p.rest(why, err, pause)
			pause = min(2*pause, mostPause)
		}
	}
	if c != nil {
		p.end(c)
	}
	if replacing {
		<-p.recycling
	}
}

// rest waits before the next child is started.
func (p *Pool) rest(why reason, err error, pause time.Duration) {
	if p.closed() {
		return
	}
	p.config.Log.Warn("renderer ended", slog.String("reason", reasonNames[why]), slog.Any("cause", err), slog.Int64("pause_ms", pause.Milliseconds()))
	late := time.NewTimer(pause)
	defer late.Stop()
	select {
	case <-late.C:
	case <-p.stop:
	}
}

// offer lends c to one render after another. It returns why c is of no more use; nobody has it then.
func (p *Pool) offer(c *child) reason {
	for {
		select {
		case p.offers <- c:
		case <-c.gone:
			return idle
		case <-p.stop:
			return stopped
		}
		var why reason
		select {
		case why = <-c.back:
		case <-p.stop:
			c.kill()
			<-c.back
			return stopped
		}
		if why != kept {
			return why
		}
		if p.spent(c) {
			return recycled
		}
	}
}

// spent tells whether c is to be replaced. While another is being replaced the answer is no.
func (p *Pool) spent(c *child) bool {
	if c.renders < p.config.MaxRenders {
		u, err := readUsage(c.pid())
		if err != nil || u.resident <= p.config.MaxRSS && u.cpu < maxCPU/2 {
			return false
		}
	}
	select {
	case p.recycling <- struct{}{}:
		return true
	default:
		return false
	}
}
