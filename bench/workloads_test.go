package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"deckle/internal/testimage"
)

// TestStorm: a round asks for one new picture over every connection, and lone misses before it are no part of it.
func TestStorm(t *testing.T) {
	s := startServer(t, nil)
	c := config(s)
	c.Workload, c.Requests, c.Connections, c.WarmUp, c.Rounds = Storm, 30, 0, 1, 3
	report := run(t, c)
	if report.Config.Connections != 30 || report.Config.Loop != Burst {
		t.Errorf("%d connections, loop %s", report.Config.Connections, report.Config.Loop)
	}
	storms, lone := 0, 0
	for _, times := range s.asked {
		switch times {
		case 30:
			storms++
		case 1:
			lone++
		default:
			t.Errorf("a picture was asked for %d times", times)
		}
	}
	if storms != 3 || lone != 1+3*loneMisses {
		t.Errorf("%d storms and %d lone misses", storms, lone)
	}
	for _, m := range report.Results[0].Rounds {
		if m.Good != 30 || m.Storm == nil || m.Storm.LoneMillis <= 0 || m.Storm.P99OfLone <= 0 {
			t.Errorf("%+v", m)
		}
	}
}

// TestMixed: hits stay in the set, misses are new, and there are as many as was asked for.
func TestMixed(t *testing.T) {
	s := startServer(t, nil)
	c := config(s)
	c.Workload, c.Requests, c.Rounds, c.Set, c.Misses, c.MaxSide = Mixed, 400, 2, 20, 0.25, 60
	report := run(t, c)
	again, once := 0, 0
	for _, times := range s.asked {
		if times > 1 {
			again++
		} else {
			once++
		}
	}
	// Of 800 draws a quarter is 200, with a standard deviation of 12.
	if again > 20 || once < 140 || once > 280 {
		t.Errorf("%d pictures were asked for again, %d once", again, once)
	}
	m := report.Results[0].Rounds[0]
	if m.Warm == nil || m.Warm.P50 <= 0 || m.Good != 400 {
		t.Errorf("%+v", m)
	}
	if report.Results[0].Summary.WarmP99.Median <= 0 {
		t.Error("hits have no figure of their own")
	}
}

// intake is a server that takes sources in as Deckle does, and renders the header of them: the shape is that of the source.
type intake struct {
	mu     sync.Mutex
	shapes map[string]image.Point
	tokens map[string]string // to ids
	bodies map[string]bool
	stale  time.Duration // how long after a replacement the old shape is served
	ids    atomic.Int64
}

func (s *intake) answer(ctx *fasthttp.RequestCtx, _ int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(string(ctx.Path()), "/")
	switch {
	case path == "token":
		var asked struct{ ID string }
		if err := json.Unmarshal(ctx.PostBody(), &asked); err != nil {
			ctx.SetStatusCode(400)
			return true
		}
		token := fmt.Sprint("t", s.ids.Add(1))
		s.tokens[token] = asked.ID
		_, _ = fmt.Fprintf(ctx, `{"token":%q}`, token)
	case ctx.IsPost():
		if s.tokens[string(ctx.Request.Header.Peek("X-Token"))] != path {
			ctx.SetStatusCode(403)
			return true
		}
		s.take(ctx, path)
	case ctx.IsPut():
		s.take(ctx, path)
	default:
		id, _, _ := strings.Cut(path, "_")
		shape, ok := s.shapes[id]
		if !ok {
			ctx.SetStatusCode(404)
			return true
		}
		ctx.SetContentType("image/png")
		ctx.SetBody(testimage.PNG(image.NewNRGBA(image.Rectangle{Max: shape})))
	}
	return true
}

func (s *intake) take(ctx *fasthttp.RequestCtx, id string) {
	body := ctx.PostBody()
	if s.bodies[string(body)] {
		ctx.SetStatusCode(409)
		return
	}
	s.bodies[string(body)] = true
	header, err := jpeg.DecodeConfig(strings.NewReader(string(body)))
	if err != nil {
		ctx.SetStatusCode(415)
		return
	}
	shape := image.Pt(header.Width/10, header.Height/10)
	if _, there := s.shapes[id]; there && s.stale > 0 {
		time.AfterFunc(s.stale, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.shapes[id] = shape
		})
		return
	}
	s.shapes[id] = shape
}

func startIntake(t *testing.T, stale time.Duration) (*intake, *imageServer) {
	s := &intake{shapes: make(map[string]image.Point), tokens: make(map[string]string), bodies: make(map[string]bool), stale: stale}
	return s, startServer(t, s.answer)
}

