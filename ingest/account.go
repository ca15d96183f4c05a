package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
)

var (
	// ErrQuota says that an owner would have more than the account allows. Nothing has been stored.
	ErrQuota = catalog.ErrQuota
	// ErrAccount says that the owner's account is being deleted, or was.
	ErrAccount = catalog.ErrAccount
)

const (
	// eraseEvery is how often accounts are looked for whose deletion another node, or an earlier process, left unfinished.
	eraseEvery = 10 * time.Second
	// ownedPage is how many ids are read at one time, erasedAtOnce of which are being erased. The lease is renewed behind each.
	ownedPage, erasedAtOnce = 200, 8
	// deletionKept is how long a deletion is remembered, so that no upload that was allowed before it brings the account back:
	// twice as long as a token can be good.
	deletionKept = 48 * time.Hour
)

// Accounts deletes accounts with everything that they own.
type Accounts struct {
	service *Service
	wake    chan struct{} // one place: it says that there is something to do
}

// Accounts returns what deletes accounts.
func (s *Service) Accounts() *Accounts { return &Accounts{s, make(chan struct{}, 1)} }

// Delete decides that an account is deleted, durably, and has Tend do it. ErrNotFound when there is none.
func (a *Accounts) Delete(ctx context.Context, owner string) error {
	if err := a.service.config.Catalog.DeleteAccount(ctx, owner, a.service.config.Now()); err != nil {
		return err
	}
	select {
	case a.wake <- struct{}{}:
	default: // it is to be woken already
	}
	return nil
}

// Tend deletes the accounts whose deletion has been decided, on this node or on another, until ctx ends. Several nodes may: each
// deletion is at one of them, and when that one dies the next goes on where it was.
func (a *Accounts) Tend(ctx context.Context) {
	tick := time.NewTicker(eraseEvery)
	defer tick.Stop()
	for {
		if err := a.Erase(ctx); err != nil && ctx.Err() == nil {
			a.service.config.Log.Warn("accounts were not deleted to the end; they are tried again", slog.Any("cause", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-tick.C:
		}
	}
}

// Erase deletes accounts until none waits.
func (a *Accounts) Erase(ctx context.Context) error {
	s := a.service
	now := s.config.Now()
	failed := []error{s.config.Catalog.SweepDeletions(ctx, now.Add(-deletionKept))}
	for ctx.Err() == nil {
		now = s.config.Now()
		d, err := s.config.Catalog.LeaseDeletion(ctx, now, now.Add(s.eraseLease()))
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		if err := s.eraseAccount(ctx, d); err != nil {
			// What is left waits for the next look, so that the others get their turn; another process need not wait for this one.
			pause := s.config.Now().Add(eraseEvery / 2)
			if ctx.Err() != nil {
				pause = s.config.Now()
			}
			err = errors.Join(err, s.config.Catalog.RenewDeletion(context.WithoutCancel(ctx), d, 0, pause))
			failed = append(failed, fmt.Errorf("delete an account: %w", err))
		}
	}
	return errors.Join(failed...)
}

// eraseLease outlasts what erasedAtOnce changes can take.
func (s *Service) eraseLease() time.Duration { return 2*s.config.Lease + s.config.Patience }

// eraseAccount goes once through all that the account owns, and removes it when nothing is left.
func (s *Service) eraseAccount(ctx context.Context, d catalog.Deletion) error {
	var failed []error
	for after := ""; ; {
		ids, err := s.config.Catalog.OwnedIDs(ctx, d.Owner, after, ownedPage)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1]
		for len(ids) > 0 {
			n := min(erasedAtOnce, len(ids))
			removed, err := s.eraseSome(ctx, d.Owner, ids[:n])
			failed = append(failed, err)
			ids = ids[n:]
			if err := s.config.Catalog.RenewDeletion(ctx, d, removed, s.config.Now().Add(s.eraseLease())); err != nil {
				return errors.Join(append(failed, err)...)
			}
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := s.config.Catalog.FinishDeletion(ctx, d, s.config.Now()); err != nil {
		return err
	}
	s.config.Log.Info("an account was deleted with all that it owned")
	return nil
}

func (s *Service) eraseSome(ctx context.Context, owner string, ids []string) (removed int64, err error) {
	var running sync.WaitGroup
	errs := make([]error, len(ids))
	for i, id := range ids {
		running.Go(func() { errs[i] = s.eraseOwned(ctx, owner, id) })
	}
	running.Wait()
	for _, err := range errs {
		if err == nil {
			removed++
		}
	}
	return removed, errors.Join(errs...)
}

// eraseOwned removes what an owner has under an id, for good: nothing goes to the trash, and what is there goes.
func (s *Service) eraseOwned(ctx context.Context, owner, id string) error {
	err := s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		r, err := s.config.Catalog.Record(ctx, id)
		if err == nil && r.Owner != owner {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		_, err = s.withdraw(ctx, change, "", time.Time{}, event.Deleted)
		return err
	})
	failed := []error{except(err, ErrNotFound)}
	for _, area := range []string{catalog.Incoming, catalog.Trash} {
		err := s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
			aside, err := s.config.Catalog.Aside(ctx, area, id)
			if err == nil && aside.Record.Owner != owner {
				err = ErrNotFound
			}
			if err != nil {
				return err
			}
			return s.forgetSurely(ctx, change, origin.Area(area), aside)
		})
		failed = append(failed, except(err, ErrNotFound))
	}
	return errors.Join(failed...)
}

// forgetSurely removes what an area keeps, bytes first: forget leaves those that it cannot remove to the sweep, which keeps them
// for as long as an upload waits.
func (s *Service) forgetSurely(ctx context.Context, change *catalog.Change, area origin.Area, aside catalog.Aside) error {
	room, err := s.room(area, aside.ID)
	if err != nil {
		return err
	}
	if err := room.Delete(ctx, aside.Object); err != nil && !errors.Is(err, origin.ErrNotFound) {
		return fmt.Errorf("erase from %s: %w", area, err)
	}
	return s.forget(ctx, change, string(area), "")
}
