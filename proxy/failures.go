package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deckle/cache"
	"deckle/origin"
	"deckle/transform"

	lru "github.com/hashicorp/golang-lru/v2"
)

// How long a render that failed is not tried again (TRUST.md threat 7, fault F16). The key holds the source's version, so
// that a source that was replaced is tried at once.
const (
	failureTime  = 5 * time.Second
	deadlineTime = time.Minute // such a render has cost a slot for its whole deadline
)

// maxFailures bounds how many are remembered; at most some 2 kB each.
const maxFailures = 4096

// failure is how the render of a key went wrong.
type failure struct {
	err   error
	until time.Time
}

// failures remembers renders that failed, so that a herd that asks for one is answered and does not repeat it. It is asked
// only when no tier holds the key.
type failures struct {
	list *lru.Cache[cache.Key, failure]
}

func newFailures() failures {
	list, err := lru.New[cache.Key, failure](maxFailures)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return failures{list: list}
}

// recall returns what went wrong with k a moment ago, or nil.
func (f failures) recall(k cache.Key, now time.Time) error {
	known, ok := f.list.Get(k)
	switch {
	case !ok:
		return nil
	case now.After(known.until):
		f.list.Remove(k)
		return nil
	}
	return fmt.Errorf("failed a moment ago: %w", &transform.Later{Err: known.err, After: known.until.Sub(now)})
}

// note remembers what went wrong with k, if that lies in the picture and not in the moment.
func (f failures) note(ctx context.Context, k cache.Key, err error, now time.Time) {
	if lasts := lastingFailure(ctx, err); lasts > 0 {
		f.list.Add(k, failure{err: err, until: now.Add(lasts)})
	}
}

// lastingFailure returns for how long the same render would fail again: not at all where nobody waited for its end, or where
// there was no room for it. ctx is that of the render.
func lastingFailure(ctx context.Context, err error) time.Duration {
	switch {
	case ctx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, transform.ErrBusy), errors.Is(err, origin.ErrUnavailable):
		return 0
	case errors.Is(err, context.DeadlineExceeded):
		return deadlineTime
	}
	return failureTime
}
