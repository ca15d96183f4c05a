package bench

import (
	"fmt"
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency told apart from longer ones, microseconds.
const longest = int64(10 * time.Minute / time.Microsecond)

// tally counts what came of requests. One worker uses it at a time.
type tally struct {
	good     int64
	wrong    int64 // answered, but not with the picture
	broken   int64 // not answered
	timeouts int64 // not answered in time
	bytes    int64 // of good bodies
	statuses map[int]int64
	latency  *hdrhistogram.Histogram // microseconds; of good answers and timeouts
	elapsed  time.Duration
}

func newTally() *tally {
	return &tally{statuses: make(map[int]int64), latency: hdrhistogram.New(1, longest, 3)}
}

func (t *tally) record(took time.Duration) {
	// A value within the bounds is never refused.
	_ = t.latency.RecordValue(min(max(took.Microseconds(), 1), longest))
}

func (t *tally) add(other *tally) {
	t.good += other.good
	t.wrong += other.wrong
	t.broken += other.broken
	t.timeouts += other.timeouts
	t.bytes += other.bytes
	for status, n := range other.statuses {
		t.statuses[status] += n
	}
	t.latency.Merge(other.latency)
}

func (t *tally) describe() string {
	return fmt.Sprintf("%d wrong of statuses %v, %d without answer, %d out of time", t.wrong, t.statuses, t.broken, t.timeouts)
}

// round makes the figures of a round.
func (t *tally) round(before, after usage) Round {
	requests := t.good + t.wrong + t.broken + t.timeouts
	r := Round{
		Requests: requests, Good: t.good, Wrong: t.wrong, Broken: t.broken, Timeouts: t.timeouts,
		Statuses: maps.Clone(t.statuses), Seconds: t.elapsed.Seconds(),
		CPUSeconds: (after.cpu - before.cpu).Seconds(), PeakBytes: after.peak,
		Latency: Latency{
			Mean: t.latency.Mean() / 1000, P50: t.quantile(50), P95: t.quantile(95), P99: t.quantile(99),
			P999: t.quantile(99.9), Max: float64(t.latency.Max()) / 1000,
		},
	}
	if t.good > 0 {
		r.MeanBytes = float64(t.bytes) / float64(t.good)
		r.CPUMillis = r.CPUSeconds * 1000 / float64(t.good)
	}
	if r.Seconds > 0 {
		r.PerSecond = float64(t.good) / r.Seconds
	}
	return r
}

// quantile returns milliseconds.
func (t *tally) quantile(percent float64) float64 {
	return float64(t.latency.ValueAtPercentile(percent)) / 1000
}
