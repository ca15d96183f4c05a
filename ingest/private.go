package ingest

import (
	"context"
	"errors"
	"fmt"

	"deckle/catalog"
	"deckle/origin"
)

// Privacy lies with the bytes, where readers find it without a database; the record says the same. On every way into the store the
// bytes have it before they can be read: a picture that is to be private is never public for a moment. New bytes make nothing
// public that was private.

// SetPrivate makes a source private, or public. When it returns, this node goes by it, and other nodes when they have been told, or
// else within the bound of Versions. A source that waits to be published is published as such. It is idempotent. ErrNotFound;
// ErrPolicy when nothing can be private here.
func (s *Service) SetPrivate(ctx context.Context, id string, private bool) error {
	if err := errors.Join(origin.CheckID(id), s.checkPrivate(private)); err != nil {
		return err
	}
	return s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		r, err := s.served(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return s.setPending(ctx, change, private)
		}
		if err != nil {
			return err
		}
		r.Private = private
		in := intent{Kind: intentPrivate, Record: r}
		if err := s.decide(ctx, change, in, catalog.Step{}); err != nil {
			return err
		}
		return s.finishPrivate(ctx, change, in)
	})
}

// setPending is SetPrivate for what is not served yet: its bytes get their privacy when they are.
func (s *Service) setPending(ctx context.Context, change *catalog.Change, private bool) error {
	aside, err := s.config.Catalog.Aside(ctx, catalog.Incoming, change.ID)
	if err != nil {
		return err
	}
	aside.Record.Private = private
	_, err = s.config.Catalog.Settle(ctx, s.config.Now(), catalog.Step{Change: change, Keep: &aside, Replace: true})
	return err
}

// finishPrivate brings the intent to its end: the bytes first, then this node and the others, then the record. The tiers are left as
// they are: nothing in them is shown without a look at what the store says of the source.
func (s *Service) finishPrivate(ctx context.Context, change *catalog.Change, in intent) error {
	private := in.Record.Private
	info, err := s.config.Store.SetPrivate(ctx, change.ID, private)
	if errors.Is(err, origin.ErrNotFound) {
		s.config.Versions.Invalidate(change.ID)
		return errors.Join(ErrNotFound, s.end(ctx, change))
	}
	if err != nil {
		s.config.Versions.Invalidate(change.ID) // the store may have done it all the same
		return err
	}
	s.config.Versions.Set(change.ID, info)
	_, err = s.config.Catalog.Settle(ctx, s.config.Now(), catalog.Step{
		Change: change, Privacy: &catalog.Privacy{Private: private, Version: info.Version},
	})
	return err
}

// checkPrivate refuses to keep private what could not be.
func (s *Service) checkPrivate(private bool) error {
	if private && s.config.NoPrivate != "" {
		return fmt.Errorf("%w: nothing can be private here: %s", ErrPolicy, s.config.NoPrivate)
	}
	return nil
}

// privacy tells whether what is put under the change's id is to be private: as the intent says, or because what is there is.
func (s *Service) privacy(ctx context.Context, change *catalog.Change, in intent) (bool, error) {
	private := in.Record.Private
	if in.Replace && !private {
		former, err := s.served(ctx, change.ID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		private = former.Private
	}
	return private, s.checkPrivate(private && in.Record.Private)
}
