package testserver

import (
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
