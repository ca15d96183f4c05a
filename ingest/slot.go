package ingest

import (
	"context"
	"fmt"
	"time"
)

// slot waits for one of the slots in which bodies are received, and returns what gives it back: ErrBusy after Config.SlotWait, so
// that a burst is taken in one after another, and what is more than that is told to come again. The body is not read meanwhile:
// what waits is the sender.
func (s *Service) slot(ctx context.Context) (free func(), err error) {
	free = func() { <-s.slots }
	select {
	case s.slots <- struct{}{}:
		return free, nil
	default:
	}
	patience := time.NewTimer(s.config.SlotWait)
	defer patience.Stop()
	select {
	case s.slots <- struct{}{}:
		return free, nil
	case <-patience.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrAborted, context.Cause(ctx))
	}
}
