package bench

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"deckle/internal/testimage"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		beChild()
		return
	}
	// The servers that the tests start: fasthttp's pool wakes up every ten seconds to see that it was stopped.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// imageServer counts what it is asked for.
type imageServer struct {
	base  string
	body  []byte
	mu    sync.Mutex
	asked map[string]int // by request target, as it came
	conns atomic.Int64   // accepted
}

// startServer serves a picture until the test ends. before, if there is one, may answer instead and says that it did; n counts
// requests from 1.
func startServer(t *testing.T, before func(ctx *fasthttp.RequestCtx, n int64) bool) *imageServer {
	t.Helper()
	s := &imageServer{body: testimage.PNG(testimage.Quadrants(8, 8)), asked: make(map[string]int)}
	var n atomic.Int64
	server := &fasthttp.Server{
		NoDefaultDate: true, // its clock is a goroutine that never ends
		ConnState: func(_ net.Conn, state fasthttp.ConnState) {
			if state == fasthttp.StateNew {
				s.conns.Add(1)
			}
		},
		Handler: func(ctx *fasthttp.RequestCtx) {
			s.mu.Lock()
			s.asked[string(ctx.Request.Header.RequestURI())]++
			s.mu.Unlock()
			if before != nil && before(ctx, n.Add(1)) {
				return
			}
			ctx.SetContentType("image/png")
			ctx.SetBody(s.body)
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		_ = listener.Close() // a Shutdown that comes before Serve has begun closes nothing
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

// config is a small run of misses against servers.
func config(servers ...*imageServer) Config {
	c := Config{Workload: Miss, Requests: 40, Rounds: 3, Connections: 4, WarmUp: 2, Sources: []string{"a", "b/c"}, Format: "png", MinSide: 10, MaxSide: 40}
	for i, s := range servers {
		c.Targets = append(c.Targets, Target{Name: string(rune('A' + i)), Base: s.base, URLs: "plain"})
	}
	return c
}

func run(t *testing.T, c Config) *Report {
	t.Helper()
	report, err := Run(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestMissesAreDisjointAndCounted(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	c := config(a, b)
	report := run(t, c)
	all := make(map[string]bool)
	for _, s := range []*imageServer{a, b} {
		if got, want := len(s.asked), c.WarmUp+c.Rounds*c.Requests; got != want {
			t.Errorf("%d different pictures were asked for, want %d", got, want)
		}
		for target, times := range s.asked {
			if times != 1 || all[target] {
				t.Errorf("%s was asked for again", target)
			}
			all[target] = true
		}
		if got := s.conns.Load(); got > int64(c.Connections) {
			t.Errorf("%d connections were opened, want at most %d", got, c.Connections)
		}
	}
	for _, result := range report.Results {
		if len(result.Rounds) != c.Rounds {
			t.Fatalf("%s: %d rounds, want %d", result.Target, len(result.Rounds), c.Rounds)
		}
		for _, m := range result.Rounds {
			if m.Requests != 40 || m.Good != 40 || m.Statuses[200] != 40 || m.MeanBytes != float64(len(a.body)) {
				t.Errorf("%s: %+v", result.Target, m)
			}
			if m.Latency.P50 <= 0 || m.Latency.P50 > m.Latency.P95 || m.Latency.P95 > m.Latency.P99 || m.Latency.P99 > m.Latency.P999 || m.PerSecond <= 0 {
				t.Errorf("%s: figures out of order: %+v", result.Target, m)
			}
		}
		if result.Summary.Failed != 0 || result.Summary.MeanBytes.Min != float64(len(a.body)) {
			t.Errorf("%s: %+v", result.Target, result.Summary)
		}
	}
	if got := report.Results[0].Summary.RatioPerSecond; got != (Spread{1, 1, 1}) {
		t.Errorf("the first target's ratio to itself is %v", got)
	}
}

// The order of requests over two servers shows the order of play.
func TestTargetsTakeTurns(t *testing.T) {
	var mu sync.Mutex
	var turns []string
	server := func(name string) *imageServer {
		return startServer(t, func(*fasthttp.RequestCtx, int64) bool {
			mu.Lock()
			defer mu.Unlock()
			if len(turns) == 0 || turns[len(turns)-1] != name {
				turns = append(turns, name)
			}
			return false
		})
	}
	run(t, config(server("A"), server("B")))
	// A warm-up and three rounds each.
	if got := strings.Join(turns, ""); got != "ABABABAB" {
		t.Errorf("turns %s, want ABABABAB", got)
	}
}

func TestHitsStayWithinTheSet(t *testing.T) {
	s := startServer(t, nil)
	c := config(s)
	c.Workload, c.Set, c.Zipf, c.Requests = Hit, 20, 1, 500
	run(t, c)
	if len(s.asked) != 20 {
		t.Errorf("%d different pictures, want 20", len(s.asked))
	}
	total, most := 0, 0
	for target, times := range s.asked {
		total += times
		most = max(most, times)
		if times == 0 {
			t.Errorf("%s was not fetched before", target)
		}
	}
	if want := 20 + 3*500; total != want {
		t.Errorf("%d requests, want %d", total, want)
	}
	// By Zipf's law the first of 20 takes 1/H(20) = 28 % of the requests; evenly it would be 5 %.
	if share := float64(most) / float64(total); share < 0.2 || share > 0.36 {
		t.Errorf("the most popular picture takes %.0f %% of the requests, want about 28", 100*share)
	}
}

func TestSpellingsReachTheServerAsWritten(t *testing.T) {
	for spelling, want := range map[string]string{
		"deckle":                "/base/b/c_10_10.png?quality=75",
		"imgproxy":              "/base/insecure/rs:fit:10:10/q:75/plain/local:///b/c.jpg@png",
		"imagor":                "/base/unsafe/fit-in/10x10/filters:quality(75):format(png)/b/c.jpg",
		"plain":                 "/base/b/c_10_10.png",
		"/x/{id}/{ext}/{w}x{h}": "/base/x/b/c/png/10x10",
	} {
		s := startServer(t, nil)
		c := config(s)
		c.Sources, c.MinSide, c.MaxSide, c.Workload, c.Set = []string{"b/c"}, 10, 10, Hit, 1
		c.Targets[0].Base += "/base/"
		c.Targets[0].URLs = spelling
		run(t, c)
		for target := range s.asked {
			if target != want {
				t.Errorf("%s: %s, want %s", spelling, target, want)
			}
		}
	}
}

func TestWrongAnswersAreCounted(t *testing.T) {
	s := startServer(t, func(ctx *fasthttp.RequestCtx, n int64) bool {
		switch {
		case n <= 2: // the warm-up
			return false
		case n%4 == 0:
			ctx.SetStatusCode(503)
		case n%4 == 1:
			ctx.SetContentType("text/html")
			ctx.SetBodyString("<p>a picture, honestly</p>")
		case n%4 == 2:
			ctx.SetContentType("image/png")
		default:
			return false
		}
		return true
	})
	report := run(t, config(s))
	var got Round
	for _, m := range report.Results[0].Rounds {
		got.Requests += m.Requests
		got.Good += m.Good
		got.Wrong += m.Wrong
		got.Broken += m.Broken
	}
	if want := (Round{Requests: 120, Good: 30, Wrong: 90}); !cmp.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if report.Results[0].Summary.Failed != 90 {
		t.Errorf("%d failed, want 90", report.Results[0].Summary.Failed)
	}
}

func TestBrokenConnectionsAreCounted(t *testing.T) {
	s := startServer(t, func(ctx *fasthttp.RequestCtx, n int64) bool {
		if n > 2 {
			dropWithoutAnswer(ctx)
			return true
		}
		return false
	})
	c := config(s)
	c.Rounds = 1
	m := run(t, c).Results[0].Rounds[0]
	if m.Requests != 40 || m.Broken != 40 || m.Good != 0 {
		t.Errorf("%+v, want 40 broken", m)
	}
}

// dropWithoutAnswer closes the connection of a request.
func dropWithoutAnswer(ctx *fasthttp.RequestCtx) {
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(net.Conn) {})
}

// A server that closes a connection which it has used before is asked again, as it may have done so before the request came.
func TestDroppedConnectionsAreOpenedAgain(t *testing.T) {
	s := startServer(t, func(ctx *fasthttp.RequestCtx, n int64) bool {
		if n%5 == 0 {
			dropWithoutAnswer(ctx)
			return true
		}
		return false
	})
	c := config(s)
	c.Connections = 1
	if got := run(t, c).Results[0].Summary.Failed; got != 0 {
		t.Errorf("%d requests failed", got)
	}
}

// A server that says that it closes is no failing server.
func TestClosedConnectionsAreOpenedAgain(t *testing.T) {
	s := startServer(t, func(ctx *fasthttp.RequestCtx, n int64) bool {
		if n%3 == 0 {
			ctx.SetConnectionClose()
		}
		return false
	})
	if got := run(t, config(s)).Results[0].Summary.Failed; got != 0 {
		t.Errorf("%d requests failed", got)
	}
	if s.conns.Load() < 30 {
		t.Errorf("%d connections for 122 requests of which each third closes one", s.conns.Load())
	}
}

func TestTimeoutsAreCounted(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t, func(_ *fasthttp.RequestCtx, n int64) bool {
		if n > 2 {
			<-release
		}
		return false
	})
	c := config(s)
	c.Rounds, c.Requests, c.Timeout = 1, 4, 50*time.Millisecond
	report, err := Run(t.Context(), c, nil)
	close(release)
	if err != nil {
		t.Fatal(err)
	}
	m := report.Results[0].Rounds[0]
	if m.Timeouts != 4 || m.Good != 0 || m.Latency.P50 < 50 {
		t.Errorf("%+v, want 4 timeouts of at least 50 ms", m)
	}
}

// One answer takes 200 ms while a thousand requests a second are due on one connection. The hundred requests due in the first
// half of the stall are at least 100 ms late each, which is a fifth of all, however fast or slow the machine is: the 95th
// percentile must show it. Were latency taken from when a request is sent, only one of 500 would.
func TestOpenLoopCountsAStall(t *testing.T) {
	s := startServer(t, func(_ *fasthttp.RequestCtx, n int64) bool {
		if n == 50 {
			time.Sleep(200 * time.Millisecond)
		}
		return false
	})
	c := config(s)
	c.Loop, c.Rate, c.Requests, c.Connections, c.WarmUp, c.Rounds = Open, 1000, 500, 1, 1, 1
	m := run(t, c).Results[0].Rounds[0]
	if m.Good != 500 || m.Latency.P95 < 100 || m.Latency.Max < 200 {
		t.Errorf("%+v, want p95 of at least 100 ms and a maximum of at least 200", m)
	}
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	s := startServer(t, nil)
	c := config(s)
	c.Loop, c.Rate, c.Requests, c.Duration, c.Rounds = Open, 200, 0, 500*time.Millisecond, 1
	m := run(t, c).Results[0].Rounds[0]
	if m.Requests != 100 || m.Seconds < 0.495 {
		t.Errorf("%d requests in %.3f s; 100 are due, the last after 0.495 s", m.Requests, m.Seconds)
	}
}

func TestRoundsEndByTime(t *testing.T) {
	s := startServer(t, nil)
	c := config(s)
	c.Workload, c.Set, c.Requests, c.Duration, c.Rounds = Hit, 5, 0, 100*time.Millisecond, 2
	for _, m := range run(t, c).Results[0].Rounds {
		if m.Seconds < 0.1 || m.Good == 0 {
			t.Errorf("%+v, want at least 0.1 s", m)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	s := startServer(t, nil)
	empty := startServer(t, func(ctx *fasthttp.RequestCtx, _ int64) bool { ctx.SetStatusCode(404); return true })
	for name, test := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"too few sizes":      {func(c *Config) { c.MaxSide = 14 }, "widen the sides"},
		"no target":          {func(c *Config) { c.Targets = nil }, "at least one target"},
		"no source":          {func(c *Config) { c.Sources = nil }, "at least one source"},
		"workload":           {func(c *Config) { c.Workload = "both" }, "is none of srcset, hit"},
		"loop":               {func(c *Config) { c.Loop = "ajar" }, "neither closed nor open"},
		"no rate":            {func(c *Config) { c.Loop = Open }, "needs a rate"},
		"rounds":             {func(c *Config) { c.Rounds = MaxRounds + 1 }, "rounds"},
		"connections":        {func(c *Config) { c.Connections = -1 }, "connections"},
		"long":               {func(c *Config) { c.Requests, c.Duration = 0, 2*MaxDuration }, "duration"},
		"sides":              {func(c *Config) { c.MinSide = 50 }, "sides"},
		"scheme":             {func(c *Config) { c.Targets[0].Base = "ftp://localhost" }, "neither http nor https"},
		"spelling":           {func(c *Config) { c.Targets[0].URLs = "squid" }, "not known"},
		"pattern without h":  {func(c *Config) { c.Targets[0].URLs = "/{id}_{w}" }, "lacks"},
		"pattern without id": {func(c *Config) { c.Targets[0].URLs = "/{w}_{h}" }, "lacks {id}"},
		"pid":                {func(c *Config) { c.Targets[0].PID = 1 << 30 }, "none of that number"},
		"wrong server":       {func(c *Config) { c.Targets[0].Base = empty.base }, "404"},
		"faster than space":  {func(c *Config) { c.Requests, c.Duration, c.MaxSide = 0, time.Minute, 12 }, "every picture was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(s)
			test.change(&c)
			if _, err := Run(t.Context(), c, nil); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q in it", err, test.says)
			}
		})
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	s := startServer(t, func(_ *fasthttp.RequestCtx, n int64) bool {
		if n > 2 {
			cancel()
			<-release
		}
		return false
	})
	_, err := Run(ctx, config(s), nil)
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
}

func TestProgressHasALineARound(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	var lines bytes.Buffer
	if _, err := Run(t.Context(), config(a, b), &lines); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(lines.String(), "\n"); got != 6 {
		t.Errorf("%d lines for 3 rounds of 2 targets:\n%s", got, lines.String())
	}
}
