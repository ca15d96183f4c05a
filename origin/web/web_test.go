package web_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deckle/origin"
	"deckle/origin/origintest"
	"deckle/origin/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = origin.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

// openStore returns the upstream at base with a guard that lets the tests' own servers through.
func openStore(t *testing.T, base string, config web.Config) *web.Store {
	t.Helper()
	if config.Guard.Allow == nil {
		config.Guard = loopback
	}
	s, err := web.New(base, config)
	if err != nil {
		t.Fatalf("New(%q): %v", base, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// upstream serves sources below /pictures as a well-behaved server does.
func upstream(sources map[string][]byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, below := strings.CutPrefix(r.URL.Path, "/pictures/")
		source, ok := sources[id]
		if !below || !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, origin.VersionOf(string(source))))
		w.Header().Set("Content-Type", "image/jpeg")
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(source))
	}
}

// TestLaws reads from servers of several habits.
func TestLaws(t *testing.T) {
	habits := map[string]func(http.HandlerFunc) http.HandlerFunc{
		"plain": func(next http.HandlerFunc) http.HandlerFunc { return next },
		"no ranges": func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); next(w, r) }
		},
		"no HEAD": func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				next(w, r)
			}
		},
	}
	for name, habit := range habits {
		t.Run(name, func(t *testing.T) {
			origintest.RunReader(t, func(t *testing.T, sources map[string][]byte) origin.Reader {
				return openStore(t, serve(t, habit(upstream(sources))).URL+"/pictures/", web.Config{})
			})
		})
	}
}

func TestHostileIDsAreNotAsked(t *testing.T) {
	var asked atomic.Int64
	server := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	s := openStore(t, server.URL, web.Config{})
	for _, id := range origintest.HostileIDs() {
		if _, err := s.Stat(t.Context(), id); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Stat(%q): %v", id, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestBase(t *testing.T) {
	for _, base := range []string{
		"", "cat", "/cat", "ftp://example.org/", "file:///etc", "gopher://example.org", "http://", "http:///cat", "http://:80/",
		"http://user@example.org/", "https://user:secret@example.org/", "http://example.org/?a=b", "http://example.org/?", "http://example.org/#x",
		"http://example.org:99999/", "http://exa mple.org/", "javascript:alert(1)", "http://[::1/", "//example.org/cat",
	} {
		if _, err := web.New(base, web.Config{}); err == nil {
			t.Errorf("New(%q): no error", base)
		}
	}
	for _, redirects := range []int{-1, 4} {
		if _, err := web.New("http://example.org", web.Config{Redirects: redirects}); err == nil {
			t.Errorf("New with %d redirects: no error", redirects)
		}
	}
}

// TestGuardAtDial spells this machine in several ways; nothing may arrive at it.
func TestGuardAtDial(t *testing.T) {
	listener, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = conn.Close()
		}
	}()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.255.255.254", "[::ffff:7f00:1]", "[::7f00:1]", "169.254.169.254"} {
		s, err := web.New("http://"+host+":"+port+"/", web.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrForbidden) {
			t.Errorf("Stat at %s: %v, want ErrForbidden", host, err)
		}
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestProxyIsNotTaken(t *testing.T) {
	var proxied atomic.Int64
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	// The guard would let the proxy through.
	guard := loopback
	guard.Ports = []uint16{80, netip.MustParseAddrPort(proxy.Listener.Addr().String()).Port()}
	s := openStore(t, "http://198.51.100.7/", web.Config{Guard: guard})
	if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrForbidden) {
		t.Errorf("Stat of a documentation address: %v, want ErrForbidden", err)
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

func TestRedirects(t *testing.T) {
	mux := http.NewServeMux()
	server := serve(t, mux.ServeHTTP)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) {
		if r.Referer() != "" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	hops := map[string]string{
		"one": "/good", "two": "/one", "three": "/two", "four": "/three", "loop": "/loop",
		"other":    fmt.Sprintf("http://localhost:%d/good", port),
		"metadata": "http://169.254.169.254/latest/meta-data/",
		"port":     "http://127.0.0.1:1/good",
		"file":     "file:///etc/passwd",
		"user":     fmt.Sprintf("http://user:secret@127.0.0.1:%d/good", port),
		"https":    fmt.Sprintf("https://127.0.0.1:%d/good", port),
	}
	for from, to := range hops {
		mux.HandleFunc("/"+from, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		})
	}
	allowed := []string{"LOCALHOST", "169.254.169.254"}
	tests := []struct {
		id     string
		config web.Config
		want   error
	}{
		{"good", web.Config{}, nil},
		{"one", web.Config{}, origin.ErrForbidden},
		{"one", web.Config{Redirects: 1}, nil},
		{"two", web.Config{Redirects: 1}, origin.ErrForbidden},
		{"three", web.Config{Redirects: 3}, nil},
		{"four", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"loop", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"other", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"other", web.Config{Redirects: 3, Hosts: allowed}, nil},
		{"metadata", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"metadata", web.Config{Redirects: 3, Hosts: allowed}, origin.ErrForbidden}, // by the guard
		{"port", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"file", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"user", web.Config{Redirects: 3}, origin.ErrForbidden},
		{"https", web.Config{Redirects: 3}, origin.ErrUnavailable}, // followed, and there is no TLS
	}
	for _, test := range tests {
		s := openStore(t, server.URL, test.config)
		if _, err := s.Stat(t.Context(), test.id); !errors.Is(err, test.want) {
			t.Errorf("Stat(%q) with %d redirects to %v: %v, want %v", test.id, test.config.Redirects, test.config.Hosts, err, test.want)
		}
	}
}

