package main

import (
	"bytes"
	"fmt"
	"image"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// lanesFigures in the environment is how many rounds of TestLanes are measured; a round takes 45 seconds.
const lanesFigures = "DECKLE_LANES_FIGURES"

// twoSlots starts a server whose work nothing bounds but its slots.
func twoSlots(t *testing.T) *daemon {
	t.Helper()
	return start(t, "--data", t.TempDir(), "--renderers", "2", "--queue", "128", "--queue-wait", "0s", "--render-timeout", "60s",
		"--client-budget", "off", "--source-budget", "off", "--access-log", "errors")
}

// TestLanes: thumbnails do not wait behind heavy work that came before them, and the heavy work is done all the same. Its long
// form measures bench/results/lanes.md.
func TestLanes(t *testing.T) {
	const heavy = 8
	d := twoSlots(t)
	d.upload("cat", photo(), false)
	d.mustGet("/cat_300_300.webp")
	var work sync.WaitGroup
	for i := range heavy {
		work.Go(func() {
			if got := d.get(fmt.Sprintf("/cat_%d_1200.avif", 1500+i)); got.status != 200 {
				t.Errorf("heavy work: %d %v %s", got.status, got.err, got.body)
			}
		})
	}
	waiting := func() float64 { return d.metric("deckle_heavy_queue_depth") }
	eventually(t, time.Minute, "most of the heavy work waits", func() bool { return waiting() >= heavy/2 })
	for i := range 4 {
		d.mustGet(fmt.Sprintf("/cat_%d_300.webp", 200+i))
	}
	if waiting() == 0 {
		t.Error("the thumbnails were answered after all heavy work that was there before them had begun")
	}
	work.Wait()
	if rounds := number(t, lanesFigures, 0); rounds > 0 {
		d.measureLanes(rounds, 200, 100*time.Millisecond)
	}
}

// laneRound is what one round gave.
type laneRound struct {
	idle, loaded []time.Duration // of the thumbnails, from the moment they were due
	heavy        int64           // pictures that the heavy work made meanwhile
}

// measureLanes times thumbnails in an open loop, with nothing else to do and beside heavy work in a closed loop.
func (d *daemon) measureLanes(rounds, thumbnails int, every time.Duration) {
	var list []laneRound
	for n := range rounds {
		large, film := fmt.Sprintf("large%d", n), fmt.Sprintf("film%d", n)
		d.upload(large, photo(), false)
		d.upload(film, filmOf(12, 400, 400), false)
		d.mustGet("/" + large + "_460_460.webp") // the first of a source reads and decodes it
		var round laneRound
		round.idle = d.thumbnails(large, 0, thumbnails, every)
		stop := d.heavyWork(large, film)
		eventually(d.t, time.Minute, "heavy work waits", func() bool { return d.metric("deckle_heavy_queue_depth") > 0 })
		round.loaded = d.thumbnails(large, thumbnails, thumbnails, every)
		round.heavy = stop()
		list = append(list, round)
	}
	d.t.Logf("%d thumbnails a run, one every %s:\n%s", thumbnails, every, laneTable(list))
}

// filmOf is a GIF whose frames have nothing in common.
func filmOf(frames, w, h int) []byte {
	var list []image.Image
	for i := range frames {
		list = append(list, testimage.Photo(w, h, uint64(i+1)))
	}
	return testimage.GIF(list...)
}

// thumbnails asks for so many, one at each tick whether those before are answered or not, and returns how long each took. No
// two share a URL: from is how many there were before.
func (d *daemon) thumbnails(id string, from, count int, every time.Duration) []time.Duration {
	d.t.Helper()
	took := make([]time.Duration, count)
	var asked sync.WaitGroup
	begin := time.Now()
	for i := range took {
		due := begin.Add(time.Duration(i) * every)
		time.Sleep(time.Until(due)) // the pace is what is measured at
		asked.Go(func() {
			// The box's height is never reached, and makes another picture of it.
			if got := d.get(fmt.Sprintf("/%s_%d_%d.webp", id, 150+(i*7)%300, 500+from+i)); got.status != 200 {
				d.t.Errorf("thumbnail: %d %v %s", got.status, got.err, got.body)
			}
			took[i] = time.Since(due)
		})
	}
	asked.Wait()
	slices.Sort(took)
	return took
}

// heavyWork keeps four connections asking for AVIF and two for GIF, until stopped, and counts what was made.
func (d *daemon) heavyWork(large, film string) (stop func() int64) {
	var made, next atomic.Int64
	var done atomic.Bool
	var work sync.WaitGroup
	for i := range 6 {
		work.Go(func() {
			for !done.Load() {
				n := next.Add(1)
				path := fmt.Sprintf("/%s_%d_%d.avif", large, 800+n*7%500, 2000+n)
				if i >= 4 {
					path = fmt.Sprintf("/%s_%d_%d.gif", film, 150+n*7%250, 2000+n)
				}
				if got := d.get(path); got.status != 200 {
					d.t.Errorf("heavy work: %d %v %s", got.status, got.err, got.body)
					return
				}
				made.Add(1)
			}
		})
	}
	return func() int64 { n := made.Load(); done.Store(true); work.Wait(); return n }
}

// laneTable writes rounds as bench/results/lanes.md has them, milliseconds, and their medians.
func laneTable(list []laneRound) string {
	var b bytes.Buffer
	b.WriteString("| round | idle p50 | idle p99 | loaded p50 | loaded p99 | p99 loaded / idle | heavy pictures |\n" + strings.Repeat("|---", 7) + "|\n")
	columns := make([][]float64, 6)
	row := func(name string, cells []float64) {
		_, _ = fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %.0f | %.1f | %.0f |\n", name, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5])
	}
	for n, r := range list {
		ms := func(took []time.Duration, q float64) float64 {
			return float64(quantile(took, q)) / float64(time.Millisecond)
		}
		cells := []float64{ms(r.idle, 0.5), ms(r.idle, 0.99), ms(r.loaded, 0.5), ms(r.loaded, 0.99), 0, float64(r.heavy)}
		cells[4] = cells[3] / cells[1]
		for i, cell := range cells {
			columns[i] = append(columns[i], cell)
		}
		row(fmt.Sprint(n+1), cells)
	}
	medians := make([]float64, len(columns))
	for i, column := range columns {
		slices.Sort(column)
		medians[i] = column[len(column)/2]
	}
	row("**medians**", medians)
	return b.String()
}
