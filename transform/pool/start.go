package pool

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// childSocket is the descriptor at which a child finds its end of the socket pair: the first after the standard ones.
const childSocket = 3

// starter starts processes from a thread that lives as long as they: the kernel ends a child with Pdeathsig when the thread
// that started it ends, and the Go runtime ends threads as it sees fit.
type starter struct {
	jobs chan func() // unbuffered: a start is waited for
	done chan struct{}
}

func newStarter() starter {
	s := starter{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

func (s starter) do(job func() error) (err error) {
	ended := make(chan struct{})
	s.jobs <- func() { err = job(); close(ended) }
	<-ended
	return err
}

func (s starter) close() {
	close(s.jobs)
	<-s.done
}

// launch starts the process of a child, in a network namespace of its own where that is permitted.
func (p *Pool) launch(c *child, theirs *os.File) (namespace bool, err error) {
	attempt := func(namespace bool) error {
		c.command = p.config.Command()
		c.command.Env = append(c.command.Env, p.environment()...)
		c.command.Dir = "/"
		c.command.ExtraFiles = []*os.File{theirs}
		c.command.Stderr = p.complaints.of(c.pid)
		c.command.WaitDelay = time.Second
		c.command.SysProcAttr = attributes(namespace)
		return p.starter.do(c.command.Start)
	}
	if !p.bare.Load() {
		first := attempt(true)
		if first == nil {
			return true, nil
		}
		if err := attempt(false); err != nil {
			return false, err
		}
		if p.bare.CompareAndSwap(false, true) {
			p.config.Log.Warn("renderers get no network namespace", slog.Any("cause", first))
		}
		return false, nil
	}
	return false, attempt(false)
}

// attributes says how the kernel starts a child. Root needs no user namespace for the other; and with one Go has to copy the
// parent's page tables, which took 50 ms for a heap of 1 GB.
func attributes(namespace bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !namespace {
		return a
	}
	a.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// environment is all that a child gets of it, whatever the parent has. The loader's variables come along, because the same
// libraries have to be found, and with them the preloaded allocator.
func (p *Pool) environment() []string {
	env := []string{
		"VIPS_BLOCK_UNTRUSTED=1",
		"GOMAXPROCS=1",       // one render at a time
		"GOTRACEBACK=single", // lines are logged, and few of them
		"MALLOC_ARENA_MAX=2", // glibc keeps an arena for every thread otherwise, and gives little back
	}
	if p.config.Memory > 0 {
		env = append(env, fmt.Sprintf("GOMEMLIMIT=%d", p.config.Memory/2))
	}
	for _, name := range []string{"LD_PRELOAD", "LD_LIBRARY_PATH"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Self returns a command that runs this binary again, as it was when it was started, even if its file has been replaced since.
func Self(args ...string) *exec.Cmd {
	command := exec.Command("/proc/self/exe", args...)
	command.Args[0] = os.Args[0]
	return command
}
