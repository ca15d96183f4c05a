package s3

import (
	"context"
	"errors"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"

	"deckle/cache"
)

// A get that takes longer than most did is asked a second time, and the first answer counts: of two connections seldom both
// are slow. Second questions are a tenth of those under way at most, but for two, so that a server which is slow for all is
// not asked twice for everything.
const (
	hedgeQuantile = 0.95
	hedgeMemory   = 200 // gets that the quantile is taken over
	hedgeFrom     = 50  // gets before the first that is hedged
	hedgeRate     = 0.1
	hedgeFree     = 2
)

func newHedge() failsafe.Executor[[]byte] {
	return failsafe.With(hedgepolicy.NewBuilderWithDelayQuantile[[]byte](hedgeQuantile, hedgeMemory, hedgeFrom).
		WithBudget(budget.NewBuilder().WithMaxRate(hedgeRate).WithMinConcurrency(hedgeFree).Build()).
		CancelIf(func(_ []byte, err error) bool { return err == nil }).
		Build())
}

// read returns an object's bytes, from whichever of one or two questions is answered first.
func (s *store) read(ctx context.Context, object string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	if s.hedge == nil {
		return s.fetch(ctx, object)
	}
	data, err := s.hedge.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[[]byte]) ([]byte, error) {
		data, err := s.fetch(e.Context(), object)
		if errors.Is(err, cache.ErrMiss) {
			return nil, nil // an answer, which counts as the other does
		}
		return data, err
	})
	if err == nil && data == nil {
		return nil, cache.ErrMiss
	}
	return data, err
}
