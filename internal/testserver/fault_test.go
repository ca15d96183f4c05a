package testserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echo starts a server that answers what it is sent.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return listener.Addr().String()
}

// dialAndAsk asks on a connection of its own.
func dialAndAsk(t *testing.T, addr string, sent []byte, within time.Duration) ([]byte, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return ask(t, conn, sent, within)
}

// ask sends bytes and returns what comes back within a while.
func ask(t *testing.T, conn net.Conn, sent []byte, within time.Duration) ([]byte, error) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(sent); err != nil {
		return nil, err
	}
	got := make([]byte, len(sent))
	n, err := io.ReadFull(conn, got)
	return got[:n], err
}

func TestFaults(t *testing.T) {
	sent := []byte(strings.Repeat("0123456789", 100))
	cases := []struct {
		name    string
		fault   Fault
		got     int // bytes that come back
		err     error
		atLeast time.Duration
	}{
		{name: "none", got: 1000},
		{name: "latency", fault: Fault{Latency: 100 * time.Millisecond}, got: 1000, atLeast: 100 * time.Millisecond},
		{name: "bandwidth", fault: Fault{Rate: 5000}, got: 1000, atLeast: 190 * time.Millisecond},
		{name: "slices", fault: Fault{Slice: 7}, got: 1000},
		{name: "cut", fault: Fault{Close: true, Cut: 300}, got: 300, err: io.ErrUnexpectedEOF},
		{name: "reset", fault: Fault{Reset: true, Cut: 300}, err: syscall.ECONNRESET, got: -1}, // a reset may overtake bytes
		{name: "refuse", fault: Fault{Refuse: true}, err: syscall.ECONNRESET},
		{name: "blackhole", fault: Fault{Blackhole: true}, err: os.ErrDeadlineExceeded, atLeast: 300 * time.Millisecond},
	}
	p := NewFaultProxy(t, echo(t))
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p.Set(c.fault)
			defer p.Set(Fault{})
			within := 10 * time.Second
			if c.fault.Blackhole {
				within = 300 * time.Millisecond
			}
			begin := time.Now()
			got, err := dialAndAsk(t, p.Addr, sent, within)
			took := time.Since(begin)
			if c.name == "refuse" && errors.Is(err, syscall.EPIPE) {
				err = syscall.ECONNRESET // the reset came before the write
			}
			if !errors.Is(err, c.err) || c.got >= 0 && len(got) != c.got || took < c.atLeast || !bytes.HasPrefix(sent, got) {
				t.Errorf("%d bytes, %v after %v; want %d bytes, %v after at least %v", len(got), err, took, c.got, c.err, c.atLeast)
			}
			if n := p.Accepted(); n != int64(i+1) {
				t.Errorf("%d connections were counted, want %d", n, i+1)
			}
		})
	}
}

// TestFaultsBeginAndEndAtRunTime holds an open connection up, lets it go on, and breaks it.
func TestFaultsBeginAndEndAtRunTime(t *testing.T) {
	p := NewFaultProxy(t, echo(t))
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got, err := ask(t, conn, []byte("one"), time.Second); err != nil || string(got) != "one" {
		t.Fatalf("%q, %v", got, err)
	}
	p.Set(Fault{Blackhole: true})
	if got, err := ask(t, conn, []byte("two"), 50*time.Millisecond); err == nil {
		t.Errorf("%q came through a black hole", got)
	}
	p.Set(Fault{})
	if got, err := ask(t, conn, []byte("six"), time.Second); err != nil || string(got) != "two" {
		t.Errorf("%q, %v; want what was held up", got, err)
	}
	if p.Open() != 1 {
		t.Errorf("%d connections open, want 1", p.Open())
	}
	p.BreakAll()
	if _, err := ask(t, conn, []byte("end"), time.Second); err == nil {
		t.Error("a broken connection answers")
	}
}
