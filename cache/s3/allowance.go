package s3

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// A repetition costs as much as ten successes earn: at most a tenth more requests than calls, however many fail, and no more
// than a handful on top of that when all do. What has been saved up does not grow without end.
const (
	repeatEarned  = 1
	repeatCost    = 10
	repeatSavings = 100
)

var errSpent = errors.New("no repetitions left to spend")

// allowance grants repetitions. Unlike the client's own it keeps the price of one that succeeds: a server that fails every other
// time is asked no more often for it.
type allowance struct {
	mu      sync.Mutex
	savings uint
}

var _ retry.RateLimiter = (*allowance)(nil)

func newAllowance() *allowance { return &allowance{savings: repeatSavings} }

// GetToken pays for one repetition, or refuses it.
func (b *allowance) GetToken(_ context.Context, cost uint) (release func() error, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.savings < cost {
		return nil, errSpent
	}
	b.savings -= cost
	return func() error { return nil }, nil
}

// AddTokens is told of calls that succeeded at once.
func (b *allowance) AddTokens(earned uint) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.savings = min(repeatSavings, b.savings+earned)
	return nil
}
