package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"deckle/internal/testimage"

	"golang.org/x/sys/unix"
)

// slowClients in the environment is how many connections TestSlowClients drips on; a tenth as many read nothing.
const slowClients = "DECKLE_SLOW"

// number reads a count from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// hits asks for one picture that is there, over and over, until stopped, and counts what went wrong.
func (d *daemon) hits(path string, header ...string) (stop func() (good, bad int64, p99 time.Duration)) {
	var good, bad atomic.Int64
	var took []time.Duration
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-done:
				return
			case <-pace.C:
			}
			begin := time.Now()
			if got := d.get(path, header...); got.status == 200 && got.err == nil {
				good.Add(1)
			} else {
				bad.Add(1)
			}
			took = append(took, time.Since(begin))
		}
	}()
	return func() (int64, int64, time.Duration) {
		close(done)
		<-ended
		return good.Load(), bad.Load(), percentile(took, 99)
	}
}

// holder is a connection that is held open until the server ends it.
type holder struct {
	net.Conn
	begun time.Time
}

// endless waits until the server has closed the connection, and returns after how long.
func (h *holder) endless(t *testing.T, drip time.Duration) time.Duration {
	defer func() { _ = h.Close() }() // it has been closed already
	for {
		if drip > 0 {
			_, _ = h.Write([]byte("a")) // once it is closed the read says so
		}
		wait := max(drip, 500*time.Millisecond)
		if err := h.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Error(err)
			return 0
		}
		if drip == 0 { // reads nothing: only looks whether the other side is there
			time.Sleep(wait)
			if closedBy(h.Conn) {
				return time.Since(h.begun)
			}
		} else if _, err := io.Copy(io.Discard, h.Conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			return time.Since(h.begun)
		}
		if time.Since(h.begun) > time.Minute {
			t.Error("the connection is open after a minute")
			return time.Minute
		}
	}
}

// tcpEstablished is the kernel's number for a connection that neither side has ended (tcp_states.h).
const tcpEstablished = 1

// closedBy tells from the kernel's table whether the other side has closed a connection of which nothing is read.
func closedBy(c net.Conn) bool {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		closed = err != nil || info.State != tcpEstablished
	})
	return closed || err != nil
}

// TestSlowClients: connections that send a byte at a time, or read nothing, are ended within the stated times and cost the
// others nothing; the memory that they took comes back (TRUST.md threat 14). DECKLE_SLOW=2000 is the long form.
func TestSlowClients(t *testing.T) {
	drips := number(t, slowClients, 200)
	readers := drips / 10
	d := start(t, "--data", t.TempDir(), "--access-log", "errors", "--max-client-connections", "4000")
	d.upload("cat", testimage.PNG(testimage.Photo(300, 200, 1)), false)
	d.upload("big", testimage.PNG(testimage.Photo(1800, 1500, 1)), false)
	d.mustGet("/cat_20_20.png")
	d.mustGet("/big_1790_1490.png") // megabytes, from memory
	before := d.memory()
	address := strings.TrimPrefix(d.edge, "http://")
	dial := func(control func(fd uintptr)) *holder {
		dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return c.Control(control) }}
		c, err := dialer.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return &holder{Conn: c, begun: time.Now()}
	}
	stop := d.hits("/cat_20_20.png")
	var wait sync.WaitGroup
	var slowestDrip, slowestReader atomic.Int64
	for range drips {
		h := dial(func(uintptr) {})
		if _, err := fmt.Fprint(h, "GET /cat_20_20.png HTTP/1.1\r\nHost: x\r\nX: "); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() { raise(&slowestDrip, h.endless(t, time.Second)) })
	}
	for i := range readers {
		h := dial(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		path := []string{"/big.png", "/big_1790_1490.png"}[i%2] // streamed from the store, and from memory
		if _, err := fmt.Fprintf(h, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() { raise(&slowestReader, h.endless(t, 0)) })
	}
	wait.Wait()
	good, bad, p99 := stop()
	drip, reader := time.Duration(slowestDrip.Load()), time.Duration(slowestReader.Load())
	if drip > 10*time.Second || reader > 35*time.Second {
		t.Errorf("the last drip was ended after %s (at most 10 s), the last reader after %s (at most 35 s)", drip, reader)
	}
	if bad != 0 || good < 100 {
		t.Errorf("%d hits failed, %d did not", bad, good)
	}
	eventually(t, time.Minute, "the connections are given back", func() bool { return d.metric("deckle_connections") < 10 })
	eventually(t, time.Minute, "the memory is given back", func() bool {
		return d.memory() < before+20<<20
	})
	t.Logf("%d drips, the last ended after %s; %d readers, after %s; meanwhile %d hits, %d failed, p99 %s", drips, drip.Round(time.Millisecond),
		readers, reader.Round(time.Millisecond), good, bad, p99)
}

// percentile returns the time that n hundredths of all took at most.
func percentile(took []time.Duration, n int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(len(took)-1, len(took)*n/100)]
}

func raise(most *atomic.Int64, to time.Duration) {
	for {
		was := most.Load()
		if int64(to) <= was || most.CompareAndSwap(was, int64(to)) {
			return
		}
	}
}

// TestTooManyConnections: one client gets as many connections as configured and the rest are closed at once; those that it has
// go on, and places that come free are given out again.
func TestTooManyConnections(t *testing.T) {
	// Peers in private networks are counted once it is known which of them are proxies.
	d := start(t, "--data", t.TempDir(), "--trusted-proxies", "192.0.2.1", "--max-client-connections", "5", "--max-connections", "8", "--idle-timeout", "60s")
	open := func(from string) (net.Conn, bool) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := dialer.Dial("tcp", strings.TrimPrefix(d.edge, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprint(c, "GET /_health HTTP/1.1\r\nHost: x\r\n\r\n") // the read says whether it was taken
		b := make([]byte, 12)
		_, err = io.ReadFull(c, b)
		return c, err == nil && string(b) == "HTTP/1.1 200"
	}
	var held []net.Conn
	served := map[string]int{}
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		for range 7 {
			if c, ok := open(from); ok {
				held = append(held, c)
				served[from]++
			}
		}
	}
	if served["127.0.0.2"] != 5 || served["127.0.0.3"] != 3 {
		t.Errorf("connections served: %v, want 5 of the first client's and 3 more in all", served)
	}
	if client, all := d.metric("deckle_client_connections_refused_total"), d.metric("deckle_connections_refused_total"); client != 2 || all != 4 {
		t.Errorf("%v refused by client and %v in all, want 2 and 4", client, all)
	}
	for _, c := range held {
		_ = c.Close() // the server sees it
	}
	eventually(t, 10*time.Second, "places come free", func() bool { return d.metric("deckle_connections") == 0 })
	if _, ok := open("127.0.0.2"); !ok {
		t.Error("a place that came free is not given out")
	}
}
