package admin

import (
	"errors"
	"strconv"
	"time"

	"deckle/cache"
	"deckle/proxy"
	"deckle/transform"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics turns what the parts report into Prometheus series. Its methods may be called from any goroutine.
type Metrics struct {
	Registry *prometheus.Registry

	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	bytes       prometheus.Counter
	tierSeconds *prometheus.HistogramVec
	tierErrors  *prometheus.CounterVec
	tierCorrupt *prometheus.CounterVec
	renders     *prometheus.CounterVec
	renderTime  *prometheus.HistogramVec
	fetches     *prometheus.CounterVec
	fetchBytes  prometheus.Counter
	fetchTime   prometheus.Histogram

	answered series[answeredKey, answered] // as many as there are pairs of outcome and status
	tiers    series[tierKey, tierSeries]
}

var _ proxy.Observer = (*Metrics)(nil)

// latencies are the bounds of the histograms, seconds: from a memory hit to the longest wait.
var latencies = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// NewMetrics returns metrics in a registry of their own, with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies}, labels)
	}
	m := &Metrics{
		Registry:    prometheus.NewRegistry(),
		requests:    counter("deckle_requests_total", "Answers of the edge by where they came from and their status.", "outcome", "status"),
		seconds:     histogram("deckle_request_seconds", "Time until an answer of the edge was ready to be sent, seconds.", "outcome"),
		tierSeconds: histogram("deckle_tier_seconds", "Time of one call to a cache tier, seconds.", "tier", "op"),
		tierErrors:  counter("deckle_tier_errors_total", "Calls to a cache tier that failed; a miss is no failure.", "tier", "op"),
		tierCorrupt: counter("deckle_tier_corrupt_total", "Entries of a cache tier that were damaged, and dropped; each is a failed get as well.", "tier"),
		renders:     counter("deckle_renders_total", "Renders by output format and result.", "format", "result"),
		renderTime:  histogram("deckle_render_seconds", "Time of one render, waiting for a slot included, seconds.", "format"),
		fetches:     counter("deckle_source_fetches_total", "Sources read for rendering, by result.", "result"),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "deckle_response_bytes_total", Help: "Bytes of bodies answered by the edge."}),
		fetchBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "deckle_source_fetch_bytes_total", Help: "Bytes of sources read for rendering."}),
		fetchTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "deckle_source_fetch_seconds", Help: "Time to read one source, seconds.", Buckets: latencies}),
	}
	m.Registry.MustRegister(m.requests, m.seconds, m.bytes, m.tierSeconds, m.tierErrors, m.tierCorrupt, m.renders, m.renderTime,
		m.fetches, m.fetchBytes, m.fetchTime, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a series whose value is asked for at every scrape.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Count adds a counter whose value is asked for at every scrape.
func (m *Metrics) Count(name, help string, value func() float64) {
	m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// answered are the two series that one answer counts in. Finding them by label costs as much as a look-up of a picture, so
// that they are found once.
type answered struct {
	total   prometheus.Counter
	seconds prometheus.Observer
}

type answeredKey struct {
	from   string
	status int
}

// Request counts one answer of the edge.
func (m *Metrics) Request(a *proxy.Access) {
	found := m.answered.get(answeredKey{a.From, a.Status}, func() answered {
		return answered{m.requests.WithLabelValues(a.From, strconv.Itoa(a.Status)), m.seconds.WithLabelValues(a.From)}
	})
	found.total.Inc()
	if a.TraceID == "" {
		found.seconds.Observe(a.Took.Seconds())
	} else if exemplary, ok := found.seconds.(prometheus.ExemplarObserver); ok { // every histogram is
		exemplary.ObserveWithExemplar(a.Took.Seconds(), prometheus.Labels{"trace_id": a.TraceID})
	}
	m.bytes.Add(float64(max(0, a.Bytes)))
}

// Fetch counts one source read for rendering.
func (m *Metrics) Fetch(took time.Duration, bytes int, err error) {
	m.fetches.WithLabelValues(result(err)).Inc()
	m.fetchBytes.Add(float64(bytes))
	m.fetchTime.Observe(took.Seconds())
}

// Render counts one render.
func (m *Metrics) Render(f transform.Format, took time.Duration, err error) {
	what := result(err)
	if errors.Is(err, transform.ErrBusy) {
		what = "busy"
	}
	m.renders.WithLabelValues(f.String(), what).Inc()
	if err == nil {
		m.renderTime.WithLabelValues(f.String()).Observe(took.Seconds())
	}
}

type tierKey struct{ tier, op string }

// tierSeries are those that calls of one kind to one tier count in. All are there from the first call on, so that the first
// failure is an increase and not a new series.
type tierSeries struct {
	seconds         prometheus.Observer
	errors, corrupt prometheus.Counter
}

// Tier counts one call to a cache tier.
func (m *Metrics) Tier(tier, op string, took time.Duration, err error) {
	found := m.tiers.get(tierKey{tier, op}, func() tierSeries {
		return tierSeries{m.tierSeconds.WithLabelValues(tier, op), m.tierErrors.WithLabelValues(tier, op), m.tierCorrupt.WithLabelValues(tier)}
	})
	found.seconds.Observe(took.Seconds())
	if err != nil && !errors.Is(err, cache.ErrMiss) && !errors.Is(err, cache.ErrTooLarge) {
		found.errors.Inc()
	}
	if errors.Is(err, cache.ErrCorrupt) {
		found.corrupt.Inc()
	}
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
