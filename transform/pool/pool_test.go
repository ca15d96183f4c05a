package pool

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/transform"
)

func TestRender(t *testing.T) {
	p := scriptedPool(t, nil)
	if p.Generation() != "g7" || p.Backend() != "scripted 1" || !p.Writes(transform.PNG) || p.Writes(transform.WebP) {
		t.Errorf("hello: %+v", p.hello)
	}
	source := append(fresh(), bytes.Repeat([]byte{7}, 3<<20)...) // what comes back is longer than is taken on the word of a length
	got, err := p.Render(t.Context(), source, transform.Spec{Width: renders, Format: transform.PNG})
	if err != nil {
		t.Fatal(err)
	}
	header, err := transform.ReadHeader(source)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Body, source) {
		t.Error("other bytes came back")
	}
	got.Body = nil
	want := &transform.Picture{Format: transform.PNG, Width: 3, Height: 2, Frames: 1, Source: header}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m := p.Memory(); m.Held != 11 || m.Most != 22 || m.Resident == 0 {
		t.Errorf("memory %+v", m)
	}
	if _, err := p.Render(t.Context(), []byte("hello"), transform.Spec{}); !errors.Is(err, transform.ErrUnsupported) {
		t.Errorf("no picture: %v", err)
	}
}

// TestFaults: what a child finds wrong costs no child.
func TestFaults(t *testing.T) {
	p := scriptedPool(t, func(c *Config) { c.Slots, c.Spares = 1, -1 })
	before := p.pids()
	err := do(p, refuses)
	if !errors.Is(err, transform.ErrMalformed) || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.HasPrefix(err.Error(), "load: ") {
		t.Errorf("malformed: %q", err)
	}
	var spec *transform.SpecError
	if err := do(p, refusesSpec); !errors.As(err, &spec) || spec.Hint != "the source is smaller" {
		t.Errorf("spec: %v", err)
	}
	if diff := cmp.Diff(before, p.pids()); diff != "" {
		t.Errorf("the child changed: %s", diff)
	}
}

// TestCrashes: whatever ends a child, or whatever it sends, costs the render that it had, and nothing else.
func TestCrashes(t *testing.T) {
	p := scriptedPool(t, func(c *Config) { c.Memory = 128 << 20 })
	for name, script := range map[string]int{
		"SIGSEGV": segfaults, "SIGABRT": aborts, "SIGKILL": isKilled, "exit": exits, "panic": panics, "out of memory": hoards,
		"garbage": sendsGarbage, "huge head": sendsHugeHead, "huge body": sendsHugeBody, "half a picture": sendsHalf,
		"another's answer": answersAnother, "neither picture nor fault": sendsNothing, "bytes of another format": sendsOtherFormat, "impossible size": lies,
	} {
		t.Run(name, func(t *testing.T) {
			before := p.Stats()
			if err := do(p, script); !errors.Is(err, transform.ErrCrashed) {
				t.Errorf("%v, want ErrCrashed", err)
			}
			if err := do(p, renders); err != nil {
				t.Errorf("the next: %v", err)
			}
			eventually(t, 5*time.Second, "the crash is counted", func() bool { return p.Stats().Ended["crash"] == before.Ended["crash"]+1 })
		})
	}
}

// TestDeadline: a render that takes too long ends in time, and so does its process.
func TestDeadline(t *testing.T) {
	const timeout = 200 * time.Millisecond
	p := scriptedPool(t, func(c *Config) { c.Slots, c.Spares, c.StillTimeout = 1, -1, timeout })
	for name, script := range map[string]int{"sleeps": sleeps, "spins": spins} {
		t.Run(name, func(t *testing.T) {
			pid := p.pids()[0]
			begin := time.Now()
			err := do(p, script)
			took := time.Since(begin)
			if !errors.Is(err, context.DeadlineExceeded) || took < timeout || took > timeout+500*time.Millisecond {
				t.Errorf("%v after %s", err, took)
			}
			gone := eventually(t, time.Second, "the process is gone", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
			t.Logf("%s past the deadline, gone %s later", took-timeout, gone)
			eventually(t, 5*time.Second, "there is another", func() bool { return do(p, renders) == nil })
		})
	}
	if s := p.Stats(); s.Ended["deadline"] != 2 || s.Ended["crash"] != 0 {
		t.Errorf("%+v", s)
	}
}

// TestCallerLeaves: the child is killed when nobody waits, the slot is free at once, and the source is not to blame.
func TestCallerLeaves(t *testing.T) {
	p := scriptedPool(t, func(c *Config) { c.Slots = 1 })
	source := fresh()
	left := errors.New("left")
	slowest := time.Duration(0)
	for range 5 {
		ctx, leave := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		before := p.Stats().Renders
		go func() {
			_, err := p.Render(ctx, source, transform.Spec{Width: spins})
			done <- err
		}()
		eventually(t, 5*time.Second, "the render runs", func() bool { return p.Stats().Renders > before })
		begin := time.Now()
		leave(left)
		if err := <-done; !errors.Is(err, left) {
			t.Fatalf("%v, want the cause", err)
		}
		if err := do(p, renders); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(begin))
	}
	t.Logf("the slowest of five slots had rendered for another %s after its caller left", slowest)
	if slowest > time.Second { // the bound is 100 ms on a quiet machine, without the race detector
		t.Errorf("a slot took %s to be free", slowest)
	}
	if _, err := p.Render(t.Context(), source, transform.Spec{Width: renders}); err != nil {
		t.Errorf("the source: %v", err)
	}
}

