package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"deckle/bench"
	benchreport "deckle/bench/report"
)

// benchCommand drives image servers, and says what changed from one run to the next.
type benchCommand struct {
	Run     benchRunCommand     `cmd:"" default:"withargs" help:"Load one or several image servers in turn and measure what a request costs them (the default command of bench)."`
	Compare benchCompareCommand `cmd:"" help:"Say what changed beyond noise between two runs' JSON files."`
	Report  benchReportCommand  `cmd:"" help:"Draw a run's JSON file as a page of HTML."`
	Sources benchSourcesCommand `cmd:"" help:"Make pictures like photographs to measure with, named so that every server finds them."`
}

// benchRunCommand measures servers.
type benchRunCommand struct {
	Targets []string `arg:"" help:"Servers, as [NAME=]URL[,KEY=VALUE...]. urls= is deckle, imgproxy, imagor, thumbor, plain, or a pattern with {id} {w} {h} {ext} {q}; pid= its process, for CPU and memory; admin= Deckle's operator listener, for uploads; upload= how to upload elsewhere, as PUT /{id}.jpg; original= a pattern of stored sources; edge= a further node to read from after a replacement, as often as there are." placeholder:"TARGET" sep:"none"`

	Workload    []string      `help:"hit (a warm set), miss (every URL once), srcset (of one --id after the other eight widths in two formats, together), storm (one missing picture asked for over all connections at once), mixed (hits and some misses), upload, purge (replaced sources, to the last stale byte); several with commas. Without it all of them, sized to --budget." placeholder:"NAME,..."`
	Budget      time.Duration `default:"4m" help:"About how long a run of all workloads takes; what has not begun by then is left out."`
	Loop        string        `default:"closed" enum:"closed,open" help:"closed (capacity) or open (latency at a rate)."`
	Rate        float64       `help:"Open loop: requests per second."`
	Connections int           `help:"Connections kept open to one target. Default 4; of a srcset 16, of a storm one for each request."`
	Rounds      int           `default:"5" help:"Rounds; the targets take turns in each."`
	Requests    int           `help:"Requests of a round to one target; 0 goes by --duration. Of a storm 1000, of a purge 10 replacements."`
	Duration    time.Duration `default:"5s" help:"Length of a round at one target."`
	ID          []string      `name:"id" default:"demo" help:"Ids of the sources."`
	Originals   string        `help:"Directory of the sources' files (ID, ID.jpg, ID.png ...), to measure fidelity with. Without it the first target that gives its sources away is asked." placeholder:"DIR"`
	Fidelity    int           `default:"3" help:"Misses: of how many sources outputs are compared with a reference; 0 is none."`
	Format      string        `help:"Extension of the output. Default webp, and of a run of all workloads misses in jpg too." placeholder:"EXT"`
	Quality     int           `default:"75" help:"Quality of the output."`
	MinSide     int           `default:"200" help:"Least side, pixels."`
	MaxSide     int           `default:"600" help:"Greatest side, pixels."`
	Set         int           `help:"Hits: pictures in the warm set. Default 100, of a purge 20."`
	Zipf        float64       `default:"1" help:"Hits: how much the popular ones are preferred; 0 is not at all."`
	Misses      float64       `default:"0.05" help:"Mixed: part of the requests that are misses."`
	UploadSide  int           `default:"1600" help:"Uploads, purge: longer side of the pictures sent, pixels."`
	Timeout     time.Duration `default:"10s" help:"Of a request, from when it was due."`
	Settle      time.Duration `help:"Quiet time after a workload before memory is read once more, as 1m."`
	Seed        uint64        `default:"1" help:"Of the order of sizes."`
	Floor       bool          `help:"Hits: measure a bare server of the same bytes and headers first, in the same run."`
	APIKey      string        `name:"api-key" help:"Key for the operator listeners." placeholder:"KEY"`
	JSON        string        `name:"json" help:"File for the figures." placeholder:"FILE"`
	HTML        string        `name:"html" help:"File for the page with plots." placeholder:"FILE"`
}

