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
	// probeTimeout bounds the one call that is let through: others are refused as long as it runs, though the tier may be back.
	probeTimeout = time.Second
)

// Breaker is a Tier in front of one that can fail. After five failures within a window it answers ErrOpen at once, and tries
// the tier again with one call a second until one succeeds within a second. Misses, refusals and corrupt entries are answers,
// not failures; what a caller cut short says nothing about the tier. Purges are always passed on: skipping one would
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
	err = b.call(ctx, func(ctx context.Context) error {
		e, err = b.tier.Get(ctx, k)
		return err
	})
	return e, err
}

// Set passes on or answers ErrOpen.
func (b *Breaker) Set(ctx context.Context, k Key, e *Entry) error {
	return b.call(ctx, func(ctx context.Context) error { return b.tier.Set(ctx, k, e) })
}

// Purge passes on.
func (b *Breaker) Purge(ctx context.Context, source string) error { return b.tier.Purge(ctx, source) }

func (b *Breaker) call(ctx context.Context, do func(context.Context) error) error {
	if !b.circuit.TryAcquirePermit() {
		return ErrOpen
	}
	within := ctx
	if b.circuit.IsHalfOpen() {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, probeTimeout)
		defer cancel()
	}
	err := do(within)
	switch {
	case answered(err):
		b.circuit.RecordSuccess()
	case ctx.Err() == nil, b.circuit.IsHalfOpen(): // a probe that is cut short must give its permit back
		b.circuit.RecordFailure()
	}
	return err
}

// answered tells what a tier that is well may say.
func answered(err error) bool {
	return err == nil || errors.Is(err, ErrMiss) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrRefused) || errors.Is(err, ErrCorrupt)
}
