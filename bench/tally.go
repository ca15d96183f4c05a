package bench

import (
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency told apart from longer ones, microseconds.
const longest = int64(10 * time.Minute / time.Microsecond)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

// tally counts what came of requests.
type tally struct {
	start time.Time // of the round
	mu    sync.Mutex

	good     int64
	wrong    int64 // answered, but not with the picture
	broken   int64 // not answered
	timeouts int64 // not answered in time
	bytes    int64 // of good bodies
	statuses map[int]int64
	latency  *hdrhistogram.Histogram // microseconds; of good answers and timeouts
	warm     *hdrhistogram.Histogram // of those, what was fetched before, where a workload has both
	timeline timeline
	elapsed  time.Duration
}

func newTally(start time.Time, mixed bool) *tally {
	t := &tally{start: start, statuses: make(map[int]int64), latency: newHistogram()}
	if mixed {
		t.warm = newHistogram()
	}
	return t
}

// answered counts a good answer to j.
func (t *tally) answered(j job, status, bytes int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statuses[status]++
	t.good++
	t.bytes += int64(bytes)
	t.timeline.add(time.Since(t.start))
	t.record(j, took)
}

// refused counts an answer that is not the picture.
func (t *tally) refused(status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statuses[status]++
	t.wrong++
}

// failed counts a request without an answer; one that was out of time took at least as long.
func (t *tally) failed(j job, late bool, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !late {
		t.broken++
		return
	}
	t.timeouts++
	t.record(j, took)
}

func (t *tally) record(j job, took time.Duration) {
	micros := min(max(took.Microseconds(), 1), longest)
	_ = t.latency.RecordValue(micros) // a value within the bounds is never refused
	if t.warm != nil && j.warm {
		_ = t.warm.RecordValue(micros)
	}
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
	if t.warm != nil && other.warm != nil {
		t.warm.Merge(other.warm)
	}
	t.timeline.merge(other.timeline)
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
		CPUSeconds: (after.cpu - before.cpu).Seconds(),
		PeakBytes:  after.peak, RSSBytes: after.resident, PSSBytes: after.proportional,
		Latency: latencyOf(t.latency),
	}
	if t.warm != nil {
		warm := latencyOf(t.warm)
		r.Warm = &warm
	}
	r.Timeline, r.TimelineMillis = t.timeline.fold()
	if t.good > 0 {
		r.MeanBytes = float64(t.bytes) / float64(t.good)
		r.CPUMillis = r.CPUSeconds * 1000 / float64(t.good)
	}
	if r.Seconds > 0 {
		r.PerSecond = float64(t.good) / r.Seconds
	}
	return r
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1000 }
	return Latency{Mean: h.Mean() / 1000, P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}

// quantiles takes a histogram's shape: twelve points for each tenfold fewer requests above, as far as there
// are requests to tell.
func quantiles(h *hdrhistogram.Histogram) []Quantile {
	if h.TotalCount() == 0 {
		return nil
	}
	var list []Quantile
	const perDecade = 12
	for i := 0; ; i++ {
		above := math.Pow(10, -float64(i)/perDecade)
		if above*float64(h.TotalCount()) < 1 {
			break
		}
		percent := 100 * (1 - above)
		list = append(list, Quantile{Percent: percent, Millis: float64(h.ValueAtPercentile(percent)) / 1000})
	}
	return list
}

// timeline counts good answers by when they came.
type timeline []int64

// The width of what is counted together, and how many of them a report has at most.
const (
	timelineStep = 50 * time.Millisecond
	timelineMost = 64
	timelineEnd  = MaxDuration / timelineStep
)

func (t *timeline) add(at time.Duration) {
	i := int(min(max(at, 0)/timelineStep, timelineEnd))
	for len(*t) <= i {
		*t = append(*t, 0)
	}
	(*t)[i]++
}

func (t *timeline) merge(other timeline) {
	for len(*t) < len(other) {
		*t = append(*t, 0)
	}
	for i, n := range other {
		(*t)[i] += n
	}
}

// fold joins neighbours until a report holds them, and returns the width of one, milliseconds.
func (t timeline) fold() (counts []int64, millis int64) {
	width := (len(t) + timelineMost - 1) / timelineMost
	for i, n := range t {
		if i%max(width, 1) == 0 {
			counts = append(counts, 0)
		}
		counts[len(counts)-1] += n
	}
	return counts, int64(max(width, 1)) * timelineStep.Milliseconds()
}