// Run measures, prints tables, and writes figures and page where asked.
func (b *benchRunCommand) Run(stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	base := bench.Config{
		Loop: b.Loop, Rate: b.Rate, Connections: b.Connections, Rounds: b.Rounds, Requests: b.Requests, Duration: b.Duration,
		Sources: b.ID, Format: b.Format, Quality: b.Quality, MinSide: b.MinSide, MaxSide: b.MaxSide, Set: b.Set, Zipf: b.Zipf,
		Misses: b.Misses, UploadSide: b.UploadSide, Timeout: b.Timeout, Settle: b.Settle, Seed: b.Seed, Fidelity: b.Fidelity, Decode: decodeWithVips(),
	}
	if b.Originals != "" {
		base.Original = originalsIn(b.Originals)
	}
	for _, text := range b.Targets {
		target, err := parseTarget(text)
		if err != nil {
			return err
		}
		target.APIKey = b.APIKey
		base.Targets = append(base.Targets, target)
	}
	if b.Floor {
		floor, end, err := startFloor(ctx, base.Targets[0])
		if err != nil {
			return fmt.Errorf("start the floor: %w", err)
		}
		defer end()
		base.Targets = append([]bench.Target{floor}, base.Targets...)
	}
	configs, budget, err := b.workloads(base)
	if err != nil {
		return err
	}
	suite, err := bench.RunSuite(ctx, configs, budget, os.Stderr)
	if err != nil {
		return err
	}
	suite.Command = benchLine(os.Args)
	if err := suite.WriteTable(stdout); err != nil {
		return err
	}
	return errors.Join(
		writeTo(b.JSON, suite.WriteJSON),
		writeTo(b.HTML, func(w io.Writer) error { return benchreport.Write(w, suite) }))
}

// workloads returns what to play, and the time after which nothing more begins; 0 when it is as long as it is.
func (b *benchRunCommand) workloads(base bench.Config) ([]bench.Config, time.Duration, error) {
	if len(b.Workload) == 0 {
		if b.Budget < 10*time.Second {
			return nil, 0, fmt.Errorf("%w: --budget is %s; a run of all workloads takes 10s at least", errUsage, b.Budget)
		}
		return bench.Plan(base, b.Budget), b.Budget, nil
	}
	var configs []bench.Config
	for _, name := range b.Workload {
		if !slices.Contains(bench.Workloads, name) {
			return nil, 0, fmt.Errorf("%w: --workload %q is none of %s", errUsage, name, strings.Join(bench.Workloads, ", "))
		}
		c := base
		c.Workload = name
		if name == bench.Storm {
			c.Loop = bench.Burst
		}
		configs = append(configs, c)
	}
	return configs, 0, nil
}

// benchLine is the command line as it was given, without a key in it.
func benchLine(args []string) string {
	words := []string{"deckle"}
	hide := false
	for _, word := range args[min(1, len(args)):] {
		name, _, found := strings.Cut(word, "=")
		switch {
		case hide:
			word, hide = "***", false
		case name == "--api-key" && found:
			word = "--api-key=***"
		case name == "--api-key":
			hide = true
		}
		if strings.ContainsAny(word, " \t'\"{}$*;&|") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// writeTo has a file written; no name is none.
func writeTo(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// parseTarget reads [NAME=]URL[,KEY=VALUE...].
func parseTarget(text string) (bench.Target, error) {
	parts := strings.Split(text, ",")
	t := bench.Target{Base: parts[0]}
	if name, base, found := strings.Cut(parts[0], "="); found && !strings.Contains(name, ":") {
		t.Name, t.Base = name, base
	}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "urls":
			t.URLs = value
		case "pid":
			pid, err := strconv.Atoi(value)
			if err != nil || pid < 1 {
				return t, fmt.Errorf("%w: target %q: pid is %q, want a process id", errUsage, text, value)
			}
			t.PID = pid
		case "admin":
			t.Admin = value
		case "upload":
			t.Upload = value
		case "original":
			t.Original = value
		case "edge":
			t.Edges = append(t.Edges, value)
		default:
			return t, fmt.Errorf("%w: target %q: %q is none of urls=, pid=, admin=, upload=, original= and edge=", errUsage, text, part)
		}
	}
	t.Name = cmp.Or(t.Name, t.Base)
	return t, nil
}
