package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"deckle/bench"
)

// benchCommand drives image servers and prints what a request costs them.
type benchCommand struct {
	Targets []string `arg:"" help:"Servers, as [NAME=]URL[,urls=SPELLING][,pid=N]. SPELLING is deckle, imgproxy, imagor, plain, or a pattern with {id} {w} {h} {ext}." placeholder:"TARGET"`

	Workload    string        `default:"hit" enum:"hit,miss,srcset" help:"hit (a warm set), miss (every URL once) or srcset (of one --id after the other eight widths in two formats, together)."`
	Loop        string        `default:"closed" enum:"closed,open" help:"closed (capacity) or open (latency at a rate)."`
	Rate        float64       `help:"Open loop: requests per second."`
	Connections int           `default:"4" help:"Connections kept open to one target."`
	Rounds      int           `default:"5" help:"Rounds; the targets take turns in each."`
	Requests    int           `help:"Requests of a round to one target; 0 goes by --duration."`
	Duration    time.Duration `default:"5s" help:"Length of a round at one target."`
	ID          []string      `name:"id" default:"demo" help:"Ids of the sources."`
	Format      string        `default:"webp" help:"Extension of the output."`
	Quality     int           `default:"75" help:"Quality of the output."`
	MinSide     int           `default:"200" help:"Least side, pixels."`
	MaxSide     int           `default:"400" help:"Greatest side, pixels."`
	Set         int           `default:"100" help:"Hits: pictures in the warm set."`
	Zipf        float64       `default:"1" help:"Hits: how much the popular ones are preferred; 0 is not at all."`
	Timeout     time.Duration `default:"10s" help:"Of a request."`
	Seed        uint64        `default:"1" help:"Of the order of sizes."`
	Floor       bool          `help:"Hits: measure a bare server of the same bytes and headers first, in the same run."`
	JSON        string        `name:"json" help:"File for the figures." placeholder:"FILE"`
}

// Run measures, prints a table, and writes the figures where asked.
func (b *benchCommand) Run(stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var targets []bench.Target
	for _, text := range b.Targets {
		target, err := parseTarget(text)
		if err != nil {
			return err
		}
		targets = append(targets, target)
	}
	if b.Floor {
		floor, end, err := b.startFloor(ctx, targets[0])
		if err != nil {
			return fmt.Errorf("start the floor: %w", err)
		}
		defer end()
		targets = append([]bench.Target{floor}, targets...)
	}
	report, err := bench.Run(ctx, bench.Config{
		Targets: targets, Workload: b.Workload, Loop: b.Loop, Rate: b.Rate, Connections: b.Connections, Rounds: b.Rounds,
		Requests: b.Requests, Duration: b.Duration, Sources: b.ID, Format: b.Format, Quality: b.Quality, MinSide: b.MinSide,
		MaxSide: b.MaxSide, Set: b.Set, Zipf: b.Zipf, Timeout: b.Timeout, Seed: b.Seed,
	}, os.Stderr)
	if err != nil {
		return err
	}
	if err := report.WriteTable(stdout); err != nil || b.JSON == "" {
		return err
	}
	file, err := os.Create(b.JSON)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJSON(file), file.Close())
}

// parseTarget reads [NAME=]URL[,urls=SPELLING][,pid=N].
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
		default:
			return t, fmt.Errorf("%w: target %q: %q is neither urls= nor pid=", errUsage, text, part)
		}
	}
	return t, nil
}

// startFloor starts this binary again as a replay of one answer of target, in a process of its own so that its CPU can be
// told apart.
func (b *benchCommand) startFloor(ctx context.Context, target bench.Target) (bench.Target, func(), error) {
	url := fmt.Sprintf("%s/%s_%d_%d.%s", target.Base, b.ID[0], b.MinSide, b.MinSide, b.Format)
	self, err := os.Executable()
	if err != nil {
		return bench.Target{}, nil, err
	}
	command := exec.CommandContext(ctx, self, "replay", url)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return bench.Target{}, nil, err
	}
	if err := command.Start(); err != nil {
		return bench.Target{}, nil, err
	}
	end := func() {
		_ = command.Process.Kill() // it holds nothing
		_ = command.Wait()
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		end()
		return bench.Target{}, nil, fmt.Errorf("it did not start: %w", err)
	}
	return bench.Target{Name: "floor", Base: strings.TrimSpace(line), URLs: target.URLs, PID: command.Process.Pid}, end, nil
}

// replayCommand is the floor that bench --floor starts.
type replayCommand struct {
	URL string `arg:"" help:"Answer to replay."`
}

// Run prints where it listens and serves until it is killed.
func (r *replayCommand) Run(stdout io.Writer) error {
	replay, err := bench.NewReplay(r.URL)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	return replay.Serve(listener)
}
