package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Totals are what was counted since the start.
type Totals struct {
	Requests       float64            // answers of the edge
	Refused        float64            // those of them with a status of 4xx
	Failed         float64            // those with 5xx
	Bytes          float64            // of bodies answered
	From           map[string]float64 // answers by where they came from
	Renders        float64            // that succeeded
	RendersFailed  float64
	RendersRefused float64            // for want of a slot
	FetchesFailed  float64            // sources that could not be read
	TierErrors     map[string]float64 // failed calls by tier
}

// Totals reads the counters.
func (m *Metrics) Totals() Totals {
	t := Totals{From: map[string]float64{}, TierErrors: map[string]float64{}}
	each(m.requests, func(labels map[string]string, n float64) {
		t.Requests += n
		t.From[labels["outcome"]] += n
		switch status, _ := strconv.Atoi(labels["status"]); { // we wrote it
		case status >= 500:
			t.Failed += n
		case status >= 400:
			t.Refused += n
		}
	})
	each(m.bytes, func(_ map[string]string, n float64) { t.Bytes += n })
	each(m.renders, func(labels map[string]string, n float64) {
		*map[string]*float64{"ok": &t.Renders, "busy": &t.RendersRefused, "error": &t.RendersFailed}[labels["result"]] += n
	})
	each(m.fetches, func(labels map[string]string, n float64) {
		if labels["result"] != "ok" {
			t.FetchesFailed += n
		}
	})
	each(m.tierErrors, func(labels map[string]string, n float64) { t.TierErrors[labels["tier"]] += n })
	return t
}

// each calls visit for every counter that c holds.
func each(c prometheus.Collector, visit func(labels map[string]string, n float64)) {
	metrics := make(chan prometheus.Metric, 16) // a few at a time: both sides are quick
	go func() {
		defer close(metrics)
		c.Collect(metrics)
	}()
	for metric := range metrics {
		var read dto.Metric
		if err := metric.Write(&read); err != nil {
			continue // a counter's labels were checked when it was made
		}
		labels := map[string]string{}
		for _, pair := range read.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		visit(labels, read.GetCounter().GetValue())
	}
}

// Since returns what was counted after before was read.
func (t Totals) Since(before Totals) Totals {
	return Totals{
		Requests: t.Requests - before.Requests, Refused: t.Refused - before.Refused, Failed: t.Failed - before.Failed,
		Bytes: t.Bytes - before.Bytes, From: less(t.From, before.From), Renders: t.Renders - before.Renders,
		RendersFailed: t.RendersFailed - before.RendersFailed, RendersRefused: t.RendersRefused - before.RendersRefused,
		FetchesFailed: t.FetchesFailed - before.FetchesFailed, TierErrors: less(t.TierErrors, before.TierErrors),
	}
}

// less subtracts, and leaves out what did not change.
func less(now, before map[string]float64) map[string]float64 {
	left := map[string]float64{}
	for name, n := range now {
		if n > before[name] {
			left[name] = n - before[name]
		}
	}
	return left
}
