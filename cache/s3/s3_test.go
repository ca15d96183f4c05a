package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deckle/cache"
	"deckle/cache/cachetest"
	"deckle/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, url string) *Tier {
	t.Helper()
	tier, err := New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tier.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return tier
}

// damaged is a tier whose stored bytes the laws can change.
type damaged struct {
	*Tier
	server *testserver.S3Server
	bucket string
}

func (d damaged) Damage(t testing.TB, k cache.Key, change func([]byte) []byte) {
	t.Helper()
	path := d.server.Path(d.bucket, "prefix/"+flat(cache.SourcePath(k.Source))+"/"+cache.VariantName(k))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLaws(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	cachetest.Run(t, func(t *testing.T) cache.Tier {
		bucket := server.Bucket(t)
		return damaged{open(t, server.URL(bucket)), server, bucket}
	})
}

func TestSizeCap(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	tier := open(t, server.URL(server.Bucket(t)))
	if err := tier.Set(t.Context(), cache.Key{}, cachetest.Entry("x", MaxEntry)); !errors.Is(err, cache.ErrTooLarge) {
		t.Errorf("Set of %d bytes = %v, want ErrTooLarge", MaxEntry, err)
	}
}

func TestPurgeOfManyPages(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	bucket := server.Bucket(t)
	tier := open(t, server.URL(bucket))
	k := cache.Key{Source: "s"}
	if err := tier.Set(t.Context(), k, cachetest.Entry("x", 1)); err != nil {
		t.Fatal(err)
	}
	folder := server.Path(bucket, "prefix/s")
	for i := range 1500 { // two pages
		if err := os.WriteFile(fmt.Sprintf("%s/%032x", folder, i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tier.Purge(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(folder); err == nil && len(left) > 0 {
		t.Errorf("%d objects left", len(left))
	}
}

func TestAbsentBucketIsAFaultNotAMiss(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	tier := open(t, server.URL("absent"))
	if _, err := tier.Get(t.Context(), cache.Key{}); err == nil || errors.Is(err, cache.ErrMiss) {
		t.Errorf("Get = %v, want a fault", err)
	}
}

// TestOutage holds that a server which is down or frozen costs each call no more than its deadline, that calls cost nothing
// once the breaker is open, and that the tier is used again by itself when the server is back.
func TestOutage(t *testing.T) {
	faults := []struct {
		name        string
		begin, over func(s *testserver.S3Server)
	}{
		{"down", func(s *testserver.S3Server) { s.Stop() }, func(s *testserver.S3Server) { s.Start() }},
		{"frozen", func(s *testserver.S3Server) { s.Pause() }, func(s *testserver.S3Server) { s.Resume() }},
	}
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			server := testserver.S3(t)
			server.SetCredentials(t)
			tier := open(t, server.URL(server.Bucket(t)))
			k, e := cache.Key{Source: "s"}, cachetest.Entry("x", 1000)
			if err := tier.Set(t.Context(), k, e); err != nil {
				t.Fatal(err)
			}
			fault.begin(server)
			failTogether(t, tier, k)
			if _, err := tier.Get(t.Context(), k); !errors.Is(err, cache.ErrOpen) {
				t.Errorf("Get after five failures = %v, want ErrOpen", err)
			}
			fault.over(server)
			awaitEntry(t, tier, k, e)
		})
	}
}

// failTogether has five calls fail at the same time, as many as open the breaker, each within its deadline.
func failTogether(t *testing.T, tier *Tier, k cache.Key) {
	t.Helper()
	const scheduling = time.Second // what a loaded machine may add to a deadline
	type result struct {
		err  error
		took time.Duration
	}
	results := make(chan result, 5)
	for range cap(results) {
		go func() {
			start := time.Now()
			_, err := tier.Get(context.Background(), k)
			results <- result{err, time.Since(start)}
		}()
	}
	for range cap(results) {
		if r := <-results; r.err == nil || errors.Is(r.err, cache.ErrMiss) || r.took > getTimeout+scheduling {
			t.Errorf("Get from a server that is away = %v after %v", r.err, r.took)
		}
	}
}

func awaitEntry(t *testing.T, tier *Tier, k cache.Key, want *cache.Entry) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for start := time.Now(); time.Since(start) < 15*time.Second; <-poll.C {
		if got, err := tier.Get(t.Context(), k); err == nil {
			cachetest.Equal(t, got, want)
			return
		}
	}
	t.Fatal("the tier never recovered")
}

// TestLyingServer holds that what a server says of a body is not believed.
func TestLyingServer(t *testing.T) {
	k := cache.Key{Source: "s"}
	whole := cache.Encode(k, cachetest.Entry("x", 1000))
	answers := map[string]struct {
		answer  http.HandlerFunc
		corrupt bool
	}{
		"short, with a long length": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000000000")
			_, _ = w.Write(whole)
		}},
		"cut short": {corrupt: true, answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(whole[:500]) }},
		"a page of HTML": {corrupt: true, answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "<html>welcome to the network</html>")
		}},
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	for name, lie := range answers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					w.WriteHeader(http.StatusNoContent)
					return
				}
				lie.answer(w, r)
			}))
			defer server.Close()
			tier := open(t, "s3://b?region=r&endpoint="+server.URL)
			if e, err := tier.Get(t.Context(), k); err == nil || errors.Is(err, cache.ErrMiss) || errors.Is(err, cache.ErrCorrupt) != lie.corrupt {
				t.Errorf("Get = %v, %v; want an error that is ErrCorrupt: %v", e, err, lie.corrupt)
			}
		})
	}
}

