package bench

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// childVariable makes the test binary a child that burns CPU and waits.
const childVariable = "DECKLE_BENCH_CHILD"

// burn uses at least so much of this process's CPU time; a tick is the least that can be seen.
func burn(t time.Duration) {
	for start := time.Now(); time.Since(start) < t; {
		for range 1000 {
			burned++
		}
	}
}

var burned int

// beChild burns, says so, and stays until its input ends.
func beChild() {
	burn(100 * time.Millisecond)
	_, _ = os.Stdout.WriteString("burned")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestUsageOfThisProcess(t *testing.T) {
	before, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	after := before
	for range 100 { // a busy machine may give this process little of the time
		burn(20 * time.Millisecond)
		if after, err = readUsage(os.Getpid()); err != nil {
			t.Fatal(err)
		}
		if after.cpu > before.cpu {
			break
		}
	}
	if after.cpu <= before.cpu {
		t.Errorf("CPU time %v, %v before", after.cpu, before.cpu)
	}
	if after.peak < 1<<20 {
		t.Errorf("peak memory %d bytes", after.peak)
	}
}

// A child's memory is counted while it lives, and its time also when it is gone.
func TestUsageCountsChildren(t *testing.T) {
	alone, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(output, make([]byte, len("burned"))); err != nil {
		t.Fatal(err)
	}
	own, err := readUsage(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	both, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// The kernel counts resident pages in batches for each thread, so that the peak of a process is off by a little.
	if own.cpu == 0 || both.cpu < alone.cpu+own.cpu || both.peak < (alone.peak+own.peak)*9/10 {
		t.Errorf("alone %+v, child %+v, both %+v", alone, own, both)
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	gone, err := readUsage(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if gone.cpu < alone.cpu+own.cpu {
		t.Errorf("the child's %v are lost: %v, %v before it", own.cpu, gone.cpu, alone.cpu)
	}
}

func TestParseStat(t *testing.T) {
	const tail = " S 7 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 100"
	for text, want := range map[string]processStat{
		"12 (server)" + tail:             {parent: 7, cpu: 10 * tick},
		"12 (a) b (c 1 2 3) )" + tail:    {parent: 7, cpu: 10 * tick},
		"12 (server) S 7 1 1":            {},
		"12 server S 7":                  {},
		"12 (server) S x 1 1" + tail[8:]: {},
		"":                               {},
	} {
		got, err := parseStat([]byte(text))
		if (err != nil) != (want == processStat{}) || err == nil && got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) b) S 7 1 1 0 -1 0 0 0 0 0 1 2 3 4 20"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if stat, err := parseStat(text); err != nil && stat != (processStat{}) {
			t.Errorf("%+v with %v", stat, err)
		}
	})
}