func TestNoDowngrade(t *testing.T) {
	plain := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect from https to http was followed") })
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(secure.Close)
	s := openStore(t, secure.URL, web.Config{Redirects: 3})
	web.TrustServer(s, secure)
	if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrForbidden) {
		t.Errorf("Stat: %v, want ErrForbidden", err)
	}
}

// TestLies lists what an upstream may say and what becomes of it, by the first call that notices.
func TestLies(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{"404", status(404), origin.ErrNotFound},
		{"410", status(410), origin.ErrNotFound},
		{"401", status(401), origin.ErrUnavailable},
		{"403", status(403), origin.ErrUnavailable},
		{"429", status(429), origin.ErrUnavailable},
		{"500", status(500), origin.ErrUnavailable},
		{"503", status(503), origin.ErrUnavailable},
		{"204", status(204), origin.ErrUnavailable},
		{"416 unasked", status(416), origin.ErrUnavailable},
		{"206 unasked", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-2/3")
			w.WriteHeader(206)
			_, _ = io.WriteString(w, "cat")
		}, origin.ErrUnavailable},
		{"gzip unasked", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") }, origin.ErrUnavailable},
		{"too large, declared", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000001") }, origin.ErrTooLarge},
		{"too large, endless", func(w http.ResponseWriter, _ *http.Request) {
			for block := make([]byte, 100_000); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, origin.ErrTooLarge},
		{"short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "cat")
		}, io.ErrUnexpectedEOF},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "cat")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, origin.ErrUnavailable},
		{"broken off at once", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, origin.ErrUnavailable},
		{"endless headers", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100_000)) }, origin.ErrUnavailable},
		{"no first byte", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, origin.ErrUnavailable},
		{"no more bytes", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "cat")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, origin.ErrUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStore(t, serve(t, test.handler).URL, web.Config{MaxBytes: 1_000_000, Timeout: 500 * time.Millisecond})
			body, err := readAll(t, s, origin.Range{})
			if !errors.Is(err, test.want) {
				t.Errorf("%d bytes, %v; want %v", len(body), err, test.want)
			}
			if len(body) > 1_000_000 {
				t.Errorf("%d bytes came through", len(body))
			}
		})
	}
}

// TestDrip holds the smallest rate: what is too slow ends after the grace, long before the time for the whole.
func TestDrip(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	s := openStore(t, server.URL, web.Config{Timeout: time.Minute})
	began := time.Now()
	_, err := readAll(t, s, origin.Range{})
	if took := time.Since(began); !errors.Is(err, origin.ErrUnavailable) || took > 6*time.Second {
		t.Errorf("a drip of 10 bytes a second: %v after %v, want ErrUnavailable after 3 s", err, took)
	}
}

// TestEveryCut ends the body after each number of bytes; none may look whole.
func TestEveryCut(t *testing.T) {
	source := strings.Repeat("0123456789", 10)
	var cut atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(source)))
		_, _ = io.WriteString(w, source[:cut.Load()])
	})
	s := openStore(t, server.URL, web.Config{})
	for n := range len(source) {
		cut.Store(int64(n))
		for _, part := range []origin.Range{{}, {Offset: 5}} {
			if body, err := readAll(t, s, part); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut after %d bytes, %+v: %d bytes, %v", n, part, len(body), err)
			}
		}
	}
}

