package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"deckle/catalog"
	"deckle/origin"
)

// tokenBytes of randomness make a token: 192 bits, beyond guessing, and a whole number of base64 characters.
const tokenBytes = 24

// Expired grants are swept on one request in sweepEvery, at most sweepBatch of them, so that no request waits long.
const (
	sweepEvery = 10
	sweepBatch = 200
)

// GrantRequest asks for the right to upload one source.
type GrantRequest struct {
	ID      string
	Replace bool // the upload may replace the source that has this id
}

// Grant is the right to upload the source ID once, until Expires. Token is its secret: it is kept nowhere else.
type Grant struct {
	ID      string
	Token   string // unpadded base64url
	Expires time.Time
}

// Grant gives out a token. It answers origin.ErrBadID, ErrHeld, ErrExists when the id has a source and Replace is false, and
// ErrUnavailable or origin.ErrUnavailable.
func (s *Service) Grant(ctx context.Context, request GrantRequest) (Grant, error) {
	if err := origin.CheckID(request.ID); err != nil {
		return Grant{}, err
	}
	s.sweepSometimes(ctx)
	if !request.Replace {
		if err := s.checkFree(ctx, request.ID); err != nil {
			return Grant{}, err
		}
	}
	now := s.config.Now()
	grant := Grant{ID: request.ID, Token: newToken(), Expires: now.Add(s.config.TTL).Truncate(time.Millisecond)}
	err := s.config.Catalog.Issue(ctx, catalog.Grant{
		TokenHash: hashToken(grant.Token), ID: grant.ID, Replace: request.Replace, Expires: grant.Expires,
	}, now)
	if err != nil {
		return Grant{}, err
	}
	return grant, nil
}

// checkFree asks the store, which may hold sources that were never uploaded here. The catalog checks its records itself.
func (s *Service) checkFree(ctx context.Context, id string) error {
	_, err := s.config.Store.Stat(ctx, id)
	switch {
	case err == nil:
		return ErrExists
	case errors.Is(err, origin.ErrNotFound):
		return nil
	}
	return fmt.Errorf("look for source: %w", err)
}

func (s *Service) sweepSometimes(ctx context.Context) {
	if s.issued.Add(1)%sweepEvery != 1 {
		return
	}
	if _, err := s.config.Catalog.Sweep(ctx, s.config.Now(), sweepBatch); err != nil {
		s.config.Log.Warn("expired grants were not swept", slog.Any("error", err))
	}
}

func newToken() string {
	var secret [tokenBytes]byte
	_, _ = rand.Read(secret[:]) // never fails; the runtime stops the program when the system has no randomness
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// hashToken returns what the catalog knows a token by. Looking a hash up in an index leaks nothing about the token through
// its timing, since nobody can choose a hash.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// findGrant returns the live grant of a token. What is no token by its length is not looked for.
func (s *Service) findGrant(ctx context.Context, id, token string) (catalog.Grant, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return catalog.Grant{}, ErrToken
	}
	return s.config.Catalog.Grant(ctx, hashToken(token), id, s.config.Now())
}
