package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"deckle/proxy"
)

// How full memory may be before something is given up (TRUST.md fault F14), hundredths of the limit.
const (
	shrinkAt = 85
	missesAt = 92
	acceptAt = 95
)

// pressureEvery is how often memory is looked at. A render takes tens of megabytes within tenths of a second, and what is
// left above the last step is meant for that.
const pressureEvery = 250 * time.Millisecond

// goShare is the part of the limit that Go's collector aims at, hundredths; the renderers have the rest (TRUST.md F14).
const goShare = 50

// gauge reads how much of the memory is taken, bytes.
type gauge func() (int64, error)

// pressure holds the server's memory below a limit.
type pressure struct {
	limit  int64
	used   gauge
	level  func(proxy.Strain) // told at each change
	shrink func(part float64) // sets the size of the memory tier, as a part of what was configured
	log    *slog.Logger

	part float64
	last proxy.Strain
}

// watch looks until ctx ends.
func (p *pressure) watch(ctx context.Context) {
	tick := time.NewTicker(pressureEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.look()
		}
	}
}

// look takes one reading and acts on it. The memory tier gives up a quarter of itself at each look above the first step, and
// grows back by a twentieth at each look well below it.
func (p *pressure) look() {
	used, err := p.used()
	if err != nil {
		return // the next look may do better; what was decided stays
	}
	full := float64(used) * 100 / float64(p.limit)
	now := proxy.Calm
	switch {
	case full >= acceptAt:
		now = proxy.RefuseConnections
	case full >= missesAt:
		now = proxy.RefuseMisses
	}
	part := p.part
	switch {
	case full >= shrinkAt:
		part = max(part*.75, .05)
	case full < shrinkAt-10:
		part = min(part+.05, 1)
	}
	if part != p.part {
		p.shrink(part)
		if part < p.part {
			debug.FreeOSMemory()
		}
		p.part = part
	}
	if now != p.last {
		p.level(now)
		p.log.Warn("memory", slog.Int("percent", int(math.Round(full))), slog.String("now", now.String()))
		p.last = now
	}
}

// guardMemory sets what Go's collector aims at, unless GOMEMLIMIT does, and starts to watch. It does nothing without a limit.
func (n *node) guardMemory(shrink func(bytes int64)) {
	limit := n.config.guard.memoryLimit
	if limit <= 0 {
		return
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit * goShare / 100)
	}
	used := containerUse
	if _, err := used(); err != nil || containerLimit() != limit {
		used = n.processUse
	}
	p := &pressure{
		limit: limit, used: used, level: n.edge.Strain, log: n.log, part: 1,
		shrink: func(part float64) { shrink(int64(part * float64(n.config.memory))) },
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.watch(ctx)
	}()
	n.ends.add(func() error { stop(); <-ended; return nil })
}

// processUse is what this process and its renderers take, as the kernel counts resident memory.
func (n *node) processUse() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read /proc/self/statm: %q", text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	used := pages * int64(os.Getpagesize())
	if n.pool != nil {
		m := n.pool.Memory()
		if m.Proportional > 0 {
			m.Resident = m.Proportional // which counts what renderers share once
		}
		used += m.Resident
	}
	return used, nil
}

// cgroup is where the kernel shows the container's own memory, in either version of its interface.
var cgroup = []struct{ limit, use, stat, cache string }{
	{"memory.max", "memory.current", "memory.stat", "inactive_file "},
	{"memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file "},
}

const cgroupRoot = "/sys/fs/cgroup"

// containerLimit returns the container's limit of memory, 0 when it has none.
func containerLimit() int64 {
	for _, v := range cgroup {
		if n, err := readNumber(filepath.Join(cgroupRoot, v.limit)); err == nil && n < 1<<50 { // version 1 writes a huge one for none
			return n
		}
	}
	return 0
}

// containerUse returns what the container takes, without file pages that the kernel can drop at once.
func containerUse() (int64, error) {
	for _, v := range cgroup {
		used, err := readNumber(filepath.Join(cgroupRoot, v.use))
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(cgroupRoot, v.stat))
		if err != nil {
			return 0, err
		}
		for line := range bytes.Lines(text) {
			if rest, found := bytes.CutPrefix(line, []byte(v.cache)); found {
				droppable, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
				return used - droppable, err
			}
		}
		return used, nil
	}
	return 0, os.ErrNotExist
}

func readNumber(name string) (int64, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
}
