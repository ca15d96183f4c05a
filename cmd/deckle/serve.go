package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"deckle/admin"
	"deckle/cache"
	"deckle/ingest"
	"deckle/origin"
	"deckle/proxy"
	"deckle/transform"
	"deckle/transform/pool"
)

// serveCommand runs both listeners until the process is told to stop.
type serveCommand struct {
	Settings settings `embed:""`
	Demo     bool     `help:"Put a demo picture in, if it is not there, and print URLs to open."`
}

// drainTime bounds how long requests under way may take once the process is told to stop.
const drainTime = 20 * time.Second

// Run serves until SIGTERM or SIGINT, then drains.
func (s *serveCommand) Run(stdout io.Writer) error {
	c, err := s.Settings.resolve()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	n, err := open(ctx, c, os.Stderr)
	if err != nil {
		return errors.Join(err, n.ends.close())
	}
	if s.Demo {
		if err := n.demo(ctx, stdout); err != nil {
			return errors.Join(err, n.ends.close())
		}
	}
	return errors.Join(n.run(ctx), n.ends.close())
}

// node is everything of one running Deckle.
type node struct {
	config   *configuration
	log      *slog.Logger
	edge     *proxy.Proxy
	operator *admin.Admin
	access   admin.Access
	uploads  *ingest.Service
	labels   admin.Labels // nil when nobody labels
	privacy  privacy
	known    *proxy.LastKnown
	chain    *cache.Chain
	tracer   *tracer // nil when nothing is traced
	gate     *transform.Gate
	pool     *pool.Pool // nil when renders run in this process
	edgeAt   net.Listener
	adminAt  net.Listener
	draining atomic.Bool
	ends     closers
}

// open wires the parts. After an error what was opened is in ends.
func open(ctx context.Context, c *configuration, logTo io.Writer) (*node, error) {
	n := &node{config: c, log: newLog(logTo, c.logLevel)}
	if err := os.MkdirAll(c.data, 0o755); err != nil {
		return n, fmt.Errorf("make the data directory: %w", err)
	}
	metrics := admin.NewMetrics()
	engine, err := n.openTraced(ctx, metrics)
	if err != nil {
		return n, err
	}
	n.gate = c.openGate(engine)
	sources, err := openOrigins(ctx, c, &n.ends)
	if err != nil {
		return n, err
	}
	layers, err := openTiers(ctx, c, &n.ends)
	if err != nil {
		return n, err
	}
	known := n.lastKnown(sources, layers)
	n.known = known
	versions := origin.NewVersions(known, origin.VersionsConfig{Fresh: c.fresh, Stale: c.stale})
	n.ends.add(func() error { versions.Close(); return nil })
	n.chain = cache.NewChain(cache.Config{Layers: layers, FillTimeout: c.timeout, Observe: metrics.Tier, Follow: n.tracer.tiers()})
	records, observe, err := n.openRecords(metrics)
	if err != nil {
		return n, err
	}
	if err := engine.Ready(ctx); err != nil {
		return n, err
	}
	n.warnOf(engine.Backend())
	leases, messages, err := n.openFleet(metrics)
	if err != nil {
		return n, err
	}
	if n.privacy, err = n.openPrivacy(); err != nil {
		return n, err
	}
	if err := n.openWrites(ctx, sources, records, versions, messages, metrics); err != nil {
		return n, err
	}
	n.edge = proxy.New(n.compatible(n.guarded(proxy.Config{
		Chain: n.chain, Sources: sources, Versions: known.Versions(versions), Engine: n.gate, Limits: c.limits, Uploads: n.uploads, Origins: c.api.origins, Leases: leases,
		Generation: engine.Generation(), Policy: c.http.policy, Public: publicCopies(layers), PublicURL: c.http.public, Rules: c.rules, Signed: n.privacy.signed, AllowIndexing: c.allowIndexing, Timeout: c.timeout,
		Log: n.accessLog(logTo), Observe: observe, Tracer: n.tracer.edge(),
	})))
	n.watchSecrets(n.privacy.signed.Verifier)
	n.work()
	n.guardMemory(shrinkable(layers))
	n.guardMetrics(metrics)
	n.operator = admin.New(admin.Config{
		Grants: n.uploads, Bulk: n.uploads, Sources: n.uploads, Private: n.views(n.privacy), Records: records, Images: n.library(records, sources), Edge: c.api.edge, Version: revision(), Access: n.access, Registry: metrics.Registry, Log: n.log,
		Purging: n.openPurging(ctx, versions, messages), Warmer: n.warmer(), Outbox: records.Outbox(), Labels: n.labels, Explain: n.edge, Archives: n.archives(),
		Checks: n.checks(sources, records.Ping),
	})
	n.follow(messages, versions, layers[0].Tier)
	n.publish(metrics)
	return n, n.bind()
}

