package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Connections bounds what viewers' connections may take. A zero field stands for the value in brackets; a number below zero
// for no bound.
type Connections struct {
	Most      int           // at once; one beyond is closed before anything is read of it [4,096]
	PerClient int           // at once from one IPv4 address or one /64 of IPv6; trusted proxies, and peers that most likely are proxies, are not counted [256]
	Header    time.Duration // for a request's line, headers and small body, and for a connection's first byte [5 s]
	Idle      time.Duration // between two requests [15 s]
	Stall     time.Duration // for each piece of an answer, of up to 32 KiB, to leave for the viewer [10 s]
}

func (c Connections) withDefaults() Connections {
	for _, n := range []struct {
		value     *int
		otherwise int
	}{{&c.Most, 4096}, {&c.PerClient, 256}} {
		if *n.value == 0 {
			*n.value = n.otherwise
		}
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&c.Header, 5 * time.Second}, {&c.Idle, 15 * time.Second}, {&c.Stall, pieceTimeout}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
	return c
}

// An answer that still goes out after sendGrace must have gone at minSendRate or faster, bytes per second: below what the
// slowest mobile networks give, and enough to end a reader that takes one packet at a time to keep a connection for hours.
const (
	sendGrace   = 30 * time.Second
	minSendRate = 4 << 10
	sendPiece   = 32 << 10
)

// errSlowReader ends an answer that its viewer does not read.
var errSlowReader = fmt.Errorf("proxy: the answer is read slower than %d bytes per second", minSendRate)

// ConnectionStats are figures of the edge's connections at one moment.
type ConnectionStats struct {
	Open          int
	RefusedTotal  uint64 // closed because there were too many in all, or for lack of memory
	RefusedClient uint64 // closed because there were too many of one client
}

// listener hands out connections within the bounds, and goes on when there is a passing lack of descriptors or memory
// (fasthttp would stop serving).
type listener struct {
	net.Listener
	limits  Connections
	trusted func(netip.Addr) bool
	refuses func() bool // every connection, for now
	closed  chan struct{}
	close   sync.Once

	mu      sync.Mutex
	open    int
	clients map[netip.Prefix]int // as many as connections are open at most
	stats   ConnectionStats
}

func newListener(l net.Listener, limits Connections, trusted func(netip.Addr) bool, refuses func() bool) *listener {
	return &listener{
		Listener: l, limits: limits, trusted: trusted, refuses: refuses, closed: make(chan struct{}), clients: make(map[netip.Prefix]int),
	}
}

// Accept returns the next connection that is within the bounds.
func (l *listener) Accept() (net.Conn, error) {
	pause := time.Duration(0)
	for {
		accepted, err := l.Listener.Accept()
		switch {
		case err != nil && passing(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-l.closed:
				return nil, net.ErrClosed
			case <-time.After(pause):
			}
			continue
		case err != nil:
			return nil, err
		}
		pause = 0
		peer := addressOf(accepted.RemoteAddr())
		c := &connection{Conn: accepted, listener: l, peer: peer, trusted: l.trusted(peer), counted: network(peer)}
		if l.admit(c) {
			return c, nil
		}
		_ = accepted.Close() // nothing was promised to it
	}
}

// passing tells a lack that others' closing cures, and a client that left before it was accepted.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// Close stops Accept.
func (l *listener) Close() error {
	var err error
	l.close.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

func (l *listener) admit(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if (l.limits.Most > 0 && l.open >= l.limits.Most) || l.refuses() {
		l.stats.RefusedTotal++
		return false
	}
	if !c.trusted && l.limits.PerClient > 0 && l.clients[c.counted] >= l.limits.PerClient {
		l.stats.RefusedClient++
		return false
	}
	l.open++
	l.clients[c.counted]++
	return true
}

func (l *listener) leave(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.clients[c.counted]--; l.clients[c.counted] == 0 {
		delete(l.clients, c.counted)
	}
}

func (l *listener) now() ConnectionStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Open = l.open
	return s
}

// connection is one viewer's. One goroutine at a time reads and writes; any may close it.
type connection struct {
	net.Conn
	listener *listener
	peer     netip.Addr
	trusted  bool // peer is a proxy, and not counted
	counted  netip.Prefix
	closed   atomic.Bool
	ended    bool // a read has met the end of what the viewer sends

	began time.Time // when the answer under way began to be written
	sent  int64     // bytes of it
}

// Read reads a request; what is written next is another answer.
func (c *connection) Read(to []byte) (int, error) {
	c.sent = 0
	n, err := c.Conn.Read(to)
	c.ended = c.ended || errors.Is(err, io.EOF)
	return n, err
}

// hasEnded tells whether the viewer sends nothing more and a read has met that: nothing is read of a request beyond its end, so that
// it was met within one.
func (c *connection) hasEnded() bool { return c.ended }

// Write sends in pieces that have a deadline each, so that an answer is bounded by its progress and not by its length.
func (c *connection) Write(from []byte) (written int, err error) {
	for {
		now := time.Now()
		if c.sent == 0 {
			c.began = now
		}
		if took := now.Sub(c.began); took > sendGrace && c.sent < int64(took.Seconds()*minSendRate) {
			return written, c.abandon(errSlowReader)
		}
		if err := c.SetWriteDeadline(now.Add(c.listener.limits.Stall)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(from[written:min(len(from), written+sendPiece)])
		written += n
		c.sent += int64(n)
		switch {
		case err != nil:
			return written, c.abandon(err)
		case written == len(from):
			return written, nil
		}
	}
}

// abandon makes Close drop what the viewer has not read yet, which the kernel would otherwise keep and offer for minutes.
func (c *connection) abandon(why error) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0) // a connection that is closed already has nothing left to drop
	}
	return why
}

// Close gives back the connection's place.
func (c *connection) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.listener.leave(c)
	}
	return c.Conn.Close()
}

// gone tells whether the viewer has closed its end: nothing is left to read and the end was seen. A viewer that has sent
// another request already counts as there.
func (c *connection) gone() bool {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = control.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = (n == 0 && err == nil) || errors.Is(err, syscall.ECONNRESET)
	})
	return gone || err != nil
}

// addressOf returns the IP address of a peer, invalid for one that has none.
func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// network is what one client is taken to have: an IPv4 address, or the /64 that IPv6 gives to one site at least (RFC 6177).
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // all that have no address share one
	}
	return prefix
}
