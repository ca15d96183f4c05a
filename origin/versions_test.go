package origin_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"deckle/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a Reader whose every answer a test decides.
type store struct {
	mu    sync.Mutex
	asked int
	stat  func(ctx context.Context, id string) (origin.Info, error)
}

func (s *store) Stat(ctx context.Context, id string) (origin.Info, error) {
	s.mu.Lock()
	s.asked++
	stat := s.stat
	s.mu.Unlock()
	return stat(ctx, id)
}

func (s *store) Open(ctx context.Context, id string, _ origin.Range) (*origin.Object, error) {
	info, err := s.Stat(ctx, id)
	return &origin.Object{Info: info}, err
}

// answers makes the store give one answer from now on.
func (s *store) answers(version string, err error) {
	s.behaves(func(context.Context, string) (origin.Info, error) {
		if err != nil {
			return origin.Info{}, err
		}
		return origin.Info{Version: version}, nil
	})
}

func (s *store) behaves(stat func(context.Context, string) (origin.Info, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stat = stat
}

func (s *store) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// inBubble runs a test on a clock that moves only while everything waits.
func inBubble(t *testing.T, config origin.VersionsConfig, try func(t *testing.T, s *store, v *origin.Versions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		s.answers("1", nil)
		v := origin.NewVersions(s, config)
		defer v.Close()
		try(t, s, v)
	})
}

// expect looks an id up, lets refreshes end, and holds the answer and the number of questions so far against what they
// should be.
func expect(t *testing.T, s *store, v *origin.Versions, id, version string, wantErr error, questions int) {
	t.Helper()
	info, err := v.Stat(t.Context(), id)
	synctest.Wait()
	if info.Version != version || !errors.Is(err, wantErr) {
		t.Errorf("Stat(%q) = %q, %v; want %q, %v", id, info.Version, err, version, wantErr)
	}
	if n := s.questions(); n != questions {
		t.Errorf("the store was asked %d times, want %d", n, questions)
	}
}

func TestVersionsAges(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		expect(t, s, v, "cat", "1", nil, 1)
		s.answers("2", nil)
		time.Sleep(999 * time.Millisecond)
		expect(t, s, v, "cat", "1", nil, 1) // fresh
		time.Sleep(time.Millisecond)
		expect(t, s, v, "cat", "1", nil, 2) // from memory, refreshed behind
		expect(t, s, v, "cat", "2", nil, 2)
		s.answers("3", nil)
		time.Sleep(4999 * time.Millisecond)
		expect(t, s, v, "cat", "2", nil, 3)
		expect(t, s, v, "cat", "3", nil, 3)
		s.answers("4", nil)
		time.Sleep(5 * time.Second)
		expect(t, s, v, "cat", "4", nil, 4) // too old to be answered
	})
}

// TestVersionsAgeFromTheQuestion: a slow answer is as old as its question.
func TestVersionsAgeFromTheQuestion(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		s.behaves(func(context.Context, string) (origin.Info, error) {
			time.Sleep(3 * time.Second)
			return origin.Info{Version: "old"}, nil
		})
		expect(t, s, v, "cat", "old", nil, 1)
		s.answers("new", nil)
		time.Sleep(2 * time.Second)
		expect(t, s, v, "cat", "new", nil, 2)
	})
}

func TestVersionsAbsence(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		s.answers("", origin.ErrNotFound)
		expect(t, s, v, "cat", "", origin.ErrNotFound, 1)
		s.answers("1", nil)
		time.Sleep(999 * time.Millisecond)
		expect(t, s, v, "cat", "", origin.ErrNotFound, 1)
		time.Sleep(time.Millisecond)
		expect(t, s, v, "cat", "1", nil, 2)
		// A deletion is believed too, and other refusals are not remembered.
		s.answers("", origin.ErrNotFound)
		time.Sleep(10 * time.Second)
		expect(t, s, v, "cat", "", origin.ErrNotFound, 3)
		s.answers("", origin.ErrTooLarge)
		time.Sleep(10 * time.Second)
		expect(t, s, v, "cat", "", origin.ErrTooLarge, 4)
		expect(t, s, v, "cat", "", origin.ErrTooLarge, 5)
	})
}

