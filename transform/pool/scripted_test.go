package pool

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"deckle/transform"
)

// roleVariable makes the test binary behave as a child, in one of these ways.
const roleVariable = "POOL_TEST_ROLE"

const (
	roleGood   = "good"
	roleKeeper = "keeper" // as good, and keeps levels
	roleFaulty = "faulty" // says hello with a fault
	roleSilent = "silent" // never says hello
	roleGone   = "gone"   // ends at once
	roleNoise  = "noise"  // says something else than hello
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleGood:
		exitAfter(Serve(func(json.RawMessage) (Facts, error) {
			return Facts{Engine: &scripted{}, Generation: "g7", Backend: "scripted 1", Memory: func() (int64, int64) { return 11, 22 }}, nil
		}))
	case roleKeeper:
		exitAfter(Serve(func(json.RawMessage) (Facts, error) { return Facts{Engine: &keeper{}}, nil }))
	case roleFaulty:
		exitAfter(Serve(func(json.RawMessage) (Facts, error) { return Facts{}, errors.New("a decoy decodes\n\x1b[31m") }))
	case roleSilent:
		select {}
	case roleNoise:
		_, err := unix.Write(childSocket, []byte("\x00\x00\x00\x05\x00\x00\x00\x00nonsense"))
		exitAfter(err)
	case roleGone:
		os.Exit(3)
	}
	goleak.VerifyTestMain(m)
}

func exitAfter(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// What a scripted child does with a render is told by the width that is asked for.
const (
	renders = iota + 1
	refuses
	refusesSpec
	sleeps
	spins
	segfaults
	aborts
	isKilled
	exits
	panics
	hoards
	sendsGarbage
	sendsHugeHead
	sendsHugeBody
	sendsHalf
	answersAnother
	sendsOtherFormat
	lies
	sendsNothing
	grows
	shouts
	probes
)

// scripted is the engine of a scripted child.
type scripted struct{ grown []byte }

func (*scripted) Writes(f transform.Format) bool { return f == transform.PNG || f == transform.JPEG }

func (s *scripted) Render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	p := &transform.Picture{Body: bytes.Clone(source), Format: transform.PNG, Width: 3, Height: 2, Frames: 1}
	if transform.WantsStages(ctx) {
		p.Stages = []transform.Stage{{Name: "load", Took: time.Millisecond}, {Name: "encode", Took: time.Second}}
	}
	switch spec.Width {
	case refuses:
		return nil, fmt.Errorf("load: %w: line\nbreak \x1b[31m and more", transform.ErrMalformed)
	case refusesSpec:
		return nil, fmt.Errorf("crop: %w", &transform.SpecError{Option: "crop", Value: "9,9,9,9", Hint: "the source is smaller"})
	case sleeps:
		time.Sleep(time.Hour)
	case spins:
		for { //nolint:staticcheck // it is to spin
		}
	case segfaults:
		die(syscall.SIGSEGV)
	case aborts:
		die(syscall.SIGABRT)
	case isKilled:
		die(syscall.SIGKILL)
	case exits:
		os.Exit(0)
	case panics:
		return nil, &transform.PanicError{Value: "kaboom", Stack: []byte("main.go:1")}
	case hoards:
		s.hoard()
	case sendsGarbage:
		raw([]byte("\x00\x00\x00\x04\x00\x00\x00\x00}}}}"))
	case sendsHugeHead:
		raw([]byte("\xff\xff\xff\xff\x00\x00\x00\x00"))
	case sendsHugeBody:
		raw([]byte("\x00\x00\x00\x02\xff\xff\xff\xff{}"))
	case sendsHalf:
		raw([]byte("\x00\x00\x00\x02\x00\x10\x00\x00{}half"))
		os.Exit(0)
	case answersAnother:
		raw([]byte("\x00\x00\x00\x0e\x00\x00\x00\x00{\"Seq\":999999}"))
	case sendsNothing:
		raw([]byte("\x00\x00\x00\x02\x00\x00\x00\x00{}"))
	case sendsOtherFormat:
		p.Format = transform.JPEG
	case lies:
		p.Width = 1 << 30
	case grows:
		s.grown = append(s.grown, make([]byte, 64<<20)...)
		for i := 0; i < len(s.grown); i += 4096 {
			s.grown[i] = 1
		}
	case shouts:
		fmt.Fprintf(os.Stderr, "%s\"quoted\" \x1b[31m\n", strings.Repeat("x", 40))
		fmt.Fprintln(os.Stderr, strings.Repeat("long", 1000))
	case probes:
		return nil, errors.New(escapes())
	}
	return p, nil
}

