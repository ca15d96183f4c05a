package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"deckle/transform"
	"deckle/transform/pool"
)

// renderCommand renders local files, without a server.
type renderCommand struct {
	Rendering renderSettings `embed:""`

	Sources []string `arg:"" help:"Pictures, folders that are searched for pictures, or patterns as in 'photos/*.jpg'."`
	Outputs []string `required:"" short:"o" sep:"none" help:"What is made of each, spelled as behind the id in a URL: _300_0.webp, or '_300_200.jpg?fit=crop&quality=80'. Several, separated by commas, or by giving the flag again." placeholder:"VARIANT,..."`

	To          string `help:"Folder for the results; what is below a folder keeps its place there. Default: beside each source." placeholder:"DIR"`
	Match       string `default:"*" help:"Of folders, only files with such names, as in '*.jpg'."`
	Force       bool   `help:"Render what is there and newer than its source, too."`
	DryRun      bool   `help:"Print what would be written, and write nothing."`
	Concurrency string `default:"auto" help:"Renders at one time; auto is one a core."`

	RenderTimeout   string `default:"30s" help:"How long one render may take; an animation gets twice that."`
	RendererMemory  string `default:"1GiB" help:"Most memory that one renderer may allocate."`
	MaxSourceBytes  string `default:"32MiB" help:"Largest source."`
	MaxSourcePixels string `default:"50000000" help:"Most pixels of a source."`
}

