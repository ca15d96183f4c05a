package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deckle/catalog"
	"deckle/origin"
)

// mostNamed bounds the ids that a report names; all are counted.
const mostNamed = 1000

// Indexed is what Index found, and did.
type Indexed struct {
	Sources  int              // that the store holds
	Adopted  int              // that had no record, and have one now, or would
	Failed   int              // that cannot have one
	Failures map[string]error // why, by id: up to 1000
	Missing  int              // records of which the store has no bytes
	IDs      []string         // of these, up to 1000
}

// Index makes records of the sources that have none, since they were put into the store by hand or the records were lost, and looks
// for records without bytes, which it leaves alone. Their times are those of the bytes. progress, where it is given, is told how
// far it is from time to time. Stores that cannot be listed are passed over. It may be repeated.
func (s *Service) Index(ctx context.Context, dry bool, progress func(Indexed)) (Indexed, error) {
	found := Indexed{Failures: map[string]error{}}
	walker, ok := s.config.Store.(origin.Walker)
	if !ok {
		return found, fmt.Errorf("%w: it cannot be listed", origin.ErrReadOnly)
	}
	err := walker.Walk(ctx, func(id string) error {
		adopted, err := s.adoptSource(ctx, id, dry)
		switch {
		case errors.Is(err, origin.ErrNotFound) || errors.Is(err, ErrNotFound):
			return nil // gone meanwhile, or no source
		case errors.Is(err, ErrUnavailable) || errors.Is(err, origin.ErrUnavailable) || ctx.Err() != nil:
			return err
		case err != nil:
			if found.Failed++; len(found.Failures) < mostNamed {
				found.Failures[id] = err
			}
		case adopted:
			found.Adopted++
		}
		if found.Sources++; progress != nil {
			progress(found)
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("index sources: %w", err)
	}
	missing, err := s.Check(ctx)
	found.Missing, found.IDs = len(missing), missing[:min(len(missing), mostNamed)]
	return found, err
}

// adoptSource makes a record of a source that has none.
func (s *Service) adoptSource(ctx context.Context, id string, dry bool) (bool, error) {
	_, err := s.config.Catalog.Record(ctx, id)
	if !errors.Is(err, ErrNotFound) {
		return false, err
	}
	r, err := s.probe(ctx, id)
	if err != nil || dry {
		return err == nil, err
	}
	adopted := false
	err = s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		_, err := s.config.Catalog.Record(ctx, id)
		if err == nil { // it has come since
			return s.end(ctx, change)
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		info, err := s.config.Store.Stat(ctx, id)
		if err != nil {
			return err
		}
		if info.Version != r.Version {
			return fmt.Errorf("%w: it was replaced meanwhile", ErrChanging)
		}
		r.Private = info.Private
		_, err = s.config.Catalog.Settle(ctx, s.config.Now(), catalog.Step{Change: change, Put: &r, Enqueue: s.toLabel(r)})
		adopted = err == nil
		return err
	})
	return adopted, err
}

// probe reads a source to its end, and returns the record that it is to have.
func (s *Service) probe(ctx context.Context, id string) (r catalog.Record, err error) {
	object, err := s.config.Store.Open(ctx, id, origin.Range{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	// What is read is looked at in a file of its own: on S3 there is none, and one that lies there may change.
	staged, err := s.config.Store.Stage(ctx)
	if err != nil {
		return r, err
	}
	defer s.abort(staged)
	sums := newSums()
	limited := io.LimitReader(object.Body, s.config.Limits.SourceBytes+1)
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(sums, staged)}, limited, make([]byte, bufferBytes))
	switch {
	case err != nil:
		return r, err
	case n == 0:
		return r, ErrNoImage
	case n > s.config.Limits.SourceBytes:
		return r, ErrTooLarge
	}
	p, err := s.known(staged, sums.content(n), s.config.Limits)
	if err != nil {
		return r, err
	}
	r = s.record(id, p)
	r.Version, r.Private = object.Version, object.Private
	if !object.Modified.IsZero() {
		r.Updated = object.Modified
	}
	return r, nil
}
