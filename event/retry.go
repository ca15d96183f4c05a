package event

import (
	"math/rand/v2"
	"time"
)

// Backoff says when a failed delivery is tried again: after a pause that is drawn evenly from nothing to a bound, which is
// First and grows fourfold with each attempt up to Most ("full jitter", M. Brooker, Exponential Backoff And Jitter, 2015).
// Zero fields take the value in brackets.
type Backoff struct {
	First time.Duration  // [1 s]
	Most  time.Duration  // [5 minutes]
	For   time.Duration  // how long an event is tried before it is dead [24 h]
	Draw  func() float64 // from [0, 1) [math/rand/v2]
}

// growth is how much longer each pause may be than the one before.
const growth = 4

func (b Backoff) withDefaults() Backoff {
	if b.First <= 0 {
		b.First = time.Second
	}
	if b.Most <= 0 {
		b.Most = 5 * time.Minute
	}
	if b.For <= 0 {
		b.For = 24 * time.Hour
	}
	if b.Draw == nil {
		b.Draw = rand.Float64
	}
	return b
}

// Pause returns how long to wait after the attempt of that number, from 1, has failed.
func (b Backoff) Pause(attempt int) time.Duration {
	bound := min(b.First, b.Most)
	for n := 1; n < attempt && bound < b.Most; n++ {
		bound = min(bound*growth, b.Most)
	}
	return time.Duration(b.Draw() * float64(bound))
}

// after returns what follows a failure at now.
func (b Backoff) after(p Parcel, now time.Time, failure error) Verdict {
	due := now.Add(b.Pause(p.Attempt))
	if due.Sub(p.Since) > b.For {
		return Verdict{Outcome: Dead, Reason: failure.Error()}
	}
	return Verdict{Outcome: Retry, Due: due, Reason: failure.Error()}
}
