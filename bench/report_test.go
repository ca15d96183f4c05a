package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReportReadsBack(t *testing.T) {
	s := startServer(t, nil)
	c := config(s)
	c.Targets[0].PID = os.Getpid()
	suite, err := RunSuite(t.Context(), []Config{c}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text, alone bytes.Buffer
	if err := suite.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	whole, err := ReadSuite(&text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(suite, whole); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	back := suite.Runs[0]
	if err := json.NewEncoder(&alone).Encode(back); err != nil { // as files of one report were
		t.Fatal(err)
	}
	if whole, err = ReadSuite(&alone); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(back, whole.Runs[0]); diff != "" {
		t.Errorf("a report alone, read back (-written +read):\n%s", diff)
	}
	if back.Machine.Cores < 1 || back.Machine.CPU == "" || back.Machine.Go == "" || back.Date.IsZero() {
		t.Errorf("the machine is not known: %+v", back.Machine)
	}
	if s := back.Results[0].Summary; s.PeakBytes == 0 || s.PSSBytes == 0 || back.Results[0].Rounds[0].RSSBytes == 0 {
		t.Errorf("the memory of a known process is 0: %+v", s)
	}
}

func TestTableNamesEveryTarget(t *testing.T) {
	a, b := startServer(t, nil), startServer(t, nil)
	var text bytes.Buffer
	if err := run(t, config(a, b)).WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"miss png, closed loop, 3 rounds of 40 requests", "ratio to A", "p99.9"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if got := strings.Count(text.String(), "\n"); got != 7 {
		t.Errorf("%d lines, want 7:\n%s", got, text.String())
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{2}, Spread{2, 2, 2}},
		{[]float64{9, 1, 4}, Spread{4, 1, 9}},
		{[]float64{9, 1, 4, 6}, Spread{5, 1, 9}},
	} {
		if got := newSpread(test.values); got != test.want {
			t.Errorf("%v: %v, want %v", test.values, got, test.want)
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	rounds := func(cpu ...float64) (list []Round) {
		for _, c := range cpu {
			list = append(list, Round{CPUMillis: c})
		}
		return list
	}
	got := ratioOf(rounds(2, 30, 7), rounds(1, 10, 0), func(m Round) float64 { return m.CPUMillis })
	if want := (Spread{Median: 2.5, Min: 2, Max: 3}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
