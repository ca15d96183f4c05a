package main

import (
	"context"
	"log/slog"
	"math"
	"time"

	"deckle/admin"
)

// publish offers the node's figures: as metrics, and in a line of the log every so often.
func (n *node) publish(m *admin.Metrics) {
	n.gauges(m)
	every := n.config.telemetry.statsEvery
	if every == 0 {
		return
	}
	s := &stats{node: n, metrics: m, since: time.Now(), before: m.Totals()}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx, every)
	}()
	n.ends.add(func() error { stop(); <-ended; return nil })
}

// stats writes lines that sum up. One goroutine uses it.
type stats struct {
	node    *node
	metrics *admin.Metrics
	since   time.Time
	before  admin.Totals
}

// run writes a line every so often until ctx ends, and one of what is left then, so that a short life has one too.
func (s *stats) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.write(ctx)
		case <-ctx.Done():
			s.write(ctx)
			return
		}
	}
}

func (s *stats) write(ctx context.Context) {
	now, totals := time.Now(), s.metrics.Totals()
	t := totals.Since(s.before)
	memory, err := s.node.processUse()
	if err != nil {
		memory = 0 // the metrics tell of it as well
	}
	s.node.log.LogAttrs(ctx, slog.LevelInfo, "stats",
		slog.Float64("seconds", rounded(now.Sub(s.since).Seconds())),
		slog.Float64("requests", t.Requests),
		slog.Float64("refused", t.Refused),
		slog.Float64("errors", t.Failed),
		slog.Float64("bytes", t.Bytes),
		slog.Any("hit_ratio", hitRatio(t.From, s.tiers())),
		slog.Any("from", t.From),
		slog.Float64("renders", t.Renders),
		slog.Float64("render_errors", t.RendersFailed),
		slog.Float64("render_busy", t.RendersRefused),
		slog.Float64("fetch_errors", t.FetchesFailed),
		slog.Any("tier_errors", t.TierErrors),
		slog.Int("queue", s.node.gate.Waiting()),
		slog.Int("running", s.node.gate.Running()),
		slog.Int64("memory_bytes", memory),
	)
	s.since, s.before = now, totals
}

// tiers names the tiers of this node.
func (s *stats) tiers() []string {
	names := []string{"memory"}
	if s.node.config.redis != nil {
		names = append(names, "redis")
	}
	if s.node.config.store.Scheme == "s3" {
		return append(names, "s3")
	}
	return append(names, "disk")
}

// hitRatio says of each tier which part of the answers with a picture came from it, and of all tiers together as "all". It is
// empty when there were no such answers.
func hitRatio(from map[string]float64, tiers []string) map[string]float64 {
	pictures := 0.0
	for name, n := range from {
		if name != "none" {
			pictures += n
		}
	}
	ratio := map[string]float64{}
	if pictures == 0 {
		return ratio
	}
	hits := 0.0
	for _, name := range tiers {
		hits += from[name]
		ratio[name] = rounded(from[name] / pictures)
	}
	ratio["all"] = rounded(hits / pictures)
	return ratio
}

// rounded keeps four digits behind the point.
func rounded(f float64) float64 { return math.Round(f*1e4) / 1e4 }
