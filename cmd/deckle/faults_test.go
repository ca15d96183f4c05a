package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"

	goredis "github.com/redis/go-redis/v9"
)

// faultsLong names the environment variable of the long forms: every fault for longer, one backend at a time, and a table.
const faultsLong = "DECKLE_FAULTS_LONG"

// backend is a server that deckle needs, behind a proxy that spoils connections.
type backend struct {
	name  string
	args  []string // that make a deckle use it
	proxy *testserver.FaultProxy
	// The server itself can be killed and frozen.
	kill, revive, pause, resume func()
	source                      bool // it holds the originals: new pictures cannot be made without it
}

func redisBackend(t *testing.T) *backend {
	server := testserver.Redis(t)
	p := testserver.NewFaultProxy(t, server.Addr)
	return &backend{
		name: "redis", args: []string{"--redis", "redis://" + p.Addr + "/0"}, proxy: p,
		kill: server.Stop, revive: server.Start, pause: server.Pause, resume: server.Resume,
	}
}

func s3Backend(t *testing.T) *backend {
	server := testserver.S3(t)
	p := testserver.NewFaultProxy(t, server.Addr)
	at := strings.Replace(server.URL(server.Bucket(t)), url.QueryEscape(server.Endpoint), url.QueryEscape("http://"+p.Addr), 1)
	return &backend{
		name: "s3", args: []string{"--store", at}, proxy: p,
		kill: server.Stop, revive: server.Start, pause: server.Pause, resume: server.Resume,
	}
}

// webBackend is an upstream in this process: killed it refuses connections, paused it takes requests and does not answer.
func webBackend(t *testing.T) *backend {
	picture := testimage.JPEG(testimage.Quadrants(60, 40), 80)
	var frozen atomic.Pointer[chan struct{}]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := frozen.Load(); wait != nil {
			select {
			case <-*wait:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(picture))
	}))
	t.Cleanup(server.Close)
	p := testserver.NewFaultProxy(t, server.Listener.Addr().String())
	return &backend{
		name: "web", args: []string{"--origin", "http://" + p.Addr + "/", "--allow-upstream", "127.0.0.0/8"}, proxy: p, source: true,
		kill:   func() { p.Set(testserver.Fault{Refuse: true}); p.BreakAll() },
		revive: func() { p.Set(testserver.Fault{}) },
		pause:  func() { wait := make(chan struct{}); frozen.Store(&wait) },
		resume: func() { close(*frozen.Swap(nil)) },
	}
}

// trouble is one thing that happens to a backend: a fault of its connections, or what begin does.
type trouble struct {
	name       string
	fault      testserver.Fault
	begin, end func(*backend)
}

var troubles = []trouble{
	{name: "none"},
	{name: "latency 200 ms", fault: testserver.Fault{Latency: 200 * time.Millisecond}},
	{name: "latency 5 s", fault: testserver.Fault{Latency: 5 * time.Second}},
	{name: "cut after 100 bytes", fault: testserver.Fault{Close: true, Cut: 100}},
	{name: "reset", fault: testserver.Fault{Reset: true}},
	{name: "10 KB/s", fault: testserver.Fault{Rate: 10_000}},
	{name: "half-open", fault: testserver.Fault{Blackhole: true}},
	{name: "killed", begin: func(b *backend) { b.kill() }, end: func(b *backend) { b.revive() }},
	{name: "paused", begin: func(b *backend) { b.pause() }, end: func(b *backend) { b.resume() }},
}

func (x trouble) inflict(b *backend) {
	b.proxy.Set(x.fault)
	if x.begin != nil {
		x.begin(b)
	}
}

func (x trouble) lift(b *backend) {
	b.proxy.Set(testserver.Fault{})
	if x.end != nil {
		x.end(b)
	}
}

// The pictures of a fault test are of three kinds: hot ones are in memory, stored ones in a lower tier only, and new ones
// nowhere.
const (
	hotPictures    = 20
	storedPictures = 180
	hotClients     = 2
)

// supply hands out paths of pictures, each once.
type supply struct{ next atomic.Int64 }

func (s *supply) take() string { return picturePath(int(s.next.Add(1)) - 1) }

func picturePath(i int) string { return fmt.Sprintf("/cat_%d_%d.jpg", 10+i%50, 10+i/50) }

// timings are the answers of one kind during one trouble.
type timings struct {
	mu     sync.Mutex
	took   []time.Duration
	failed int
	why    string // one failure
}

