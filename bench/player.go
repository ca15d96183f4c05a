package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// errExhausted says that a run of misses was faster than its URL space is large.
var errExhausted = errors.New("every picture was asked for: widen the sides, add sources, or set a number of requests")

// player asks one target.
type player struct {
	config      Config
	target      Target
	pictures    *pictures
	spelling    *spelling
	connections []*connection
	set         [][]byte // request targets of the pictures that are asked for again
	uploads     *uploads // nil when the workload has none
	rounds      uint64   // played
	asked       atomic.Int64
	overall     *hdrhistogram.Histogram // latencies of all rounds, microseconds
}

func newPlayer(c Config, target Target, pictures *pictures) (*player, error) {
	at, err := parseAddress(target.Base)
	if err != nil {
		return nil, err
	}
	p := &player{config: c, target: target, pictures: pictures, overall: newHistogram()}
	if p.spelling, err = newSpelling(target.URLs, at.prefix, c); err != nil {
		return nil, err
	}
	if target.PID != 0 {
		if _, err := readUsage(target.PID); err != nil {
			return nil, err
		}
	}
	if c.Workload == Upload || c.Workload == Purge {
		if p.uploads, err = newUploads(c, target); err != nil {
			return nil, err
		}
	}
	if c.hasSet() {
		for i := range c.Set {
			p.set = append(p.set, p.spelling.append(nil, pictures.at(i)))
		}
	}
	edges := []address{at}
	for _, base := range target.Edges {
		edge, err := parseAddress(base)
		if err != nil {
			return nil, err
		}
		edges = append(edges, edge)
	}
	if c.Workload != Purge {
		edges = edges[:1]
	}
	for i := range max(c.Connections, len(edges)) {
		p.connections = append(p.connections, newConnection(edges[i%len(edges)], c.Timeout))
	}
	return p, nil
}

func (p *player) close() {
	for _, c := range p.connections {
		c.close()
	}
	if p.uploads != nil {
		p.uploads.close()
	}
}

// job is one request to make: a picture to ask for, or a source to bring in.
type job struct {
	target []byte // of the request; good until the worker's next job
	format string // extension that the answer must have the type of
	warm   bool   // the picture was fetched before
	id     string // a source to bring in; there is no target then
}

// asker gives a worker its next job, and false when none is left.
type asker func() (job, bool)

// asker returns worker's own.
func (p *player) asker(worker int) asker {
	random := rand.New(rand.NewPCG(p.config.Seed, p.rounds<<16|uint64(worker)))
	hit := func() (job, bool) {
		return job{target: p.set[p.pictures.draw(random)], format: p.config.Format, warm: true}, true
	}
	switch p.config.Workload {
	case Hit:
		return hit
	case Mixed:
		miss := p.misses(p.pictures.take)
		return func() (job, bool) {
			if random.Float64() < p.config.Misses {
				return miss()
			}
			return hit()
		}
	case Srcset:
		return p.misses(func() (picture, bool) { return p.pictures.ofSrcset(int(p.asked.Add(1) - 1)) })
	case Upload:
		return func() (job, bool) { return job{id: p.uploads.fresh()}, true }
	}
	return p.misses(p.pictures.take)
}

// misses asks for what take returns.
func (p *player) misses(take func() (picture, bool)) asker {
	var buffer []byte
	return func() (job, bool) {
		picture, ok := take()
		buffer = p.spelling.append(buffer[:0], picture)
		return job{target: buffer, format: picture.format}, ok
	}
}

// warmUp asks for every picture of a set once, so that its later requests are hits, or for a few pictures of no further use.
func (p *player) warmUp(ctx context.Context) error {
	if p.config.Workload == Purge {
		if err := p.uploads.put(ctx, p.config.Sources[0]); err != nil {
			return err
		}
	}
	var next atomic.Int64
	total := p.config.WarmUp
	ask := func(int) asker { return p.asker(0) }
	if p.config.hasSet() {
		total = max(total, len(p.set))
		ask = func(int) asker {
			return func() (job, bool) {
				return job{target: p.set[int(next.Add(1)-1)%len(p.set)], format: p.config.Format}, true
			}
		}
	}
	t, err := p.play(ctx, pace{requests: total}, ask, nil)
	if err != nil {
		return err
	}
	if t.good == 0 {
		return fmt.Errorf("no answer is right: %s", t.describe())
	}
	return nil
}

