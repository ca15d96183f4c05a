package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// TestRefusedPicture: what is refused for lack of room says when to come back, and shows the configured picture where a page
// asked for one; programs get words.
func TestRefusedPicture(t *testing.T) {
	sorry := testimage.PNG(testimage.Quadrants(8, 8))
	file := filepath.Join(t.TempDir(), "sorry.png")
	if err := os.WriteFile(file, sorry, 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(t, "--data", t.TempDir(), "--error-image", file, "--trusted-proxies", "127.0.0.0/8", "--client-budget", "3/h", "--source-budget", "5/h")
	d.upload("cat", testimage.PNG(testimage.Photo(60, 40, 1)), false)
	d.upload("dog", testimage.PNG(testimage.Photo(60, 40, 2)), false)
	as := func(client, path string, more ...string) reply {
		return d.get(path, append([]string{"X-Forwarded-For", client}, more...)...)
	}
	for i := range 3 {
		if got := as("203.0.113.1", fmt.Sprintf("/cat_%d_9.png", 10+i)); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	got := as("203.0.113.1", "/cat_20_9.png")
	after, err := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != 429 || err != nil || after < 1 || after > 1200 || !bytes.Equal(got.body, sorry) || got.header.Get("Content-Type") != "image/png" ||
		got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("beyond the client's budget: %d %v", got.status, got.header)
	}
	if got := as("203.0.113.1", "/cat_20_9.png", "Accept", "application/problem+json"); got.status != 429 || !strings.Contains(string(got.body), "from this address") {
		t.Errorf("a program gets %d %s", got.status, got.body)
	}
	if got := as("203.0.113.1", "/cat_10_9.png"); got.status != 200 {
		t.Errorf("a hit: %d", got.status)
	}
	if got := as("203.0.113.1", "/cat.json"); got.status != 429 || !strings.Contains(string(got.body), "title") {
		t.Errorf("facts are rendered too: %d %s", got.status, got.body)
	}
	for i, want := range []int{200, 200, 429} { // another client has two left of the source's five
		if got := as("203.0.113.2", fmt.Sprintf("/cat_%d_9.png", 30+i)); got.status != want {
			t.Errorf("%d of another client: %d, want %d", i, got.status, want)
		}
	}
	if got := as("203.0.113.2", "/dog_20_9.png"); got.status != 200 {
		t.Errorf("another source: %d", got.status)
	}
	if got := as("203.0.113.2", "/ghost_20_9.png"); got.status != 404 || !bytes.Equal(got.body, sorry) {
		t.Errorf("one that is not there: %d %s", got.status, got.header)
	}
	if got := as("203.0.113.2", "/dog_20_9.png?fitt=crop"); got.status != 400 || !strings.Contains(string(got.body), "fit") {
		t.Errorf("a mistake: %d %s", got.status, got.body)
	}
	if client, source := d.metric("deckle_client_budget_refusals_total"), d.metric("deckle_source_budget_refusals_total"); client != 3 || source != 1 {
		t.Errorf("%v and %v refusals are counted, want 3 and 1", client, source)
	}
}

// TestRendersShed: more renders than there is room for are refused at once, with a time to come back, and hits go on.
func TestRendersShed(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "1", "--queue", "2", "--client-budget", "off", "--source-budget", "off", "--access-log", "errors")
	d.upload("cat", photo(), false)
	d.mustGet("/cat_20_20.png")
	stop := d.hits("/cat_20_20.png")
	var wait sync.WaitGroup
	var counts sync.Map
	for i := range 40 {
		wait.Go(func() {
			got := d.get(fmt.Sprintf("/cat_%d_700.jpg", 900+i))
			n, _ := counts.LoadOrStore(got.status, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
			after, err := strconv.Atoi(got.header.Get("Retry-After"))
			if got.status == 503 && (err != nil || after < 1 || after > 30) {
				t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
			}
		})
	}
	wait.Wait()
	good, bad, p99 := stop()
	of := func(status int) int64 {
		n, ok := counts.Load(status)
		if !ok {
			return 0
		}
		return n.(*atomic.Int64).Load()
	}
	if of(200) < 3 || of(503) < 1 || of(200)+of(503) != 40 || bad != 0 {
		t.Errorf("%d rendered, %d refused, of 40; %d hits failed", of(200), of(503), bad)
	}
	t.Logf("%d rendered, %d refused; meanwhile %d hits, p99 %s", of(200), of(503), good, p99)
}

// TestAbandonedWork: a render whose viewers have all left before it began is dropped from the queue.
func TestAbandonedWork(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--renderers", "1", "--queue", "32", "--render-timeout", "60s")
	d.upload("cat", photo(), false)
	before := d.idleCPU(2)
	long := make(chan reply, 1)
	go func() { long <- d.get("/cat" + slow) }()
	d.busy(before)
	var viewers []net.Conn
	for i := range 8 {
		c, err := net.Dial("tcp", strings.TrimPrefix(d.edge, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		viewers = append(viewers, c)
		if _, err := fmt.Fprintf(c, "GET /cat_%d_30.png HTTP/1.1\r\nHost: x\r\n\r\n", 30+i); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, "all wait", func() bool { return d.metric("deckle_queue_depth") == 8 })
	for _, c := range viewers {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, "none waits", func() bool { return d.metric("deckle_queue_depth") == 0 })
	if running := d.metric("deckle_renders_running"); running != 1 {
		t.Errorf("%v renders run, want the long one: the queue may have emptied by being worked off", running)
	}
	if n := d.metric("deckle_renders_total", `format="png"`, `result="ok"`); n != 0 {
		t.Errorf("%v renders were made for nobody", n)
	}
	select {
	case got := <-long:
		t.Errorf("the long render has ended with %d, so that nothing was shown", got.status)
	default:
	}
	d.kill()
	<-long
}

// TestDrainDelay: on SIGTERM readiness fails first, while connections are accepted still and each answer tells its client to use
// another; no client that does so meets an error, while one of two instances after the other is restarted.
func TestDrainDelay(t *testing.T) {
	data := [2]string{t.TempDir(), t.TempDir()}
	var nodes [2]*daemon
	var up [2]atomic.Pointer[string]
	for i := range nodes {
		nodes[i] = start(t, "--data", data[i], "--drain-delay", "500ms", "--access-log", "errors")
		nodes[i].upload("cat", testimage.PNG(testimage.Photo(60, 40, 1)), false)
		nodes[i].mustGet("/cat_20_20.png")
		up[i].Store(&nodes[i].edge)
	}
	var asked, failed atomic.Int64
	done := make(chan struct{})
	var load sync.WaitGroup
	for worker := range 8 {
		load.Go(func() {
			for n := worker; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				edge := up[n%2].Load()
				if edge == nil {
					edge = up[(n+1)%2].Load()
				}
				path := "/cat_20_20.png"
				if n%50 == 0 {
					path = fmt.Sprintf("/cat_%d_%d.png", 20+n%30, 20+n/30%40)
				}
				asked.Add(1)
				if got := request("GET", *edge+path, nil); got.status != 200 || got.err != nil {
					failed.Add(1)
					t.Errorf("%s: %d %v", path, got.status, got.err)
				}
			}
		})
	}
	for round := range 3 {
		i := round % 2
		d := nodes[i]
		if err := d.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "readiness fails", func() bool { return request("GET", d.admin+"/probe/ready", nil).status == 503 })
		got, closed := d.exchange("GET /cat_20_20.png HTTP/1.1\r\nHost: x\r\n\r\n", 10*time.Second)
		if !closed || !bytes.HasPrefix(got, []byte("HTTP/1.1 200")) || !bytes.Contains(got, []byte("Connection: close")) {
			t.Errorf("while it drains: closed %v, %.400q", closed, got)
		}
		up[i].Store(nil) // as a balancer that asks for readiness
		<-d.exited
		if code := d.command.ProcessState.ExitCode(); code != 0 {
			t.Errorf("it ended with %d", code)
		}
		d.launch()
		d.mustGet("/cat_20_20.png")
		up[i].Store(&d.edge)
	}
	close(done)
	load.Wait()
	t.Logf("%d requests over 3 restarts, %d failed", asked.Load(), failed.Load())
}

// outage is a store of originals that can be taken away from a node and given back, under the same URL.
type outage struct {
	url          string
	flags        []string
	put          func(id string, picture []byte)
	remove       func(id string)
	down, revive func()
}

func webOutage(t *testing.T) outage {
	dir, refuse := t.TempDir(), atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return outage{
		url: server.URL, flags: []string{"--allow-upstream", "127.0.0.0/8"},
		put: func(id string, picture []byte) {
			if err := os.WriteFile(filepath.Join(dir, id), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		remove: func(id string) { _ = os.Remove(filepath.Join(dir, id)) }, // the test sees what comes of it
		down:   func() { refuse.Store(true) }, revive: func() { refuse.Store(false) },
	}
}

func s3Outage(t *testing.T) outage {
	server := testserver.S3(t)
	server.SetCredentials(t)
	bucket := server.Bucket(t)
	return outage{
		url: server.URL(bucket),
		put: func(id string, picture []byte) {
			name := server.Path(bucket, "prefix/"+id)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, picture, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		remove: func(id string) { _ = os.Remove(server.Path(bucket, "prefix/"+id)) },
		down:   server.Stop, revive: server.Start,
	}
}

// TestOriginDownAtStart: a node that starts while its store of originals is down serves the variants that its tiers hold, as
// stale, and nothing that the store had said is gone; once the store answers, its word counts.
func TestOriginDownAtStart(t *testing.T) {
	for name, open := range map[string]func(*testing.T) outage{"web": webOutage, "S3": s3Outage} {
		t.Run(name, func(t *testing.T) {
			o := open(t)
			picture := testimage.PNG(testimage.Photo(60, 40, 1))
			for _, id := range []string{"cat", "dog", "fox"} {
				o.put(id, picture)
			}
			d := start(t, append([]string{"--data", t.TempDir(), "--origin", o.url, "--version-fresh", "100ms", "--version-stale", "200ms"}, o.flags...)...)
			want := map[string][]byte{}
			for _, path := range []string{"/cat_20_20.png", "/cat.webp", "/dog_20_20.png", "/fox_20_20.png"} {
				want[path] = d.mustGet(path, "render").body
			}
			o.remove("dog")
			eventually(t, 10*time.Second, "the dog is gone", func() bool { return d.get("/dog_20_20.png").status == 404 })
			o.down()
			for range 2 { // going down writes what is noted; coming up finds it
				stale(t, d, want)
				d.stop()
				d.launch()
			}
			stale(t, d, want)
			for path, status := range map[string]int{"/dog_20_20.png": 503, "/cat_21_21.png": 503, "/ghost_20_20.png": 503} {
				if got := d.get(path); got.status != status || got.header.Get("Retry-After") == "" {
					t.Errorf("%s while the store is down: %d, want %d", path, got.status, status)
				}
			}
			o.remove("fox")
			o.revive()
			eventually(t, 20*time.Second, "what the store says counts", func() bool {
				cat, fox := d.get("/cat_20_20.png"), d.get("/fox_20_20.png")
				return cat.status == 200 && !strings.Contains(cat.header.Get("Cache-Status"), "stale") && fox.status == 404
			})
		})
	}
}

// stale wants the variants of the cat, marked as what they are.
func stale(t *testing.T, d *daemon, want map[string][]byte) {
	t.Helper()
	for _, path := range []string{"/cat_20_20.png", "/cat.webp"} {
		var got reply
		eventually(t, 10*time.Second, path+" is served as stale", func() bool {
			got = d.get(path)
			return strings.Contains(got.header.Get("Cache-Status"), "stale")
		})
		if got.status != 200 || !bytes.Equal(got.body, want[path]) || got.header.Get("Cache-Control") != "public, max-age=10" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}
