package testserver

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRedis(t *testing.T) {
	s := Redis(t)
	checkLife(t, &s.Server, pingRedis)
	if got, want := s.URL(), "redis://"+s.Addr+"/0"; got != want {
		t.Errorf("URL() = %q, want %q", got, want)
	}
}

func TestS3(t *testing.T) {
	s := S3(t)
	checkLife(t, &s.Server, askHTTP)
	first, second := s.Bucket(t), s.Bucket(t)
	if first == second {
		t.Errorf("two buckets are both called %q", first)
	}
	if info, err := os.Stat(s.Path(first, "")); err != nil || !info.IsDir() {
		t.Errorf("the bucket's folder: %v, %v", info, err)
	}
}

// checkLife walks a running server through every state and asks it in each.
func checkLife(t *testing.T, s *Server, ask func(addr string) error) {
	t.Helper()
	steps := []struct {
		name  string
		do    func()
		alive bool
	}{
		{"started", func() {}, true},
		{"paused", s.Pause, false},
		{"resumed", s.Resume, true},
		{"stopped", s.Stop, false},
		{"stopped twice", s.Stop, false},
		{"started again", s.Start, true},
		{"started twice", s.Start, true},
		{"stopped while paused", func() { s.Pause(); s.Stop() }, false},
		{"started a third time", s.Start, true},
	}
	for _, step := range steps {
		step.do()
		if err := ask(s.Addr); (err == nil) != step.alive {
			t.Errorf("%s: error %v, alive should be %v", step.name, err, step.alive)
		}
	}
}

// TestNginx: what may be kept is asked for once, and what may not each time.
func TestNginx(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/kept" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		_, _ = w.Write([]byte("answer"))
	}))
	defer upstream.Close()
	s := Nginx(t, upstream.Listener.Addr().String())
	checkLife(t, &s.Server, askHTTP)
	for _, step := range []struct{ path, cache string }{{"/kept", "MISS"}, {"/kept", "HIT"}, {"/other", "MISS"}, {"/other", "MISS"}} {
		response, err := http.Get("http://" + s.Addr + step.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.Header.Get("X-Cache") != step.cache {
			t.Errorf("%s: X-Cache is %q, want %q; %v", step.path, response.Header.Get("X-Cache"), step.cache, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
