package main

import (
	"os"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// fleetLong in the environment makes the fleet's claims be checked with their full numbers.
const fleetLong = "DECKLE_FLEET_LONG"

// TestTrustFleet is claim C3: whatever a storm of requests meets, a picture is rendered once for the whole fleet, a second time
// only where whoever rendered it died, and nobody is turned away.
func TestTrustFleet(t *testing.T) {
	asked, long := 300, os.Getenv(fleetLong) != "" || os.Getenv(trustReport) != ""
	args := []string{"--fleet-timeout", "5s"} // Redis is late on a machine that runs all tests; the long form keeps the default
	if long {
		asked, args = 1000, nil
	}
	f := startFleet(t, args...)
	f.nodes[0].upload("cat", testimage.JPEG(testimage.Photo(1600, 1200, 1), 85), false)
	for i, path := range []string{"/cat_300_200.webp", "/cat" + slowSize} {
		s := f.storm(path, asked, nil)
		if s.renders != 1 || s.reads > 1 { // the second storm may find the source in memory
			t.Errorf("storm %d: %v renders and %v readings of the source, want one of each", i, s.renders, s.reads)
		}
		report(t, "C3 storm", "%d requests at once for %s over 3 nodes: %.0f renders, %.0f readings of the source, %d failed; all answered in %s",
			s.asked, path, s.renders, s.reads, s.failed, s.took.Round(time.Millisecond))
	}
	f.awaitLeases()
	s := f.storm("/cat_1500_1200.avif", asked, f.kill)
	if s.renders != 1 { // beside the one that was cut off; none would mean that the node was killed too late
		t.Errorf("the nodes that were left rendered %v times, want once", s.renders)
	}
	report(t, "C3 killed", "%d requests, the node that renders killed in the midst: %.0f renders on the others, %d failed there; all answered in %s",
		s.asked, s.renders, s.failed, s.took.Round(time.Millisecond))
}

// TestTrustFleetRedis is C3 without Redis: every node renders once at most, and nobody is turned away.
func TestTrustFleetRedis(t *testing.T) {
	asked := 150
	if os.Getenv(fleetLong) != "" || os.Getenv(trustReport) != "" {
		asked = 1000
	}
	f := startFleet(t)
	f.nodes[0].upload("cat", testimage.JPEG(testimage.Photo(1600, 1200, 1), 85), false)
	faults := []struct {
		name, path  string
		begin, over func()
	}{
		{"frozen", "/cat_1500_1100.avif", f.redis.Pause, f.redis.Resume},
		{"killed", "/cat_1500_1000.avif", f.redis.Stop, f.redis.Start},
	}
	for _, fault := range faults {
		f.awaitLeases()
		s := f.storm(fault.path, asked, func(*daemon) { fault.begin() })
		fault.over()
		if s.renders > 3 {
			t.Errorf("Redis %s: %v renders by three nodes", fault.name, s.renders)
		}
		report(t, "C3 Redis "+fault.name, "%d requests at once over 3 nodes, Redis %s in the midst: %.0f renders, %d failed; all answered in %s",
			s.asked, fault.name, s.renders, s.failed, s.took.Round(time.Millisecond))
	}
}

// TestTrustFleetReplaced is the freshness half of C3: how long after a replacement the former picture is served anywhere, with
// messages and with the messages lost.
func TestTrustFleetReplaced(t *testing.T) {
	rounds, lost := 20, 3
	if os.Getenv(fleetLong) != "" || os.Getenv(trustReport) != "" {
		rounds, lost = 200, 20
	}
	const stale = 3 * time.Second // for all of which a node that is not told serves the former picture
	f := startFleet(t, "--version-fresh", stale.String(), "--version-stale", stale.String())
	lags := f.staleness("cat", rounds, 10*time.Second)
	if quantile(lags, 0.99) > time.Second {
		t.Errorf("told nodes were stale for %v", lags)
	}
	report(t, "C3 replaced", "%d replacements on 3 nodes: last stale byte p50 %s, p99 %s after the acknowledgement",
		len(lags), quantile(lags, 0.5), quantile(lags, 0.99))
	f.change()
	f.redis.Stop()
	const slack = time.Second // a look at the store, and what a loaded machine adds
	lags = f.staleness("dog", lost, stale+slack)
	report(t, "C3 messages lost", "%d replacements on 3 nodes without Redis, --version-stale %s: last stale byte p50 %s, p99 %s",
		len(lags), stale, quantile(lags, 0.5), quantile(lags, 0.99))
}