// TestRepetitions holds that a failing server is asked three times, no more.
func TestRepetitions(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	tier := open(t, "s3://b?region=r&endpoint="+server.URL)
	if _, err := tier.Get(t.Context(), cache.Key{}); err == nil || errors.Is(err, cache.ErrMiss) {
		t.Errorf("Get = %v, want a fault", err)
	}
	if requests != maxAttempts {
		t.Errorf("the server was asked %d times, want %d", requests, maxAttempts)
	}
}

// TestRepetitionsAreBudgeted has a server fail two requests in three, and counts how many more requests than calls it gets.
// The calls go past the breaker, which would ask it hardly ever.
func TestRepetitionsAreBudgeted(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		code := http.StatusServiceUnavailable
		if requests.Add(1)%3 == 0 {
			code = http.StatusNotFound
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", map[int]string{404: "NoSuchKey", 503: "SlowDown"}[code])
	}))
	defer server.Close()
	a, err := parse("s3://b?region=r&endpoint=" + server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg := aws.Config{Region: "r", Retryer: newRetryer, Credentials: aws.AnonymousCredentials{}}
	s := &store{client: newClient(cfg, server.Client(), a), bucket: a.bucket}
	const calls = 300
	var wait sync.WaitGroup
	for range 30 {
		wait.Go(func() {
			for range calls / 30 {
				_, _ = s.Get(context.Background(), cache.Key{}) // what it answers is chance
			}
		})
	}
	wait.Wait()
	amplification := float64(requests.Load()) / calls
	t.Logf("%d requests for %d calls: %.2f", requests.Load(), calls, amplification)
	if amplification > 1.2 || amplification <= 1 {
		t.Errorf("amplification %.2f, want at most 1.2, and some repetitions", amplification)
	}
}

// TestHedge has one get in thirty take half a second, and wants most of those to be answered long before by a second question,
// which are few.
func TestHedge(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	k, e := cache.Key{Source: "s"}, cachetest.Entry("x", 1000)
	whole := cache.Encode(k, e)
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%30 == 0 {
			select {
			case <-time.After(500 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		_, _ = w.Write(whole)
	}))
	defer server.Close()
	tier := open(t, "s3://b?region=r&endpoint="+server.URL)
	const calls = 600
	slow := 0
	for range calls {
		begin := time.Now()
		got, err := tier.Get(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		cachetest.Equal(t, got, e)
		if time.Since(begin) >= 500*time.Millisecond {
			slow++
		}
	}
	t.Logf("%d of %d gets took as long as the slow ones, of which there are %d; %d requests", slow, calls, calls/30, requests.Load())
	if extra := requests.Load() - calls; slow > calls/100 || extra < calls/60 || extra > calls/5 {
		t.Errorf("%d slow answers, %d second questions", slow, extra)
	}
}

func TestParse(t *testing.T) {
	good := map[string]address{
		"s3://b":              {bucket: "b"},
		"s3://b/":             {bucket: "b"},
		"s3://b/a/c/":         {bucket: "b", prefix: "a/c/"},
		"s3://b/a?region=r":   {bucket: "b", prefix: "a/", region: "r"},
		"s3://b?path_style=1": {bucket: "b", pathStyle: true},
		"s3://b?endpoint=http://h:1&path_style=false":                 {bucket: "b", endpoint: "http://h:1"},
		"s3://b/p?endpoint=https%3A%2F%2Fh&path_style=true":           {bucket: "b", prefix: "p/", endpoint: "https://h", pathStyle: true},
		"s3://b?endpoint=" + "http://" + net.JoinHostPort("::1", "9"): {bucket: "b", endpoint: "http://[::1]:9", pathStyle: true},
	}
	for text, want := range good {
		got, err := parse(text)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(address{})); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "b/p", "s3:///p", "http://b", "s3://key:secret@b", "s3://b?endpoint=h:1", "s3://b?endpoint=ftp://h",
		"s3://b?path_style=perhaps", "s3://b?nonsense=1", "s3://b#f", "s3://b?%zz", "s3://%zz",
	} {
		if got, err := parse(text); err == nil {
			t.Errorf("%s: %+v, want an error", text, got)
		}
	}
}

func TestNewNeedsARegion(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	if _, err := New(t.Context(), "s3://b"); err == nil {
		t.Error("New without a region = nil error")
	}
	tier, err := New(t.Context(), "s3://b?endpoint=http://localhost:1")
	if err != nil {
		t.Fatalf("New with an endpoint and no region: %v", err)
	}
	if err := tier.Close(); err != nil {
		t.Error(err)
	}
}