// TestWrongParts answers ranges with other ranges.
func TestWrongParts(t *testing.T) {
	tests := []struct {
		header, body, want string
		err                error
	}{
		{"bytes 3-5/10", "345", "345", nil},
		{"bytes 3-5/*", "345", "345", nil},
		{"bytes 3-9/10", "3456789", "345", nil},
		{"bytes 2-4/10", "234", "", origin.ErrUnavailable},
		{"bytes 0-9/10", "0123456789", "", origin.ErrUnavailable},
		{"bytes 3-4/10", "34", "34", io.ErrUnexpectedEOF},
		{"bytes 3-5/5", "345", "", origin.ErrUnavailable},
		{"bytes 5-3/10", "345", "", origin.ErrUnavailable},
		{"bytes */10", "345", "", origin.ErrUnavailable},
		{"items 3-5/10", "345", "", origin.ErrUnavailable},
		{"bytes 3-5/99999999999", "345", "", origin.ErrTooLarge},
		{"", "345", "", origin.ErrUnavailable},
	}
	for _, test := range tests {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Range"); got != "bytes=3-5" {
				t.Errorf("Range: %q", got)
			}
			w.Header().Set("Content-Range", test.header)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, test.body)
		})
		got, err := readAll(t, openStore(t, server.URL, web.Config{}), origin.Range{Offset: 3, Length: 3})
		if string(got) != test.want || !errors.Is(err, test.err) {
			t.Errorf("Content-Range %q with %q: %q, %v; want %q, %v", test.header, test.body, got, err, test.want, test.err)
		}
	}
}

func TestVersions(t *testing.T) {
	const day = "Tue, 14 Nov 2023 22:13:20 GMT"
	tests := []struct {
		name          string
		before, after http.Header
		later         time.Duration
		beforeLen     string
		same          bool
	}{
		{name: "same tag", before: http.Header{"Etag": {`"a"`}}, after: http.Header{"Etag": {`"a"`}, "Last-Modified": {day}}, same: true},
		{name: "other tag", before: http.Header{"Etag": {`"a"`}}, after: http.Header{"Etag": {`"b"`}}},
		{name: "weak tag", before: http.Header{"Etag": {`W/"a"`}, "Last-Modified": {day}}, after: http.Header{"Etag": {`W/"b"`}, "Last-Modified": {day}}, same: true},
		{name: "other date", before: http.Header{"Last-Modified": {day}}, after: http.Header{"Last-Modified": {"Tue, 14 Nov 2023 22:13:21 GMT"}}},
		{name: "other length", before: http.Header{"Last-Modified": {day}}, after: http.Header{"Last-Modified": {day}}, beforeLen: "5"},
		{name: "nothing", before: http.Header{}, after: http.Header{}, same: true},
		{name: "nothing, an hour later", before: http.Header{}, after: http.Header{}, later: time.Hour},
		{name: "nothing, other length", before: http.Header{}, after: http.Header{}, beforeLen: "5"},
		{name: "a date that is none", before: http.Header{"Last-Modified": {"yesterday"}}, after: http.Header{}, same: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			headers, length, now := test.before, cmp.Or(test.beforeLen, "4"), time.Unix(1_700_000_000, 0)
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range headers {
					w.Header()[name] = values
				}
				w.Header().Set("Content-Length", length)
			})
			s := openStore(t, server.URL, web.Config{Now: func() time.Time { return now }})
			before, err := s.Stat(t.Context(), "cat")
			if err != nil {
				t.Fatal(err)
			}
			headers, length, now = test.after, "4", now.Add(test.later)
			after, err := s.Stat(t.Context(), "cat")
			if err != nil {
				t.Fatal(err)
			}
			if (before.Version == after.Version) != test.same {
				t.Errorf("versions %q and %q, want same: %v", before.Version, after.Version, test.same)
			}
		})
	}
}

func readAll(t *testing.T, s *web.Store, part origin.Range) ([]byte, error) {
	t.Helper()
	object, err := s.Open(t.Context(), "cat", part)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(object.Body)
	if closed := object.Body.Close(); closed != nil {
		t.Errorf("Close: %v", closed)
	}
	return body, err
}
