package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deckle/internal/testimage"
	"deckle/proxy"

	"github.com/google/go-cmp/cmp"
)

// TestPressure: each step up gives something up, and what comes back is given back; a reading that fails changes nothing.
func TestPressure(t *testing.T) {
	used, broken := int64(0), error(nil)
	var strain proxy.Strain
	part := 1.0
	p := &pressure{
		limit: 1000, used: func() (int64, error) { return used, broken }, part: 1, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		level: func(s proxy.Strain) { strain = s }, shrink: func(to float64) { part = to },
	}
	type state struct {
		Strain string
		Shrunk bool
	}
	for _, step := range []struct {
		used   int64
		broken error
		want   state
	}{
		{100, nil, state{"calm", false}},
		{849, nil, state{"calm", false}},
		{850, nil, state{"calm", true}},
		{920, nil, state{"refuse misses", true}},
		{950, nil, state{"refuse connections", true}},
		{100, os.ErrNotExist, state{"refuse connections", true}},
		{930, nil, state{"refuse misses", true}},
		{800, nil, state{"calm", true}},
	} {
		used, broken = step.used, step.broken
		p.look()
		if diff := cmp.Diff(step.want, state{strain.String(), part < 1}); diff != "" {
			t.Errorf("at %d: %s", step.used, diff)
		}
	}
	for used = 1000; part > .05; {
		p.look()
	}
	for range 25 {
		used = 500
		p.look()
	}
	if part != 1 || strain != proxy.Calm {
		t.Errorf("at rest %v of the tier and %s, want all of it", part, strain)
	}
}

// TestShortOfMemory: near its limit the server renders nothing new, serves what it has where a connection is there already, and
// says so.
func TestShortOfMemory(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--memory-limit", "1MiB") // it takes more at once
	if _, found := d.log.await("refuse connections", 1<<34); !found {
		t.Error("nothing is logged")
	}
	if got := d.get("/_health"); got.status != 0 {
		t.Errorf("a new connection is answered %d", got.status)
	}
	if n := d.metric("deckle_connections_refused_total"); n < 1 {
		t.Errorf("%v refusals are counted", n)
	}
	if got := start(t, "--data", t.TempDir(), "--memory-limit", "off").get("/_health"); got.status != 200 {
		t.Errorf("without a limit: %d", got.status)
	}
}

// TestGuardFaults: each setting that cannot be is named.
func TestGuardFaults(t *testing.T) {
	words := filepath.Join(t.TempDir(), "words.txt")
	if err := os.WriteFile(words, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(t.TempDir(), "picture.png")
	if err := os.WriteFile(picture, testimage.PNG(testimage.Quadrants(4, 4)), 0o644); err != nil {
		t.Fatal(err)
	}
	good := guardSettings{
		TrustedProxies: "10.0.0.0/8,::1", ForwardedHeader: "Forwarded", ClientBudget: "1/s", SourceBudget: "off", MaxConnections: "1",
		MaxClientConnections: "1", HeaderTimeout: "1s", IdleTimeout: "1s", StallTimeout: "1s", QueueWait: "0s", ErrorImage: picture,
		DrainDelay: "0s", MemoryLimit: "off",
	}
	var r reader
	if g := good.resolve(&r); len(r.faults) != 0 || len(g.forwarding.Trusted) != 2 || g.errorPicture.ContentType != "image/png" {
		t.Errorf("%v, %+v", r.faults, g)
	}
	for name, change := range map[string]func(*guardSettings){
		"trusted-proxies": func(s *guardSettings) { s.TrustedProxies = "10.0.0.0/33" }, "client-budget": func(s *guardSettings) { s.ClientBudget = "1" },
		"source-budget": func(s *guardSettings) { s.SourceBudget = "1/y" }, "max-connections": func(s *guardSettings) { s.MaxConnections = "0" },
		"header-timeout": func(s *guardSettings) { s.HeaderTimeout = "0s" }, "stall-timeout": func(s *guardSettings) { s.StallTimeout = "x" },
		"error-image": func(s *guardSettings) { s.ErrorImage = words }, "memory-limit": func(s *guardSettings) { s.MemoryLimit = "lots" },
		"drain-delay": func(s *guardSettings) { s.DrainDelay = "-1s" }, "queue-wait": func(s *guardSettings) { s.QueueWait = "" },
	} {
		bad, r := good, reader{}
		change(&bad)
		bad.resolve(&r)
		if len(r.faults) != 1 || !strings.Contains(r.faults[0].Error(), "--"+name) {
			t.Errorf("%s: %v", name, r.faults)
		}
	}
}
