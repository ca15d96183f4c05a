package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"deckle/catalog"
	"deckle/origin"
)

// tokenBytes of randomness make a token: 192 bits, beyond guessing, and a whole number of base64 characters.
const tokenBytes = 24

// MaxGrants is how many grants one call gives out.
const MaxGrants = 1000

// statsAtOnce is how many questions to the store one call of Grants asks at one time.
const statsAtOnce = 16

// Expired grants are swept on one request in sweepEvery, at most sweepBatch of them, so that no request waits long.
const (
	sweepEvery = 10
	sweepBatch = 200
)

// GrantRequest asks for the right to upload one source.
type GrantRequest struct {
	ID      string // of Grants it may be empty, to have one minted: 26 letters and digits that nobody can guess
	Replace bool   // the upload may replace the source that has this id, as Policy.Replace says too
	Policy  Policy
}

// Grant is the right to upload the source ID once, until Expires. Token is its secret: it is kept nowhere else.
type Grant struct {
	ID      string
	Token   string // unpadded base64url
	Expires time.Time
}

// Grant gives out a token. It answers origin.ErrBadID, ErrHeld, ErrExists when the id has a source and may not be replaced,
// ErrPolicy, and ErrUnavailable or origin.ErrUnavailable.
func (s *Service) Grant(ctx context.Context, request GrantRequest) (Grant, error) {
	if err := origin.CheckID(request.ID); err != nil {
		return Grant{}, err
	}
	results, err := s.Grants(ctx, []GrantRequest{request})
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		return Grant{}, err
	}
	return results[0].Grant, nil
}

// GrantResult is the answer to one GrantRequest: Err, or the grant.
type GrantResult struct {
	Grant
	Err error // as of Grant; the other requests are answered all the same
}

// Grants gives out up to MaxGrants tokens, in one transaction, each answered for itself and in the order of the requests. The
// error is one about all: ErrPolicy when there are none or too many, ErrUnavailable.
func (s *Service) Grants(ctx context.Context, requests []GrantRequest) ([]GrantResult, error) {
	if len(requests) == 0 || len(requests) > MaxGrants {
		return nil, fmt.Errorf("%w: 1 to %d grants are given at once", ErrPolicy, MaxGrants)
	}
	s.sweepSometimes(ctx)
	results := make([]GrantResult, len(requests))
	s.checkRequests(ctx, requests, results)
	now := s.config.Now()
	var issued []catalog.Grant
	var of []int
	for i, request := range requests {
		result := &results[i]
		if result.Err != nil {
			continue
		}
		policy := request.Policy
		policy.Replace = policy.Replace || request.Replace
		ttl := policy.TTL
		setDefault(&ttl, s.config.TTL)
		result.Token, result.Expires = newToken(), now.Add(ttl).Truncate(time.Millisecond)
		text, err := json.Marshal(policy)
		if err != nil {
			return nil, err
		}
		issued, of = append(issued, catalog.Grant{
			TokenHash: hashToken(result.Token), ID: result.ID, Replace: policy.Replace, Expires: result.Expires, Policy: string(text),
		}), append(of, i)
	}
	verdicts, err := s.config.Catalog.IssueAll(ctx, issued, now)
	if err != nil {
		return nil, err
	}
	for n, verdict := range verdicts {
		if verdict != nil {
			results[of[n]] = GrantResult{Grant: Grant{ID: issued[n].ID}, Err: verdict}
		}
	}
	return results, nil
}

// checkRequests fills in the ids, and the errors of those that can be refused before the catalog is asked.
func (s *Service) checkRequests(ctx context.Context, requests []GrantRequest, results []GrantResult) {
	places := make(chan struct{}, statsAtOnce)
	var running sync.WaitGroup
	for i, request := range requests {
		if results[i].ID = request.ID; request.ID == "" {
			results[i].ID = mintID()
			results[i].Err = errors.Join(request.Policy.check(s.config.MaxTTL), s.checkPrivate(request.Policy.Private))
			continue
		}
		if results[i].Err = origin.CheckID(request.ID); results[i].Err == nil {
			results[i].Err = errors.Join(request.Policy.check(s.config.MaxTTL), s.checkPrivate(request.Policy.Private))
		}
		if results[i].Err != nil || request.Replace || request.Policy.Replace {
			continue
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			results[i].Err = s.checkFree(ctx, request.ID)
		})
	}
	running.Wait()
}

// mintID makes an id: letters of one case and digits, so that it means the same wherever case is folded.
func mintID() string { return rand.Text() }

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
		s.config.Log.Warn("expired grants were not swept", slog.Any("cause", err))
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

// findGrant returns the live grant of a token and its policy. What is no token by its length is not looked for.
func (s *Service) findGrant(ctx context.Context, id, token string) (catalog.Grant, Policy, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return catalog.Grant{}, Policy{}, ErrToken
	}
	return s.grantOf(ctx, catalog.Grant{TokenHash: hashToken(token), ID: id})
}

// grantOf returns a grant as it now stands.
func (s *Service) grantOf(ctx context.Context, g catalog.Grant) (catalog.Grant, Policy, error) {
	g, err := s.config.Catalog.Grant(ctx, g.TokenHash, g.ID, s.config.Now())
	if err != nil {
		return catalog.Grant{}, Policy{}, err
	}
	policy, err := policyOf(g)
	return g, policy, err
}
