package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/transform"
)

// slow is a rendering of photo that keeps a renderer busy for seconds.
const slow = "_4000_3000.avif"

// renderers returns the processes of the daemon's children.
func (d *daemon) renderers() []int {
	d.t.Helper()
	return childrenOf(d.t, d.command.Process.Pid)
}

func childrenOf(t testing.TB, parent int) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// cpu returns what a process has used, in ticks; 0 when it is gone.
func cpu(pid int) (ticks int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])   // utime; the kernel writes numbers
	system, _ := strconv.Atoi(fields[12]) // stime
	return user + system
}

// busy waits for a child that has computed for a while since it was ready, and returns it.
func (d *daemon) busy(before map[int]int) (busiest int) {
	d.t.Helper()
	const ticks = 15
	eventually(d.t, 20*time.Second, "a renderer is busy", func() bool {
		for _, pid := range d.renderers() {
			if start, known := before[pid]; known && cpu(pid) >= start+ticks {
				busiest = pid
				return true
			}
		}
		return false
	})
	return busiest
}

// idleCPU waits until all children are ready, and returns what each has used. One that has just been killed may be counted still,
// and the one in its place be starting: what is counted has to be what is there, before and after.
func (d *daemon) idleCPU(children int) (used map[int]int) {
	d.t.Helper()
	ready := func() bool { return d.metric("deckle_renderers") == float64(children) }
	eventually(d.t, 20*time.Second, "all renderers are ready", func() bool {
		if !ready() {
			return false
		}
		used = map[int]int{}
		for _, pid := range d.renderers() {
			if !gone(pid) {
				used[pid] = cpu(pid)
			}
		}
		return len(used) == children && ready()
	})
	return used
}

// TestEveryFormatContained: behind all walls every encoder and every decoder still finds what it needs.
func TestEveryFormatContained(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	if line, found := d.log.await("renderers contained", time.Second); !found || strings.Contains(line, `"network":"open"`) {
		t.Errorf("contained: %s", line)
	} else {
		t.Log(line)
	}
	d.upload("photo", testimage.JPEG(testimage.Photo(400, 300, 1), 85), false)
	d.upload("alpha", testimage.PNG(testimage.Alpha(120, 90)), false)
	d.upload("still", testimage.GIF(testimage.Quadrants(60, 40)), false)
	for _, out := range transform.OutputFormats() {
		for _, id := range []string{"photo", "alpha", "still"} {
			d.mustGet("/"+id+"_50_50."+out.Ext(), "render")
		}
		if out == transform.JXL {
			continue // written, and not read unless it is switched on
		}
		picture := d.mustGet("/photo_200_200." + out.Ext())
		d.upload("again-"+out.Ext(), picture.body, false)
		d.mustGet("/again-"+out.Ext()+"_40_40.jpg", "render")
	}
	if n := d.metric("deckle_renderer_ends_total"); n != 0 {
		t.Errorf("%v renderers ended:\n%s", n, d.log)
	}
}

// TestRendererKilled: a renderer that dies costs the request that it had. Hits go on, and the next render finds another.
func TestRendererKilled(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "2", "--render-timeout", "60s")
	d.upload("cat", photo(), false)
	d.mustGet("/cat_100_100.jpg")
	before := d.idleCPU(3)
	var hits atomic.Int64
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
				if got := d.get("/cat_100_100.jpg"); got.status != 200 {
					t.Errorf("a hit: %d %v", got.status, got.err)
				}
				hits.Add(1)
			}
		})
	}
	answer := make(chan reply, 1)
	go func() { answer <- d.get("/cat" + slow) }()
	victim := d.busy(before)
	seen := hits.Load()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got.status != 422 || !strings.Contains(string(got.body), "could not be rendered") {
		t.Errorf("the request of the renderer that was killed: %d %s", got.status, got.body)
	}
	d.mustGet("/cat_120_100.jpg", "render")
	eventually(t, 10*time.Second, "hits go on", func() bool { return hits.Load() > seen+20 })
	close(stop)
	load.Wait()
	d.idleCPU(3)
	if n := d.metric("deckle_renderer_ends_total", `reason="crash"`); n != 1 {
		t.Errorf("%v crashes are counted, want 1", n)
	}
}

// TestRenderDeadline: a render that takes too long is answered in time and its renderer is gone. Work that is large is not held
// against the source.
func TestRenderDeadline(t *testing.T) {
	const timeout, grace = 400 * time.Millisecond, 500 * time.Millisecond
	d := start(t, "--data", t.TempDir(), "--renderers", "1", "--render-timeout", timeout.String())
	d.upload("cat", photo(), false)
	for i, path := range []string{"/cat" + slow, "/cat_3999_3000.avif"} {
		d.idleCPU(2)
		begin := time.Now()
		got := d.get(path)
		if took := time.Since(begin); got.status != 504 || took > timeout+grace+time.Second { // a second for reading the source, under the race detector
			t.Errorf("%s: %d after %s, want 504", path, got.status, took)
		} else {
			t.Logf("%s: %s", path, took)
		}
		eventually(t, 5*time.Second, "the end is counted", func() bool {
			return d.metric("deckle_renderer_ends_total", `reason="deadline"`) == float64(i+1)
		})
	}
	// A busy machine may take longer over a small one, too, which is then remembered: another size is asked for.
	got := reply{status: 504}
	for side := 30; got.status == 504 && side < 40; side++ {
		got = d.get(fmt.Sprintf("/cat_%d_30.jpg", side))
	}
	if got.status != 200 {
		t.Errorf("another size of the same source: %d %s", got.status, got.body)
	}
}

// TestQuarantined: a source on which two renderers died is not rendered again for a while, in any way; others are.
func TestQuarantined(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "1", "--render-timeout", "60s")
	d.upload("cat", photo(), false)
	d.upload("dog", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	for _, path := range []string{"/cat" + slow, "/cat_3999_3000.avif"} {
		before := d.idleCPU(2)
		answered := make(chan reply, 1)
		go func() { answered <- d.get(path) }()
		if err := syscall.Kill(d.busy(before), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if got := <-answered; got.status != 422 {
			t.Errorf("%s: %d %v %s, want 422", path, got.status, got.err, got.body)
		}
	}
	if got := d.get("/cat_30_30.jpg"); got.status != 422 || !strings.Contains(string(got.body), "several times") {
		t.Errorf("a source that ended two renderers: %d %s", got.status, got.body)
	}
	d.mustGet("/dog_30_30.jpg", "render")
}

// TestServerKilled: renderers do not outlive their server, busy or not.
func TestServerKilled(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "2", "--render-timeout", "60s")
	d.upload("cat", photo(), false)
	before := d.idleCPU(3)
	go d.get("/cat" + slow) // nobody will answer
	d.busy(before)
	pids := d.renderers()
	d.kill()
	for _, pid := range pids {
		took := eventually(t, 5*time.Second, "the renderer ends", func() bool { return gone(pid) })
		t.Logf("renderer %d ended %s after its server", pid, took)
	}
}

// gone tells whether a process has ended; one that nobody has waited for yet counts.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(state, "Z")
}

// TestNotIsolated: rendering in the server's own process, for who wants it.
func TestNotIsolated(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--isolate=false")
	d.upload("cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	d.mustGet("/cat_30_30.webp", "render")
	if pids := d.renderers(); len(pids) != 0 {
		t.Errorf("there are children: %v", pids)
	}
}
