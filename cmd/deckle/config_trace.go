package main

import (
	"math"
	"net/url"
	"strconv"
	"time"
)

// telemetrySettings are the flags about what is told of the server's work beside its metrics.
type telemetrySettings struct {
	StatsEvery string `default:"5m" help:"How often a line of the log sums up what was answered since the last; 0s for never."`
	OTLP       string `name:"otlp" help:"Collector of OpenTelemetry traces, by OTLP over HTTP, as in http://127.0.0.1:4318. Default: nothing is traced." placeholder:"URL"`
	TraceRatio string `default:"0.01" help:"Part of the requests that are traced, 0 to 1, besides those whose traceparent says that they are."`
}

// telemetry is telemetrySettings, read.
type telemetry struct {
	statsEvery time.Duration // 0 for never
	collector  *url.URL      // nil for no traces
	ratio      float64
}

// resolve reads the settings; faults are kept in r.
func (s *telemetrySettings) resolve(r *reader) telemetry {
	t := telemetry{statsEvery: r.duration("stats-every", s.StatsEvery, 0)}
	if s.OTLP != "" {
		t.collector = r.url("otlp", s.OTLP, "http", "https")
		if t.collector.Scheme != "" && t.collector.Host == "" {
			r.fault("otlp", redacted(s.OTLP), "a URL with a host, as in http://127.0.0.1:4318")
		}
	}
	ratio, err := strconv.ParseFloat(s.TraceRatio, 64)
	if err != nil || math.IsNaN(ratio) || ratio < 0 || ratio > 1 {
		r.fault("trace-ratio", s.TraceRatio, "a number from 0 to 1, as in 0.01")
	}
	t.ratio = ratio
	return t
}
