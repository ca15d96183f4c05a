package proxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// scripted is a listener that answers Accept as told.
type scripted struct {
	net.Listener
	answers []error
	accepts int
}

func (s *scripted) Accept() (net.Conn, error) {
	s.accepts++
	if len(s.answers) > 0 {
		err := s.answers[0]
		s.answers = s.answers[1:]
		return nil, err
	}
	return s.Listener.Accept()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func nobody(netip.Addr) bool { return false }
func never() bool            { return false }

// TestAcceptGoesOn: a lack of descriptors does not end the server, and anything else does.
func TestAcceptGoesOn(t *testing.T) {
	lack := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	s := &scripted{Listener: listen(t), answers: []error{lack, lack, lack}}
	l := newListener(s, Connections{}.withDefaults(), nobody, never)
	client, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c, err := l.Accept()
	if err != nil || s.accepts != 4 {
		t.Fatalf("%v after %d calls, want a connection after 4", err, s.accepts)
	}
	_ = c.Close()
	s.answers = []error{io.ErrUnexpectedEOF}
	if _, err := l.Accept(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want the error", err)
	}
	s.answers = []error{lack, lack, lack, lack, lack, lack, lack, lack, lack, lack, lack, lack}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v after Close, want net.ErrClosed", err)
	}
}

// pair returns the two ends of a connection that l has accepted.
func pair(t *testing.T, l *listener) (server *connection, client net.Conn) {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), accepted.Close() })
	return accepted.(*connection), client
}

// TestStalledWrite: a viewer that reads nothing ends the answer after the stall time, however long the answer is, and what
// is left of it is dropped with the connection.
func TestStalledWrite(t *testing.T) {
	l := newListener(listen(t), Connections{Stall: 50 * time.Millisecond}.withDefaults(), nobody, never)
	server, client := pair(t, l)
	if n, err := server.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || n == 64<<20 {
		t.Fatalf("%d bytes, %v; want a deadline exceeded", n, err)
	}
	if got := l.now().Open; got != 1 {
		t.Errorf("%d are open, want 1", got)
	}
	_, _ = server.Close(), server.Close() // the second does not count
	if got := l.now().Open; got != 0 || len(l.clients) != 0 {
		t.Errorf("%d are open, %d clients known, want none", got, len(l.clients))
	}
	if _, err := io.Copy(io.Discard, client); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the viewer sees %v, want a reset", err)
	}
}

// TestSlowReader: below the least rate an answer is ended although it goes on; the next answer counts from its own beginning.
func TestSlowReader(t *testing.T) {
	server, client := pair(t, newListener(listen(t), Connections{}.withDefaults(), nobody, never))
	if _, err := server.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	server.began = time.Now().Add(-sendGrace - time.Second)
	if _, err := server.Write([]byte("more")); !errors.Is(err, errSlowReader) {
		t.Errorf("%v, want errSlowReader", err)
	}
	if _, err := client.Write([]byte("again")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write([]byte("another answer")); err != nil {
		t.Errorf("the next answer: %v", err)
	}
}

// TestGone: a viewer that waits is there, one that has sent more is there, and one that has closed is not.
func TestGone(t *testing.T) {
	l := newListener(listen(t), Connections{}.withDefaults(), nobody, never)
	waiting, _ := pair(t, l)
	talking, client := pair(t, l)
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	leaving, leaver := pair(t, l)
	_ = leaver.Close()
	if waiting.gone() || talking.gone() {
		t.Error("who is there counts as gone")
	}
	for begin := time.Now(); !leaving.gone(); {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("who has left is there still")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestPatienceEndsWithTheViewer: work that is waited for is given up when the viewer leaves, long before the deadline.
func TestPatienceEndsWithTheViewer(t *testing.T) {
	server, client := pair(t, newListener(listen(t), Connections{}.withDefaults(), nobody, never))
	p := newPatience(time.Minute, server)
	defer p.end()
	done := p.Done()
	select {
	case <-done:
		t.Fatal("it ended while the viewer waited")
	case <-time.After(3 * lookEvery):
	}
	_ = client.Close()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("it goes on although the viewer has left")
	}
}

// TestShutdownBeforeServe: a Serve that comes too late ends at once.
func TestShutdownBeforeServe(t *testing.T) {
	p := New(Config{})
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Serve(l); err != nil {
		t.Error(err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}