func TestVersionsOutage(t *testing.T) {
	for name, failure := range map[string]error{
		"unavailable": fmt.Errorf("stat: %w", origin.ErrUnavailable), "deadline": context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, origin.VersionsConfig{IfError: time.Hour}, func(t *testing.T, s *store, v *origin.Versions) {
				expect(t, s, v, "cat", "1", nil, 1)
				s.answers("", failure)
				expect(t, s, v, "dog", "", failure, 2) // nothing remembered
				time.Sleep(2 * time.Second)
				expect(t, s, v, "cat", "1", nil, 3)
				time.Sleep(time.Second)
				expect(t, s, v, "cat", "1", nil, 3)
				// From now on nobody waits, and it is asked once in 5 s.
				for range 100 {
					time.Sleep(time.Second)
					began := time.Now()
					if info, err := v.Stat(t.Context(), "cat"); info.Version != "1" || err != nil || time.Since(began) > 0 {
						t.Errorf("Stat = %+v, %v after %v; want version 1 at once", info, err, time.Since(began))
					}
					synctest.Wait()
				}
				if n := s.questions(); n < 20 || n > 25 {
					t.Errorf("asked %d times in 100 s, want about 20", n)
				}
				// After the store's return a new version shows within 10 s.
				s.answers("2", nil)
				time.Sleep(5 * time.Second)
				_, _ = v.Stat(t.Context(), "cat")
				synctest.Wait()
				expect(t, s, v, "cat", "2", nil, s.questions())
				s.answers("", failure)
				time.Sleep(time.Hour)
				expect(t, s, v, "cat", "", failure, s.questions()+1)
			})
		})
	}
}

// TestVersionsHang: a store that never answers holds nobody longer than the time-out, and the second who asks not at all.
func TestVersionsHang(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		expect(t, s, v, "cat", "1", nil, 1)
		s.behaves(func(ctx context.Context, _ string) (origin.Info, error) {
			<-ctx.Done()
			return origin.Info{}, ctx.Err()
		})
		time.Sleep(10 * time.Second)
		began := time.Now()
		expect(t, s, v, "cat", "1", nil, 2)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the first waited %v, want the time-out of 5 s", took)
		}
		began = time.Now()
		if _, err := v.Stat(t.Context(), "cat"); err != nil || time.Since(began) > 0 {
			t.Errorf("the second waited %v, %v", time.Since(began), err)
		}
	})
}

func TestVersionsShareAQuestion(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		s.behaves(func(ctx context.Context, _ string) (origin.Info, error) {
			select {
			case <-time.After(time.Second):
				return origin.Info{Version: "1"}, nil
			case <-ctx.Done():
				return origin.Info{}, ctx.Err()
			}
		})
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := v.Stat(leaving, "cat"); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v, want context.Canceled", err)
			}
		})
		synctest.Wait()
		for range 100 {
			all.Go(func() {
				if info, err := v.Stat(t.Context(), "cat"); info.Version != "1" || err != nil {
					t.Errorf("who stayed: %v, %v", info, err)
				}
			})
		}
		synctest.Wait()
		leave()
		all.Wait()
		if n := s.questions(); n != 1 {
			t.Errorf("the store was asked %d times, want 1", n)
		}
	})
}

// TestVersionsToldMeanwhile: a question that began before an upload or a message is not remembered.
func TestVersionsToldMeanwhile(t *testing.T) {
	tests := []struct {
		name      string
		tell      func(*origin.Versions)
		version   string
		questions int // to answer the next one
	}{
		{"set", func(v *origin.Versions) { v.Set("cat", origin.Info{Version: "set"}) }, "set", 1},
		{"invalidate", func(v *origin.Versions) { v.Invalidate("cat") }, "new", 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
				s.behaves(func(context.Context, string) (origin.Info, error) {
					time.Sleep(500 * time.Millisecond)
					return origin.Info{Version: "old"}, nil
				})
				var early sync.WaitGroup
				early.Go(func() {
					if info, err := v.Stat(t.Context(), "cat"); info.Version != "old" || err != nil {
						t.Errorf("who asked before: %v, %v", info, err)
					}
				})
				synctest.Wait()
				test.tell(v)
				s.answers("new", nil)
				// Asked before the old question has ended, and after.
				expect(t, s, v, "cat", test.version, nil, test.questions)
				early.Wait()
				expect(t, s, v, "cat", test.version, nil, test.questions)
			})
		})
	}
}

func TestVersionsPanic(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		s.behaves(func(context.Context, string) (origin.Info, error) { panic("broken store") })
		expect(t, s, v, "cat", "", origin.ErrUnavailable, 1)
		s.answers("1", nil)
		expect(t, s, v, "cat", "1", nil, 2)
	})
}

