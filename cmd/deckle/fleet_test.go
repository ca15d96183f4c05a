package main

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// slowSize is a rendering that takes a good part of a second, so that something can happen in the midst of it.
const slowSize = "_1600_1200.avif"

// threeNodes are a fleet that shares Redis and S3, each node with records of its own.
type threeNodes struct {
	t     *testing.T
	nodes []*daemon
	redis *testserver.RedisServer
}

func startFleet(t *testing.T, more ...string) *threeNodes {
	t.Helper()
	f := &threeNodes{t: t, redis: testserver.Redis(t)}
	s3 := testserver.S3(t)
	s3.SetCredentials(t)
	originals, variants := s3.Bucket(t), s3.Bucket(t)
	for range 3 {
		args := []string{
			"--data", t.TempDir(), "--redis", f.redis.URL(), "--origin", s3.URL(originals), "--store", s3.URL(variants),
			"--renderers", "1", "--render-timeout", "20s", "--max-client-connections", "2048",
		}
		f.nodes = append(f.nodes, start(t, append(args, more...)...))
	}
	return f
}

// storm is what many requests at once for one picture came to, on the nodes that lived to its end.
type storm struct {
	asked, failed  int
	renders, reads float64
	took           time.Duration
}

// storm asks all nodes for a picture that none has, all at once, and has something happen once a node holds the lease.
func (f *threeNodes) storm(path string, asked int, happen func(holder *daemon)) storm {
	f.t.Helper()
	nodes := f.nodes
	before := map[*daemon]storm{}
	held := map[*daemon]float64{}
	for _, node := range nodes {
		before[node] = storm{renders: node.metric("deckle_renders_total"), reads: node.metric("deckle_source_fetches_total")}
		held[node] = node.metric("deckle_fleet_leases_held_total")
	}
	replies := make([]reply, asked)
	var all sync.WaitGroup
	ready := make(chan struct{})
	for i := range replies {
		all.Go(func() {
			<-ready
			replies[i] = nodes[i%len(nodes)].get(path)
		})
	}
	begin := time.Now()
	close(ready)
	if happen != nil {
		var holder *daemon
		eventually(f.t, 30*time.Second, "a node holds the lease", func() bool {
			at := slices.IndexFunc(nodes, func(n *daemon) bool { return n.metric("deckle_fleet_leases_held_total") > held[n] })
			if at >= 0 {
				holder = nodes[at]
			}
			return at >= 0
		})
		happen(holder)
	}
	all.Wait()
	s := storm{asked: asked, took: time.Since(begin)}
	for _, node := range f.nodes {
		s.renders += node.metric("deckle_renders_total") - before[node].renders
		s.reads += node.metric("deckle_source_fetches_total") - before[node].reads
	}
	var first []byte
	for i, got := range replies {
		switch {
		case !slices.Contains(f.nodes, nodes[i%len(nodes)]): // it was killed
		case got.status != 200 || got.err != nil:
			s.failed++
			f.t.Errorf("%s: %d %v %.200s", path, got.status, got.err, got.body)
		case first == nil:
			first = got.body
		case !bytes.Equal(first, got.body):
			f.t.Errorf("%s: answers differ", path)
		}
	}
	return s
}

// kill ends a node as a power cut would, and takes it out of the fleet.
func (f *threeNodes) kill(node *daemon) {
	f.nodes = slices.DeleteFunc(slices.Clone(f.nodes), func(n *daemon) bool { return n == node })
	node.kill()
}

// awaitLeases waits until all nodes use Redis for leases again.
func (f *threeNodes) awaitLeases() {
	f.t.Helper()
	for i, node := range f.nodes {
		before := node.metric("deckle_fleet_leases_held_total")
		n := 0
		eventually(f.t, 30*time.Second, "leases are taken again", func() bool {
			n++
			node.mustGet(fmt.Sprintf("/cat_%d_%d.jpg", 20+n, 20+i))
			return node.metric("deckle_fleet_leases_held_total") > before
		})
	}
}

// staleness is how long after the acknowledgement of a replacement the last byte of the former picture came from any node.
func (f *threeNodes) staleness(id string, rounds int, within time.Duration) []time.Duration {
	f.t.Helper()
	path := "/" + id + "_40_40.png"
	f.nodes[0].upload(id, replacement(0), false)
	for _, node := range f.nodes {
		node.mustGet(path)
	}
	lags := make([]time.Duration, rounds)
	for round := range rounds {
		former := f.nodes[0].mustGet(path).header.Get("Etag")
		f.nodes[round%len(f.nodes)].upload(id, replacement(round+1), true)
		acknowledged := time.Now()
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, node := range f.nodes {
			all.Go(func() {
				last := time.Duration(0)
				for fresh := 0; fresh < 3; { // and does not come back
					got := node.get(path)
					switch {
					case got.status != 200:
						f.t.Errorf("%s: %d %v", path, got.status, got.err)
						return
					case got.header.Get("Etag") != former:
						fresh++
						continue
					}
					if last = time.Since(acknowledged); last > within {
						f.t.Errorf("round %d: stale for %s", round, last)
						return
					}
				}
				mu.Lock()
				defer mu.Unlock()
				lags[round] = max(lags[round], last)
			})
		}
		all.Wait()
	}
	slices.Sort(lags)
	return lags
}

// replacement is a picture that differs from round to round.
func replacement(round int) []byte {
	return testimage.JPEG(testimage.Photo(120, 90, uint64(round)), 80)
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(100 * time.Microsecond)
}

// change replaces a picture on one node while another renders it: it is the new one everywhere then, and nothing of the former
// is under its name.
func (f *threeNodes) change() {
	t := f.t
	t.Helper()
	former, next := testimage.JPEG(testimage.Photo(1600, 1200, 1), 85), testimage.JPEG(testimage.Photo(1600, 1200, 2), 85)
	f.nodes[0].upload("moving", former, false)
	f.nodes[2].upload("reference", next, false)
	want := f.nodes[2].mustGet("/reference" + slowSize).body
	held := f.nodes[1].metric("deckle_fleet_leases_held_total")
	during := make(chan reply, 1)
	go func() { during <- f.nodes[1].get("/moving" + slowSize) }()
	eventually(t, 30*time.Second, "B renders", func() bool { return f.nodes[1].metric("deckle_fleet_leases_held_total") > held })
	f.nodes[0].upload("moving", next, true)
	if got := <-during; got.status != 200 {
		t.Errorf("the request during the change: %d %s", got.status, got.body)
	}
	isNew := func(node *daemon) bool { return bytes.Equal(node.mustGet("/moving"+slowSize).body, want) }
	for i, node := range f.nodes {
		eventually(t, time.Second, "the new picture is served", func() bool { return isNew(node) })
		for range 5 {
			if !isNew(node) {
				t.Fatalf("node %d: the former picture came back", i)
			}
		}
	}
}
