// Package testserver starts the real servers that tests run against, each on a free port of the loopback interface, ends
// them with the test, and lets a test kill and freeze them. A server that cannot be started fails the test: nothing is
// skipped.
package testserver

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds the time from starting a server to its first answer. A loaded machine with two cores needs seconds.
const startTimeout = 30 * time.Second

// Server is one server process that belongs to one test, at one address for its whole life. Its methods fail the test when
// they cannot do what they say, so that they are called from the test's own goroutine.
type Server struct {
	// Addr is host:port.
	Addr string

	t     testing.TB
	path  string
	args  []string
	env   []string
	log   string                  // the file that gets what the server prints
	ready func(addr string) error // nil once the server answers

	dir        string              // where it runs; empty for where the test does
	credential *syscall.Credential // as whom it runs; nil for as whom the test does
	quit       syscall.Signal      // what ends it at once, with its own processes; 0 for SIGKILL

	mu      sync.Mutex
	process *os.Process
	exited  chan struct{} // closed when process has ended
}

// launch starts s, waits for its first answer and has it killed when the test ends.
func launch(t testing.TB, s *Server) {
	t.Helper()
	s.t = t
	s.log = filepath.Join(t.TempDir(), "log")
	t.Cleanup(s.Stop)
	s.Start()
}

// Start starts a stopped server again at the same address and returns once it answers. One that runs is left alone.
func (s *Server) Start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return
	}
	if err := s.spawn(); err != nil {
		s.t.Fatalf("start %s: %v", s.path, err)
	}
	if err := s.awaitReady(); err != nil {
		output, _ := os.ReadFile(s.log)
		s.t.Fatalf("start %s %s: %v\n%s", s.path, strings.Join(s.args, " "), err, output)
	}
}

// Stop kills the server with SIGKILL, as a crash would, and returns when it is gone. Connections to it break; what it held
// in memory is lost.
func (s *Server) Stop() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	if err := s.process.Signal(cmp.Or(s.quit, syscall.SIGKILL)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("kill %s: %v", s.path, err)
		return
	}
	<-s.exited
	s.process = nil
}

// Pause freezes the server: the kernel goes on accepting connections for it, and nothing answers on them.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	for begin := time.Now(); !s.frozen(); time.Sleep(time.Millisecond) { // the last thread stops a moment after the signal
		if time.Since(begin) > startTimeout {
			s.t.Fatalf("pause %s: it goes on running", s.path)
		}
	}
}

// frozen tells whether every thread of the process is stopped: field 3 of proc_pid_stat(5) is T.
func (s *Server) frozen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.process.Pid))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		_, rest, _ := strings.Cut(string(text), ") ")
		if err == nil && !strings.HasPrefix(rest, "T") {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// Resume lets a paused server go on, with whatever was sent to it meanwhile.
func (s *Server) Resume() { s.t.Helper(); s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatalf("signal %v: %s is not running", sig, s.path)
	}
	if err := s.process.Signal(sig); err != nil {
		s.t.Fatalf("signal %v to %s: %v", sig, s.path, err)
	}
}

// spawn starts the process. The goroutine that forks stays on its thread until the process has ended: the kernel sends
// Pdeathsig when the forking thread ends, not when the parent does.
func (s *Server) spawn() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(s.path, s.args...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.credential}

	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(exited)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // a killed process always "fails"
		}
		_ = log.Close()
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.exited = cmd.Process, exited
	return nil
}

func (s *Server) awaitReady() error {
	deadline := time.After(startTimeout)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		err := s.ready(s.Addr)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it ended at once")
		case <-deadline:
			return fmt.Errorf("no answer within %v: %w", startTimeout, err)
		case <-poll.C:
		}
	}
}

// freeAddr returns a loopback address that nothing listens at.
func freeAddr(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
