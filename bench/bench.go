// Package bench drives image servers over HTTP and says what a request costs: it plays hits and misses against one or several
// of them in turn, checks every answer, and reports medians, spreads and ratios.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Workloads.
const (
	Hit    = "hit"    // pictures of a set that was fetched before
	Miss   = "miss"   // every request of the run is for a picture that no other asks for
	Srcset = "srcset" // misses: of one source after the other all that a page's srcset names, in SrcsetWidths and SrcsetFormats
)

// What a srcset names. The widths are those of phones, tablets and desktops that generators of pages have by default.
var (
	SrcsetWidths  = []int{320, 480, 640, 750, 828, 1080, 1200, 1600} // pixels, and as much for the height
	SrcsetFormats = []string{"jpg", "webp"}
)

// Loops.
const (
	Closed = "closed" // each connection asks again when it was answered: for capacity
	Open   = "open"   // requests are due at times fixed in advance, whatever the answers do: for latency
)

// The bounds of a run.
const (
	MaxRounds      = 1000
	MaxConnections = 1024
	MaxRequests    = 5_000_000 // of a round and of all rounds together
	MaxDuration    = time.Hour // of a round
	MaxRate        = 1_000_000 // requests per second
	MaxSide        = 16384     // pixels
)

// Target is one server to be measured.
type Target struct {
	Name string `json:"name"`
	Base string `json:"base"`          // http://host:port, or https, with an optional path
	URLs string `json:"urls"`          // how it spells a picture: the name of a spelling, or a pattern (see Spellings)
	PID  int    `json:"pid,omitempty"` // its process on this machine; 0 leaves CPU and memory out
}

// Config says what to do. Zero fields take the defaults of Run.
type Config struct {
	Targets     []Target      `json:"targets"`
	Workload    string        `json:"workload"`       // Hit, Miss or Srcset
	Loop        string        `json:"loop"`           // Closed or Open; default Closed
	Rate        float64       `json:"rate,omitempty"` // Open: requests per second
	Connections int           `json:"connections"`    // kept open to one target; default 4, of a srcset 16
	Rounds      int           `json:"rounds"`         // each plays every target once, in turn; default 5
	Requests    int           `json:"requests"`       // of a round to one target; 0 goes by Duration
	Duration    time.Duration `json:"duration"`       // of a round at one target, nanoseconds; default 5 s; unused when Requests is set
	WarmUp      int           `json:"warm_up"`        // unmeasured requests to each target first; default Connections
	Sources     []string      `json:"sources"`        // ids, at least one
	Format      string        `json:"format"`         // extension; default webp
	Quality     int           `json:"quality"`        // 1-100, for spellings that take one; default 75
	MinSide     int           `json:"min_side"`       // pixels; default 200
	MaxSide     int           `json:"max_side"`       // pixels; default 400
	Set         int           `json:"set,omitempty"`  // Hit: how many pictures; default 100
	Zipf        float64       `json:"zipf"`           // Hit: the nth picture is asked for in proportion to 1/n^Zipf; 0 is evenly
	Timeout     time.Duration `json:"timeout"`        // of a request, nanoseconds; default 10 s
	Seed        uint64        `json:"seed"`           // of the order of sizes: the same seed asks the same of a run
}

// Run plays the rounds and returns what was measured. The targets take turns within each round (A B A B ...), so that what else
// the machine does meets all of them. On a terminal, progress shows a bar; other writers get a line a round; nil gets nothing.
//
// Answers that are wrong are counted, not an error; a target of which no answer in the warm-up is right is one. So are settings
// out of bounds, a URL space too small to keep misses apart, and the end of ctx.
func Run(ctx context.Context, c Config, progress io.Writer) (*Report, error) {
	c.setDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	pictures, err := newPictures(c)
	if err != nil {
		return nil, err
	}
	players := make([]*player, len(c.Targets))
	for i, target := range c.Targets {
		if players[i], err = newPlayer(c, target, pictures); err != nil {
			return nil, fmt.Errorf("target %s: %w", target.Name, err)
		}
		defer players[i].close()
	}
	for _, p := range players {
		if err := p.warmUp(ctx); err != nil {
			return nil, fmt.Errorf("warm up %s: %w", p.target.Name, err)
		}
	}
	report := newReport(c)
	show := newMeter(progress, c)
	defer show.close()
	for round := range c.Rounds {
		for i, p := range players {
			measured, err := p.round(ctx, show)
			if err != nil {
				return nil, fmt.Errorf("round %d, %s: %w", round+1, p.target.Name, err)
			}
			report.Results[i].Rounds = append(report.Results[i].Rounds, measured)
			show.round(round, p.target.Name, measured)
		}
	}
	report.summarise()
	return report, nil
}