// TestVersionsBounds fills the places for questions, a quarter of them open to refreshes, and the memory.
func TestVersionsBounds(t *testing.T) {
	inBubble(t, origin.VersionsConfig{Asks: 8}, func(t *testing.T, s *store, v *origin.Versions) {
		for i := range 8 {
			v.Set(fmt.Sprint("old", i), origin.Info{Version: "1"})
		}
		time.Sleep(2 * time.Second)
		s.behaves(func(context.Context, string) (origin.Info, error) {
			time.Sleep(time.Second)
			return origin.Info{Version: "2"}, nil
		})
		for i := range 8 {
			expect(t, s, v, fmt.Sprint("old", i), "1", nil, min(i+1, 2))
		}
		var waiting sync.WaitGroup
		for i := range 6 {
			waiting.Go(func() {
				if _, err := v.Stat(t.Context(), fmt.Sprint("new", i)); err != nil {
					t.Errorf("Stat within the bound: %v", err)
				}
			})
		}
		synctest.Wait()
		expect(t, s, v, "one too many", "", origin.ErrUnavailable, 8)
		waiting.Wait()
		synctest.Wait()
		expect(t, s, v, "one too many", "2", nil, 9)
	})
	inBubble(t, origin.VersionsConfig{Max: 64}, func(t *testing.T, s *store, v *origin.Versions) {
		for i := range 10_000 {
			v.Set(fmt.Sprint(i), origin.Info{Version: "1"})
		}
		for i := range 10_000 {
			_, _ = v.Stat(t.Context(), fmt.Sprint(i))
		}
		if n := s.questions(); n < 10_000-64 {
			t.Errorf("%d of 10,000 were not remembered, want all but 64", n)
		}
	})
}

func TestVersionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		s.behaves(func(ctx context.Context, _ string) (origin.Info, error) {
			<-ctx.Done()
			return origin.Info{}, ctx.Err()
		})
		v := origin.NewVersions(s, origin.VersionsConfig{})
		v.Set("dog", origin.Info{Version: "1"})
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := v.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrUnavailable) {
				t.Errorf("who waited at Close: %v, want ErrUnavailable", err)
			}
		})
		synctest.Wait()
		v.Close()
		waiting.Wait()
		expect(t, s, v, "cat", "", origin.ErrUnavailable, 1)
		expect(t, s, v, "dog", "1", nil, 1)
	})
}

func TestVersionsContextAndOpen(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := v.Stat(ctx, "cat"); !errors.Is(err, context.Canceled) {
			t.Errorf("Stat with an ended context: %v", err)
		}
		if object, err := v.Open(t.Context(), "cat", origin.Range{}); err != nil || object.Version != "1" {
			t.Errorf("Open: %v, %v", object, err)
		}
	})
}

func TestVersionsLookUpAllocatesNothing(t *testing.T) {
	s := &store{}
	v := origin.NewVersions(s, origin.VersionsConfig{Fresh: time.Hour})
	defer v.Close()
	v.Set("products/cat", origin.Info{Version: "1"})
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = v.Stat(ctx, "products/cat") }); n != 0 {
		t.Errorf("%v allocations in a look-up, want none", n)
	}
}

func BenchmarkVersions(b *testing.B) {
	s := &store{}
	v := origin.NewVersions(s, origin.VersionsConfig{Fresh: time.Hour})
	defer v.Close()
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("products/6e0/072/%d", i)
		v.Set(ids[i], origin.Info{Version: "1"})
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for i := 0; pb.Next(); i++ {
			if _, err := v.Stat(ctx, ids[i%len(ids)]); err != nil {
				b.Error(err)
			}
		}
	})
}

// TestVersionsOfPrivate: a private source is asked about as an absent one is, so that the time of an answer does not tell them apart;
// while the store is away it is answered from memory like others.
func TestVersionsOfPrivate(t *testing.T) {
	inBubble(t, origin.VersionsConfig{}, func(t *testing.T, s *store, v *origin.Versions) {
		s.behaves(func(context.Context, string) (origin.Info, error) {
			return origin.Info{Version: "1", Private: true}, nil
		})
		for i := range 3 {
			if info, err := v.Stat(t.Context(), "cat"); err != nil || !info.Private || s.questions() != i+1 {
				t.Errorf("%+v, %v, asked %d times, want %d: nobody waits for the answer", info, err, s.questions(), i+1)
			}
			time.Sleep(2 * time.Second) // of the bubble: beyond Fresh, within Stale
		}
		s.answers("", origin.ErrUnavailable)
		if info, err := v.Stat(t.Context(), "cat"); err != nil || !info.Private || !info.Stale {
			t.Errorf("while the store is away: %+v, %v", info, err)
		}
	})
}
