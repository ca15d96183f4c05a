package bench

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// loneMisses are made before each storm, one after the other: what one rendering takes when nobody else asks. Several, because
// CPU time is known in steps of 10 ms.
const loneMisses = 4

// stormRound asks for a few pictures one by one and then, over all connections at once, for one that was never asked for.
func (p *player) stormRound(ctx context.Context, show *meter) (Round, error) {
	lone, err := p.loneRound(ctx)
	if err != nil {
		return Round{}, err
	}
	if err := p.connect(ctx); err != nil {
		return Round{}, fmt.Errorf("open the storm's connections: %w", err)
	}
	picture, ok := p.pictures.take()
	if !ok {
		return Round{}, errExhausted
	}
	same := job{target: p.spelling.append(nil, picture), format: picture.format}
	ask := func(int) asker { return func() (job, bool) { return same, true } }
	r, err := p.measure(func() (*tally, error) {
		return p.play(ctx, pace{requests: p.config.Requests, burst: true}, ask, show)
	})
	if err != nil {
		return Round{}, err
	}
	r.Storm = &StormFigures{LoneMillis: lone.Latency.P50, LoneCPUMillis: lone.CPUMillis}
	if lone.CPUMillis > 0 {
		r.Storm.CPUOfLone = r.CPUSeconds * 1000 / lone.CPUMillis
	}
	if lone.Latency.P50 > 0 {
		r.Storm.P99OfLone = r.Latency.P99 / lone.Latency.P50
	}
	return r, nil
}

// loneRound plays the lone misses over one connection. Their latencies are no part of the storm's.
func (p *player) loneRound(ctx context.Context) (Round, error) {
	alone := &player{config: p.config, target: p.target, pictures: p.pictures, spelling: p.spelling, connections: p.connections[:1], overall: newHistogram()}
	return alone.measure(func() (*tally, error) {
		return alone.play(ctx, pace{requests: loneMisses}, func(int) asker { return alone.misses(p.pictures.take) }, nil)
	})
}

// connect opens every connection, so that a storm is one of requests and not of connections.
func (p *player) connect(ctx context.Context) error {
	var wait sync.WaitGroup
	faults := make([]error, len(p.connections))
	for i, c := range p.connections {
		if c.conn != nil {
			continue
		}
		wait.Go(func() { faults[i] = c.dial(ctx, time.Now().Add(c.timeout)) })
	}
	wait.Wait()
	return cmp.Or(faults...)
}