func (m *timings) ask(d *daemon, path string) {
	begin := time.Now()
	got := d.get(path)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, time.Since(begin))
	if got.status != 200 || got.err != nil {
		m.failed++
		m.why = fmt.Sprintf("%s: %d %v %s", path, got.status, got.err, got.body)
	}
}

// quantile returns the time that a share of the answers kept within.
func (m *timings) quantile(share float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	slices.Sort(m.took)
	return m.took[min(len(m.took)-1, int(share*float64(len(m.took))))]
}

// outcome is what one trouble did.
type outcome struct {
	backend, trouble     string
	hot, stored, created timings
	recovery             time.Duration
}

// load asks for pictures of all three kinds for a while, and at least for some of each.
func (o *outcome) load(d *daemon, stored, created *supply, lasting time.Duration, most int) {
	end := time.Now().Add(lasting)
	var clients, others sync.WaitGroup
	var quiet atomic.Bool
	for range hotClients {
		clients.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for i := 0; time.Now().Before(end) || !quiet.Load(); i++ {
				o.hot.ask(d, picturePath(i%hotPictures))
				<-pace.C
			}
		})
	}
	for _, kind := range []struct {
		supply *supply
		into   *timings
	}{{stored, &o.stored}, {created, &o.created}} {
		others.Go(func() {
			pace := time.NewTicker(lasting / time.Duration(most))
			defer pace.Stop()
			for i := 0; i == 0 || i < most && time.Now().Before(end); i++ {
				kind.into.ask(d, kind.supply.take())
				<-pace.C
			}
		})
	}
	others.Wait()
	quiet.Store(true)
	clients.Wait()
}

// TestTrustFaults is claim C6: whatever happens to Redis, to S3 or to an upstream, or to the way to them, pictures that are
// cached are served, and the trouble costs no more than its deadlines.
func TestTrustFaults(t *testing.T) {
	long := os.Getenv(faultsLong) != ""
	alone := long || os.Getenv(trustReport) != "" // what is timed is not timed beside other backends
	lasting, most := 500*time.Millisecond, 10
	switch {
	case long:
		lasting, most = 6*time.Second, 20
	case alone:
		lasting = 3 * time.Second // some 1,200 hits, so that a p99 is more than one pause of the machine
	}
	// Credentials are the same for every server, and cannot be set in tests that run side by side.
	(&testserver.S3Server{AccessKey: "deckle-test", SecretKey: "deckle-test-secret"}).SetCredentials(t)
	opens := []func(*testing.T) *backend{redisBackend, s3Backend, webBackend}
	outcomes := make([][]*outcome, len(opens))
	t.Run("backends", func(t *testing.T) {
		for i, open := range opens {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				if !alone {
					t.Parallel()
				}
				outcomes[i] = disturb(t, open(t), lasting, most)
			})
		}
	})
	all := slices.Concat(outcomes...)
	if long {
		writeFaults(t, all)
	}
	reportFaults(t, all)
}

