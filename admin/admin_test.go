package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"deckle/cache"
	"deckle/ingest"
	"deckle/origin"
	"deckle/proxy"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

// granter answers err, or a token for the id it was asked for.
type granter struct {
	asked ingest.GrantRequest
	err   error
}

func (g *granter) Grant(_ context.Context, r ingest.GrantRequest) (ingest.Grant, error) {
	g.asked = r
	return ingest.Grant{ID: r.ID, Token: "t0k", Expires: time.Unix(1e9, 0).UTC()}, g.err
}

func newAdmin(g *granter, keys ...string) http.Handler {
	return New(Config{
		Grants: g, APIKeys: keys, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler),
	}).Handler()
}

func call(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder
}

func TestToken(t *testing.T) {
	g := &granter{}
	h := newAdmin(g)
	got := call(h, "POST", "/token", `{"id": "shop/cat", "replace": true}`)
	if got.Code != 200 || got.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	var said struct{ Token, ID string }
	if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || said.Token != "t0k" || said.ID != "shop/cat" {
		t.Errorf("answer %+v, %v", said, err)
	}
	if diff := cmp.Diff(ingest.GrantRequest{ID: "shop/cat", Replace: true}, g.asked); diff != "" {
		t.Error(diff)
	}
}

func TestTokenRefused(t *testing.T) {
	tests := []struct {
		name, body string
		err        error
		status     int
	}{
		{"no JSON", "id=cat", nil, 400},
		{"null", "null", nil, 400},
		{"no id", `{"name": "cat"}`, nil, 400},
		{"id of another type", `{"id": 7}`, nil, 400},
		{"too long", `{"id": "` + strings.Repeat("a", 20<<10) + `"}`, nil, 413},
		{"bad id", `{"id": "../cat"}`, origin.CheckID("../cat"), 400},
		{"held", `{"id": "cat"}`, ingest.ErrHeld, 403},
		{"exists", `{"id": "cat"}`, ingest.ErrExists, 403},
		{"database away", `{"id": "cat"}`, ingest.ErrUnavailable, 503},
		{"fault", `{"id": "cat"}`, errors.New("open /srv/secret"), 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := call(newAdmin(&granter{err: test.err}), "POST", "/token", test.body)
			if got.Code != test.status {
				t.Errorf("status %d, want %d: %s", got.Code, test.status, got.Body)
			}
			var said map[string]any
			if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || said["error"] == "" || said["error"] == nil {
				t.Errorf("answer %s: %v", got.Body, err)
			}
			if strings.Contains(got.Body.String(), "secret") {
				t.Errorf("the client is told the cause: %s", got.Body)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	h := newAdmin(&granter{}, "first", "second")
	ask := `{"id": "cat"}`
	tests := []struct {
		method, target, body string
		header               []string
		status               int
	}{
		{"POST", "/token", ask, nil, 401},
		{"POST", "/token", ask, []string{"Authorization", "Bearer wrong"}, 401},
		{"POST", "/token", ask, []string{"Authorization", "first"}, 401},
		{"POST", "/token", ask, []string{"Authorization", "Bearer first"}, 200},
		{"POST", "/token", ask, []string{"X-API-Key", "second"}, 200},
		{"POST", "/token", `{"id": "cat", "secret": "second"}`, nil, 200},
		{"POST", "/token", `{"id": "cat", "secret": "no"}`, nil, 401},
		{"GET", "/metrics", "", nil, 401},
		{"GET", "/metrics", "", []string{"Authorization", "Bearer first"}, 200},
		{"GET", "/debug/pprof/cmdline", "", nil, 401},
		{"GET", "/debug/pprof/cmdline", "", []string{"Authorization", "Bearer second"}, 200},
		{"GET", "/probe/live", "", nil, 200},
		{"GET", "/probe/ready", "", nil, 200},
		{"GET", "/cat.jpg", "", []string{"Authorization", "Bearer first"}, 404},
		{"GET", "/token", "", nil, 405},
	}
	for _, test := range tests {
		if got := call(h, test.method, test.target, test.body, test.header...); got.Code != test.status {
			t.Errorf("%s %s %v: %d, want %d", test.method, test.target, test.header, got.Code, test.status)
		}
	}
}

func TestReady(t *testing.T) {
	var fault error
	h := New(Config{
		Grants: &granter{}, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler),
		Checks: []Check{{"records", func(context.Context) error { return fault }}, {"originals", func(context.Context) error { return nil }}},
	}).Handler()
	if got := call(h, "GET", "/probe/ready", ""); got.Code != 200 || !strings.Contains(got.Body.String(), `"records":"ok"`) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	fault = errors.New("dial tcp 10.0.0.7:5432: refused")
	got := call(h, "GET", "/probe/ready", "")
	if got.Code != 503 || !strings.Contains(got.Body.String(), `"records":"failed"`) || strings.Contains(got.Body.String(), "10.0.0.7") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := call(h, "GET", "/probe/live", ""); got.Code != 200 {
		t.Errorf("live: %d", got.Code)
	}
}

// TestMetrics holds the names and labels that dashboards are built on.
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	m.Request(&proxy.Access{From: "memory", Status: 200, Bytes: 100})
	m.Request(&proxy.Access{From: "original", Status: 200, Bytes: -1})
	m.Fetch(time.Millisecond, 7, nil)
	m.Fetch(time.Millisecond, 0, origin.ErrUnavailable)
	m.Render(transform.WebP, time.Millisecond, nil)
	m.Render(transform.WebP, time.Millisecond, transform.ErrBusy)
	m.Tier("redis", "get", time.Millisecond, cache.ErrMiss)
	m.Tier("redis", "get", time.Millisecond, errors.New("refused"))
	m.Gauge("deckle_queue_depth", "x", func() float64 { return 3 })
	h := New(Config{Grants: &granter{}, Registry: m.Registry, Log: slog.New(slog.DiscardHandler)}).Handler()
	body, err := io.ReadAll(call(h, "GET", "/metrics", "").Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`deckle_requests_total{outcome="memory",status="200"} 1`,
		`deckle_request_seconds_count{outcome="memory"} 1`,
		`deckle_response_bytes_total 100`,
		`deckle_tier_seconds_count{op="get",tier="redis"} 2`,
		`deckle_tier_errors_total{op="get",tier="redis"} 1`,
		`deckle_renders_total{format="webp",result="ok"} 1`,
		`deckle_renders_total{format="webp",result="busy"} 1`,
		`deckle_render_seconds_count{format="webp"} 1`,
		`deckle_source_fetches_total{result="ok"} 1`,
		`deckle_source_fetches_total{result="error"} 1`,
		`deckle_source_fetch_bytes_total 7`,
		`deckle_queue_depth 3`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(string(body), line) {
			t.Errorf("no line %s", line)
		}
	}
}
