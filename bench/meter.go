package bench

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// meter shows how far a run is. A nil meter shows nothing.
type meter struct {
	lines io.Writer                // a line a round; nil on a terminal
	bar   *progressbar.ProgressBar // nil elsewhere
	done  atomic.Int64             // requests
	stop  chan struct{}
	ended chan struct{} // closed when the goroutine that moves the bar is gone
}

// barInterval is how often the bar moves. Moving it with every request would cost more than some requests.
const barInterval = 200 * time.Millisecond

func newMeter(w io.Writer, c Config) *meter {
	if w == nil {
		return nil
	}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &meter{lines: w}
	}
	total := int64(c.Rounds) * int64(len(c.Targets)) * int64(c.roundRequests())
	if total == 0 {
		total = -1 // a spinner: how many will be answered is not known
	}
	m := &meter{stop: make(chan struct{}), ended: make(chan struct{})}
	m.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("requests"), progressbar.OptionClearOnFinish())
	go m.move()
	return m
}

// move owns the bar until stop.
func (m *meter) move() {
	defer close(m.ended)
	ticker := time.NewTicker(barInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = m.bar.Set64(m.done.Load()) // a bar that cannot be shown is no reason to end a run
		case <-m.stop:
			_ = m.bar.Finish()
			return
		}
	}
}

func (m *meter) add() {
	if m != nil {
		m.done.Add(1)
	}
}

func (m *meter) round(round int, target string, measured Round) {
	if m == nil || m.lines == nil {
		return
	}
	_, _ = fmt.Fprintf(m.lines, "round %d  %s  %d requests  %.0f/s  p99 %.3g ms  CPU %.3g ms/request  %d failed\n", round+1, target,
		measured.Requests, measured.PerSecond, measured.Latency.P99, measured.CPUMillis, measured.Requests-measured.Good)
}

func (m *meter) close() {
	if m != nil && m.stop != nil {
		close(m.stop)
		<-m.ended
	}
}