// round plays one measured round.
func (p *player) round(ctx context.Context, show *meter) (Round, error) {
	p.rounds++
	switch p.config.Workload {
	case Storm:
		return p.stormRound(ctx, show)
	case Purge:
		return p.purgeRound(ctx, show)
	}
	pace := pace{requests: p.config.roundRequests(), duration: p.config.Duration}
	if p.config.Loop == Open {
		pace.interval = time.Duration(float64(time.Second) / p.config.Rate)
	}
	return p.measure(func() (*tally, error) { return p.play(ctx, pace, p.asker, show) })
}

// measure reads what the server uses around a part of a run.
func (p *player) measure(part func() (*tally, error)) (Round, error) {
	before, err := readUsage(p.target.PID)
	if err != nil {
		return Round{}, err
	}
	t, err := part()
	if err != nil {
		return Round{}, err
	}
	after, err := readUsage(p.target.PID)
	if err != nil {
		return Round{}, err
	}
	p.overall.Merge(t.latency)
	return t.round(before, after), nil
}

// pace says when requests are due and when there are enough.
type pace struct {
	requests int           // 0 is no bound
	duration time.Duration // ends a round that is not bounded by requests
	interval time.Duration // between the times at which requests are due; 0 is as soon as a connection is free
	burst    bool          // all requests are due at the start
}

// maxTallies bounds what a thousand connections would otherwise spend on histograms.
const maxTallies = 32

// play has every connection ask until the pace says that it is enough, and returns what came of it.
func (p *player) play(ctx context.Context, pace pace, ask func(worker int) asker, show *meter) (*tally, error) {
	shared := &clock{pace: pace, start: time.Now()}
	mixed := p.config.Workload == Mixed
	tallies := make([]*tally, min(len(p.connections), maxTallies))
	for i := range tallies {
		tallies[i] = newTally(shared.start, mixed)
	}
	var wait sync.WaitGroup
	for i, c := range p.connections {
		w := &worker{connection: c, clock: shared, ask: ask(i), tally: tallies[i%len(tallies)], uploads: p.uploads, show: show}
		wait.Go(func() { w.run(ctx) })
	}
	wait.Wait()
	elapsed := time.Since(shared.start)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if shared.exhausted.Load() {
		return nil, errExhausted
	}
	total := newTally(shared.start, mixed)
	total.elapsed = elapsed
	for _, t := range tallies {
		total.add(t)
	}
	return total, nil
}

// clock hands out the requests of a round.
type clock struct {
	pace      pace
	start     time.Time
	next      atomic.Int64
	exhausted atomic.Bool
}

// due returns when the next request is due; false when there are enough.
func (c *clock) due() (time.Time, bool) {
	n := c.next.Add(1) - 1
	switch {
	case c.exhausted.Load():
		return time.Time{}, false
	case c.pace.requests > 0 && n >= int64(c.pace.requests):
		return time.Time{}, false
	case c.pace.requests == 0 && time.Since(c.start) >= c.pace.duration:
		return time.Time{}, false
	case c.pace.burst:
		return c.start, true
	case c.pace.interval > 0:
		return c.start.Add(time.Duration(n) * c.pace.interval), true
	}
	return time.Now(), true
}

// worker asks over one connection.
type worker struct {
	connection *connection
	clock      *clock
	ask        asker
	tally      *tally
	uploads    *uploads
	show       *meter
}

// run asks until there are enough. In an open loop a request that finds no free connection is late, and its lateness counts:
// latency is taken from when it was due.
func (w *worker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		due, more := w.clock.due()
		if !more {
			return
		}
		job, ok := w.ask()
		if !ok {
			w.clock.exhausted.Store(true)
			return
		}
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		switch {
		case time.Since(due) >= w.connection.timeout: // an answer could not come in time: the open loop of an overloaded server ends
			w.tally.failed(job, true, time.Since(due))
		case job.id != "":
			w.uploads.send(ctx, job, due, w.tally)
		default:
			w.request(ctx, job, due)
		}
		w.show.add()
	}
}

func (w *worker) request(ctx context.Context, j job, due time.Time) {
	answer, err := w.connection.get(ctx, j.target, due)
	took := time.Since(due)
	if err != nil {
		w.tally.failed(j, outOfTime(err), took)
		return
	}
	status, body := answer.StatusCode(), answer.Body()
	if status != 200 || len(body) == 0 || !rightType(j.format, string(answer.Header.ContentType())) {
		w.tally.refused(status)
		return
	}
	w.tally.answered(j, status, len(body), took)
}
