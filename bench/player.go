package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
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
	set         [][]byte // Hit: the request targets
	rounds      uint64   // played
	asked       atomic.Int64
}

func newPlayer(c Config, target Target, pictures *pictures) (*player, error) {
	address, err := parseAddress(target.Base)
	if err != nil {
		return nil, err
	}
	p := &player{config: c, target: target, pictures: pictures}
	if p.spelling, err = newSpelling(target.URLs, address.prefix, c); err != nil {
		return nil, err
	}
	if target.PID != 0 {
		if _, err := readUsage(target.PID); err != nil {
			return nil, err
		}
	}
	if c.Workload == Hit {
		for i := range c.Set {
			p.set = append(p.set, p.spelling.append(nil, pictures.at(i)))
		}
	}
	for range c.Connections {
		p.connections = append(p.connections, newConnection(address, c.Timeout))
	}
	return p, nil
}

func (p *player) close() {
	for _, c := range p.connections {
		c.close()
	}
}

// asker gives a worker the request target of its next request, appended to buffer[:0] or shared, and false when none is left.
type asker func(buffer []byte) ([]byte, bool)

// asker returns worker's own.
func (p *player) asker(worker int) asker {
	if p.config.Workload == Hit {
		random := rand.New(rand.NewPCG(p.config.Seed, p.rounds<<16|uint64(worker)))
		return func([]byte) ([]byte, bool) { return p.set[p.pictures.draw(random)], true }
	}
	return func(buffer []byte) ([]byte, bool) {
		take := p.pictures.take
		if p.config.Workload == Srcset {
			take = func() (picture, bool) { return p.pictures.ofSrcset(int(p.asked.Add(1) - 1)) }
		}
		picture, ok := take()
		return p.spelling.append(buffer[:0], picture), ok
	}
}

// warmUp asks for every picture of a set once, so that its later requests are hits, or for a few pictures of no further use.
func (p *player) warmUp(ctx context.Context) error {
	var next atomic.Int64
	total := p.config.WarmUp
	ask := func(int) asker { return p.asker(0) }
	if p.config.Workload == Hit {
		total = max(total, len(p.set))
		ask = func(int) asker {
			return func([]byte) ([]byte, bool) { return p.set[int(next.Add(1)-1)%len(p.set)], true }
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
	pace := pace{requests: p.config.roundRequests(), duration: p.config.Duration}
	if p.config.Loop == Open {
		pace.interval = time.Duration(float64(time.Second) / p.config.Rate)
	}
	p.rounds++
	before, err := readUsage(p.target.PID)
	if err != nil {
		return Round{}, err
	}
	t, err := p.play(ctx, pace, p.asker, show)
	if err != nil {
		return Round{}, err
	}
	after, err := readUsage(p.target.PID)
	if err != nil {
		return Round{}, err
	}
	return t.round(before, after), nil
}

// pace says when requests are due and when there are enough.
type pace struct {
	requests int           // 0 is no bound
	duration time.Duration // ends a round that is not bounded by requests
	interval time.Duration // between the times at which requests are due; 0 is as soon as a connection is free
}

// play has every connection ask until the pace says that it is enough, and returns what came of it.
func (p *player) play(ctx context.Context, pace pace, ask func(worker int) asker, show *meter) (*tally, error) {
	workers := make([]*worker, len(p.connections))
	shared := &clock{pace: pace, start: time.Now()}
	var wait sync.WaitGroup
	for i, c := range p.connections {
		workers[i] = &worker{connection: c, clock: shared, ask: ask(i), format: p.format(), tally: newTally(), show: show}
		wait.Go(func() { workers[i].run(ctx) })
	}
	wait.Wait()
	elapsed := time.Since(shared.start)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if shared.exhausted.Load() {
		return nil, errExhausted
	}
	total := newTally()
	total.elapsed = elapsed
	for _, w := range workers {
		total.add(w.tally)
	}
	return total, nil
}

// format is the extension that every answer must have the type of; empty, for any picture, where they differ.
func (p *player) format() string {
	if p.config.Workload == Srcset {
		return ""
	}
	return p.config.Format
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
	format     string
	tally      *tally
	show       *meter
}

// run asks until there are enough. In an open loop a request that finds no free connection is late, and its lateness counts:
// latency is taken from when it was due.
func (w *worker) run(ctx context.Context) {
	var buffer []byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		due, more := w.clock.due()
		if !more {
			return
		}
		target, ok := w.ask(buffer)
		if !ok {
			w.clock.exhausted.Store(true)
			return
		}
		buffer = target
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		w.request(ctx, target, due)
		w.show.add()
	}
}

func (w *worker) request(ctx context.Context, target []byte, due time.Time) {
	answer, err := w.connection.get(ctx, target)
	took := time.Since(due)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.tally.timeouts++
		w.tally.record(took) // it took at least as long
	case err != nil:
		w.tally.broken++
	default:
		w.tally.statuses[answer.StatusCode()]++
		body := answer.Body()
		if answer.StatusCode() != 200 || len(body) == 0 || !rightType(w.format, string(answer.Header.ContentType())) {
			w.tally.wrong++
			return
		}
		w.tally.good++
		w.tally.bytes += int64(len(body))
		w.tally.record(took)
	}
}