// TestQuarantine: a source that ended two children gets no third, whatever is asked of it; others are not touched by that.
func TestQuarantine(t *testing.T) {
	p := scriptedPool(t, func(c *Config) { c.StillTimeout = 200 * time.Millisecond })
	killer := fresh()
	for _, script := range []int{aborts, sleeps} {
		if _, err := p.Render(t.Context(), killer, transform.Spec{Width: script}); errors.Is(err, transform.ErrQuarantined) || err == nil {
			t.Fatalf("strike: %v", err)
		}
	}
	before := p.Stats()
	if _, err := p.Render(t.Context(), killer, transform.Spec{Width: renders}); !errors.Is(err, transform.ErrQuarantined) {
		t.Errorf("%v, want ErrQuarantined", err)
	}
	if s := p.Stats(); s.Renders != before.Renders || s.Refused != 1 || s.Quarantined != 1 {
		t.Errorf("%+v", s)
	}
	if err := do(p, renders); err != nil {
		t.Errorf("another source: %v", err)
	}
}

// TestLargeWorkIsNoStrike: running out of time with work that is known to be large is not held against the source.
func TestLargeWorkIsNoStrike(t *testing.T) {
	p := scriptedPool(t, func(c *Config) { c.StillTimeout = 50 * time.Millisecond })
	source := fresh()
	// The script is the width; the format is what makes the work large for the time there is.
	large := transform.Spec{Width: sleeps, Height: 4000, Fit: transform.FitStretch, Format: transform.AVIF}
	for range strikesOut + 1 {
		_, err := p.Render(t.Context(), source, large)
		for errors.Is(err, transform.ErrBusy) { // on a busy machine a new child is not there within that time
			_, err = p.Render(t.Context(), source, large)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, want the deadline", err)
		}
	}
	if _, err := p.Render(t.Context(), source, transform.Spec{Width: renders}); err != nil {
		t.Errorf("another size of the same source: %v", err)
	}
}

