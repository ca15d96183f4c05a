// Package redis lets nodes that share a Redis server, Sentinel group or cluster take leases and send messages.
package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"deckle/fleet"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Every failure reaches the caller as an error or is counted; the client's own log would repeat it on stderr in another form.
func init() { logging.Disable() }

// Bounds of one call each.
const (
	callTimeout = 50 * time.Millisecond  // unless it is configured
	endTimeout  = 250 * time.Millisecond // carries up to fleet.MaxResult bytes, and nobody waits for it
)

// pollTime is how long a waiter relies on being woken. A wake-up is lost with the connection that it comes over.
const pollTime = 250 * time.Millisecond

// pollJitter spreads the waiters of a lease that runs out, of which there is one a node.
const pollJitter = 25 * time.Millisecond

// tries is how often the server is asked before a caller goes on alone.
const tries = 2

// LeaseConfig bounds leases. Zero fields take the value in brackets.
type LeaseConfig struct {
	// Time is how long a lease outlives a holder that died. It is renewed four times as often. [2 s]
	Time time.Duration
	// Wait is how long Take waits for another node. It should be what doing the work oneself would take at most. [5 s]
	Wait time.Duration
	// Call bounds one question to the server, of which two may be asked before a caller goes on alone. [50 ms]
	Call time.Duration
}

// Leases are kept in Redis: a key with the holder's random value that expires, and for a while after its end a key with the
// result. Calls have deadlines and are made twice at most; after five failures within a second the server is asked
// once a second only, and every caller gets a lease that binds nobody at once.
type Leases struct {
	config  LeaseConfig
	client  goredis.UniversalClient
	circuit circuitbreaker.CircuitBreaker[any]
	wakes   *wakes
	kept    sync.WaitGroup // the goroutines of leases
	closing chan struct{}

	held, given, alone atomic.Uint64
}

var _ fleet.Leases = (*Leases)(nil)

// NewLeases returns leases on a client, which stays the caller's. Close them before it.
func NewLeases(client goredis.UniversalClient, config LeaseConfig) *Leases {
	if config.Time <= 0 {
		config.Time = 2 * time.Second
	}
	if config.Wait <= 0 {
		config.Wait = 5 * time.Second
	}
	if config.Call <= 0 {
		config.Call = callTimeout
	}
	return &Leases{
		config: config, client: client, circuit: newCircuit(), wakes: newWakes(client), closing: make(chan struct{}),
	}
}

// Close drops the leases that are held still, and waits until what is said to the server is through. None may be asked for any
// more. It is called once.
func (l *Leases) Close() error {
	close(l.closing)
	l.kept.Wait()
	return l.wakes.close()
}

// LeaseStats count how Take ended since the start.
type LeaseStats struct {
	Held  uint64 // this node did the work, and no other
	Given uint64 // another node's result was taken
	Alone uint64 // this node went on alone: the server was away, or the holder too slow
}

// Stats returns the figures.
func (l *Leases) Stats() LeaseStats {
	return LeaseStats{Held: l.held.Load(), Given: l.given.Load(), Alone: l.alone.Load()}
}

// leaseKeys are where a lease and its result are.
func leaseKeys(name string) []string {
	return []string{"deckle:lease:{" + name + "}", "deckle:result:{" + name + "}"}
}

// Take does what fleet.Leases says.
func (l *Leases) Take(ctx context.Context, name string) (fleet.Lease, []byte, error) {
	holder := rand.Text()
	woken, forget := l.wakes.listen(name) // before the first look, so that no end is missed
	defer forget()
	patience := time.NewTimer(l.config.Wait)
	defer patience.Stop()
	for failures := 0; ; {
		said, err := l.look(ctx, name, holder)
		switch {
		case ctx.Err() != nil:
			if err == nil && said.state == taken {
				l.hold(name, holder, true).Drop()
			}
			return nil, nil, ctx.Err()
		case err != nil:
			if failures++; failures < tries {
				continue
			}
			return l.lone(name, holder), nil, nil
		case said.state == taken:
			l.held.Add(1)
			return l.hold(name, holder, true), nil, nil
		case said.state == made:
			l.given.Add(1)
			return nil, said.result, nil
		}
		failures = 0
		poll := time.NewTimer(min(pollTime, said.left) + mathrand.N(pollJitter))
		select {
		case <-woken:
		case <-poll.C:
		case <-patience.C:
			poll.Stop()
			return l.lone(name, holder), nil, nil
		case <-ctx.Done():
			poll.Stop()
			return nil, nil, ctx.Err()
		}
		poll.Stop()
	}
}

// said is the answer to one look at a lease.
type said struct {
	state  int           // taken, others, made
	left   time.Duration // that the lease of another has
	result []byte
}

func (l *Leases) look(ctx context.Context, name, holder string) (s said, err error) {
	err = through(ctx, l.circuit, l.config.Call, func(ctx context.Context) error {
		answer, err := takeScript.Run(ctx, l.client, leaseKeys(name), holder, l.config.Time.Milliseconds()).Slice()
		if err != nil {
			return err
		}
		s, err = readSaid(answer)
		return err
	})
	return s, err
}

// readSaid reads what the take script answered.
func readSaid(answer []any) (s said, err error) {
	if len(answer) != 2 {
		return s, fmt.Errorf("take lease: %d parts answered", len(answer))
	}
	state, ok := answer[0].(int64)
	switch value := answer[1].(type) {
	case string:
		s.result = []byte(value)
	case int64:
		s.left = max(0, time.Duration(value)*time.Millisecond)
	}
	if !ok || state < taken || state > made || (state == made) != (s.result != nil) {
		return said{}, fmt.Errorf("take lease: not an answer of the script: %.100v", answer)
	}
	s.state = int(state)
	return s, nil
}

// lone returns a lease that binds nobody. A result is told to the others all the same, once there is one.
func (l *Leases) lone(name, holder string) *lease {
	l.alone.Add(1)
	return l.hold(name, holder, false)
}
