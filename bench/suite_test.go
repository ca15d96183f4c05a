package bench

import (
	"strings"
	"testing"
	"time"
)

// TestPlanFitsItsBudget: every workload is there, and what they take together is about the budget, however many targets there are.
func TestPlanFitsItsBudget(t *testing.T) {
	for _, targets := range []int{1, 2, 3} {
		c := Config{Sources: []string{"a"}, Targets: make([]Target, targets)}
		seen := make(map[string]bool)
		var total, bounds time.Duration
		for _, c := range Plan(c, 4*time.Minute) {
			seen[c.Workload] = true
			length := c.Duration
			if c.Requests > 0 { // their length is the server's: 2 s are reckoned
				length = 2 * time.Second
			}
			total += length * time.Duration(5*targets)
			bounds += c.Within
			c.setDefaults()
			if err := c.check(); err != nil && c.Workload != Upload && c.Workload != Purge {
				t.Errorf("%s: %v", c.Workload, err)
			}
		}
		if len(seen) != len(Workloads) {
			t.Errorf("%d workloads: %v", len(seen), seen)
		}
		if total > 4*time.Minute || total < time.Minute || bounds > 7*time.Minute {
			t.Errorf("%d targets: %v of rounds, bounded by %v", targets, total, bounds)
		}
	}
}

// TestSuiteLeavesOutWhatCannotBe: uploads without a way in and a srcset of one source become notes.
func TestSuiteLeavesOutWhatCannotBe(t *testing.T) {
	s := startServer(t, nil)
	base := config(s)
	var configs []Config
	for _, workload := range []string{Hit, Srcset, Upload, Purge} {
		c := base
		c.Workload, c.Requests, c.Set, c.Connections, c.WarmUp = workload, 16, 5, 0, 0
		configs = append(configs, c)
	}
	suite, err := RunSuite(t.Context(), configs, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(suite.Runs) != 1 || len(suite.Notes) != 3 {
		t.Errorf("%d runs, notes %q", len(suite.Runs), suite.Notes)
	}
	var text strings.Builder
	if err := suite.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(text.String(), "note: "); got != 3 {
		t.Errorf("%d notes in\n%s", got, text.String())
	}
	if suite, err = RunSuite(t.Context(), append(configs[:1:1], configs[0]), time.Nanosecond, nil); err == nil {
		t.Errorf("a suite without time measured %+v", suite)
	}
	if _, err = RunSuite(t.Context(), configs[2:3], 0, nil); err == nil {
		t.Error("uploads alone, without a way in, are no error")
	}
}

// TestRunsOfASuiteShareNoPicture: a miss of one run was asked for by no other, nor a storm's picture, nor a set's.
func TestRunsOfASuiteShareNoPicture(t *testing.T) {
	s := startServer(t, nil)
	var configs []Config
	for _, workload := range []string{Miss, Miss, Storm, Mixed} {
		c := config(s)
		c.Workload, c.Requests, c.Connections, c.Rounds, c.Set, c.Misses, c.WarmUp = workload, 20, 20, 2, 1, 1, 1
		configs = append(configs, c)
	}
	if _, err := RunSuite(t.Context(), configs, 0, nil); err != nil {
		t.Fatal(err)
	}
	for target, times := range s.asked {
		if times != 1 && times != 20 { // a storm's
			t.Errorf("%s was asked for %d times", target, times)
		}
	}
	if want := 2*(1+40) + 1 + 2*(1+loneMisses) + 1 + 40; len(s.asked) != want {
		t.Errorf("%d pictures, want %d", len(s.asked), want)
	}
}

// TestRoundsEndWithin: after three rounds the bound of a run holds.
func TestRoundsEndWithin(t *testing.T) {
	c := config(startServer(t, nil))
	c.Rounds, c.Requests, c.Within = 8, 4, time.Nanosecond
	if got := len(run(t, c).Results[0].Rounds); got != leastRounds {
		t.Errorf("%d rounds", got)
	}
}

func FuzzReadSuite(f *testing.F) {
	f.Add(`{"form":2,"runs":[{"results":[{"target":"a"}]}]}`)
	f.Add(`{"results":[{"target":"a","rounds":[{}]}]}`)
	f.Add(`{"form":2,"runs":[null]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSuite(strings.NewReader(text))
		if err != nil {
			return
		}
		// Whatever was read can be compared and shown.
		if err := s.WriteTable(&strings.Builder{}); err != nil {
			t.Error(err)
		}
		if worse := Compare(s, s, 0.05).Regressions(); len(worse) > 0 {
			t.Errorf("worse than itself: %+v", worse)
		}
	})
}
