package redis

import (
	"context"
	"fmt"
	"time"

	"deckle/fleet"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// The server is left alone after so many failures within a second, and asked again about a second later; the jitter keeps nodes
// that saw the same failure from asking in step.
const (
	circuitFailures = 5
	circuitWindow   = time.Second
	circuitPause    = time.Second
	circuitJitter   = 0.1 // of the pause
)

func newCircuit() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().
		WithFailureThresholdPeriod(circuitFailures, circuitWindow).
		WithDelay(circuitPause).
		WithJitterFactor(circuitJitter).
		WithSuccessThreshold(1).
		Build()
}

// through makes one call to the server within a bound, unless the circuit is open. Its errors wrap fleet.ErrUnavailable.
func through(ctx context.Context, circuit circuitbreaker.CircuitBreaker[any], bound time.Duration, call func(context.Context) error) error {
	if !circuit.TryAcquirePermit() {
		return fmt.Errorf("%w: Redis failed too often lately", fleet.ErrUnavailable)
	}
	within, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	err := call(within)
	switch {
	case err == nil:
		circuit.RecordSuccess()
		return nil
	case ctx.Err() == nil, circuit.IsHalfOpen(): // a probe that is cut short must give its permit back
		circuit.RecordFailure()
	}
	return fmt.Errorf("%w: %w", fleet.ErrUnavailable, err)
}
