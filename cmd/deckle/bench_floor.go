package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"deckle/bench"
)

// startFloor starts this binary again as a replay of target, in a process of its own so that its CPU can be told apart.
func startFloor(ctx context.Context, target bench.Target) (bench.Target, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return bench.Target{}, nil, err
	}
	command := exec.CommandContext(ctx, self, "replay", target.Base)
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
	Base string `arg:"" help:"Server whose answers are replayed."`
}

// Run prints where it listens and serves until it is killed.
func (r *replayCommand) Run(stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	return bench.NewReplay(r.Base).Serve(listener)
}
