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

// publish makes the picture durable, writes its record, and tells this node. The whole body has come in, so that the work goes
// on without the client, in at most one lease: the claim, renewed at the beginning, cannot run out before the end.
func (s *Service) publish(ctx context.Context, g catalog.Grant, p picture, fingerprint string) (Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Lease)
	defer cancel()
	if err := s.renew(ctx, g); err != nil {
		return Receipt{}, err
	}
	info, record, err := s.commit(ctx, g, p, fingerprint)
	if err != nil {
		// The store may hold the new bytes all the same.
		s.config.Versions.Invalidate(g.ID)
		return Receipt{}, err
	}
	s.config.Versions.Set(g.ID, info)
	if g.Replace {
		if err := s.config.Purge(ctx, g.ID); err != nil {
			s.config.Log.Warn("variants of a replaced source were not purged", slog.String("id", g.ID), slog.Any("error", err))
		}
	}
	return receiptOf(record)
}

// commit makes the bytes durable, then the record.
func (s *Service) commit(ctx context.Context, g catalog.Grant, p picture, fingerprint string) (origin.Info, catalog.Record, error) {
	info, err := p.staged.Commit(ctx, g.ID, g.Replace)
	if errors.Is(err, origin.ErrExists) {
		info, err = s.adopt(ctx, g.ID, p)
	}
	if err != nil {
		return origin.Info{}, catalog.Record{}, fmt.Errorf("store upload: %w", err)
	}
	record, err := s.config.Catalog.Finish(ctx, g, catalog.Record{
		ID: g.ID, Version: info.Version, SHA256: p.sha256, Bytes: p.bytes,
		Format: p.format.String(), Width: p.width, Height: p.height, Updated: s.config.Now(),
	}, fingerprint, announceUpload)
	return info, record, err
}

// adopt takes over a source that an earlier try of this upload stored without getting as far as the record. Whatever else
// has the id keeps it.
func (s *Service) adopt(ctx context.Context, id string, p picture) (origin.Info, error) {
	_, err := s.config.Catalog.Record(ctx, id)
	if err == nil {
		return origin.Info{}, ErrExists
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return origin.Info{}, err
	}
	same, err := s.holds(ctx, id, p.content)
	if err != nil {
		return origin.Info{}, err
	}
	if !same {
		return origin.Info{}, ErrExists
	}
	// Committed again, since the earlier try may have ended between the bytes' being visible and their being durable.
	return p.staged.Commit(ctx, id, true)
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
