package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/cache"
	"deckle/cache/memory"
	"deckle/ingest"
	"deckle/internal/testimage"
	"deckle/origin"
	"deckle/origin/file"
	"deckle/transform"
)

// drawer is an Engine whose pictures say what they were drawn from, so that a test can tell renderings apart.
type drawer struct {
	renders atomic.Int64
	before  func(spec transform.Spec) error // runs in every render, when set
}

func (d *drawer) Render(_ context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	d.renders.Add(1)
	if d.before != nil {
		if err := d.before(spec); err != nil {
			return nil, err
		}
	}
	format := spec.Format
	if format == transform.Auto {
		format = transform.JPEG
	}
	body := fmt.Sprintf("%s of %d bytes", spec, len(source))
	return &transform.Picture{Body: []byte(body), Format: format, Width: spec.Width, Height: spec.Height, Frames: 1}, nil
}

func (d *drawer) Writes(f transform.Format) bool { return f != transform.JXL }

// refuser is a Receiver that keeps what it was given and answers err.
type refuser struct {
	mu     sync.Mutex
	upload ingest.Upload
	body   []byte
	err    error
}

func (r *refuser) Receive(_ context.Context, u ingest.Upload) (ingest.Receipt, error) {
	body, err := io.ReadAll(u.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upload, r.body = u, body
	if err == nil {
		err = r.err
	}
	return ingest.Receipt{ID: u.ID, SHA256: "00", Bytes: int64(len(body)), Width: 7, Height: 5, Format: transform.PNG}, err
}

// edge is a Proxy that listens, over a directory of originals.
type edge struct {
	t       testing.TB
	url     string
	dir     string
	engine  *drawer
	uploads *refuser
	proxy   *Proxy
	logged  *bytes.Buffer
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	e := &edge{t: t, dir: t.TempDir(), engine: &drawer{}, uploads: &refuser{}, logged: &bytes.Buffer{}}
	store, err := file.New(e.dir)
	if err != nil {
		t.Fatal(err)
	}
	tier, err := memory.New(16 << 20)
	if err != nil {
		t.Fatal(err)
	}
	versions := origin.NewVersions(store, origin.VersionsConfig{})
	chain := cache.NewChain(cache.Config{Layers: []cache.Layer{{Name: "memory", Tier: tier}}})
	e.proxy = New(Config{
		Chain: chain, Sources: store, Versions: versions, Engine: e.engine, Limits: transform.DefaultLimits(), Uploads: e.uploads,
		Policy: Policy{MaxAge: time.Hour, ErrorMaxAge: 10 * time.Second, RedirectMaxAge: time.Minute}, Rules: defaultRules, Log: slog.New(slog.NewJSONHandler(e.logged, nil)), Timeout: 10 * time.Second,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.proxy.Serve(listener) }()
	e.url = "http://" + listener.Addr().String()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(e.proxy.Shutdown(ctx), <-served, chain.Close(ctx)); err != nil {
			t.Error(err)
		}
		versions.Close()
		tier.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// keep writes a source as a person would who drops a file into the directory.
func (e *edge) keep(id string, data []byte) {
	e.t.Helper()
	name := filepath.Join(e.dir, id)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644)); err != nil {
		e.t.Fatal(err)
	}
}

// date says when a source changed.
func (e *edge) date(id string, changed time.Time) {
	e.t.Helper()
	if err := os.Chtimes(filepath.Join(e.dir, id), changed, changed); err != nil {
		e.t.Fatal(err)
	}
}

// answer is a response, read.
type answer struct {
	*http.Response
	body string
}

func (e *edge) do(method, target string, header ...string) answer {
	e.t.Helper()
	return e.send(method, target, nil, header...)
}

func (e *edge) send(method, target string, body io.Reader, header ...string) answer {
	e.t.Helper()
	request, err := http.NewRequest(method, e.url+target, body)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer{response, string(read)}
}

func (a answer) want(t *testing.T, status int, headers ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	for i := 0; i < len(headers); i += 2 {
		if got := a.Header.Get(headers[i]); !strings.Contains(got, headers[i+1]) || (headers[i+1] == "" && got != "") {
			t.Errorf("%s is %q, want %q in it", headers[i], got, headers[i+1])
		}
	}
}

func cat() []byte { return testimage.JPEG(testimage.Quadrants(64, 48), 80) }

func TestVariant(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	first := e.do("GET", "/cat_30_20_2x.webp")
	first.want(t, 200, "Content-Type", "image/webp", "Cache-Control", "public, max-age=3600", "Cache-Status", "Deckle; fwd=miss; stored; detail=render",
		"Server-Timing", "render;dur=", "Vary", "", "Access-Control-Allow-Origin", "*", "X-Content-Type-Options", "nosniff",
		"Content-Security-Policy", "default-src 'none'; sandbox")
	if want := fmt.Sprintf("_60_40.webp of %d bytes", len(cat())); first.body != want {
		t.Errorf("body %q, want %q", first.body, want)
	}
	if _, err := http.ParseTime(first.Header.Get("Last-Modified")); err != nil {
		t.Errorf("Last-Modified: %v", err)
	}
	second := e.do("GET", "/cat_60_40.webp?fit=clip")
	second.want(t, 200, "Cache-Status", "Deckle; hit; detail=")
	if second.body != first.body || second.Header.Get("Etag") != first.Header.Get("Etag") {
		t.Error("another spelling of the same picture got another answer")
	}
	head := e.do("HEAD", "/cat_60_40.webp")
	head.want(t, 200, "Content-Type", "image/webp", "Etag", first.Header.Get("Etag"))
	if head.ContentLength != int64(len(first.body)) || head.body != "" {
		t.Errorf("HEAD says %d bytes and sent %d, want %d and none", head.ContentLength, len(head.body), len(first.body))
	}
	if n := e.engine.renders.Load(); n != 1 {
		t.Errorf("%d renders, want 1", n)
	}
	e.do("GET", "/cat_60_40.webp?v=3").want(t, 200, "Cache-Control", "immutable")
}

func TestOriginal(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.date("cat", time.Now().Add(-time.Hour))
	all := e.do("GET", "/cat.jpg")
	all.want(t, 200, "Content-Type", "image/jpeg", "Accept-Ranges", "bytes", "Cache-Status", "detail=original")
	if all.body != string(cat()) {
		t.Error("the stored bytes were changed")
	}
	tag := all.Header.Get("Etag")
	part := e.do("GET", "/cat.jpg", "Range", "bytes=10-19")
	part.want(t, 206, "Content-Range", fmt.Sprintf("bytes 10-19/%d", len(cat())))
	if part.body != string(cat()[10:20]) || part.ContentLength != 10 {
		t.Errorf("the range has %d bytes and says %d", len(part.body), part.ContentLength)
	}
	e.do("GET", "/cat.jpg", "Range", "bytes=-5", "If-Range", tag).want(t, 206)
	e.do("GET", "/cat.jpg", "Range", "bytes=-5", "If-Range", all.Header.Get("Last-Modified")).want(t, 206)
	e.do("GET", "/cat.jpg", "Range", "bytes=-5", "If-Range", `"other"`).want(t, 200)
	e.do("GET", "/cat.jpg", "Range", "bytes=0-1,3-4").want(t, 200)
	e.do("GET", "/cat.jpg", "Range", "bytes=999999-").want(t, 416, "Content-Range", fmt.Sprintf("bytes */%d", len(cat())))
	head := e.do("HEAD", "/cat.JPEG")
	head.want(t, 200, "Content-Type", "image/jpeg", "Etag", tag)
	if head.ContentLength != int64(len(cat())) {
		t.Errorf("HEAD says %d bytes, want %d", head.ContentLength, len(cat()))
	}
	e.do("GET", "/cat.auto").want(t, 200, "Cache-Status", "detail=original", "Vary", "Accept", "Content-Type", "image/jpeg")
	if n := e.engine.renders.Load(); n != 0 {
		t.Errorf("%d renders for stored bytes", n)
	}
	e.do("GET", "/cat.png").want(t, 200, "Content-Type", "image/png", "Cache-Status", "detail=render")
	e.keep("page", []byte("<html><script>alert(1)</script>"))
	if got := e.do("GET", "/page.jpg"); got.Header.Get("Cache-Status") == all.Header.Get("Cache-Status") {
		t.Errorf("a page was passed on as a picture: %s", got.body)
	}
}

func TestBounds(t *testing.T) {
	e := newEdge(t)
	got := e.do("GET", "/shop/k%C3%A4tzchen_5000_300_2x.webp?fit=crop&v=2")
	got.want(t, 307, "Location", "/shop/k%C3%A4tzchen_4096_246.webp?fit=crop&v=2", "X-Redirect-Info", "4096")
}

func TestRefusals(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	tests := []struct {
		method, target string
		status         int
		says           string
	}{
		{"GET", "/dog_30_20.webp", 404, "no picture"},
		{"GET", "/dog.jpg", 404, "no picture"},
		{"HEAD", "/dog.jpg", 404, ""},
		{"GET", "/cat_30_20.webpp", 400, "webp"},
		{"GET", "/cat_30_20.jxl", 400, "libvips cannot write it"},
		{"GET", "/cat_30_20.webp?fti=crop", 400, "did you mean fit?"},
		{"GET", "/cat_30_20.webp?fit=corp", 400, "it is one of clip, crop"},
		{"GET", "/cat_30_20.jpg?background=transparent", 400, "no transparency"},
		{"GET", "/%2e%2e/cat.jpg", 404, "dot"},
		{"GET", "/", 404, "extension"},
		{"PATCH", "/cat.jpg", 405, ""},
		{"DELETE", "/cat.jpg", 405, ""},
		{"TRACE", "/cat.jpg", 405, ""},
		{"POST", "/_health", 405, ""},
	}
	for _, test := range tests {
		t.Run(test.method+test.target, func(t *testing.T) {
			got := e.do(test.method, test.target)
			got.want(t, test.status)
			if !strings.Contains(got.body, test.says) {
				t.Errorf("%s does not say %q", got.body, test.says)
			}
			if test.status == 405 {
				got.want(t, 405, "Allow", "GET, HEAD", "Cache-Control", "no-store")
				return
			}
			got.want(t, test.status, "Cache-Control", "public, max-age=10", "Content-Type", "application/problem+json", "Cache-Status", "")
			var p problem
			if err := json.Unmarshal([]byte(got.body), &p); test.method != "HEAD" && (err != nil || p.Status != test.status) {
				t.Errorf("%s is no problem: %v", got.body, err)
			}
		})
	}
	if n := e.engine.renders.Load(); n != 0 {
		t.Errorf("%d renders for refusals", n)
	}
}

// TestHostilePaths sends every hostile path as it is, over a plain connection, and looks for a secret beside the store.
func TestHostilePaths(t *testing.T) {
	e := newEdge(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(e.dir), "secret.jpg"), cat(), 0o644); err != nil {
		t.Fatal(err)
	}
	paths := append([]string{"/../secret.jpg", "/%2e%2e/secret.jpg", "/..%2fsecret.jpg", `/..\secret.jpg`, "http://x/../secret.jpg"}, hostilePaths...)
	for _, path := range paths {
		connection, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(connection)
		if err != nil && len(reply) == 0 {
			t.Errorf("%.40q: %v", path, err)
		}
		_ = connection.Close()
		status, _, _ := strings.Cut(strings.TrimPrefix(string(reply), "HTTP/1.1 "), " ")
		if len(status) != 3 || status[0] != '4' {
			t.Errorf("%.40q: %.80q", path, reply)
		}
	}
	e.do("GET", "/_health").want(t, 200)
}

