package bench

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// suiteOf makes a suite of one run: a first target, and one that costs times as much, with noise of a part of it and a machine that is
// slower by drift.
func suiteOf(random *rand.Rand, rounds int, times, noise, drift float64) *Suite {
	r := &Report{Config: Config{Workload: Miss, Format: "jpg", Loop: Closed}, Results: []Result{{Target: "first"}, {Target: "second"}}}
	for range rounds {
		slow := drift * math.Exp(random.NormFloat64()*0.3) // what meets both
		for i, cost := range []float64{10, 10 * times} {
			cpu := cost * slow * math.Exp(random.NormFloat64()*noise)
			r.Results[i].Rounds = append(r.Results[i].Rounds, Round{CPUMillis: cpu, PerSecond: 1000 / cpu, MeanBytes: 5000, Latency: Latency{P50: cpu, P99: 2 * cpu}})
		}
	}
	r.summarise()
	return &Suite{Form: suiteForm, Runs: []*Report{r}}
}

func changeOf(c *Comparison, target, figure string) Change {
	for _, change := range c.Changes {
		if change.Target == target && change.Figure == figure {
			return change
		}
	}
	return Change{}
}

// TestCompareFindsWhatChanged: half as much again is found through noise of 5 %, though the machine is twice as slow the second time,
// and told as worse where it is worse.
func TestCompareFindsWhatChanged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := Compare(suiteOf(random, 7, 2, 0.05, 1), suiteOf(random, 7, 3, 0.05, 2), 0.05)
	cpu, rate := changeOf(c, "second", "CPU ms/request"), changeOf(c, "second", "requests/s")
	if cpu.Verdict != Worse || cpu.Relative != "first" || cpu.Ratio < 1.35 || cpu.Ratio > 1.65 {
		t.Errorf("%+v", cpu)
	}
	if rate.Verdict != Worse || rate.Ratio > 0.75 {
		t.Errorf("%+v", rate)
	}
	if got := changeOf(c, "second", "bytes"); got.Verdict != Same || got.Relative != "" {
		t.Errorf("%+v", got)
	}
	if len(c.Regressions()) < 2 {
		t.Errorf("%d regressions", len(c.Regressions()))
	}
	back := Compare(suiteOf(random, 7, 3, 0.05, 1), suiteOf(random, 7, 2, 0.05, 1), 0.05)
	if got := changeOf(back, "second", "CPU ms/request"); got.Verdict != Better {
		t.Errorf("%+v", got)
	}
}

// TestCompareIsSeldomWrong: of two hundred comparisons of equal servers over five rounds few find a difference: one in 126 by the
// order of the rounds alone.
func TestCompareIsSeldomWrong(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	wrong := 0
	const times = 200
	for range times {
		var values [2][]float64
		for i := range values {
			for range 5 {
				values[i] = append(values[i], math.Exp(random.NormFloat64()*0.3))
			}
		}
		var change Change
		if change.judge(values, false, 0); change.Verdict != Same {
			wrong++
		}
	}
	if wrong > 8 {
		t.Errorf("%d of %d equal servers were told apart", wrong, times)
	}
}

func TestCompareNeedsRounds(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	c := Compare(suiteOf(random, 3, 2, 0.01, 1), suiteOf(random, 3, 9, 0.01, 1), 0.05)
	if got := changeOf(c, "second", "CPU ms/request"); got.Verdict != TooFew {
		t.Errorf("%+v", got)
	}
}

// TestCompareSaysWhatDiffers in how the suites were made, and takes figures as they are when the first targets are others.
func TestCompareSaysWhatDiffers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	a, b := suiteOf(random, 5, 2, 0.01, 1), suiteOf(random, 5, 2, 0.01, 1)
	b.Runs[0].Results[0].Target = "other"
	b.Runs[0].Config.Connections, b.Machine.Cores = 9, 64
	a.Runs = append(a.Runs, &Report{Config: Config{Workload: Hit, Format: "png", Loop: Open}, Results: []Result{{}}})
	b.Runs = append(b.Runs, &Report{Config: Config{Workload: Storm, Format: "jpg", Loop: Burst}, Results: []Result{{}}})
	c := Compare(a, b, 0.05)
	if got := changeOf(c, "second", "CPU ms/request"); got.Relative != "" {
		t.Errorf("%+v", got)
	}
	var text bytes.Buffer
	if err := c.WriteTable(&text, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"connections: 0, then 9", "cores: 0, then 64", "first is in the first alone", "hit png, open is in the first alone", "storm jpg, burst is in the second alone", "same"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// TestCompareFidelity: pictures do not vary, so that two thousandths of SSIM are a change.
func TestCompareFidelity(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for delta, want := range map[float64]string{-0.003: Worse, 0.003: Better, -0.001: Same} {
		a, b := suiteOf(random, 5, 1, 0, 1), suiteOf(random, 5, 1, 0, 1)
		a.Runs[0].Results[0].Summary.SSIM, b.Runs[0].Results[0].Summary.SSIM = 0.95, 0.95+delta
		if got := changeOf(Compare(a, b, 0.05), "first", "SSIM"); got.Verdict != want {
			t.Errorf("%g: %+v, want %s", delta, got, want)
		}
	}
}

// TestCompareMemory: a quarter more is a change, less is not.
func TestCompareMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	for after, want := range map[int64]string{140 << 20: Worse, 60 << 20: Better, 115 << 20: Same} {
		a, b := suiteOf(random, 5, 1, 0, 1), suiteOf(random, 5, 1, 0, 1)
		a.Runs[0].Results[0].Summary.PSSBytes, b.Runs[0].Results[0].Summary.PSSBytes = 100<<20, after
		if got := changeOf(Compare(a, b, 0.05), "first", "MiB at most"); got.Verdict != want {
			t.Errorf("%d: %+v, want %s", after, got, want)
		}
	}
}

func TestMedianIntervalHoldsTheMedian(t *testing.T) {
	// The true median of what is drawn is 1: nineteen in twenty intervals of eleven values hold it.
	random := rand.New(rand.NewPCG(11, 12))
	held := 0
	for range 100 {
		var values []float64
		for range 11 {
			values = append(values, math.Exp(random.NormFloat64()))
		}
		i := medianInterval(values)
		if i.Low > i.Median || i.Median > i.High {
			t.Fatal(fmt.Sprint(i))
		}
		if i.Low <= 1 && 1 <= i.High {
			held++
		}
	}
	if held < 88 {
		t.Errorf("%d of 100 intervals hold the median", held)
	}
}
