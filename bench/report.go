package bench

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is what a run measured. It reads back from its JSON as it was written.
type Report struct {
	Date    time.Time `json:"date"` // of the start, UTC, whole seconds
	Machine Machine   `json:"machine"`
	Config  Config    `json:"config"`            // defaults filled in
	Results []Result  `json:"results"`           // one a target, in their order
	Sources []Source  `json:"sources,omitempty"` // those whose bytes were looked at
	Notes   []string  `json:"notes,omitempty"`   // what could not be measured, and why
}

// Source is an original that outputs were compared with.
type Source struct {
	ID     string `json:"id"`
	Bytes  int    `json:"bytes"`
	Width  int    `json:"width"` // pixels
	Height int    `json:"height"`
	SHA256 string `json:"sha256"`
}

// Machine is where the run took place: clients and, when a PID was given, servers.
type Machine struct {
	CPU    string `json:"cpu"` // model name
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// Result is what was measured of one target.
type Result struct {
	Target       string     `json:"target"`
	Rounds       []Round    `json:"rounds"`
	Summary      Summary    `json:"summary"`
	Distribution []Quantile `json:"distribution,omitempty"`  // of the latencies of all rounds
	Fidelity     []Fidelity `json:"fidelity,omitempty"`      // one a picture that was compared
	SettledBytes int64      `json:"settled_bytes,omitempty"` // memory after Config.Settle of quiet: PSS, or the resident size; 0 when not asked for
}

// Quantile says that so many percent of the requests took no longer.
type Quantile struct {
	Percent float64 `json:"percent"`
	Millis  float64 `json:"millis"`
}

// Round is what was measured in one round.
type Round struct {
	Requests   int64         `json:"requests"`
	Good       int64         `json:"good"`     // status 200, the type asked for, a body
	Wrong      int64         `json:"wrong"`    // other answers
	Broken     int64         `json:"broken"`   // no answer
	Timeouts   int64         `json:"timeouts"` // no answer in time
	Statuses   map[int]int64 `json:"statuses"`
	Seconds    float64       `json:"seconds"`
	PerSecond  float64       `json:"per_second"`          // good answers
	MeanBytes  float64       `json:"mean_bytes"`          // of a good body
	CPUSeconds float64       `json:"cpu_seconds"`         // of the server's process tree; 0 without a PID
	CPUMillis  float64       `json:"cpu_millis"`          // per good answer; 0 without a PID
	PeakBytes  int64         `json:"peak_bytes"`          // largest resident size so far, summed over the tree; 0 without a PID
	RSSBytes   int64         `json:"rss_bytes,omitempty"` // resident size at the end of the round, summed over the tree
	PSSBytes   int64         `json:"pss_bytes,omitempty"` // the same, pages shared by processes counted once; 0 where it is not told
	Latency    Latency       `json:"latency"`
	Warm       *Latency      `json:"warm,omitempty"`  // Mixed: of the pictures that were fetched before
	Storm      *StormFigures `json:"storm,omitempty"` // Storm only
	Purge      *PurgeFigures `json:"purge,omitempty"` // Purge only; Latency is from a replacement to the last stale byte

	Timeline       []int64 `json:"timeline,omitempty"`        // good answers, by when they came
	TimelineMillis int64   `json:"timeline_millis,omitempty"` // what is counted together
}

// StormFigures set a storm beside misses that came one after the other just before it.
type StormFigures struct {
	LoneMillis    float64 `json:"lone_millis"`     // median of their latencies
	LoneCPUMillis float64 `json:"lone_cpu_millis"` // of one; 0 without a PID
	CPUOfLone     float64 `json:"cpu_of_lone"`     // CPU of the whole storm / of one of them: about 1 when it is rendered once
	P99OfLone     float64 `json:"p99_of_lone"`     // p99 of the storm / their median
}

// PurgeFigures are of the readers of a round of replacements.
type PurgeFigures struct {
	Reads         int64   `json:"reads"`
	Failed        int64   `json:"failed"`          // readings without a picture
	StaleAfterAck int64   `json:"stale_after_ack"` // old pictures that were asked for after the server had said that it has the new one
	AckMillis     float64 `json:"ack_millis"`      // median time to that answer
}

// Latency is of good answers and of timeouts, in milliseconds: from the time a request was due in an open loop, from when it was
// sent in a closed one. Values have three significant digits.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// Spread is a figure over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Summary is a target over all rounds. The ratios are to the first target's figures of the same round, taken before the median.
type Summary struct {
	PerSecond      Spread `json:"per_second"`
	CPUMillis      Spread `json:"cpu_millis"`
	P50            Spread `json:"p50"`
	P95            Spread `json:"p95"`
	P99            Spread `json:"p99"`
	P999           Spread `json:"p99_9"`
	MeanBytes      Spread `json:"mean_bytes"`
	PeakBytes      int64  `json:"peak_bytes"`
	Failed         int64  `json:"failed"` // requests without a good answer
	RatioPerSecond Spread `json:"ratio_per_second"`
	RatioCPU       Spread `json:"ratio_cpu"`
	RatioP99       Spread `json:"ratio_p99"`

	PSSBytes      int64   `json:"pss_bytes,omitempty"`       // most at the end of a round
	WarmP99       Spread  `json:"warm_p99,omitzero"`         // Mixed
	StormCPU      Spread  `json:"storm_cpu,omitzero"`        // Storm: CPU of it / of one lone miss
	StormP99      Spread  `json:"storm_p99,omitzero"`        // Storm: p99 / the median of lone misses
	StaleAfterAck int64   `json:"stale_after_ack,omitempty"` // Purge, all rounds
	SSIM          float64 `json:"ssim,omitempty"`            // mean of Fidelity at the run's quality
}

// Name tells a run from the others of a suite: workload, format where one is fixed, and loop.
func (r *Report) Name() string {
	switch r.Config.Workload {
	case Srcset, Upload:
		return r.Config.Workload + ", " + r.Config.Loop
	}
	return r.Config.Workload + " " + r.Config.Format + ", " + r.Config.Loop
}

func newReport(c Config) *Report {
	r := &Report{Date: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Config: c}
	for _, target := range c.Targets {
		r.Results = append(r.Results, Result{Target: target.Name})
	}
	return r
}

// thisMachine leaves out what the system does not say.
func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}

