package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"deckle/catalog"
)

// claim takes the grant for this upload.
func (s *Service) claim(ctx context.Context, g catalog.Grant) (catalog.Grant, error) {
	now := s.config.Now()
	return s.config.Catalog.Claim(ctx, g, now, now.Add(s.config.Lease))
}

// hold renews the claim of g until letGo is called, which waits for a renewal under way. The context returned ends, with
// ErrUsed as its cause, when another upload has taken the grant over.
func (s *Service) hold(ctx context.Context, g catalog.Grant) (held context.Context, letGo func()) {
	held, lose := context.WithCancelCause(ctx)
	// The claim is kept although the client has left: the last step goes on without it.
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() {
		// Thirds let one renewal fail.
		tick := time.NewTicker(s.config.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-renewing.Done():
				return
			case <-tick.C:
			}
			// While the catalog is away the upload goes on: before anything is published the claim must be renewed once more.
			if err := s.renew(renewing, g); errors.Is(err, ErrUsed) {
				lose(err)
				return
			}
		}
	})
	return held, func() {
		stop()
		keeper.Wait()
		lose(nil)
	}
}

func (s *Service) renew(ctx context.Context, g catalog.Grant) error {
	return s.config.Catalog.Renew(ctx, g, s.config.Now().Add(s.config.Lease))
}

// release frees the grant of an upload that failed, whether or not the client is still there. When that fails, too, the claim
// runs out.
func (s *Service) release(ctx context.Context, g catalog.Grant) {
	if err := s.config.Catalog.Release(context.WithoutCancel(ctx), g); err != nil {
		s.config.Log.Warn("a grant was not freed and is blocked until its claim runs out",
			slog.String("id", g.ID), slog.Any("cause", err))
	}
}