// TestUploads: every upload is a picture of its own under an id of its own, with a token or by a pattern.
func TestUploads(t *testing.T) {
	for name, tell := range map[string]func(*Target){
		"token":   func(t *Target) { t.Admin = t.Base },
		"pattern": func(t *Target) { t.Upload = "PUT /{id}" },
	} {
		t.Run(name, func(t *testing.T) {
			taken, s := startIntake(t, 0)
			c := config(s)
			c.Workload, c.Requests, c.Rounds, c.UploadSide, c.Stamp = Upload, 10, 2, 80, "x"
			tell(&c.Targets[0])
			report := run(t, c)
			if got := report.Results[0].Summary.Failed; got != 0 {
				t.Errorf("%d uploads failed: %v", got, report.Results[0].Rounds[0].Statuses)
			}
			if want := c.WarmUp + 20; len(taken.shapes) != want || len(taken.bodies) != want {
				t.Errorf("%d ids with %d bodies, want %d", len(taken.shapes), len(taken.bodies), want)
			}
			for id := range taken.shapes {
				if !strings.HasPrefix(id, "bench-x") {
					t.Errorf("%s does not say where it is from", id)
				}
			}
			if report.Results[0].Summary.MeanBytes.Median < 500 {
				t.Errorf("bytes: %v", report.Results[0].Summary.MeanBytes)
			}
		})
	}
}

func TestUploadsNeedAWayIn(t *testing.T) {
	c := config(startServer(t, nil))
	c.Workload = Upload
	if _, err := Run(t.Context(), c, nil); !errors.Is(err, ErrNoUploads) {
		t.Errorf("%v", err)
	}
	c.Targets[0].Upload = "somehow"
	if _, err := Run(t.Context(), c, nil); err == nil || errors.Is(err, ErrNoUploads) {
		t.Errorf("%v", err)
	}
}

// TestPurgeSeesTheLastStaleByte: a server that serves the old picture for 150 ms after it said that it has the new one is told
// apart from one that does not.
func TestPurgeSeesTheLastStaleByte(t *testing.T) {
	for _, stale := range []time.Duration{0, 150 * time.Millisecond} {
		_, s := startIntake(t, stale)
		c := config(s)
		c.Workload, c.Requests, c.Rounds, c.Set, c.UploadSide, c.Connections = Purge, 2, 1, 4, 80, 2
		c.Targets[0].Admin, c.Targets[0].Edges = s.base, []string{s.base}
		result := run(t, c).Results[0]
		m := result.Rounds[0]
		if m.Good != 2 || m.Purge == nil || m.Purge.Reads == 0 || m.Purge.AckMillis <= 0 {
			t.Fatalf("%v: %+v", stale, m)
		}
		if late := m.Purge.StaleAfterAck; late > 0 != (stale > 0) {
			t.Errorf("%v: %d stale answers after the acknowledgement", stale, late)
		}
		if stale > 0 && m.Latency.P50 < 100 {
			t.Errorf("the last stale byte came after %.0f ms, want about 150", m.Latency.P50)
		}
		if result.Summary.StaleAfterAck != m.Purge.StaleAfterAck {
			t.Errorf("%+v", result.Summary)
		}
	}
}

// An overloaded server does not make an open loop longer than its time and the timeout.
func TestOpenLoopEndsWhenOverloaded(t *testing.T) {
	s := startServer(t, func(_ *fasthttp.RequestCtx, n int64) bool {
		if n > 1 {
			time.Sleep(20 * time.Millisecond)
		}
		return false
	})
	c := config(s)
	c.Loop, c.Rate, c.Requests, c.Connections, c.WarmUp, c.Rounds, c.Timeout, c.MaxSide = Open, 1000, 500, 1, 1, 1, 100*time.Millisecond, 60
	m := run(t, c).Results[0].Rounds[0]
	if m.Requests != 500 || m.Timeouts < 300 || m.Seconds > 5 {
		t.Errorf("%+v, want most of 500 out of time, within a second or so", m)
	}
}

// TestTimelineHoldsEveryAnswer: the counts of the steps add up, and a long round has few of them.
func TestTimelineHoldsEveryAnswer(t *testing.T) {
	var line timeline
	for i := range 1000 {
		line.add(time.Duration(i) * 10 * time.Millisecond)
	}
	counts, millis := line.fold()
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	if sum != 1000 || len(counts) > timelineMost || int64(len(counts))*millis < 10_000 {
		t.Errorf("%d answers in %d steps of %d ms", sum, len(counts), millis)
	}
}

func TestStormNeedsItsConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := config(&imageServer{base: base})
	c.Workload = Storm
	if _, err := Run(t.Context(), c, nil); err == nil {
		t.Error("a storm on nothing was measured")
	}
}