func (r *Report) summarise() {
	first := r.Results[0].Rounds
	for i := range r.Results {
		result := &r.Results[i]
		of := func(figure func(Round) float64) Spread { return spreadOf(result.Rounds, figure) }
		ratio := func(figure func(Round) float64) Spread { return ratioOf(result.Rounds, first, figure) }
		perSecond := func(m Round) float64 { return m.PerSecond }
		cpu := func(m Round) float64 { return m.CPUMillis }
		p99 := func(m Round) float64 { return m.Latency.P99 }
		result.Summary = Summary{
			PerSecond: of(perSecond), CPUMillis: of(cpu), P99: of(p99),
			P50:       of(func(m Round) float64 { return m.Latency.P50 }),
			P95:       of(func(m Round) float64 { return m.Latency.P95 }),
			P999:      of(func(m Round) float64 { return m.Latency.P999 }),
			MeanBytes: of(func(m Round) float64 { return m.MeanBytes }),

			WarmP99:  of(func(m Round) float64 { return orZero(m.Warm).P99 }),
			StormCPU: of(func(m Round) float64 { return orZero(m.Storm).CPUOfLone }),
			StormP99: of(func(m Round) float64 { return orZero(m.Storm).P99OfLone }),

			RatioPerSecond: ratio(perSecond), RatioCPU: ratio(cpu), RatioP99: ratio(p99),
		}
		for _, m := range result.Rounds {
			result.Summary.Failed += m.Requests - m.Good
			result.Summary.PeakBytes = max(result.Summary.PeakBytes, m.PeakBytes)
			result.Summary.PSSBytes = max(result.Summary.PSSBytes, m.PSSBytes)
			result.Summary.StaleAfterAck += orZero(m.Purge).StaleAfterAck
		}
	}
}

// orZero returns what p points to, or nothing.
func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

func spreadOf(rounds []Round, figure func(Round) float64) Spread {
	values := make([]float64, len(rounds))
	for i, m := range rounds {
		values[i] = figure(m)
	}
	return newSpread(values)
}

// ratioOf leaves out rounds in which the first target's figure is not known.
func ratioOf(rounds, first []Round, figure func(Round) float64) Spread {
	var values []float64
	for i, m := range rounds {
		if base := figure(first[i]); base > 0 {
			values = append(values, figure(m)/base)
		}
	}
	return newSpread(values)
}

// newSpread returns zeros for no values; the median of an even number of them is the mean of the middle two.
func newSpread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	slices.Sort(values)
	middle := len(values) / 2
	median := values[middle]
	if len(values)%2 == 0 {
		median = (values[middle-1] + values[middle]) / 2
	}
	return Spread{Median: median, Min: values[0], Max: values[len(values)-1]}
}
