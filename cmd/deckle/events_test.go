package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/event"
	"deckle/event/webhook"
	"deckle/internal/testimage"
	"deckle/proxy"
	"deckle/transform"
)

// webhookBody is what a receiver of events reads.
type webhookBody struct {
	Event, ID string
	Timestamp time.Time
	Data      struct {
		Source, SHA256, Version, Format string
		Filename, Error                 string
		ContentType                     string `json:"content_type"`
		Width, Height                   int
		Bytes                           int64
	}
}

// hook is a receiver of events at one address, which can be away.
type hook struct {
	t      *testing.T
	secret string
	at     string // host:port

	mu       sync.Mutex
	mode     string // ok, errors, hangs
	server   *http.Server
	asked    int
	taken    []webhookBody     // those answered with 200, in the order in which they came first
	bodies   map[string]string // by id, as first sent
	repeated int               // answered with 200 although they had come before
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t, secret: "s3cret", at: "127.0.0.1:" + freePort(t), bodies: map[string]string{}}
	t.Cleanup(h.leave)
	return h
}

// come listens and answers as the mode says.
func (h *hook) come(mode string) {
	h.t.Helper()
	h.leave()
	l, err := net.Listen("tcp", h.at)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode, h.server = mode, &http.Server{Handler: h}
	go func(s *http.Server) { _ = s.Serve(l) }(h.server) // it ends with leave
}

// leave refuses all connections from now on, and cuts those that there are.
func (h *hook) leave() {
	h.mu.Lock()
	server := h.server
	h.server = nil
	h.mu.Unlock()
	if server != nil {
		_ = server.Close() // what is cut off is what the test is about
	}
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has been killed
	}
	h.mu.Lock()
	h.asked++
	mode := h.mode
	h.mu.Unlock()
	switch mode {
	case "errors":
		w.WriteHeader(http.StatusInternalServerError)
	case "hangs":
		<-r.Context().Done()
	default:
		h.take(r, body)
	}
}

func (h *hook) take(r *http.Request, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var unix int64
	if _, err := fmt.Sscan(r.Header.Get("X-Webhook-Timestamp"), &unix); err != nil {
		h.t.Errorf("timestamp %q: %v", r.Header.Get("X-Webhook-Timestamp"), err)
	}
	if want := "sha256=" + webhook.Sign(h.secret, time.Unix(unix, 0), body); r.Header.Get("X-Webhook-Signature") != want {
		h.t.Errorf("signature %q, want %q", r.Header.Get("X-Webhook-Signature"), want)
	}
	var said webhookBody
	if err := json.Unmarshal(body, &said); err != nil || said.ID == "" || said.ID != r.Header.Get("X-Webhook-Id") {
		h.t.Errorf("event %s with the id %q: %v", body, r.Header.Get("X-Webhook-Id"), err)
	}
	if first, seen := h.bodies[said.ID]; seen {
		h.repeated++
		if first != string(body) {
			h.t.Errorf("one id, two events:\n%s\n%s", first, body)
		}
		return
	}
	h.bodies[said.ID] = string(body)
	h.taken = append(h.taken, said)
}

// events returns what has come, as kind and sha256, by source.
func (h *hook) events() (n int, bySource map[string][]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	bySource = map[string][]string{}
	for _, e := range h.taken {
		bySource[e.Data.Source] = append(bySource[e.Data.Source], e.Event+" "+e.Data.SHA256)
	}
	return len(h.taken), bySource
}

