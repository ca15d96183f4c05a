package event

import (
	"context"
	"time"
)

// Parcel is one event on its way to one endpoint, leased to whoever has taken it.
type Parcel struct {
	Event    Event
	Endpoint string
	Number   int64     // the outbox's own, of the event
	Attempt  int       // from 1; a lease that ran out counts as one
	Since    time.Time // when it was first due to be tried, or was last replayed
}

// Outcome says how an attempt to deliver ended.
type Outcome int

// The outcomes.
const (
	Delivered Outcome = iota // it has arrived
	Retry                    // it is due again later
	Dead                     // it is not tried any more, until it is replayed
)

// Verdict is the end of an attempt.
type Verdict struct {
	Outcome Outcome
	Due     time.Time // of Retry
	Reason  string    // of Retry and Dead
}

// Outbox keeps events until every endpoint that is to get them has. Of one endpoint and one source there is at most one event
// that can be taken: the oldest that is neither delivered nor dead. Methods are safe for concurrent use, in any number of
// processes on one database.
type Outbox interface {
	// Take leases up to limit parcels to the endpoint that are due at now until the time given; those whose lease has run out
	// are due again. The order is that of falling due.
	Take(ctx context.Context, endpoint string, now, until time.Time, limit int) ([]Parcel, error)
	// Settle ends the lease of a parcel. Where the parcel has been taken anew since, it does nothing.
	Settle(ctx context.Context, p Parcel, now time.Time, v Verdict) error
	// Next returns when the endpoint's next parcel falls due; the zero time when none waits.
	Next(ctx context.Context, endpoint string) (time.Time, error)
}