func TestFixed(t *testing.T) {
	e := newEdge(t)
	if got := e.do("GET", "/_health"); got.StatusCode != 200 || got.body != "OK" {
		t.Errorf("/_health: %d %q", got.StatusCode, got.body)
	}
	if got := e.do("GET", "/robots.txt"); got.body != "User-agent: *\nDisallow: /\n" {
		t.Errorf("/robots.txt: %q", got.body)
	}
	e.do("GET", "/favicon.ico").want(t, 404)
	e.do("OPTIONS", "/cat.jpg").want(t, 204, "Access-Control-Allow-Methods", "POST", "Access-Control-Allow-Headers", "x-token")
}

// TestPanic: a panic in an engine is that request's failure, and no stack reaches the client.
func TestPanic(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.engine.before = func(transform.Spec) error { panic("kaboom") }
	got := e.do("GET", "/cat_30_20.webp")
	got.want(t, 500, "Cache-Control", "no-store")
	if strings.Contains(got.body, "kaboom") || strings.Contains(got.body, ".go") {
		t.Errorf("the client is told: %s", got.body)
	}
	e.engine.before = nil
	e.do("GET", "/cat_30_20.webp").want(t, 200)
}

// TestSourceChangesWhileRead: a source replaced between the look-up of its version and its reading is served as it is now,
// and never kept under the version it had.
func TestSourceChangesWhileRead(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	old := e.do("GET", "/cat_30_20.webp")
	e.keep("cat", testimage.JPEG(testimage.Quadrants(80, 80), 80)) // the version is remembered for a second
	e.proxy.fetches.recent.close()                                 // and the bytes for three
	now := e.do("GET", "/cat_31_20.webp")
	want := fmt.Sprintf("_31_20.webp of %d bytes", len(testimage.JPEG(testimage.Quadrants(80, 80), 80)))
	if now.body != want {
		t.Errorf("got %q, want %q", now.body, want)
	}
	if again := e.do("GET", "/cat_30_20.webp"); again.body == old.body {
		t.Error("the former picture is served though the change was seen")
	}
}

