package testserver

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fault is what a FaultProxy does to connections. The zero value passes everything on untouched; fields can be combined.
type Fault struct {
	Refuse    bool          // new connections are reset at once
	Reset     bool          // connections end with a TCP reset as soon as the server has answered Cut bytes
	Close     bool          // they end orderly then, as if the answer were over
	Cut       int64         // bytes of answers that still pass on each connection before Reset or Close
	Latency   time.Duration // is added before each part of an answer
	Rate      int64         // bytes of answers a second, on each connection; 0 for no bound
	Slice     int           // most bytes that are passed on at a time; 0 for no bound
	Blackhole bool          // connections stay open and nothing passes, either way
}

// FaultProxy is a TCP proxy on the loopback interface that spoils what passes through it, as told at any time.
type FaultProxy struct {
	// Addr is host:port.
	Addr string

	target   string
	listener net.Listener
	running  sync.WaitGroup
	accepted atomic.Int64
	closed   chan struct{}

	mu          sync.Mutex
	fault       Fault
	changed     chan struct{} // closed at the next change of fault
	connections map[*spoiled]struct{}
}

// NewFaultProxy returns a proxy for connections to target, host:port. It ends with the test.
func NewFaultProxy(t testing.TB, target string) *FaultProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &FaultProxy{
		Addr: listener.Addr().String(), target: target, listener: listener, closed: make(chan struct{}),
		changed: make(chan struct{}), connections: make(map[*spoiled]struct{}),
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		close(p.closed)
		_ = listener.Close() // ends accept
		p.BreakAll()
		p.running.Wait()
	})
	return p
}

// Set changes the fault, for connections that are open as well. Those that a fault of the past holds up go on.
func (p *FaultProxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// BreakAll resets the connections that are open.
func (p *FaultProxy) BreakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		c.end(true)
	}
}

// Accepted returns how many connections were made since the start.
func (p *FaultProxy) Accepted() int64 { return p.accepted.Load() }

// Open returns how many connections are open.
func (p *FaultProxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.connections)
}

func (p *FaultProxy) now() (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed
}

func (p *FaultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		p.running.Go(func() { p.serve(client.(*net.TCPConn)) })
	}
}

func (p *FaultProxy) serve(client *net.TCPConn) {
	fault, _ := p.now()
	if fault.Refuse {
		reset(client)
		return
	}
	connected, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil {
		reset(client)
		return
	}
	c := &spoiled{proxy: p, client: client, server: connected.(*net.TCPConn), gone: make(chan struct{})}
	p.mu.Lock()
	p.connections[c] = struct{}{}
	p.mu.Unlock()
	// A Cleanup that ran before the connection was noted has missed it.
	select {
	case <-p.closed:
		c.end(true)
	default:
	}
	var ways sync.WaitGroup
	ways.Go(func() { c.pump(c.server, c.client, true) })
	ways.Go(func() { c.pump(c.client, c.server, false) })
	ways.Wait()
	c.end(false)
	p.mu.Lock()
	delete(p.connections, c)
	p.mu.Unlock()
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // Close then sends a reset
	_ = c.Close()
}

// spoiled is one connection.
type spoiled struct {
	proxy          *FaultProxy
	client, server *net.TCPConn
	once           sync.Once
	gone           chan struct{} // closed when the connection has ended
}

func (c *spoiled) end(hard bool) {
	c.once.Do(func() {
		close(c.gone)
		if hard {
			reset(c.client)
		} else {
			_ = c.client.Close()
		}
		_ = c.server.Close()
	})
}

// pump passes on what comes from one side to the other; requests are only ever stopped by a Blackhole.
func (c *spoiled) pump(to, from *net.TCPConn, requests bool) {
	buffer := make([]byte, 16<<10)
	answered, since := int64(0), (<-chan struct{})(nil)
	for {
		n, err := from.Read(buffer)
		for part := buffer[:n]; len(part) > 0; {
			fault, changed := c.proxy.now()
			if changed != since {
				answered, since = 0, changed // Cut counts from when the fault began
			}
			if fault.Blackhole {
				if !c.wait(changed, 0) {
					return
				}
				continue
			}
			size := len(part)
			if !requests {
				if size = c.hold(fault, len(part), answered); size < 0 {
					return
				}
			}
			if _, err := to.Write(part[:size]); err != nil {
				c.end(false)
				return
			}
			part, answered = part[size:], answered+int64(size)
		}
		if err != nil {
			c.finish(to, err)
			return
		}
	}
}

// finish passes on the end of one direction.
func (c *spoiled) finish(to *net.TCPConn, err error) {
	if errors.Is(err, io.EOF) {
		_ = to.CloseWrite() // the other direction may go on
		return
	}
	c.end(true)
}

// hold delays part of an answer and returns how much of it passes, or -1 when the connection has ended.
func (c *spoiled) hold(f Fault, size int, answered int64) int {
	if f.Slice > 0 {
		size = min(size, f.Slice)
	}
	if f.Rate > 0 {
		size = min(size, max(1, int(f.Rate/50))) // fifty parts a second
	}
	if f.Reset || f.Close {
		size = int(min(int64(size), f.Cut-answered))
		if size <= 0 {
			c.end(f.Reset)
			return -1
		}
	}
	pause := f.Latency
	if f.Rate > 0 {
		pause += time.Duration(float64(size) / float64(f.Rate) * float64(time.Second))
	}
	if pause > 0 && !c.wait(nil, pause) {
		return -1
	}
	return size
}

// wait waits until the channel is closed or the time is over, whichever is given. It returns false when the connection ended.
func (c *spoiled) wait(changed <-chan struct{}, pause time.Duration) bool {
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-changed:
	case <-over:
	case <-c.gone:
		return false
	}
	return true
}