func (h *hook) tries() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// TestWebhooks has the receiver away in every way there is, while Deckle is killed and started again: every event arrives, those
// of a source in their order, none twice but under its own id. DECKLE_EVENTS_LONG has it away for five minutes.
func TestWebhooks(t *testing.T) {
	away := 3 * time.Second
	if os.Getenv("DECKLE_EVENTS_LONG") != "" {
		away = 5 * time.Minute
	}
	h := newHook(t)
	d := start(t, "--data", t.TempDir(), "--webhook-url", "shop=http://"+h.at+"/hook", "--webhook-secret", h.secret,
		"--webhook-timeout", "500ms", "--webhook-retry-most", (away / 10).String())
	want := map[string][]string{} // by source: what was acknowledged
	n := 0
	upload := func(source string) {
		t.Helper()
		kind := "image.uploaded"
		if len(want[source]) > 0 {
			kind = "image.replaced"
		}
		n++
		got := d.upload(source, testimage.JPEG(testimage.Quadrants(40+n%200, 30), 80), kind == "image.replaced")
		var receipt struct{ SHA256 string }
		if err := json.Unmarshal(got.body, &receipt); err != nil || receipt.SHA256 == "" {
			t.Fatalf("receipt %s: %v", got.body, err)
		}
		want[source] = append(want[source], kind+" "+receipt.SHA256)
	}
	for begin := time.Now(); time.Since(begin) < away; {
		for _, mode := range []string{"refuses", "errors", "hangs"} {
			if h.leave(); mode != "refuses" {
				h.come(mode)
			}
			before := h.tries()
			for _, source := range []string{"cat", "shop/dog", "owl", "cat"} {
				upload(source)
			}
			if mode != "refuses" {
				eventually(t, time.Minute, "a try while the receiver "+mode, func() bool { return h.tries() > before })
			}
			time.Sleep(rand.N(away / 10)) // when the kill comes is left to chance
			d.kill()
			d.launch()
		}
	}
	if arrived, _ := h.events(); arrived > 0 {
		t.Fatalf("%d events arrived at a receiver that was away", arrived)
	}
	h.come("ok")
	upload("cat")
	took := eventually(t, 2*time.Minute, "every event", func() bool { arrived, _ := h.events(); return arrived >= n })
	eventually(t, time.Minute, "an empty outbox", func() bool { return d.metric("deckle_events_waiting") == 0 })
	_, got := h.events()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events by source (-want +got):\n%s", diff)
	}
	t.Logf("%d events in %d sources all arrived %s after the receiver was back; %d came twice, %d tries in all",
		n, len(want), took.Round(time.Millisecond), h.repeated, h.tries())
	d.stop()
}

// TestWebhookBodies looks at one event closely.
func TestWebhookBodies(t *testing.T) {
	h := newHook(t)
	h.come("ok")
	other := newHook(t) // only told of deletions
	other.come("ok")
	d := start(t, "--data", t.TempDir(), "--webhook-url", "shop=http://"+h.at+"/,other=http://"+other.at, "--webhook-secret", h.secret,
		"--webhook-events", "uploaded,replaced,processed,failed,other=deleted+restored")
	begin := time.Now().Add(-time.Second)
	d.upload("cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	took := eventually(t, 10*time.Second, "the event", func() bool { n, _ := h.events(); return n == 1 })
	e := h.taken[0]
	if e.Event != "image.uploaded" || e.Data.Source != "cat" || e.Data.Width != 60 || e.Data.Height != 40 || e.Data.ContentType != "image/jpeg" ||
		e.Data.Format != "jpeg" || e.Data.Bytes == 0 || e.Data.Version == "" || e.Timestamp.Before(begin) || e.Timestamp.After(time.Now()) {
		t.Errorf("event %+v", e)
	}
	d.mustGet("/cat_30_30.png")
	d.mustGet("/cat_30_30.png") // made once
	if got := d.get("/cat_30_30.jpg?max_bytes=100"); got.status != 422 {
		t.Errorf("a picture that cannot be so small: %d", got.status)
	}
	eventually(t, 10*time.Second, "the events of renders", func() bool { n, _ := h.events(); return n == 3 })
	for _, e := range h.taken[1:] {
		switch {
		case e.Event == "image.processed" && e.Data.Source == "cat" && e.Data.Width == 30 && e.Data.Height == 20 && e.Data.Format == "png" &&
			e.Data.Filename == "cat_30_30.png" && e.Data.Bytes > 0 && e.Data.Error == "":
		case e.Event == "image.processing_failed" && e.Data.Filename == "cat_30_30.jpg?max_bytes=100" &&
			strings.HasPrefix(e.Data.Error, "The smallest jpeg of this picture has"):
		default:
			t.Errorf("event %+v", e)
		}
	}
	version := h.taken[0].Data.Version
	d.operate("POST", "/process", `{"id": "cat", "outputs": ["x25.png", "w20-q40.webp"], "wait": true}`, 200)
	d.mustGet("/cat_21_21.png") // nothing of the outputs comes behind it
	var told []string
	eventually(t, 10*time.Second, "the event of a render behind the outputs", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		told = nil
		for _, e := range h.taken[3:] {
			told = append(told, strings.TrimSuffix(e.Event+" "+e.Data.Filename+" "+e.Data.Version, " "+version))
		}
		return slices.Contains(told, "image.processed cat_21_21.png") || len(told) > 9
	})
	slices.Sort(told)
	want := []string{"image.processed cat_21_21.png", "image.processed w20-q40.webp", "image.processed x25.png"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("events of outputs, each with the source's version (-want +got):\n%s", diff)
	}
	if n := other.tries(); n != 0 {
		t.Errorf("%d tries to tell of what was not asked for", n)
	}
	t.Logf("delivered %s after the upload's answer", took.Round(time.Millisecond))
	d.stop()
}

