package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// attackSizes in the environment is how many random sizes TestRandomSizes asks for; with it the figures are written down.
const attackSizes = "DECKLE_ATTACK"

// stored returns the bytes of the files below a directory.
func stored(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // what vanished meanwhile takes no room
		}
		if info, err := entry.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// spentBy returns the CPU time that the server and its children have used.
func (d *daemon) spentBy() time.Duration {
	ticks := cpu(d.command.Process.Pid)
	for _, pid := range d.renderers() {
		ticks += cpu(pid)
	}
	return time.Duration(ticks) * time.Second / 100
}

// TestRandomSizes: one client asks for one size after the other of one picture, none of them twice, from many connections at
// once. What it costs is bounded by its budget, and another client's hits do not notice. DECKLE_ATTACK=100000 is the long form.
func TestRandomSizes(t *testing.T) {
	sizes := number(t, attackSizes, 3000)
	const budget = 200
	data := t.TempDir()
	d := start(t, "--data", data, "--trusted-proxies", "127.0.0.0/8", "--client-budget", fmt.Sprint(budget, "/h"), "--access-log", "errors")
	d.upload("cat", testimage.JPEG(testimage.Photo(800, 600, 1), 85), false)
	d.mustGet("/cat_20_20.png")
	quiet := d.hits("/cat_20_20.png", "X-Forwarded-For", "203.0.113.99")
	time.Sleep(2 * time.Second) // what hits take when nobody attacks
	_, _, calm := quiet()
	used, memory := d.spentBy(), d.memory()
	grown, stop := d.growth(), d.hits("/cat_20_20.png", "X-Forwarded-For", "203.0.113.99")
	begin := time.Now()
	var rendered, refused, other atomic.Int64
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for n := next.Add(1) - 1; n < int64(sizes); n = next.Add(1) - 1 {
				switch got := d.get(fmt.Sprintf("/cat_%d_%d.webp", 10+n%400, 10+n/400), "X-Forwarded-For", "203.0.113.1"); got.status {
				case 200:
					rendered.Add(1)
				case 429:
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	wait.Wait()
	took, spent, most := time.Since(begin), d.spentBy()-used, grown()
	good, bad, p99 := stop()
	kept := stored(t, filepath.Join(data, "variants"))
	renders := d.metric("deckle_renders_total", `format="webp"`, `result="ok"`)
	if allowed := float64(budget + 1 + int(took.Hours()*budget)); renders > allowed || rendered.Load() == 0 {
		t.Errorf("%v renders, at most %v are allowed", renders, allowed)
	}
	if rendered.Load()+refused.Load()+other.Load() != int64(sizes) || other.Load() > int64(budget) {
		t.Errorf("%d rendered, %d refused, %d else, of %d", rendered.Load(), refused.Load(), other.Load(), sizes)
	}
	if bad != 0 || good == 0 {
		t.Errorf("%d hits of another client failed, %d did not", bad, good)
	}
	if kept > 16<<20 || most > 200<<20 {
		t.Errorf("%d MB stored, memory grown by %d MB", kept>>20, most>>20)
	}
	line := fmt.Sprintf("%d sizes in %s from 16 connections: %.0f rendered, %d refused (429), %d else; CPU %s; memory %d MB before, at most %d MB more; %d kB stored; another client's hits: %d, %d failed, p99 %s (%s when nobody attacks)",
		sizes, took.Round(time.Millisecond), renders, refused.Load(), other.Load(), spent.Round(10*time.Millisecond), memory>>20, most>>20, kept>>10,
		good, bad, p99.Round(10*time.Microsecond), calm.Round(10*time.Microsecond))
	t.Log(line)
	if os.Getenv(attackSizes) == "" {
		return
	}
	text := fmt.Sprintf("# Attack: random sizes of one source from one client\n\n`DECKLE_ATTACK=%d go test ./cmd/deckle -run TestRandomSizes -v` on %s, %d cores, %s, a budget of %d renders an hour.\n\n%s.\n",
		sizes, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), budget, line)
	if err := os.WriteFile("../../bench/results/attack.md", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