// disturb runs a deckle on a backend through every trouble.
func disturb(t *testing.T, b *backend, lasting time.Duration, most int) (all []*outcome) {
	d := start(t, append([]string{"--data", t.TempDir(), "--access-log", "errors", "--source-budget", "off"}, b.args...)...)
	if !b.source {
		d.upload("cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	}
	stored, created := prepare(d)
	calm := d.metric("go_goroutines") + d.metric("process_open_fds")
	for _, x := range troubles {
		o := &outcome{backend: b.name, trouble: x.name}
		all = append(all, o)
		x.inflict(b)
		o.load(d, stored, created, lasting, most)
		x.lift(b)
		o.recovery = comeback(d, b, created)
		t.Logf("%s, %s: hot %d p50 %s p99 %s max %s; stored %d max %s; new %d failed %d max %s; recovery %s", b.name, x.name, len(o.hot.took),
			o.hot.quantile(.5), o.hot.quantile(.99), o.hot.quantile(1), len(o.stored.took), o.stored.quantile(1), len(o.created.took),
			o.created.failed, o.created.quantile(1), o.recovery)
		checkOutcome(t, b, o)
	}
	if n := stored.next.Load(); n > hotPictures+storedPictures {
		t.Errorf("%d pictures were asked for as stored, %d are", n, storedPictures)
	}
	eventually(t, 30*time.Second, "what the troubles left open is closed", func() bool {
		return d.metric("go_goroutines")+d.metric("process_open_fds") < calm+40
	})
	return all
}

// prepare makes the pictures, and returns those that are stored but not in memory, and those that are not there.
func prepare(d *daemon) (stored, created *supply) {
	d.t.Helper()
	var makers sync.WaitGroup
	var next supply
	for range 4 {
		makers.Go(func() {
			for range (hotPictures + storedPictures) / 4 {
				if path := next.take(); d.get(path).status != 200 {
					d.t.Errorf("%s could not be made", path)
				}
			}
		})
	}
	makers.Wait()
	d.settle()
	d.stop()
	d.launch()
	for range 3 { // what is admitted to memory is decided behind the answer
		for i := range hotPictures {
			d.mustGet(picturePath(i))
		}
	}
	stored, created = &supply{}, &supply{}
	stored.next.Store(hotPictures)
	created.next.Store(hotPictures + storedPictures)
	return stored, created
}

// comeback returns how long after its trouble a backend is used again.
func comeback(d *daemon, b *backend, created *supply) time.Duration {
	d.t.Helper()
	answers := func() float64 {
		tier := `tier="` + b.name + `"`
		return d.metric("deckle_tier_seconds_count", tier, `op="get"`) - d.metric("deckle_tier_errors_total", tier, `op="get"`)
	}
	before := answers()
	return eventually(d.t, 30*time.Second, b.name+" is used again", func() bool {
		made := d.get(created.take()).status == 200
		return made && (b.source || answers() > before)
	})
}

// checkOutcome asserts what holds on the slowest machine.
func checkOutcome(t *testing.T, b *backend, o *outcome) {
	t.Helper()
	const patience, total = 2 * time.Second, 32 * time.Second // the deadline of the slowest tier; that of an answer, and a bit
	if o.hot.failed > 0 || o.stored.failed > 0 {
		t.Errorf("%s, %s: %d hot and %d stored pictures failed: %s %s", b.name, o.trouble, o.hot.failed, o.stored.failed, o.hot.why, o.stored.why)
	}
	if o.created.failed > 0 && !b.source {
		t.Errorf("%s, %s: %d new pictures failed: %s", b.name, o.trouble, o.created.failed, o.created.why)
	}
	if hot, slowest := o.hot.quantile(1), max(o.stored.quantile(1), o.created.quantile(1)); hot > patience || slowest > total {
		t.Errorf("%s, %s: the slowest hot picture took %s, the slowest other %s", b.name, o.trouble, hot, slowest)
	}
}

// TestFullStores has Redis refuse writes for want of memory, and the disk fail every one. Pictures are made and served all the
// while, what is stored is read, and what is made after the end of it is stored again.
func TestFullStores(t *testing.T) {
	redis, data := testserver.Redis(t), t.TempDir()
	client := goredis.NewClient(&goredis.Options{Addr: redis.Addr})
	defer func() { _ = client.Close() }() // nothing is lost with it
	d := start(t, "--data", data, "--redis", redis.URL())
	d.upload("cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	for i := range 10 {
		d.mustGet(picturePath(i), "render")
	}
	d.settle()
	d.stop()
	d.launch()
	limit := func(bytes string) {
		if err := client.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	failures := func(tier string) float64 {
		return d.metric("deckle_tier_errors_total", `tier="`+tier+`"`, `op="set"`)
	}
	// A file where temporary files should go fails writes for every user, as a full or read-only file system would.
	temp := filepath.Join(data, "variants", "tmp")
	if err := errors.Join(os.Remove(temp), os.WriteFile(temp, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	limit("1")
	for i := range 10 {
		d.mustGet(picturePath(i), "redis")
	}
	for i := 10; i < 40; i++ {
		d.mustGet(picturePath(i), "render")
	}
	d.settle()
	if redis, disk := failures("redis"), failures("disk"); redis != 30 || disk != 30 {
		t.Errorf("%v writes to Redis and %v to the disk failed, want 30 each", redis, disk)
	}
	limit("0")
	if err := errors.Join(os.Remove(temp), os.Mkdir(temp, 0o700)); err != nil {
		t.Fatal(err)
	}
	d.mustGet(picturePath(40), "render")
	d.settle()
	if redis, disk := failures("redis"), failures("disk"); redis != 30 || disk != 30 {
		t.Errorf("%v writes to Redis and %v to the disk failed, want 30 each, as before", redis, disk)
	}
	d.stop()
	d.launch()
	d.mustGet(picturePath(40), "redis")
	redis.Stop()
	d.stop()
	d.launch()
	d.mustGet(picturePath(40), "disk")
}