// TestDeadLetters gives events up, lists them on the operator's listener, and replays them.
func TestDeadLetters(t *testing.T) {
	h := newHook(t)
	h.come("errors")
	d := start(t, "--data", t.TempDir(), "--webhook-url", "shop=http://"+h.at, "--webhook-secret", h.secret,
		"--webhook-retry-most", "100ms", "--webhook-retry-for", "1s", "--api-keys", "key")
	ask := func(method, path string, to any) int {
		t.Helper()
		got := request(method, d.admin+path, nil, "X-API-Key", "key")
		if to != nil {
			if err := json.Unmarshal(got.body, to); err != nil {
				t.Fatalf("%s: %d %s", path, got.status, got.body)
			}
		}
		return got.status
	}
	upload := func(source string) {
		t.Helper()
		body := fmt.Sprintf(`{"id":%q,"secret":"key"}`, source)
		var said struct{ Token string }
		if got := request("POST", d.admin+"/token", strings.NewReader(body)); json.Unmarshal(got.body, &said) != nil {
			t.Fatalf("token: %d %s", got.status, got.body)
		}
		picture := bytes.NewReader(testimage.JPEG(testimage.Quadrants(60, 40), 80))
		if got := request("POST", d.edge+"/"+source, picture, "X-Token", said.Token); got.status != 200 {
			t.Fatalf("upload: %d %s", got.status, got.body)
		}
	}
	type page struct {
		Events []struct {
			ID, Event, Source string
			Deliveries        []struct{ Endpoint, State, Reason string }
		}
		Next string
	}
	upload("cat")
	upload("dog")
	var dead page
	eventually(t, time.Minute, "two dead events", func() bool {
		return ask("GET", "/events/dead", &dead) == 200 && len(dead.Events) == 2
	})
	for _, e := range dead.Events {
		if len(e.Deliveries) != 1 || e.Deliveries[0].Reason != "answered 500" || e.Deliveries[0].Endpoint != "shop" {
			t.Errorf("a dead event is listed as %+v", e)
		}
	}
	h.come("ok")
	var replayed struct{ Replayed int }
	if status := ask("POST", "/events/dead/"+dead.Events[0].ID+"/replay", &replayed); status != 200 || replayed.Replayed != 1 {
		t.Errorf("replay of one: %d %+v", status, replayed)
	}
	eventually(t, 10*time.Second, "the replayed event", func() bool { n, _ := h.events(); return n == 1 })
	if status := ask("POST", "/events/dead/replay", &replayed); status != 200 || replayed.Replayed != 1 {
		t.Errorf("replay of the rest: %d %+v", status, replayed)
	}
	eventually(t, 10*time.Second, "both", func() bool { n, _ := h.events(); return n == 2 })
	var all page
	eventually(t, 10*time.Second, "the records of it", func() bool {
		ask("GET", "/events", &all)
		return len(all.Events) == 2 && all.Events[0].Deliveries[0].State == "delivered" && all.Events[1].Deliveries[0].State == "delivered"
	})
	d.stop()
}