// Run shows how far it is on the error output, and prints what it did at the end. It fails when a picture could not be rendered.
func (c *renderCommand) Run(stdout io.Writer) error {
	settings, slots, err := c.resolve()
	if err != nil {
		return err
	}
	tasks, err := c.plan(settings.Limits)
	if err != nil {
		return err
	}
	r := renderReport{of: len(tasks)}
	tasks = slices.DeleteFunc(tasks, func(t renderTask) bool {
		there := !c.Force && t.done()
		if there {
			r.there++
		}
		return there
	})
	if c.DryRun {
		for _, t := range tasks {
			if _, err := fmt.Fprintf(stdout, "%s -> %s\n", t.source, t.target); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if len(tasks) > 0 {
		if err := c.render(ctx, settings, slots, tasks, &r); err != nil {
			return err
		}
	}
	return r.print(stdout)
}

// resolve reads the settings. Its error lists every fault and wraps errUsage.
func (c *renderCommand) resolve() (pool.Config, int, error) {
	var r reader
	limits := transform.DefaultLimits()
	limits.SourceBytes = r.bytes("max-source-bytes", c.MaxSourceBytes)
	limits.SourcePixels = int64(r.number("max-source-pixels", c.MaxSourcePixels, 0, 1<<31))
	engine := c.Rendering.resolve(&r, limits)
	still := r.duration("render-timeout", c.RenderTimeout, 1)
	slots := r.number("concurrency", c.Concurrency, runtime.GOMAXPROCS(0), 1024)
	p := pool.Config{
		Command: func() *exec.Cmd { return pool.Self("renderer") }, Limits: engine.Limits, Slots: slots,
		StillTimeout: still, AnimationTimeout: 2 * still, Memory: r.bytes("renderer-memory", c.RendererMemory),
		Log: newLog(os.Stderr, "error"),
	}
	if len(r.faults) > 0 {
		return p, 0, fmt.Errorf("%w: the command line has faults:\n  %w", errUsage, joinLines(r.faults))
	}
	settings, err := json.Marshal(engine)
	p.Settings = settings
	return p, slots, err
}

// render does the tasks, some at a time, until all are done or ctx ends.
func (c *renderCommand) render(ctx context.Context, config pool.Config, slots int, tasks []renderTask, r *renderReport) error {
	engine, err := pool.New(config)
	if err != nil {
		return fmt.Errorf("start renderers: %w", err)
	}
	defer func() {
		if err := engine.Close(); err != nil {
			config.Log.Error("the renderers did not end well", slog.Any("cause", err))
		}
	}()
	if err := engine.Ready(ctx); err != nil {
		return fmt.Errorf("start renderers: %w", err)
	}
	gate := transform.NewGate(engine, config.Limits, slots, slots) // everybody who may wait has a place
	show := newProgress(os.Stderr, "render")
	queue := make(chan renderTask) // unbuffered: after an interruption nothing more is begun
	var mu sync.Mutex              // guards r and the progress
	var working sync.WaitGroup
	for range slots {
		working.Go(func() {
			for t := range queue {
				err := t.run(ctx, gate, config.Limits)
				mu.Lock()
				r.add(ctx, t, err)
				show(r.there+r.rendered+len(r.failures), r.of, r.summary)
				mu.Unlock()
			}
		})
	}
	for _, t := range tasks {
		select {
		case queue <- t:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	working.Wait()
	gate.Wait()
	return nil
}

// renderTask is one file to be made of another.
type renderTask struct {
	source, target string
	spec           transform.Spec
}

// done tells whether the target is there, whole as every target is, and no older than the source.
func (t renderTask) done() bool {
	source, err := os.Stat(t.source)
	if err != nil {
		return false
	}
	target, err := os.Stat(t.target)
	return err == nil && target.Mode().IsRegular() && !target.ModTime().Before(source.ModTime())
}

func (t renderTask) run(ctx context.Context, engine transform.Engine, limits transform.Limits) error {
	info, err := os.Stat(t.source)
	if err != nil {
		return err
	}
	if err := limits.CheckSize(info.Size()); err != nil {
		return err
	}
	source, err := os.ReadFile(t.source)
	if err != nil {
		return err
	}
	picture, err := engine.Render(ctx, source, t.spec)
	if err != nil {
		return err
	}
	return writeWhole(t.target, picture.Body)
}

// writeWhole puts a file in place under its name only when all of it is on disk, so that whoever finds one finds all of it. The
// folder is not synced: what a power cut takes back is rendered again.
func writeWhole(path string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.part", filepath.Base(path), os.Getpid()))
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		_ = os.Remove(part) // the error before is the one to tell
	}
	return err
}

// renderReport is what came of the tasks.
type renderReport struct {
	of, rendered, there int
	failures            []string // one line each
}

// add notes how a task ended; one that was interrupted is left.
func (r *renderReport) add(ctx context.Context, t renderTask, err error) {
	switch {
	case err == nil:
		r.rendered++
	case ctx.Err() != nil:
	default:
		r.failures = append(r.failures, fmt.Sprintf("%s -> %s: %s", t.source, filepath.Base(t.target), renderReason(err)))
	}
}

// renderReason says why a render failed: what is wrong with the picture or the file system.
func renderReason(err error) string {
	var path *os.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return err.Error()
	}
	return strings.TrimSuffix(fmt.Sprintf("%s (%v)", first(publicReason(err)), err), " ()")
}

func first(text string, _ bool) string { return text }

func (r *renderReport) summary() string {
	return fmt.Sprintf("%d of %d: %d rendered, %d there, %d failed", r.rendered+r.there+len(r.failures), r.of, r.rendered, r.there, len(r.failures))
}

// print tells what was done; its error says what was not.
func (r *renderReport) print(to io.Writer) error {
	lines := append([]string{fmt.Sprintf("%d pictures: %d rendered, %d already there, %d failed", r.of, r.rendered, r.there, len(r.failures))},
		slices.Sorted(slices.Values(r.failures))...)
	if _, err := fmt.Fprintln(to, strings.Join(lines, "\n")); err != nil {
		return err
	}
	left := r.of - r.rendered - r.there - len(r.failures)
	switch {
	case left > 0:
		return fmt.Errorf("stopped: %d of %d pictures are left; the same command goes on", left, r.of)
	case len(r.failures) > 0:
		return fmt.Errorf("%d of %d pictures could not be rendered", len(r.failures), r.of)
	}
	return nil
}
