package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deckle/transform"
	"deckle/transform/pool"
	"deckle/transform/vips"
)

// BenchmarkIsolation renders a photo of 12 MP to 300 pixels in this process and in a child, by turns, and reports the wall and
// CPU time of each; that of the child's way counts both processes. bench/results/isolation.md holds figures.
func BenchmarkIsolation(b *testing.B) {
	c := vips.Config{Limits: transform.DefaultLimits()}
	here, err := vips.New(c)
	if err != nil {
		b.Fatal(err)
	}
	settings, err := json.Marshal(c)
	if err != nil {
		b.Fatal(err)
	}
	there, err := pool.New(pool.Config{
		Command: func() *exec.Cmd { return pool.Self("renderer") }, Settings: settings, Limits: c.Limits, Spares: -1, MaxRSS: 1 << 40,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = there.Close() }() // it never fails
	if err := there.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	children := childrenOf(b, os.Getpid())
	if len(children) != 1 {
		b.Fatalf("children: %v", children)
	}
	clocks := []int32{unix.CLOCK_PROCESS_CPUTIME_ID, cpuClock(children[0])}
	for _, f := range []transform.Format{transform.JPEG, transform.WebP} {
		b.Run(f.String(), func(b *testing.B) {
			spec := transform.Spec{Format: f, Width: 300}
			var inside, outside spent
			for b.Loop() {
				inside.add(b, clocks, here, spec)
				outside.add(b, clocks, there, spec)
			}
			n := float64(b.N)
			b.ReportMetric(inside.wall.Seconds()*1e3/n, "in-wall-ms")
			b.ReportMetric(outside.wall.Seconds()*1e3/n, "child-wall-ms")
			b.ReportMetric(inside.cpu.Seconds()*1e3/n, "in-cpu-ms")
			b.ReportMetric(outside.cpu.Seconds()*1e3/n, "child-cpu-ms")
		})
	}
}

// spent is time that renders took.
type spent struct{ wall, cpu time.Duration }

func (s *spent) add(b *testing.B, clocks []int32, e transform.Engine, spec transform.Spec) {
	used, begin := readClocks(b, clocks), time.Now()
	if _, err := e.Render(context.Background(), photo(), spec); err != nil {
		b.Fatal(err)
	}
	s.wall += time.Since(begin)
	s.cpu += readClocks(b, clocks) - used
}

func readClocks(b *testing.B, clocks []int32) (sum time.Duration) {
	for _, clock := range clocks {
		var t unix.Timespec
		if err := unix.ClockGettime(clock, &t); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum
}

// cpuClock returns the clock that tells what a process has used (clock_getcpuclockid(3)).
func cpuClock(pid int) int32 {
	const scheduler = 2 // counts what the scheduler gave, to the nanosecond
	return int32(^pid)<<3 | scheduler
}