// TestStatsd reads what a statsd server is sent of an upload, a render and a hit.
func TestStatsd(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }() // only read
	d := start(t, "--data", t.TempDir(), "--statsd", server.LocalAddr().String(), "--statsd-prefix", "pictures.")
	d.upload("cat", testimage.JPEG(testimage.Quadrants(60, 40), 80), false)
	d.mustGet("/cat_30_20.png")
	d.mustGet("/cat_30_20.png")
	d.get("/nobody.png")
	d.stop()
	sums := map[string]float64{}
	packet := make([]byte, 64<<10)
	for sums["pictures.image_request"] < 3 {
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := server.ReadFrom(packet)
		if err != nil {
			t.Fatalf("%v; so far %v", err, sums)
		}
		for line := range strings.SplitSeq(string(packet[:n]), "\n") {
			name, rest, _ := strings.Cut(line, ":")
			var value float64
			if _, err := fmt.Sscanf(rest, "%g|", &value); err != nil {
				t.Errorf("line %q: %v", line, err)
			}
			sums[name] += value
		}
	}
	for name, want := range map[string]float64{
		"new_image.request_count": 1, "new_image.request_failed_count": 0, "upload.original_count": 1, "new_image.request_latency.count": 1,
		"image_request": 3, "image_request.png": 3, "image_request_fail": 1, "resize_image.request_latency.count": 3,
		"processing.version.ok_count": 1, "processing.version.ok.png_count": 1, "processing.version.failed_count": 0,
		"processing.version.noop_count": 1, "original_downloaded": 1, "original_unavailable": 0,
	} {
		if got := sums["pictures."+name]; got != want {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
	if sums["pictures.resize_image.request_latency.max"] <= 0 {
		t.Errorf("the latency is %v", sums)
	}
}

// TestNotices: what is no fault of the picture's is not told, nor what nobody wants, and a full queue keeps no render waiting.
func TestNotices(t *testing.T) {
	made := proxy.Rendering{Source: "cat", Picture: &transform.Picture{Format: transform.PNG, Width: 3, Height: 2, Body: []byte("x")}}
	fails := func(err error) proxy.Rendering { return proxy.Rendering{Source: "cat", Err: err} }
	for name, test := range map[string]struct {
		processed, failed bool
		rendering         proxy.Rendering
		told              int
	}{
		"made":               {true, false, made, 1},
		"made, not wanted":   {false, true, made, 0},
		"broken":             {false, true, fails(transform.ErrMalformed), 1},
		"broken, not wanted": {true, false, fails(transform.ErrMalformed), 0},
		"busy":               {true, true, fails(transform.ErrBusy), 0},
		"nobody waits":       {true, true, fails(context.Canceled), 0},
		"out of time":        {true, true, fails(context.DeadlineExceeded), 1},
		"ordered":            {true, true, proxy.Rendering{Source: "cat", Err: transform.ErrMalformed, Ordered: true}, 0},
		"a fault of our own": {true, true, fails(errors.New("open /srv/secret")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &notices{processed: test.processed, failed: test.failed, queue: make(chan event.Event, 1)}
			s.Rendered(test.rendering)
			s.Rendered(test.rendering)
			if len(s.queue) != test.told || s.dropped.Load() != uint64(test.told) {
				t.Fatalf("%d told and %d dropped of two, want %d of each", len(s.queue), s.dropped.Load(), test.told)
			}
			if test.told == 0 {
				return
			}
			body, err := (<-s.queue).Body()
			if err != nil || bytes.Contains(body, []byte("secret")) || bytes.Contains(body, []byte(`"error":""`)) {
				t.Errorf("told %s, %v", body, err)
			}
		})
	}
}

// TestEventFaults: what is wrong with the settings is said before anything begins, and no secret with it.
func TestEventFaults(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no URL":            {[]string{"--webhook-url", "example.com/hush"}, "https://host/path"},
		"user in the URL":   {[]string{"--webhook-url", "http://me:hush@example.com"}, "without user"},
		"one name twice":    {[]string{"--webhook-url", "http://example.com/a,http://example.com/b"}, "a name of its own"},
		"unknown event":     {[]string{"--webhook-url", "http://example.com", "--webhook-events", "exploded"}, "batch_complete"},
		"unknown name":      {[]string{"--webhook-url", "shop=http://example.com", "--webhook-secret", "shp=hush"}, "NAME=SECRET"},
		"two for all":       {[]string{"--webhook-url", "shop=http://example.com", "--webhook-secret", "hush,hushhush"}, "NAME=SECRET"},
		"secret of nothing": {[]string{"--webhook-secret", "hush"}, "--webhook-url"},
		"events of nothing": {[]string{"--webhook-events", "deleted"}, "--webhook-url"},
		"kept too short":    {[]string{"--events-keep", "24h"}, "longer than --webhook-retry-for"},
		"statsd":            {[]string{"--statsd", "localhost"}, "host:port"},
		"statsd prefix":     {[]string{"--statsd-prefix", "a:b|c"}, "letters"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(append([]string{"config"}, test.args...)...)
			if code != exitUsage || !strings.Contains(stderr, test.says) || strings.Contains(stderr, "hush") {
				t.Errorf("%d %s", code, stderr)
			}
		})
	}
	code, stdout, stderr := command("config", "--webhook-url", "shop=http://example.com/hush,http://other.example:81", "--webhook-secret", "hushhush==,shop=hush")
	if code != exitOK || strings.Contains(stdout, "hush") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
}