// openGate bounds what is rendered at one time.
func (c *configuration) openGate(engine transform.Engine) *transform.Gate {
	gate := transform.NewGate(engine, c.limits, c.renderers, c.queue)
	gate.QueueWait = c.guard.queueWait
	if !c.isolate {
		gate.Deadline = c.renderTimeout // libvips in this process cannot be stopped, but its caller need not wait
	}
	return gate
}

// accessLog writes lines in batches, unless only errors are wanted.
func (n *node) accessLog(to io.Writer) *slog.Logger {
	if n.config.accessLog == "errors" {
		return newLog(to, "error")
	}
	lines := newBatch(to)
	n.ends.add(lines.Close)
	return newLog(lines, n.config.logLevel)
}

// bind takes both ports before anything is served, so that a taken one is found at once.
func (n *node) bind() (err error) {
	if n.edgeAt, err = net.Listen("tcp", n.config.listen); err != nil {
		return fmt.Errorf("listen for viewers: %w", err)
	}
	n.ends.add(ignoreClosed(n.edgeAt))
	if n.adminAt, err = net.Listen("tcp", n.config.adminListen); err != nil {
		return fmt.Errorf("listen for operators: %w", err)
	}
	n.ends.add(ignoreClosed(n.adminAt))
	return nil
}

// ignoreClosed closes a listener that a server may have closed already.
func ignoreClosed(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// checks are what readiness asks. The caches are not among them: without them pictures are rendered.
func (n *node) checks(sources origin.Reader, database func(context.Context) error) []admin.Check {
	return []admin.Check{
		{Name: "accepting", Run: func(context.Context) error {
			if n.draining.Load() {
				return errors.New("the server is stopping")
			}
			return nil
		}},
		{Name: "renderers", Run: func(context.Context) error {
			return n.gate.Admit()
		}},
		{Name: "rendering", Run: n.well},
		{Name: "originals", Run: func(ctx context.Context) error {
			if _, err := sources.Stat(ctx, "readiness-probe"); err != nil && !errors.Is(err, origin.ErrNotFound) {
				return err
			}
			return nil
		}},
		{Name: "records", Run: database},
	}
}

func (n *node) gauges(m *admin.Metrics) {
	m.Gauge("deckle_queue_depth", "Renders that wait for a slot.", func() float64 { return float64(n.gate.Waiting()) })
	m.Gauge("deckle_heavy_queue_depth", "Those of them that are predicted to take long, and have a queue of their own.", func() float64 {
		_, waiting := n.gate.Lane(transform.Heavy)
		return float64(waiting)
	})
	m.Gauge("deckle_renders_running", "Render slots that are taken.", func() float64 { return float64(n.gate.Running()) })
	m.Gauge("deckle_backlog_bytes", "Bytes that wait to be written to lower tiers.", func() float64 { return float64(n.chain.Stats().Backlog) })
	m.Count("deckle_backlog_dropped_total", "Writes to lower tiers dropped because too many waited.", func() float64 { return float64(n.chain.Stats().Dropped) })
}

// run serves until ctx ends, then drains: readiness fails first, requests under way end, what waits to be written is written.
func (n *node) run(ctx context.Context) error {
	n.serveImageStorage()
	failed := make(chan error, 2) // one from each listener
	go func() { failed <- n.edge.Serve(n.edgeAt) }()
	go func() { failed <- n.operator.Serve(n.adminAt) }()
	n.log.Info("serving", slog.String("edge", n.edgeAt.Addr().String()), slog.String("admin", n.adminAt.Addr().String()))
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	n.draining.Store(true)
	n.log.Info("stopping")
	n.edge.Drain()
	n.operator.Drain()
	err = errors.Join(err, n.linger(failed))
	late, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err = errors.Join(err, n.edge.Shutdown(late), n.chain.Close(late), n.operator.Shutdown(late))
	n.log.Info("stopped")
	return err
}