// TestDiesIdle: children that die between renders cost no render.
func TestDiesIdle(t *testing.T) {
	p := scriptedPool(t, nil)
	for range 5 {
		eventually(t, 10*time.Second, "all are there", func() bool { return p.Stats().Children == 3 })
		for _, pid := range p.pids() {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		if err := do(p, renders); err != nil {
			t.Errorf("after all had died: %v", err)
		}
	}
}

// TestNotReady: children that do not start as they should are found at once, and leave nothing behind.
func TestNotReady(t *testing.T) {
	for role, says := range map[string]string{
		roleFaulty: "a decoy decodes", roleGone: "no hello", roleSilent: "no hello", roleNoise: "no hello", "absent": "no such file",
	} {
		t.Run(role, func(t *testing.T) {
			c := config(role)
			c.StartTimeout = 300 * time.Millisecond
			if role == "absent" {
				c.Command = func() *exec.Cmd { return exec.Command("/nonexistent/deckle") }
			}
			if role == roleFaulty || role == roleNoise || role == roleGone {
				c.StartTimeout = 10 * time.Second
			}
			p, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\x1b") {
				t.Errorf("%v, want %q", err, says)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoneStarts: while no child can be started renders are refused, not kept waiting for ever; afterwards all is well.
func TestNoneStarts(t *testing.T) {
	var broken atomic.Bool
	p := scriptedPool(t, func(c *Config) {
		c.Slots, c.Spares, c.StillTimeout = 1, -1, time.Second
		c.Command = func() *exec.Cmd {
			if broken.Load() {
				return as(roleGone)
			}
			return as(roleGood)
		}
	})
	broken.Store(true)
	if err := do(p, isKilled); !errors.Is(err, transform.ErrCrashed) {
		t.Fatal(err)
	}
	if err := do(p, renders); !errors.Is(err, transform.ErrBusy) {
		t.Errorf("%v, want ErrBusy", err)
	}
	broken.Store(false)
	eventually(t, 30*time.Second, "renders work again", func() bool { return do(p, renders) == nil })
	if p.Stats().Ended["start"] == 0 {
		t.Error("no failed start was counted")
	}
}

func TestRecycle(t *testing.T) {
	t.Run("by count", func(t *testing.T) {
		p := scriptedPool(t, func(c *Config) { c.Slots, c.MaxRenders = 1, 10 })
		eventually(t, 20*time.Second, "three have been replaced", func() bool {
			if err := do(p, renders); err != nil {
				t.Fatal(err)
			}
			return p.Stats().Ended["recycle"] >= 3
		})
		if s := p.Stats(); s.Ended["recycle"] > s.Renders/10 {
			t.Errorf("%d were replaced in %d renders, though each may do 10", s.Ended["recycle"], s.Renders)
		}
	})
	t.Run("by size", func(t *testing.T) {
		p := scriptedPool(t, func(c *Config) { c.Slots, c.MaxRSS = 1, 100<<20 })
		for range 3 {
			if err := do(p, grows); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 5*time.Second, "the grown child is replaced", func() bool { return p.Stats().Ended["recycle"] > 0 })
	})
}

func TestClose(t *testing.T) {
	p, err := New(config(roleGood))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- do(p, sleeps) }()
	eventually(t, 5*time.Second, "the render runs", func() bool { return p.Stats().Renders > 0 })
	pids := p.pids()
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the render under way: %v", err)
	}
	if err := do(p, renders); !errors.Is(err, ErrClosed) {
		t.Errorf("a later one: %v", err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
}

// TestStorm crashes and kills children again and again while others render: exactly the renders that were theirs fail, and
// neither processes nor descriptors are left behind. POOL_STORM sets how often; the long form is 1000.
func TestStorm(t *testing.T) {
	rounds := 100
	if text := os.Getenv("POOL_STORM"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	// The Go runtime opens two descriptors with the first socket and keeps them.
	if err := scriptedPool(t, nil).Close(); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	p := scriptedPool(t, func(c *Config) { c.Slots = 3 })
	var good atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(p, renders); err != nil {
					t.Errorf("a render that nobody harmed: %v", err)
				}
				good.Add(1)
			}
		})
	}
	for i, deaths := 0, []int{segfaults, aborts, isKilled, sendsGarbage}; i < rounds; i++ {
		if err := do(p, deaths[i%len(deaths)]); !errors.Is(err, transform.ErrCrashed) {
			t.Errorf("round %d: %v", i, err)
		}
	}
	close(stop)
	load.Wait()
	s := p.Stats()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if s.Ended["crash"] != int64(rounds) || s.Ended["idle"]+s.Ended["start"]+s.Ended["deadline"]+s.Ended["cancel"] != 0 {
		t.Errorf("%d rounds: %+v", rounds, s.Ended)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("a child is left: %d %v", pid, err)
	}
	t.Logf("%d children died; %d other renders, all good", rounds, good.Load())
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestContained: a child can neither reach the network nor files nor other processes, and can get nothing of that back.
func TestContained(t *testing.T) {
	const canary = "/tmp/pool-test-canary"
	if err := os.WriteFile(canary, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(canary) }() // a child that could has removed it, and the test says so
	p := scriptedPool(t, nil)
	held := p.Contained()
	t.Logf("%+v", held)
	if !held.Filter || !strings.Contains(held.Network, "filter") || held.Files == "open" {
		t.Errorf("contained by %+v", held)
	}
	err := do(p, probes)
	want := "worked: []"
	if held.Files != "hidden" {
		want = "worked: [read]"
	}
	if os.Geteuid() != 0 && strings.Contains(held.Network, "namespace") {
		want += " as root" // of a user namespace that holds only this user
	}
	if err == nil || err.Error() != want {
		t.Errorf("a child says %v, want %q", err, want)
	}
}
