// Package statsd sends counts and times to a statsd server: UDP, added up and sent together every two seconds, as
// image-server does. What gets lost on the way is lost; nothing waits for it.
package statsd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how often what has been added up is sent.
const Interval = 2 * time.Second

// maxPacket is how long a datagram gets, bytes: with its headers it fits Ethernet's 1500, IPv6 and a tunnel included.
const maxPacket = 1400

// Counter adds up. Its methods may be called from any goroutine; those of a nil Counter do nothing.
type Counter struct{ n atomic.Int64 }

// Add counts n.
func (c *Counter) Add(n int64) {
	if c != nil {
		c.n.Add(n)
	}
}

// Timer adds up how long things took. Its methods may be called from any goroutine; those of a nil Timer do nothing.
type Timer struct {
	mu    sync.Mutex
	times times
}

type times struct {
	count          int64
	sum, low, high time.Duration
}

// Add counts one time.
func (t *Timer) Add(d time.Duration) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.times.count == 0 || d < t.times.low {
		t.times.low = d
	}
	t.times.high = max(t.times.high, d)
	t.times.sum += d
	t.times.count++
}

func (t *Timer) take() times {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.times
	t.times = times{}
	return taken
}

// Client holds the counters and timers of one server. Methods are safe for concurrent use.
type Client struct {
	conn   net.Conn
	prefix string

	mu       sync.Mutex
	counters map[string]*Counter
	timers   map[string]*Timer
}

// Dial returns a client whose names begin with prefix. The address is host:port; a name is looked up once, now.
func Dial(address, prefix string) (*Client, error) {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return nil, fmt.Errorf("reach statsd: %w", err)
	}
	return &Client{conn: conn, prefix: prefix, counters: map[string]*Counter{}, timers: map[string]*Timer{}}, nil
}

// Close closes the socket. What has not been sent is dropped.
func (c *Client) Close() error { return c.conn.Close() }

// Counter returns the counter of that name, made at the first call.
func (c *Client) Counter(name string) *Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counters[name] == nil {
		c.counters[name] = new(Counter)
	}
	return c.counters[name]
}

// Timer returns the timer of that name, made at the first call. It is sent as name.count, and name.avg, name.min and name.max
// in milliseconds.
func (c *Client) Timer(name string) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timers[name] == nil {
		c.timers[name] = new(Timer)
	}
	return c.timers[name]
}

// Run sends every Interval until ctx ends, and then what is left.
func (c *Client) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = c.Flush() // a server that is away is no fault of ours
			return
		case <-tick.C:
			_ = c.Flush()
		}
	}
}

// Flush sends what has been added up since the last time. Names with nothing to say are left out.
func (c *Client) Flush() error {
	var packet []byte
	var failed error
	for _, line := range c.lines() {
		if len(packet)+len(line) > maxPacket {
			failed = errors.Join(failed, c.send(packet))
			packet = packet[:0]
		}
		packet = append(packet, line...)
	}
	return errors.Join(failed, c.send(packet))
}

func (c *Client) send(packet []byte) error {
	if len(packet) == 0 {
		return nil
	}
	_, err := c.conn.Write(packet[:len(packet)-1]) // without the last line feed
	return err
}

// lines takes what has been added up, one line a value, in the order of names.
func (c *Client) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for name, counter := range c.counters {
		if n := counter.n.Swap(0); n != 0 {
			lines = append(lines, fmt.Sprintf("%s%s:%d|c\n", c.prefix, name, n))
		}
	}
	for name, timer := range c.timers {
		t := timer.take()
		if t.count == 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s%s.count:%d|c\n", c.prefix, name, t.count))
		for _, value := range []struct {
			name string
			took time.Duration
		}{{"avg", t.sum / time.Duration(t.count)}, {"max", t.high}, {"min", t.low}} {
			lines = append(lines, fmt.Sprintf("%s%s.%s:%g|ms\n", c.prefix, name, value.name, float64(value.took.Microseconds())/1000))
		}
	}
	slices.Sort(lines)
	return lines
}
