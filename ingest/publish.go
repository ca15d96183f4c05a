package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"deckle/catalog"
	"deckle/origin"
)

// place makes the bytes durable under the change's id, then the record with which the change ends, and tells this node.
func (s *Service) place(ctx context.Context, change *catalog.Change, in intent, staged origin.Staged, more ...catalog.Step) (catalog.Record, error) {
	private, err := s.privacy(ctx, change, in)
	if err != nil {
		return catalog.Record{}, err
	}
	in.Record.Private = private
	staged.SetPrivate(private)
	info, err := staged.Commit(ctx, change.ID, in.Replace)
	if errors.Is(err, origin.ErrExists) {
		info, err = s.adopt(ctx, change.ID, staged, in.Record)
	}
	if err != nil {
		// The store may hold the new bytes all the same.
		s.config.Versions.Invalidate(change.ID)
		return catalog.Record{}, fmt.Errorf("store upload: %w", err)
	}
	return s.recordPut(ctx, change, in, info, false, more...)
}

// recordPut writes the record of bytes that are in the store, ends the change, and tells this node. With anyhow the grant may be
// lost.
func (s *Service) recordPut(ctx context.Context, change *catalog.Change, in intent, info origin.Info, anyhow bool, more ...catalog.Step) (catalog.Record, error) {
	r := in.Record
	r.Version = info.Version
	jobs := s.eager(r, in.Outputs)
	if !in.Exact || len(r.Labels) == 0 { // labels that come along need not be found again
		jobs = append(jobs, s.toLabel(r)...)
	}
	step := catalog.Step{
		Change: change, Remove: in.Exact, Put: &r, Replace: in.Replace, Drop: in.Area, Use: in.uses(), Upload: in.Upload, Anyhow: anyhow, Announce: in.announce,
		Enqueue: jobs,
	}
	r, err := s.config.Catalog.Settle(ctx, r.Updated, append([]catalog.Step{step}, more...)...)
	if err != nil {
		s.config.Versions.Invalidate(change.ID)
		return catalog.Record{}, err
	}
	s.config.Versions.Set(change.ID, info)
	if in.Replace {
		if err := s.config.Purge(ctx, change.ID); err != nil {
			s.config.Log.Warn("variants of a replaced source were not purged", slog.String("id", change.ID), slog.Any("cause", err))
		}
	}
	if in.Object != "" {
		s.dropObject(ctx, origin.Area(in.Area), change.ID, in.Object)
	}
	return r, nil
}

// adopt takes over a source of the same bytes that has no record. Whatever else has the id keeps it.
func (s *Service) adopt(ctx context.Context, id string, staged origin.Staged, want catalog.Record) (origin.Info, error) {
	_, err := s.config.Catalog.Record(ctx, id)
	if err == nil {
		return origin.Info{}, ErrExists
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return origin.Info{}, err
	}
	same, err := s.holds(ctx, id, content{sha256: want.SHA256, bytes: want.Bytes})
	if err != nil {
		return origin.Info{}, err
	}
	if !same {
		return origin.Info{}, ErrExists
	}
	// Committed again, since nobody knows whether those bytes are durable.
	return staged.Commit(ctx, id, true)
}

// holds tells whether the store's source has this very content.
func (s *Service) holds(ctx context.Context, id string, want content) (same bool, err error) {
	object, err := s.config.Store.Open(ctx, id, origin.Range{})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	hash := sha256.New()
	// One byte more than wanted is enough to make the hash of a longer source another one.
	_, err = io.CopyBuffer(hash, io.LimitReader(object.Body, want.bytes+1), make([]byte, bufferBytes))
	if err != nil {
		return false, err
	}
	return hex.EncodeToString(hash.Sum(nil)) == want.sha256, nil
}
