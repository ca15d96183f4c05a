// Package bench drives image servers over HTTP and says what a request costs: it plays hits and misses against one or several
// of them in turn, checks every answer, and reports medians, spreads and ratios.
package bench

import (
	"context"
	"fmt"
	"image"
	"io"
	"time"
)

// Workloads.
const (
	Hit    = "hit"    // pictures of a set that was fetched before
	Miss   = "miss"   // every request of the run is for a picture that no other asks for
	Srcset = "srcset" // misses: of one source after the other all that a page's srcset names, in SrcsetWidths and SrcsetFormats
	Storm  = "storm"  // a round is one picture that is not there, asked for over all connections at the same moment
	Mixed  = "mixed"  // hits, and misses in between
	Upload = "upload" // new sources
	Purge  = "purge"  // a source is replaced again and again while its pictures are asked for: to the last stale byte
)

// Workloads are all of them, in the order in which Plan plays them.
var Workloads = []string{Srcset, Hit, Miss, Upload, Purge, Storm, Mixed}

// What a srcset names. The widths are those of phones, tablets and desktops that generators of pages have by default.
var (
	SrcsetWidths  = []int{320, 480, 640, 750, 828, 1080, 1200, 1600} // pixels, and as much for the height
	SrcsetFormats = []string{"jpg", "webp"}
)

// Loops.
const (
	Closed = "closed" // each connection asks again when it was answered: for capacity
	Open   = "open"   // requests are due at times fixed in advance, whatever the answers do: for latency
	Burst  = "burst"  // all of a round are due when it begins: a storm's, and of nothing else
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

// leastRounds are played even when the time for a run is over: fewer have no spread.
const leastRounds = 3

// Target is one server to be measured.
type Target struct {
	Name     string   `json:"name"`
	Base     string   `json:"base"`               // http://host:port, or https, with an optional path
	URLs     string   `json:"urls"`               // how it spells a picture: the name of a spelling, or a pattern (see Spellings)
	PID      int      `json:"pid,omitempty"`      // its process on this machine; 0 leaves CPU and memory out
	Original string   `json:"original,omitempty"` // pattern of a source's stored bytes; empty is the spelling's own, if it has one
	Admin    string   `json:"admin,omitempty"`    // Deckle's operator listener, which gives the tokens for Upload and Purge
	APIKey   string   `json:"-"`                  // for Admin
	Upload   string   `json:"upload,omitempty"`   // of other servers: a method and a pattern with {id}, as PUT /{id}.jpg
	Edges    []string `json:"edges,omitempty"`    // Purge: base URLs of further nodes, which are read from too
}

// Config says what to do. Zero fields take the defaults of Run.
type Config struct {
	Targets     []Target      `json:"targets"`
	Workload    string        `json:"workload"`              // one of Workloads
	Loop        string        `json:"loop"`                  // Closed or Open; default Closed. A Storm is always a Burst
	Rate        float64       `json:"rate,omitempty"`        // Open: requests per second
	Connections int           `json:"connections"`           // kept open to one target; default 4, of a srcset 16, of a storm Requests
	Rounds      int           `json:"rounds"`                // each plays every target once, in turn; default 5
	Requests    int           `json:"requests"`              // of a round to one target; 0 goes by Duration. Storm: default 1000. Purge: replacements, default 10
	Duration    time.Duration `json:"duration"`              // of a round at one target, nanoseconds; default 5 s; unused when Requests is set
	Within      time.Duration `json:"within,omitempty"`      // no round begins later than this after the first, but for the first three; 0 is no bound
	WarmUp      int           `json:"warm_up"`               // unmeasured requests to each target first; default Connections, of a storm 4
	Sources     []string      `json:"sources"`               // ids, at least one; Upload and Purge name their own, bench-...
	Format      string        `json:"format"`                // extension; default webp
	Quality     int           `json:"quality"`               // 1-100, for spellings that take one; default 75
	MinSide     int           `json:"min_side"`              // pixels; default 200
	MaxSide     int           `json:"max_side"`              // pixels; default 400
	Set         int           `json:"set,omitempty"`         // Hit, Mixed, Purge: how many pictures; default 100, of a purge 20
	Zipf        float64       `json:"zipf"`                  // Hit, Mixed: the nth picture is asked for in proportion to 1/n^Zipf; 0 is evenly
	Misses      float64       `json:"misses,omitempty"`      // Mixed: the part of the requests that are for new pictures; default 0.05
	UploadSide  int           `json:"upload_side,omitempty"` // Upload, Purge: longer side of the pictures sent, pixels; default 1600
	Timeout     time.Duration `json:"timeout"`               // of a request from when it was due, nanoseconds; default 10 s
	Settle      time.Duration `json:"settle,omitempty"`      // quiet time after the last round, before memory is looked at once more
	Seed        uint64        `json:"seed"`                  // of the order of sizes: the same seed asks the same of a run
	Lane        int           `json:"lane,omitempty"`        // of a suite's runs with Lanes: those of different lanes share no picture
	Lanes       int           `json:"lanes,omitempty"`       // default 1
	Stamp       string        `json:"stamp,omitempty"`       // Upload, Purge: part of the ids, so that they are new; default the time
	Fidelity    int           `json:"fidelity,omitempty"`    // Miss: of how many sources the pictures are compared with a reference; 0 is none

	// Original returns a source's bytes, for Fidelity. Without it they are asked of the first target that gives them.
	Original func(id string) ([]byte, error) `json:"-"`
	// Decode reads pictures that Go's decoders (JPEG, PNG, GIF, WebP) do not, for Fidelity; nil is none.
	Decode func(picture []byte) (image.Image, error) `json:"-"`
}

// Run plays the rounds and returns what was measured. The targets take turns within each round (A B A B ...), so that what else
// the machine does meets all of them. On a terminal, progress shows a table that grows and a bar; other writers get a line a
// round; nil gets nothing.
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
	if err := playRounds(ctx, c, players, report, progress); err != nil {
		return nil, err
	}
	if err := settle(ctx, c.Settle, players, report); err != nil {
		return nil, err
	}
	report.summarise()
	if c.Workload == Miss && c.Fidelity > 0 {
		if err := report.compare(ctx, players); err != nil {
			return nil, err
		}
	}
	return report, nil
}

func playRounds(ctx context.Context, c Config, players []*player, report *Report, progress io.Writer) error {
	show := newMeter(progress, c)
	defer show.close()
	start := time.Now()
	for round := range c.Rounds {
		if c.Within > 0 && round >= leastRounds && time.Since(start) >= c.Within {
			break
		}
		for i, p := range players {
			show.begin(round, p.target.Name)
			measured, err := p.round(ctx, show)
			if err != nil {
				return fmt.Errorf("round %d, %s: %w", round+1, p.target.Name, err)
			}
			report.Results[i].Rounds = append(report.Results[i].Rounds, measured)
			show.round(round, p.target.Name, measured)
		}
	}
	for i, p := range players {
		report.Results[i].Distribution = quantiles(p.overall)
	}
	return nil
}

// settle reads the memory that targets still have when nothing was asked of them for a while.
func settle(ctx context.Context, quiet time.Duration, players []*player, report *Report) error {
	if quiet <= 0 {
		return nil
	}
	select {
	case <-time.After(quiet):
	case <-ctx.Done():
		return ctx.Err()
	}
	for i, p := range players {
		u, err := readUsage(p.target.PID)
		if err != nil {
			return fmt.Errorf("after the run: %w", err)
		}
		report.Results[i].SettledBytes = u.shared()
	}
	return nil
}
