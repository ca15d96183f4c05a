package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
)

// MaxDeletes is how many sources one call deletes.
const MaxDeletes = 1000

// deletesAtOnce of one call are under way at one time.
const deletesAtOnce = 8

// Deletion is what became of one id.
type Deletion struct {
	ID    string
	Found bool  // there was a source, published or not
	Err   error // it could not be deleted to the end; what was decided is finished by Recover, or by the next Delete
}

// Delete erases sources: bytes, records and every variant in every tier. With Config.Undelete they are kept in the trash for
// that long, of which Restore takes them. At most MaxDeletes at once, else ErrPolicy; the results are in the order of the ids.
// An id without an error has nothing behind it any more, neither served nor waiting to be published.
func (s *Service) Delete(ctx context.Context, ids []string) ([]Deletion, error) {
	if len(ids) > MaxDeletes {
		return nil, fmt.Errorf("%w: at most %d sources are deleted at once", ErrPolicy, MaxDeletes)
	}
	results := make([]Deletion, len(ids))
	places := make(chan struct{}, deletesAtOnce)
	var running sync.WaitGroup
	for i, id := range ids {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			found, err := s.deleteOne(ctx, id)
			results[i] = Deletion{ID: id, Found: found, Err: err}
		})
	}
	running.Wait()
	return results, nil
}

func (s *Service) deleteOne(ctx context.Context, id string) (found bool, err error) {
	if err := origin.CheckID(id); err != nil {
		return false, err
	}
	area, expires := "", time.Time{}
	if s.config.Undelete > 0 {
		area, expires = catalog.Trash, s.config.Now().Add(s.config.Undelete)
	}
	err = s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		_, err := s.withdraw(ctx, change, area, expires, event.Deleted)
		return err
	})
	found = !errors.Is(err, ErrNotFound)
	if err != nil && found {
		return true, err
	}
	if _, err := s.config.Catalog.Aside(ctx, catalog.Incoming, id); err != nil {
		return found, except(err, ErrNotFound)
	}
	err = s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		return s.forget(ctx, change, catalog.Incoming, event.Deleted)
	})
	return true, except(err, ErrNotFound)
}

// except returns err unless it is the one expected.
func except(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// withdraw takes a source out of service: with an area it is copied there first. Then its record goes, which decides it; then
// its bytes and variants. ErrNotFound when there is no source.
func (s *Service) withdraw(ctx context.Context, change *catalog.Change, area string, expires time.Time, kind event.Kind) (catalog.Record, error) {
	r, err := s.served(ctx, change.ID)
	if err != nil {
		return catalog.Record{}, err
	}
	in := intent{Kind: intentErase, Record: r, Event: kind}
	step := catalog.Step{Remove: true}
	if area != "" {
		if step.Keep, err = s.setAside(ctx, area, &in.Record, expires); err != nil {
			return catalog.Record{}, err
		}
		step.Replace = true
	}
	in.Record.Updated = s.config.Now()
	if err := s.decide(ctx, change, in, step); err != nil {
		return catalog.Record{}, err
	}
	return in.Record, s.erase(ctx, change, in)
}

// served returns the record of a source that is served; one that was never uploaded here has little in it.
func (s *Service) served(ctx context.Context, id string) (catalog.Record, error) {
	r, err := s.config.Catalog.Record(ctx, id)
	if !errors.Is(err, ErrNotFound) {
		return r, err
	}
	info, err := s.config.Store.Stat(ctx, id)
	if errors.Is(err, origin.ErrNotFound) {
		return r, ErrNotFound
	}
	return catalog.Record{ID: id, Version: info.Version, Bytes: info.Size, Private: info.Private}, err
}

// setAside copies a source to an area. What is not known of it is filled in.
func (s *Service) setAside(ctx context.Context, area string, r *catalog.Record, expires time.Time) (*catalog.Aside, error) {
	room, err := s.room(origin.Area(area), r.ID)
	if err != nil {
		return nil, err
	}
	check := func(path string) error {
		sum, err := sumFile(path)
		if err != nil {
			return err
		}
		if r.Format == "" {
			header, err := s.inspect(path, sum.bytes, s.config.Limits)
			if err != nil {
				return err
			}
			r.Format = header.Format.String()
			r.Width, r.Height = header.Upright()
		}
		r.SHA256, r.MD5, r.Bytes = sum.sha256, sum.md5, sum.bytes
		return nil
	}
	object := newObject()
	if _, err := origin.Copy(ctx, s.config.Store, r.ID, room, object, false, check); err != nil {
		return nil, fmt.Errorf("keep in %s: %w", area, err)
	}
	return &catalog.Aside{Area: area, ID: r.ID, Object: object, Record: *r, Expires: expires}, nil
}

// erase removes the bytes and the variants of a source whose record has gone, looks whether they are gone, and ends the change.
func (s *Service) erase(ctx context.Context, change *catalog.Change, in intent) error {
	if err := s.config.Store.Delete(ctx, change.ID); err != nil && !errors.Is(err, origin.ErrNotFound) {
		return fmt.Errorf("erase source: %w", err)
	}
	s.config.Versions.Gone(change.ID)
	if err := s.config.Purge(ctx, change.ID); err != nil {
		return fmt.Errorf("erase variants: %w: %w", origin.ErrUnavailable, err)
	}
	if _, err := s.config.Store.Stat(ctx, change.ID); !errors.Is(err, origin.ErrNotFound) {
		return fmt.Errorf("erase source: %w: it is still there: %w", origin.ErrUnavailable, err)
	}
	_, err := s.config.Catalog.Settle(ctx, s.config.Now(), catalog.Step{
		Change: change, Announce: func(catalog.Record) []catalog.Event { return in.announce(in.Record) },
	})
	return err
}

// forget removes what an area keeps for the change's id, entry first: bytes that are left are the sweep's. ErrNotFound when
// there is nothing.
func (s *Service) forget(ctx context.Context, change *catalog.Change, area string, kind event.Kind) error {
	aside, err := s.config.Catalog.Aside(ctx, area, change.ID)
	if err != nil {
		return err
	}
	step := catalog.Step{Change: change, Drop: area}
	if kind != "" {
		aside.Record.Updated = s.config.Now()
		step.Announce = func(catalog.Record) []catalog.Event { return intent{Event: kind}.announce(aside.Record) }
	}
	if _, err := s.config.Catalog.Settle(ctx, s.config.Now(), step); err != nil {
		return err
	}
	s.dropObject(ctx, origin.Area(area), change.ID, aside.Object)
	return nil
}