func (c *Config) setDefaults() {
	c.Loop = cmp.Or(c.Loop, Closed)
	if c.Workload == Srcset {
		c.Connections, c.WarmUp = cmp.Or(c.Connections, srcsetSize()), cmp.Or(c.WarmUp, srcsetSize())
	}
	c.Connections = cmp.Or(c.Connections, 4)
	c.Rounds = cmp.Or(c.Rounds, 5)
	c.WarmUp = cmp.Or(c.WarmUp, c.Connections)
	c.Format = cmp.Or(c.Format, "webp")
	c.Quality = cmp.Or(c.Quality, 75)
	c.MinSide = cmp.Or(c.MinSide, 200)
	c.MaxSide = cmp.Or(c.MaxSide, 400)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Seed = cmp.Or(c.Seed, 1)
	if c.Workload == Hit {
		c.Set = cmp.Or(c.Set, 100)
	}
	if c.Requests == 0 {
		c.Duration = cmp.Or(c.Duration, 5*time.Second)
	}
	c.Targets = slices.Clone(c.Targets)
	for i := range c.Targets {
		c.Targets[i].URLs = cmp.Or(c.Targets[i].URLs, "deckle")
		c.Targets[i].Name = cmp.Or(c.Targets[i].Name, c.Targets[i].Base)
	}
}

// check lists every setting out of bounds at once.
func (c *Config) check() error {
	var faults []error
	want := func(ok bool, what string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(what, args...))
		}
	}
	want(len(c.Targets) > 0, "at least one target is needed")
	want(len(c.Sources) > 0, "at least one source is needed")
	want(c.Workload == Hit || c.Workload == Miss || c.Workload == Srcset, "workload %q is none of %s, %s and %s", c.Workload, Hit, Miss, Srcset)
	want(c.Workload != Srcset || c.Requests > 0, "a srcset needs a number of requests: %d a source", srcsetSize())
	want(c.Loop == Closed || c.Loop == Open, "loop %q is neither %s nor %s", c.Loop, Closed, Open)
	want(c.Loop != Open || c.Rate > 0 && c.Rate <= MaxRate, "the open loop needs a rate above 0, at most %d", MaxRate)
	want(inRange(c.Connections, 1, MaxConnections), "connections must be 1 to %d", MaxConnections)
	want(inRange(c.Rounds, 1, MaxRounds), "rounds must be 1 to %d", MaxRounds)
	want(inRange(c.Requests, 0, MaxRequests), "requests must be 0 to %d", MaxRequests)
	want(inRange(c.WarmUp, 1, MaxRequests), "warm-up requests must be 1 to %d", MaxRequests)
	want(c.Requests > 0 || c.Duration > 0 && c.Duration <= MaxDuration, "the duration must be above 0, at most %s", MaxDuration)
	want(inRange(c.Quality, 1, 100), "quality must be 1 to 100")
	want(1 <= c.MinSide && c.MinSide <= c.MaxSide && c.MaxSide <= MaxSide, "sides must be 1 to %d, the least first", MaxSide)
	want(c.Workload != Hit || inRange(c.Set, 1, MaxRequests), "the set must have 1 to %d pictures", MaxRequests)
	want(c.Zipf >= 0 && c.Zipf <= 10, "zipf must be 0 to 10")
	want(c.Timeout > 0 && c.Timeout <= MaxDuration, "the timeout must be above 0, at most %s", MaxDuration)
	return errors.Join(faults...)
}

func inRange(n, least, most int) bool { return n >= least && n <= most }

// roundRequests returns how many requests a round makes of one target, 0 when only time ends it.
func (c *Config) roundRequests() int {
	if c.Requests > 0 || c.Loop == Closed {
		return c.Requests
	}
	return max(1, int(min(c.Rate*c.Duration.Seconds(), MaxRequests)))
}
