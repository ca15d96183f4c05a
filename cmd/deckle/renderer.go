package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"deckle/admin"
	"deckle/transform"
	"deckle/transform/pool"
	"deckle/transform/vips"

	"github.com/prometheus/client_golang/prometheus"
)

// rendererCommand is a renderer: what serve starts, one for each slot, to have pictures decoded away from itself.
type rendererCommand struct{}

// Run renders for the process that started it, until that ends.
func (rendererCommand) Run() error { return pool.Serve(openRenderer) }

// openRenderer starts libvips and makes sure that it is one to give strangers' pictures to.
func openRenderer(settings json.RawMessage) (pool.Facts, error) {
	var c vips.Config
	if err := json.Unmarshal(settings, &c); err != nil {
		return pool.Facts{}, fmt.Errorf("read settings: %w", err)
	}
	engine, err := openVips(c)
	if err != nil {
		return pool.Facts{}, err
	}
	return pool.Facts{
		Engine: engine, Generation: engine.Generation(), Backend: vips.Backend(),
		Memory: func() (held, most int64) {
			m := vips.ReadMemory()
			return m.Bytes, m.Highwater
		},
	}, nil
}

func openVips(c vips.Config) (*vips.Engine, error) {
	engine, err := vips.New(c)
	if err != nil {
		return nil, err
	}
	var trusted []transform.Format
	for _, f := range transform.OptionalInputs() {
		if c.Limits.Inputs.Has(f) {
			trusted = append(trusted, f)
		}
	}
	return engine, vips.SelfTest(trusted...)
}

// renderers is the engine behind the gate.
type renderers interface {
	transform.Engine
	Generation() string
	// Backend names what renders, with versions. Ready must have returned nil.
	Backend() string
	// Ready waits until the engine can be asked anything.
	Ready(ctx context.Context) error
}

// inProcess is libvips in this process, for who wants it: faster to start, and without a wall around it.
type inProcess struct{ *vips.Engine }

func (inProcess) Ready(context.Context) error { return nil }
func (inProcess) Backend() string             { return vips.Backend() }

// openRenderers begins to start what renders; Ready of it is asked before anything else.
func (n *node) openRenderers(c vips.Config, m *admin.Metrics) (renderers, error) {
	if !n.config.isolate {
		engine, err := openVips(c)
		if err != nil {
			return nil, fmt.Errorf("start libvips: %w", err)
		}
		n.vipsGauges(m, func() (held, most int64) {
			now := vips.ReadMemory()
			return now.Bytes, now.Highwater
		})
		return inProcess{engine}, nil
	}
	settings, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	p, err := pool.New(pool.Config{
		Command:  func() *exec.Cmd { return pool.Self("renderer") },
		Settings: settings, Limits: c.Limits, Slots: n.config.renderers,
		StillTimeout: n.config.renderTimeout, AnimationTimeout: 2 * n.config.renderTimeout, Memory: n.config.rendererMemory,
		Pyramids: n.config.pyramidMemory,
		Log:      n.log,
	})
	if err != nil {
		return nil, fmt.Errorf("start renderers: %w", err)
	}
	n.ends.add(p.Close)
	n.pool = p
	n.poolMetrics(m)
	n.giveBack(func() int64 { return p.Stats().Renders })
	return p, nil
}

func (n *node) vipsGauges(m *admin.Metrics, read func() (held, most int64)) {
	m.Gauge("deckle_vips_memory_bytes", "Bytes that libvips holds, in all renderers.", func() float64 { held, _ := read(); return float64(held) })
	m.Gauge("deckle_vips_memory_peak_bytes", "Most bytes that libvips has held, in any one renderer.", func() float64 { _, most := read(); return float64(most) })
}

// poolMetrics publishes the facts of the pool.
func (n *node) poolMetrics(m *admin.Metrics) {
	p := n.pool
	n.vipsGauges(m, func() (held, most int64) { now := p.Memory(); return now.Held, now.Most })
	m.Gauge("deckle_renderers", "Renderers that are ready or at work.", func() float64 { return float64(p.Stats().Children) })
	m.Gauge("deckle_renderer_memory_bytes", "Bytes of memory that all renderers take; what they share counts once.", func() float64 {
		now := p.Memory()
		if now.Proportional > 0 {
			return float64(now.Proportional)
		}
		return float64(now.Resident)
	})
	m.Count("deckle_pyramids_total", "Sources whose decoded pixels were kept for other sizes.", func() float64 { return float64(p.Stats().PyramidsRaised) })
	m.Count("deckle_pyramid_renders_total", "Renders that decoded nothing, because the pixels had been kept.", func() float64 { return float64(p.Stats().PyramidRenders) })
	m.Gauge("deckle_pyramid_bytes", "Bytes that kept pixels take.", func() float64 { return float64(p.Stats().PyramidBytes) })
	m.Gauge("deckle_quarantined_sources", "Sources that are not rendered for a while, because they ended renderers.", func() float64 { return float64(p.Stats().Quarantined) })
	m.Count("deckle_quarantine_refusals_total", "Renders refused because the source is in quarantine.", func() float64 { return float64(p.Stats().Refused) })
	for why := range p.Stats().Ended {
		m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "deckle_renderer_ends_total", Help: "Renderers that ended, by reason; each is replaced at once.",
			ConstLabels: prometheus.Labels{"reason": why},
		}, func() float64 { return float64(p.Stats().Ended[why]) }))
	}
}

// well is the readiness check of the renderers.
func (n *node) well(context.Context) error {
	if n.pool == nil {
		return nil
	}
	return n.pool.Well()
}
