package bench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c *Config) setDefaults() {
	switch c.Workload {
	case Srcset:
		c.Connections, c.WarmUp = cmp.Or(c.Connections, srcsetSize()), cmp.Or(c.WarmUp, srcsetSize())
	case Storm:
		c.Loop, c.Requests, c.WarmUp = cmp.Or(c.Loop, Burst), cmp.Or(c.Requests, 1000), cmp.Or(c.WarmUp, 4)
		c.Connections = cmp.Or(c.Connections, c.Requests)
	case Mixed:
		c.Misses = cmp.Or(c.Misses, 0.05)
	case Upload, Purge:
		c.nameUploads()
	}
	c.Loop = cmp.Or(c.Loop, Closed)
	c.Connections = cmp.Or(c.Connections, 4)
	c.Rounds = cmp.Or(c.Rounds, 5)
	c.WarmUp = cmp.Or(c.WarmUp, c.Connections)
	c.Format = cmp.Or(c.Format, "webp")
	c.Quality = cmp.Or(c.Quality, 75)
	c.MinSide = cmp.Or(c.MinSide, 200)
	c.MaxSide = cmp.Or(c.MaxSide, 400)
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Seed = cmp.Or(c.Seed, 1)
	c.Lanes = cmp.Or(c.Lanes, 1)
	if c.hasSet() {
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

// nameUploads gives the sources that a run brings in ids that are new.
func (c *Config) nameUploads() {
	c.Stamp = cmp.Or(c.Stamp, strconv.FormatInt(time.Now().UnixMilli(), 36))
	c.UploadSide = cmp.Or(c.UploadSide, 1600)
	c.Sources = []string{"bench-" + c.Stamp}
	if c.Workload == Purge {
		c.Requests, c.Set, c.WarmUp = cmp.Or(c.Requests, 10), cmp.Or(c.Set, 20), 1
	}
}

// hasSet tells whether some pictures are fetched before the rounds, to be asked for again.
func (c *Config) hasSet() bool {
	return c.Workload == Hit || c.Workload == Mixed || c.Workload == Purge
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
	want(slices.Contains(Workloads, c.Workload), "workload %q is none of %s", c.Workload, strings.Join(Workloads, ", "))
	want(c.Workload != Srcset || c.Requests > 0, "a srcset needs a number of requests: %d a source", srcsetSize())
	want((c.Loop == Burst) == (c.Workload == Storm), "a storm, and nothing else, is a %s", Burst)
	want(c.Workload != Purge || c.Loop == Closed, "a purge has no open loop")
	want(c.Workload != Purge || slices.Contains(purgeFormats, c.Format), "a purge needs one of the formats %s", strings.Join(purgeFormats, ", "))
	want(c.Loop == Closed || c.Loop == Open || c.Loop == Burst, "loop %q is neither %s nor %s", c.Loop, Closed, Open)
	want(c.Loop != Open || c.Rate > 0 && c.Rate <= MaxRate, "the open loop needs a rate above 0, at most %d", MaxRate)
	want(inRange(c.Connections, 1, MaxConnections), "connections must be 1 to %d", MaxConnections)
	want(inRange(c.Rounds, 1, MaxRounds), "rounds must be 1 to %d", MaxRounds)
	want(inRange(c.Requests, 0, MaxRequests), "requests must be 0 to %d", MaxRequests)
	want(inRange(c.WarmUp, 1, MaxRequests), "warm-up requests must be 1 to %d", MaxRequests)
	want(c.Requests > 0 || c.Duration > 0 && c.Duration <= MaxDuration, "the duration must be above 0, at most %s", MaxDuration)
	want(inRange(c.Quality, 1, 100), "quality must be 1 to 100")
	want(1 <= c.MinSide && c.MinSide <= c.MaxSide && c.MaxSide <= MaxSide, "sides must be 1 to %d, the least first", MaxSide)
	want(!c.hasSet() || inRange(c.Set, 1, MaxRequests), "the set must have 1 to %d pictures", MaxRequests)
	want(0 <= c.Lane && c.Lane < c.Lanes, "the lane must be below the number of lanes")
	want(c.Zipf >= 0 && c.Zipf <= 10, "zipf must be 0 to 10")
	want(c.Misses >= 0 && c.Misses <= 1, "misses must be 0 to 1")
	want(inRange(c.UploadSide, 0, maxUploadSide), "the pictures to upload must have at most %d pixels a side", maxUploadSide)
	want(c.Timeout > 0 && c.Timeout <= MaxDuration, "the timeout must be above 0, at most %s", MaxDuration)
	want(c.Settle >= 0 && c.Settle <= MaxDuration, "the quiet time must be at most %s", MaxDuration)
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
