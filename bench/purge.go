package bench

import (
	"bytes"
	"context"
	"image"
	_ "image/jpeg" // the shape of answers is read from their headers
	_ "image/png"
	"slices"
	"sync"
	"time"

	_ "golang.org/x/image/webp"
)

const (
	readEvery  = time.Millisecond       // between two readings over one connection: more would be a load of its own
	purgeQuiet = 200 * time.Millisecond // how long is read on when all was new once: what is old may come up again from below
)

// purgeFormats are those whose header Go reads.
var purgeFormats = []string{"jpg", "jpeg", "png", "webp"}

// purgeRound replaces the source again and again. What is measured is from when a replacement was sent until the last byte of
// the old picture came, over all pictures of the set and all edges.
func (p *player) purgeRound(ctx context.Context, show *meter) (Round, error) {
	w := &watch{sizes: len(p.set), edges: len(p.target.Edges) + 1}
	reading, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	started := false
	var acks []float64
	r, err := p.measure(func() (*tally, error) {
		t := newTally(time.Now(), false)
		defer func() {
			stop()
			wait.Wait()
			t.elapsed = time.Since(t.start)
		}()
		for range p.config.Requests {
			w.expect(landscape(p.uploads.count.Load()))
			if !started { // not before it is known what is stale
				started = true
				for i, c := range p.connections {
					wait.Go(func() { w.read(ctx, reading, c, i, p.set) })
				}
			}
			if err := p.replace(ctx, w, t, &acks); err != nil {
				return nil, err
			}
			show.add()
		}
		return t, nil
	})
	if err != nil {
		return Round{}, err
	}
	r.Purge = &PurgeFigures{Reads: w.reads, Failed: w.failed, StaleAfterAck: w.late, AckMillis: newSpread(acks).Median}
	return r, nil
}

// replace brings in the next picture and waits until the old one is gone.
func (p *player) replace(ctx context.Context, w *watch, t *tally, acks *[]float64) error {
	var none job
	sent := time.Now()
	if err := p.uploads.put(ctx, p.config.Sources[0]); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !outOfTime(err) {
			return err // what the readers wait for is not known then
		}
		t.failed(none, true, time.Since(sent))
		return nil
	}
	*acks = append(*acks, time.Since(sent).Seconds()*1000)
	late := time.After(p.config.Timeout)
	select {
	case <-w.acknowledged():
	case <-late:
		t.failed(none, true, time.Since(sent))
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-time.After(purgeQuiet):
	case <-ctx.Done():
		return ctx.Err()
	}
	t.answered(none, 200, len(p.uploads.shapes[0]), w.stale(sent))
	return nil
}

// watch knows what the readers saw of one replacement.
type watch struct {
	sizes, edges int

	mu        sync.Mutex
	wide      bool          // the new picture is wider than high
	acked     time.Time     // zero while it is on its way
	lastStale time.Time     // when the last old picture had come in whole
	missing   []bool        // by edge and size: not yet seen new
	left      int           // of them
	renewed   chan struct{} // closed when none is left
	reads     int64
	failed    int64 // readings without a picture
	late      int64 // old pictures that were asked for after the acknowledgement
}

// expect begins a replacement.
func (w *watch) expect(wide bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wide, w.acked, w.lastStale, w.renewed = wide, time.Time{}, time.Time{}, make(chan struct{})
	w.missing = slices.Repeat([]bool{true}, w.sizes*w.edges)
	w.left = len(w.missing)
}

// acknowledged notes that the server said that it has the new picture, and returns what is closed when all edges show it.
func (w *watch) acknowledged() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = time.Now()
	return w.renewed
}

// stale returns for how long after sent old pictures came.
func (w *watch) stale(sent time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.lastStale.Sub(sent), 0)
}

// read asks for one picture after the other until reading ends. Connections take the edges in turn.
func (w *watch) read(ctx, reading context.Context, c *connection, number int, set [][]byte) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := number; ; i++ {
		select {
		case <-timer.C:
		case <-reading.Done():
			return
		}
		size := i % len(set)
		begun := time.Now()
		answer, err := c.get(ctx, set[size], begun)
		if err != nil || answer.StatusCode() != 200 {
			w.saw(number%w.edges, size, begun, nil)
		} else {
			w.saw(number%w.edges, size, begun, answer.Body())
		}
		timer.Reset(readEvery)
	}
}

// saw takes in one answer; nil is none.
func (w *watch) saw(edge, size int, begun time.Time, picture []byte) {
	now := time.Now()
	header, _, err := image.DecodeConfig(bytes.NewReader(picture))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	switch {
	case err != nil:
		w.failed++
	case (header.Width > header.Height) != w.wide:
		w.lastStale = now
		if !w.acked.IsZero() && begun.After(w.acked) {
			w.late++
		}
	default:
		if at := edge*w.sizes + size; w.missing[at] {
			w.missing[at] = false
			if w.left--; w.left == 0 {
				close(w.renewed)
			}
		}
	}
}