func die(s syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), s) // what fails here shows as a render that works
	time.Sleep(time.Minute)
}

// hoard takes memory until there is none.
func (s *scripted) hoard() {
	for {
		b := make([]byte, 16<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		s.grown = append(s.grown, b...)
	}
}

// raw writes past the protocol, to whatever descriptor is the socket.
func raw(b []byte) {
	for fd := childSocket; fd < maxDescriptors; fd++ {
		if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && kind == unix.SOCK_STREAM {
			_, _ = unix.Write(fd, b) // what fails here shows as a render that works
			return
		}
	}
}

// escapes tries what a renderer must not be able to do, and tells what worked.
func escapes() string {
	var worked []string
	try := func(what string, err error) {
		if err == nil {
			worked = append(worked, what)
		}
	}
	_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	try("inet socket", err)
	_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	try("unix socket", err)
	_, err = os.ReadFile("/etc/passwd")
	try("read", err)
	_, err = os.Create("/tmp/pool-test-escape")
	try("create", err)
	try("remove", os.Remove("/tmp/pool-test-canary"))
	try("execute", exec.Command("/proc/self/exe").Start())
	try("signal the parent", syscall.Kill(os.Getppid(), 0))
	_, _, errno := syscall.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
	if errno == 0 {
		if os.Getppid() != parentOf {
			os.Exit(0)
		}
		try("fork", nil)
	}
	_, err = unix.MemfdCreate("x", 0)
	try("memfd", err)
	_, err = unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	try("map code", err)
	try("trace", unix.PtraceAttach(os.Getppid()))
	try("raise a limit", unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: 1}))
	try("chroot", unix.Chroot("/"))
	sort := ""
	if os.Getuid() == 0 {
		sort = " as root"
	}
	return fmt.Sprintf("worked: %v%s", worked, sort)
}

var parentOf = os.Getppid()

// picture returns a PNG of 3x2 pixels; no two of different n have the same bytes.
func picture(n int) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(tiny()), uint64(n)) }

var tiny = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		panic(err)
	}
	return b.Bytes()
})

var pictures atomic.Int64

// fresh returns a picture that no render has seen.
func fresh() []byte { return picture(int(pictures.Add(1))) }

// scriptedPool starts a pool of scripted children, or fails the test; it is closed when the test ends.
func scriptedPool(t *testing.T, change func(*Config)) *Pool {
	t.Helper()
	c := config(roleGood)
	if change != nil {
		change(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func config(role string) Config {
	return Config{
		Command: func() *exec.Cmd { return as(role) }, Limits: transform.DefaultLimits(), Slots: 2,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func as(role string) *exec.Cmd {
	command := Self("-test.run=^$")
	command.Env = []string{roleVariable + "=" + role}
	return command
}

// do renders a source that nobody has seen, in the way that the script says.
func do(p *Pool, script int) error {
	_, err := p.Render(context.Background(), fresh(), transform.Spec{Width: script})
	return err
}

// pids returns the processes of the children that are alive.
func (p *Pool) pids() (list []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.children {
		list = append(list, c.pid())
	}
	return list
}

// eventually waits for what other processes bring about; there is nothing to be told by.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !holds() {
		if time.Since(begin) > within {
			t.Fatalf("%s: not within %s", what, within)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}
