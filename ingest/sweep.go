package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deckle/catalog"
	"deckle/origin"
)

// What one sweep takes at one time.
const (
	sweepEntries = 500 // that have expired
	sweepPage    = 500 // objects listed at one time
)

// Swept says what a sweep removed.
type Swept struct {
	Expired int // uploads that nobody published, and deleted sources whose time has come
	Orphans int // bytes to which nothing refers, that a crash or a client left behind
}

// SweepIncoming removes uploads that nobody has published in time, deleted sources that nobody has restored in time, and bytes
// beside them that are older than Config.IncomingTTL and that nothing refers to. It is called from time to time. Of what has
// expired one call takes a batch, the oldest first, and the next one goes on; the listing is read a page at a time.
func (s *Service) SweepIncoming(ctx context.Context) (swept Swept, err error) {
	var failed []error
	for _, area := range []origin.Area{origin.Incoming, origin.Trash} {
		n, err := s.sweepExpired(ctx, area)
		swept.Expired += n
		failed = append(failed, err)
		n, err = s.sweepOrphans(ctx, area)
		swept.Orphans += n
		failed = append(failed, err)
	}
	return swept, errors.Join(failed...)
}

// sweepExpired removes entries with their bytes, each under the right to change the id: it may be being published.
func (s *Service) sweepExpired(ctx context.Context, area origin.Area) (n int, err error) {
	expired, err := s.config.Catalog.ExpiredAsides(ctx, string(area), s.config.Now(), sweepEntries)
	if err != nil {
		return 0, err
	}
	for _, old := range expired {
		err := s.changing(ctx, old.ID, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
			now, err := s.config.Catalog.Aside(ctx, string(area), old.ID)
			if err != nil {
				return err
			}
			if now.Object != old.Object {
				return ErrNotFound // there is another by now
			}
			return s.forget(ctx, change, string(area), "")
		})
		switch {
		case err == nil:
			n++
		case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrChanging):
			return n, fmt.Errorf("sweep %s: %w", area, err)
		}
	}
	return n, nil
}

// sweepOrphans lists what the stores hold.
func (s *Service) sweepOrphans(ctx context.Context, area origin.Area) (n int, err error) {
	areas, ok := s.config.Store.(origin.Areas)
	if !ok {
		return 0, nil
	}
	rooms, err := areas.Rooms(area)
	if err != nil {
		return 0, err
	}
	for _, room := range rooms {
		after := ""
		for {
			page, err := room.List(ctx, after, sweepPage)
			if err != nil {
				return n, fmt.Errorf("sweep %s: %w", area, err)
			}
			if len(page) == 0 {
				break
			}
			after = page[len(page)-1].ID
			removed, err := s.sweepPage(ctx, area, room, page)
			n += removed
			if err != nil {
				return n, fmt.Errorf("sweep %s: %w", area, err)
			}
		}
	}
	return n, nil
}

func (s *Service) sweepPage(ctx context.Context, area origin.Area, room origin.Room, page []origin.Listed) (n int, err error) {
	before := s.config.Now().Add(-s.config.IncomingTTL)
	for _, object := range page {
		if !object.Modified.Before(before) {
			continue
		}
		known, err := s.config.Catalog.Refers(ctx, string(area), object.ID)
		if err != nil {
			return n, err
		}
		if known {
			continue
		}
		if err := room.Delete(ctx, object.ID); err != nil && !errors.Is(err, origin.ErrNotFound) {
			return n, err
		}
		n++
	}
	return n, nil
}

// tendEvery is how often Tend looks after what is left over.
const tendEvery = time.Minute

// Tend finishes what dead processes left unfinished and sweeps, at once and then every minute, until ctx ends. Several nodes may.
func (s *Service) Tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		_, recoverErr := s.Recover(ctx)
		_, sweepErr := s.SweepIncoming(ctx)
		if err := errors.Join(recoverErr, sweepErr, s.sweepJobs(ctx)); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("not everything that was left over could be seen to", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