// crowd counts what is opened of a store, and lets nothing be opened before so many have asked for its version.
type crowd struct {
	Versions
	origin.Reader
	opens, asked atomic.Int64
	size         int64
	there        chan struct{} // closed when all have asked
}

func (c *crowd) Stat(ctx context.Context, id string) (origin.Info, error) {
	info, err := c.Versions.Stat(ctx, id)
	if c.asked.Add(1) == c.size {
		close(c.there)
	}
	return info, err
}

func (c *crowd) Open(ctx context.Context, id string, r origin.Range) (*origin.Object, error) {
	c.opens.Add(1)
	<-c.there
	return c.Reader.Open(ctx, id, r)
}

// TestOriginalReadOnce: many who ask for a source that is new here have it looked at once, and each is sent it.
func TestOriginalReadOnce(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	const askers = 50
	sources := &crowd{Versions: e.proxy.Versions, Reader: e.proxy.Sources, size: askers, there: make(chan struct{})}
	e.proxy.Sources, e.proxy.Versions = sources, sources
	var wait sync.WaitGroup
	for range askers {
		wait.Go(func() {
			response, err := http.Get(e.url + "/cat.jpg")
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(response.Body)
			if err := errors.Join(err, response.Body.Close()); err != nil || string(body) != string(cat()) {
				t.Errorf("%d bytes, %v", len(body), err)
			}
		})
	}
	wait.Wait()
	if n := sources.opens.Load(); n != askers+1 {
		t.Errorf("%d openings for %d answers, want one more", n, askers)
	}
}
