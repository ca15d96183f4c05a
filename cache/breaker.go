package cache

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// ErrOpen says that a tier failed too often lately and is left alone for a moment.
var ErrOpen = errors.New("cache: tier is failing and not asked")

// The breaker lets one call through to a failing tier about once a second. The jitter keeps nodes that saw the same failure
// from probing in step.
const (
	breakerFailures = 5
	breakerPause    = time.Second
	breakerJitter   = 0.1 // of the pause
)

// Breaker is a Tier in front of one that can fail. After five failures within a window it answers ErrOpen at once, and tries
// the tier again with one call a second until one succeeds. Misses, refusals of large entries and corrupt entries are
// answers, not failures; what a caller cut short says nothing about the tier. Purges are always passed on: skipping one would
// leave what should be gone.
type Breaker struct {
	tier    Tier
	circuit circuitbreaker.CircuitBreaker[any]
}

var _ Tier = (*Breaker)(nil)

// NewBreaker returns a breaker that counts failures over a window. It should be several times the tier's own deadline, so
// that calls which time out one after the other are counted together.
func NewBreaker(tier Tier, window time.Duration) *Breaker {
	return &Breaker{tier: tier, circuit: circuitbreaker.NewBuilder[any]().
		WithFailureThresholdPeriod(breakerFailures, window).
		WithDelay(breakerPause).
		WithJitterFactor(breakerJitter).
		WithSuccessThreshold(1).
		Build()}
}

// Get passes on or answers ErrOpen.
func (b *Breaker) Get(ctx context.Context, k Key) (e *Entry, err error) {
	err = b.call(ctx, func() error {
		e, err = b.tier.Get(ctx, k)
		return err
	})
	return e, err
}

// Set passes on or answers ErrOpen.
func (b *Breaker) Set(ctx context.Context, k Key, e *Entry) error {
	return b.call(ctx, func() error { return b.tier.Set(ctx, k, e) })
}

// Purge passes on.
func (b *Breaker) Purge(ctx context.Context, source string) error { return b.tier.Purge(ctx, source) }

func (b *Breaker) call(ctx context.Context, do func() error) error {
	if !b.circuit.TryAcquirePermit() {
		return ErrOpen
	}
	err := do()
	switch {
	case err == nil, errors.Is(err, ErrMiss), errors.Is(err, ErrTooLarge), errors.Is(err, ErrCorrupt):
		b.circuit.RecordSuccess()
	case ctx.Err() == nil, b.circuit.IsHalfOpen(): // a probe that is cut short must give its permit back
		b.circuit.RecordFailure()
	}
	return err
}
