package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// soakVariable is how long TestSoak takes, as in 20m; its figures then go to bench/results/soak.md.
const soakVariable = "DECKLE_SOAK"

// soak is a fleet behind its balancer under mixed load: nineteen of twenty requests for pictures that are there, the rest for
// new sizes, with sources replaced and purged on the way.
type soak struct {
	*threeNodes
	front   string
	warm    []string // paths
	asked   atomic.Int64
	renders atomic.Int64 // asked for as new sizes
	failed  atomic.Int64
	mu      sync.Mutex
	faults  []string // the first of them
}

const soakSources = 12

func startSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{threeNodes: startFleet(t, "--drain-delay", "1s", "--memory", "32MiB", "--source-budget", "off", "--access-log", "errors")}
	var addresses []string
	for _, node := range s.nodes {
		node.pin()
		addresses = append(addresses, strings.TrimPrefix(node.edge, "http://"))
	}
	s.front = "http://" + testserver.Balancer(t, addresses).Addr
	for i := range soakSources {
		id := fmt.Sprintf("soak%d", i)
		s.nodes[0].upload(id, testimage.JPEG(testimage.Photo(900, 600, uint64(i)), 85), false)
		for _, size := range []string{"_160_0.jpg", "_320_0.webp", "_480_0.webp"} {
			s.warm = append(s.warm, "/"+id+size)
		}
	}
	for _, path := range s.warm {
		s.get(path)
	}
	return s
}

// pin makes a daemon listen where it listens now when it is launched again.
func (d *daemon) pin() {
	for i, arg := range d.args[:len(d.args)-1] {
		switch arg {
		case "--listen":
			d.args[i+1] = strings.TrimPrefix(d.edge, "http://")
		case "--admin-listen":
			d.args[i+1] = strings.TrimPrefix(d.admin, "http://")
		}
	}
}

func (s *soak) get(path string) {
	got := request("GET", s.front+path, nil)
	s.asked.Add(1)
	if got.status == 200 && got.err == nil {
		return
	}
	s.failed.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) < 10 {
		s.faults = append(s.faults, fmt.Sprintf("%s %s: %d %v %.200s", time.Now().Format(time.StampMilli), path, got.status, got.err, got.body))
	}
}

// load asks until stop is closed.
func (s *soak) load(seed uint64, stop <-chan struct{}) {
	random := rand.New(rand.NewPCG(seed, 1))
	for {
		select {
		case <-stop:
			return
		default:
		}
		if random.IntN(20) > 0 {
			s.get(s.warm[int(float64(len(s.warm))*random.Float64()*random.Float64())])
		} else {
			s.renders.Add(1)
			s.get(fmt.Sprintf("/soak%d_%d_%d.webp", random.IntN(soakSources), 100+random.IntN(400), 100+random.IntN(400)))
		}
		time.Sleep(20 * time.Millisecond) // a bounded rate, so that the machine is not what is measured
	}
}

// memory is what all nodes and their renderers take, bytes.
func (s *soak) memory() (all float64) {
	for _, node := range s.nodes {
		all += node.metric("process_resident_memory_bytes") + node.metric("deckle_renderer_memory_bytes")
	}
	return all
}

// restart ends one node after the other as a deployment does, and starts it again.
func (s *soak) restart() {
	for _, node := range s.nodes {
		node.stop()
		node.launch()
		eventually(s.t, 30*time.Second, "the node is ready", func() bool {
			return request("GET", node.admin+"/probe/ready", nil).status == 200
		})
	}
}

// change replaces one source and drops another's pictures.
func (s *soak) change(n int) {
	node := s.nodes[n%len(s.nodes)]
	node.upload(fmt.Sprintf("soak%d", n%soakSources), testimage.JPEG(testimage.Photo(900, 600, uint64(100+n)), 85), true)
	body := fmt.Sprintf(`{"source": "soak%d"}`, (n+5)%soakSources)
	if got := request("POST", node.admin+"/purge", strings.NewReader(body), "Content-Type", "application/json"); got.status != 200 {
		s.t.Errorf("purge: %d %s", got.status, got.body)
	}
}

// TestSoak: a rolling restart, replaced sources and purges under load fail no request, and memory stays what it is.
func TestSoak(t *testing.T) {
	length := 8 * time.Second
	long := os.Getenv(soakVariable) != ""
	if long {
		var err error
		if length, err = time.ParseDuration(os.Getenv(soakVariable)); err != nil || length < time.Minute {
			t.Fatalf("%s: %v; want a duration of at least 1m", soakVariable, err)
		}
	}
	s := startSoak(t)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() { s.load(uint64(i), stop) })
	}
	begin := time.Now()
	restarts, changes := 0, 0
	var memory []float64
	for rest := length; rest > 0; rest = length - time.Since(begin) {
		// The second half is left in peace, to see whether memory grows.
		if time.Since(begin) < length/2 {
			s.restart()
			restarts++
		}
		s.change(changes)
		changes++
		time.Sleep(min(rest, length/40))
		memory = append(memory, s.memory())
	}
	close(stop)
	clients.Wait()
	for _, fault := range s.faults {
		t.Error(fault)
	}
	half := memory[len(memory)/2:]
	early, late := mean(half[:(len(half)+1)/2]), mean(half[len(half)/2:])
	line := fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %.0f, %.0f |", length, s.asked.Load(), s.renders.Load(), 3*restarts, changes, s.failed.Load(), early/(1<<20), late/(1<<20))
	t.Log(line)
	if long && late > 1.15*early {
		t.Errorf("memory grows from %.0f to %.0f MiB in the second half", early/(1<<20), late/(1<<20))
	}
	if long {
		writeSoak(t, line)
	}
}

func mean(values []float64) (m float64) {
	for _, v := range values {
		m += v / float64(len(values))
	}
	return m
}

func writeSoak(t *testing.T, line string) {
	t.Helper()
	text := "# Soak: three nodes behind their balancer under mixed load\n\n" +
		"`" + soakVariable + "=20m go test -count=1 -timeout 60m -run TestSoak -v ./cmd/deckle`: eight clients, nineteen of twenty requests for\n" +
		"pictures that are there; rolling restarts in the first half (SIGTERM, start, ready, the next node), a source replaced and another\n" +
		"purged each fortieth of the time. Memory is that of all nodes and renderers, in the third and the last quarter.\n\n" +
		"| length | requests | of new sizes | restarts | replaced, purged | failed | MiB |\n|---|---|---|---|---|---|---|\n" + line + "\n"
	if err := os.WriteFile(filepath.Join("..", "..", "bench", "results", "soak.md"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