// TestEventSettings reads what each endpoint is to get.
func TestEventSettings(t *testing.T) {
	s := eventSettings{
		WebhookURL: "shop=https://a.example/x?y=z,http://b.example:81", WebhookSecret: "common==,shop=own=", WebhookEvents: "uploaded,failed,shop=deleted+restored",
		WebhookTimeout: "1s", WebhookRetryFor: "1h", WebhookRetryMost: "1m", EventsKeep: "2h", WebhookPublic: true,
	}
	var r reader
	e := s.resolve(&r)
	if len(r.faults) > 0 || len(e.endpoints) != 2 {
		t.Fatalf("%v %+v", r.faults, e)
	}
	for i, want := range []webhookEndpoint{
		{name: "shop", secret: "own=", kinds: []string{"deleted", "restored"}},
		{name: "b.example-81", secret: "common==", kinds: []string{"uploaded", "failed"}},
	} {
		got := e.endpoints[i]
		if got.name != want.name || got.secret != want.secret || !cmp.Equal(got.kinds, want.kinds) {
			t.Errorf("endpoint %+v, want %+v", got, want)
		}
		control := e.control(got)
		for address, allowed := range map[string]bool{"127.0.0.1:443": false, "93.184.215.14:443": i == 0, "93.184.215.14:81": i == 1} {
			if err := control("tcp4", address, nil); (err == nil) != allowed {
				t.Errorf("%s at %s: %v", got.name, address, err)
			}
		}
	}
	if e.publicOnly = false; e.control(e.endpoints[0]) != nil {
		t.Error("addresses are asked about although all are allowed")
	}
}
