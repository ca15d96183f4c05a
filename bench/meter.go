package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// meter shows how far a run is. A nil meter shows nothing.
type meter struct {
	config Config
	lines  io.Writer                // a line a round; nil on a terminal
	table  io.Writer                // the terminal; rows of rounds above, the bar below
	bar    *progressbar.ProgressBar // nil elsewhere
	stop   chan struct{}
	ended  chan struct{} // closed when the goroutine that moves the bar is gone

	mu     sync.Mutex
	played int // turns
	round1 int // of the turn that is played, counted from 1
	target string
	began  time.Time
	done   atomic.Int64 // requests of the turn
}

// The bar: how often it moves, and its steps for each turn of a target. Moving it with every request would cost more than some
// requests.
const (
	barInterval = 200 * time.Millisecond
	barSteps    = 100
)

func newMeter(w io.Writer, c Config) *meter {
	if w == nil {
		return nil
	}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &meter{config: c, lines: w}
	}
	m := &meter{config: c, table: w, stop: make(chan struct{}), ended: make(chan struct{})}
	m.bar = progressbar.NewOptions(barSteps*c.Rounds*len(c.Targets), progressbar.OptionSetWriter(w),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24))
	_, _ = fmt.Fprintf(w, "%s\n%s\n", c.title(), strings.TrimRight(fmt.Sprintf(rowForm, "round", "target", "req/s", "p50 ms", "p99 ms", "CPU ms", "bytes", "PSS", "failed"), " "))
	go m.move()
	return m
}

// rowForm lays a row of the terminal's table out.
const rowForm = "%6s  %-14.14s %9s %9s %9s %9s %9s %9s %7s"

// title says what is played.
func (c *Config) title() string {
	return fmt.Sprintf("\n%s: %s %s, %s loop, %d connections", c.Workload, c.Format, c.box(), c.Loop, c.Connections)
}

func (c *Config) box() string { return fmt.Sprintf("%d-%d px", c.MinSide, c.MaxSide) }

// move owns the bar until stop.
func (m *meter) move() {
	defer close(m.ended)
	ticker := time.NewTicker(barInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.draw()
		case <-m.stop:
			_ = m.bar.Finish()
			return
		}
	}
}

// draw moves the bar to where the turn is: by its requests where their number is fixed, by its time elsewhere.
func (m *meter) draw() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began.IsZero() {
		return
	}
	passed := time.Since(m.began)
	part := passed.Seconds() / max(m.config.Duration.Seconds(), 0.001)
	if n := m.config.roundRequests(); n > 0 {
		part = float64(m.done.Load()) / float64(n)
	}
	m.bar.Describe(fmt.Sprintf("round %d/%d  %s  %.0f/s", m.round1, m.config.Rounds, m.target, float64(m.done.Load())/max(passed.Seconds(), 0.001)))
	_ = m.bar.Set(barSteps*m.played + int(barSteps*min(part, 0.99))) // a bar that cannot be shown is no reason to end a run
}

// begin says whose turn it is.
func (m *meter) begin(round int, target string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.round1, m.target, m.began = round+1, target, time.Now()
	m.done.Store(0)
}

func (m *meter) add() {
	if m == nil || m.bar == nil {
		return
	}
	m.done.Add(1)
}

// round shows what a turn measured.
func (m *meter) round(round int, target string, measured Round) {
	switch {
	case m == nil:
		return
	case m.lines != nil:
		_, _ = fmt.Fprintf(m.lines, "%s  round %d  %s  %d requests  %.0f/s  p99 %.3g ms  CPU %.3g ms/request  %d failed\n", m.config.Workload, round+1, target,
			measured.Requests, measured.PerSecond, measured.Latency.P99, measured.CPUMillis, measured.Requests-measured.Good)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.played++
	_ = m.bar.Clear()
	_, _ = fmt.Fprintf(m.table, rowForm+"\n", fmt.Sprintf("%d/%d", round+1, m.config.Rounds), target, figure(measured.PerSecond),
		figure(measured.Latency.P50), figure(measured.Latency.P99), orDash(measured.CPUMillis), figure(measured.MeanBytes),
		peak(measured.PSSBytes), humanize.Comma(measured.Requests-measured.Good))
}

// orDash marks what was not measured.
func orDash(x float64) string {
	if x == 0 {
		return "-"
	}
	return figure(x)
}

func (m *meter) close() {
	if m != nil && m.stop != nil {
		close(m.stop)
		<-m.ended
	}
}
