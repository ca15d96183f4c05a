package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadTargets(t *testing.T) {
	const list = `
# a comment
/cat_300_200.webp
/cat_300_200.webp?fit=crop&v=1
https://img.example.com/dog.jpg?blur=true#top
http://img.example.com
cat.jpg
/with space.jpg
{"time":"2026-11-21T23:00:00Z","level":"INFO","msg":"request","method":"GET","path":"/own.jpg","status":200,"from":"memory"}
{"msg":"request","method":"GET","path":"/missing.jpg","status":404}
{"msg":"request","method":"POST","path":"/upload","status":200}
{"msg":"serving","path":"/x.jpg"}
{broken
203.0.113.7 - - [21/Nov/2026:23:00:00 +0000] "GET /common.jpg HTTP/1.1" 200 123
203.0.113.7 - bob [21/Nov/2026:23:00:00 +0000] "GET /combined.jpg?v=2 HTTP/2.0" 304 0 "https://example.com/" "Mozilla \"x\" (y)"
203.0.113.7 - - [21/Nov/2026:23:00:00 +0000] "HEAD /common.jpg HTTP/1.1" 206 123 "-" "-"
203.0.113.7 - - [21/Nov/2026:23:00:00 +0000] "GET /gone.jpg HTTP/1.1" 404 123
203.0.113.7 - - [21/Nov/2026:23:00:00 +0000] "POST /x HTTP/1.1" 200 123
203.0.113.7 - - [21/Nov/2026:23:00:00 +0000] "\x16\x03" 400 0
203.0.113.7 - - [21/Nov/2026:23:00:00 +0000] "GET /short.jpg" 200 1
`
	got, err := ReadTargets(strings.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	want := Targets{
		Paths: []string{"/cat_300_200.webp", "/cat_300_200.webp?fit=crop&v=1", "/dog.jpg?blur=true", "/own.jpg", "/common.jpg", "/combined.jpg?v=2"},
		Counts: map[string]int{
			"/cat_300_200.webp": 1, "/cat_300_200.webp?fit=crop&v=1": 1, "/dog.jpg?blur=true": 1, "/own.jpg": 1, "/common.jpg": 2, "/combined.jpg?v=2": 1,
		},
		Skipped: 11,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if _, err := ReadTargets(strings.NewReader(strings.Repeat("a", maxWarmLine+1))); err == nil {
		t.Error("a line without end was read")
	}
}

// FuzzReadTarget holds that what is found in a line can stand in a request line, and is found again in a log that repeats it.
func FuzzReadTarget(f *testing.F) {
	for _, line := range []string{
		"/cat.jpg", "https://h/cat.jpg?x=1", `{"msg":"request","method":"GET","path":"/a","status":200}`,
		`h - - [t] "GET /a_1_2.jpg?x=%20 HTTP/1.1" 200 1 "-" "-"`, `h - - [t] "GET http://h/a HTTP/1.0" 304 -`, `] "GET`, "{", "//", "/%", "/é",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if line == "" {
			return
		}
		target, ok := readTarget(line)
		if !ok {
			return
		}
		if target[0] != '/' || len(target) > maxTarget || strings.ContainsAny(target, " \t\r\n\"#\x00") {
			t.Fatalf("%q in %q is no target", target, line)
		}
		if _, err := http.NewRequest(http.MethodGet, "http://edge"+target, nil); err != nil {
			t.Errorf("%q cannot be asked for: %v", target, err)
		}
		for _, again := range []string{target, fmt.Sprintf(`h - - [t] "GET %s HTTP/1.1" 200 5 "-" "-"`, target)} {
			if got, ok := readTarget(again); !ok || got != target {
				t.Errorf("%q in %q became %q, %v", target, again, got, ok)
			}
		}
	})
}

// edge is an edge whose answers a test decides; it counts requests by target.
type edge struct {
	*httptest.Server
	mu            sync.Mutex
	asked         map[string]int
	running, most int
}

func newEdge(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, nth int)) *edge {
	t.Helper()
	e := &edge{asked: map[string]int{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.asked[r.RequestURI]++
		nth := e.asked[r.RequestURI]
		e.running++
		e.most = max(e.most, e.running)
		e.mu.Unlock()
		answer(w, r, nth)
		e.mu.Lock()
		e.running--
		e.mu.Unlock()
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *edge) warmer() *Warmer {
	return &Warmer{Edge: func() string { return e.URL }, Concurrency: 3}
}

func targets(t *testing.T, lines ...string) Targets {
	t.Helper()
	got, err := ReadTargets(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWarm(t *testing.T) {
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request, nth int) {
		switch r.URL.Path {
		case "/busy_10_10.jpg":
			if nth < 3 {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(503)
				return
			}
		case "/missing.jpg":
			w.WriteHeader(404)
			_, _ = w.Write([]byte(`{"detail": "There is no picture of that id."}`))
			return
		case "/large_9000_0.jpg":
			http.Redirect(w, r, "/large_4096_0.jpg", http.StatusTemporaryRedirect)
			return
		case "/public_10_10.jpg":
			http.Redirect(w, r, "http://192.0.2.1/elsewhere", http.StatusSeeOther)
			return
		}
		w.Header().Set("Cache-Status", "Deckle; fwd=miss; stored; detail=render")
		if r.URL.Path == "/there_10_10.jpg" {
			w.Header().Set("Cache-Status", "Deckle; hit; detail=memory")
		}
	})
	var steps []int
	got, err := e.warmer().Run(t.Context(), WarmOrder{
		Progress: func(r WarmReport) { steps = append(steps, r.Done()) },
		Targets: targets(t, "/cat_10_10.jpg", "/cat_10_10.jpg", "/cat_5_5_2x.jpg", "/cat_10_10.jpg?fit=clip", "/cat_10_10.png", "/there_10_10.jpg",
			"/busy_10_10.jpg", "/missing.jpg", "/large_9000_0.jpg", "/public_10_10.jpg", "nonsense"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got.Milliseconds = 0
	want := WarmReport{
		Named: 10, Skipped: 1, Pictures: 7, Rendered: 4, There: 2, Failed: 1,
		Failures: []WarmFailure{{"/missing.jpg", "404 Not Found There is no picture of that id."}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7}, steps); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if e.asked["/busy_10_10.jpg"] != 3 || e.most > 3 {
		t.Errorf("asked %v, %d at one time", e.asked, e.most)
	}
}

// TestWarmSigned: each request is signed for its own path, undone of its encoding, in the place of a signature from before.
func TestWarmSigned(t *testing.T) {
	e := newEdge(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.URL.Query().Get("X-Signature") != "of "+r.URL.Path {
			w.WriteHeader(401)
		}
	})
	w := e.warmer()
	w.Sign = func(path string) string { return "X-Expires=9&X-Signature=" + url.QueryEscape("of "+path) }
	got, err := w.Run(t.Context(), WarmOrder{Targets: targets(t,
		"/cat_1_1.jpg", "/cat_2_2.jpg?fit=crop&X-Expires=1&X-Signature=old", "/gr%C3%B6%C3%9Fe_1_1.jpg?X-Path=/gone")})
	if err != nil || got.There != 3 || got.Failed != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if query := "/cat_2_2.jpg?fit=crop&X-Expires=9&X-Signature=of+%2Fcat_2_2.jpg"; e.asked[query] != 1 {
		t.Errorf("asked %v, want %s", e.asked, query)
	}
}

func TestWarmTop(t *testing.T) {
	e := newEdge(t, func(http.ResponseWriter, *http.Request, int) {})
	got, err := e.warmer().Run(t.Context(), WarmOrder{Top: 2, Targets: targets(t,
		"/a_1_1.jpg", "/b_1_1.jpg", "/b_1_1.jpg", "/c_4_4.jpg", "/c_2_2_2x.jpg", "/c_4_4.jpg", "/d.jpg")})
	if err != nil || got.Pictures != 2 || got.Done() != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(map[string]int{"/b_1_1.jpg": 1, "/c_4_4.jpg": 1}, e.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestWarmStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := newEdge(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(503)
		cancel()
	})
	var lines []string
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("/cat_%d_1.jpg", i+1))
	}
	begin := time.Now()
	got, err := e.warmer().Run(ctx, WarmOrder{Targets: targets(t, lines...)})
	if err == nil || got.Rendered > 0 || got.Done() == 50 || time.Since(begin) > 20*time.Second {
		t.Errorf("%+v, %v after %v", got, err, time.Since(begin))
	}
}

func TestWarmRate(t *testing.T) {
	e := newEdge(t, func(http.ResponseWriter, *http.Request, int) {})
	begin := time.Now()
	if _, err := e.warmer().Run(t.Context(), WarmOrder{Rate: 20, Targets: targets(t, "/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg", "/e.jpg")}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 190*time.Millisecond {
		t.Errorf("five requests at 20 a second took %v", took)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": time.Second, "3": 3 * time.Second, "0": 100 * time.Millisecond, "-4": 100 * time.Millisecond, "999999999999": time.Minute,
		"99999": time.Minute, "Sat, 21 Nov 2026 23:00:05 GMT": 5 * time.Second, "Sat, 21 Nov 2020 23:00:05 GMT": 100 * time.Millisecond, "soon": time.Second,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestWarmOverHTTP(t *testing.T) {
	e := newEdge(t, func(http.ResponseWriter, *http.Request, int) {})
	h := New(Config{
		Grants: &granter{}, Warmer: e.warmer(), Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler), APIKeys: []string{"k"},
	}).Handler()
	tests := []struct {
		name, target, body, kind string
		status, pictures         int
		field                    string
	}{
		{"a list", "/warm", "/a.jpg\n/b.jpg\n", "", 200, 2, ""},
		{"JSON", "/warm", `{"paths": ["/a.jpg"]}`, "application/json", 200, 1, ""},
		{"a JSON array", "/warm?rate=1000&concurrency=2", `["/a.jpg", "/b.jpg", "nonsense"]`, "application/json; charset=utf-8", 200, 2, ""},
		{"the top", "/warm?top=1", "/a.jpg\n/b.jpg\n", "text/plain", 200, 1, ""},
		{"nothing", "/warm", "", "", 400, 0, "body"},
		{"no JSON", "/warm", "/a.jpg", "application/json", 400, 0, "body"},
		{"bad top", "/warm?top=0", "/a.jpg", "", 400, 0, "top"},
		{"bad rate", "/warm?rate=NaN", "/a.jpg", "", 400, 0, "rate"},
		{"bad concurrency", "/warm?concurrency=5000", "/a.jpg", "", 400, 0, "concurrency"},
		{"unknown", "/warm?fast=1", "/a.jpg", "", 400, 0, "fast"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := call(h, "POST", test.target, test.body, "X-API-Key", "k", "Content-Type", test.kind)
			var said struct {
				WarmReport
				Field string
			}
			if err := json.NewDecoder(bytes.NewReader(got.Body.Bytes())).Decode(&said); err != nil {
				t.Fatal(err)
			}
			if got.Code != test.status || said.Pictures != test.pictures || said.Field != test.field || said.There != test.pictures {
				t.Errorf("%d %s", got.Code, got.Body)
			}
		})
	}
	if got := call(h, "POST", "/warm", "/a.jpg"); got.Code != 401 {
		t.Errorf("without a key: %d", got.Code)
	}
}
