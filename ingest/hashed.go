package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"deckle/catalog"
	"deckle/origin"
)

// Hashed is a source that is named by its bytes.
type Hashed struct {
	Receipt
	Hash string // MD5 of the stored bytes, lower-case hexadecimal
	Same bool   // the bytes were there already; nothing was written
}

// HashedUpload is a body that is to be named by its bytes.
type HashedUpload struct {
	Namespace string // first segment of the id
	Body      io.Reader
	Policy    Policy // Later, Replace, TTL and Crop are not looked at
	Client    string // as in Upload
}

// HashedID returns the id of content in a namespace: the hash is cut after 3, 6 and 9 of its hexadecimal digits. A hash is the
// MD5 of the bytes: 32 of them, lower-case.
func HashedID(namespace, hash string) string {
	return fmt.Sprintf("%s/%s/%s/%s/%s", namespace, hash[:3], hash[3:6], hash[6:9], hash[9:])
}

// ReceiveHashed takes a body in under the HashedID of its MD5. Identical bytes are stored once; ErrCollision refuses other bytes
// of the same MD5. Whoever calls has the right. Other errors are those of Receive.
func (s *Service) ReceiveHashed(ctx context.Context, upload HashedUpload) (Hashed, error) {
	if err := upload.Policy.check(s.config.MaxTTL); err != nil {
		return Hashed{}, err
	}
	if err := s.clients.admit(upload.Client, s.config.Now()); err != nil {
		return Hashed{}, err
	}
	free, err := s.slot(ctx)
	if err != nil {
		return Hashed{}, err
	}
	defer free()
	var made series
	defer func() { made.abort(s) }()
	if _, err := s.take(ctx, upload.Body, upload.Policy, s.config.Store, &made); err != nil {
		return Hashed{}, err
	}
	p := made.last()
	id := HashedID(upload.Namespace, p.md5)
	if err := origin.CheckID(id); err != nil {
		return Hashed{}, err
	}
	r, same, err := s.storeHashed(ctx, id, p, upload.Policy)
	if err != nil {
		return Hashed{}, err
	}
	receipt, err := receiptOf(r)
	return Hashed{Receipt: receipt, Hash: p.md5, Same: same}, err
}

// storeHashed stores the picture unless it is there.
func (s *Service) storeHashed(ctx context.Context, id string, p picture, policy Policy) (r catalog.Record, same bool, err error) {
	if r, err = s.sameHashed(ctx, id, p); !errors.Is(err, ErrNotFound) {
		return r, true, err
	}
	in := intent{Kind: intentPut, Record: policy.describe(s.record(id, p)), Outputs: policy.Outputs}
	err = s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) (err error) {
		// Another upload of the same bytes may have come first.
		if r, err = s.sameHashed(ctx, id, p); !errors.Is(err, ErrNotFound) {
			same = true
			return errors.Join(err, s.end(ctx, change))
		}
		if err := s.decide(ctx, change, in, catalog.Step{}); err != nil {
			return err
		}
		r, err = s.place(ctx, change, in, p.staged)
		if errors.Is(err, ErrExists) { // bytes without a record, that came here by another way
			err = fmt.Errorf("%w: %w", ErrCollision, err)
		}
		return err
	})
	return r, same, err
}

// sameHashed returns the record of a source that has the picture's bytes. ErrNotFound when there is none, ErrCollision when its
// bytes are others: MD5 can be made to collide, SHA-256 cannot.
func (s *Service) sameHashed(ctx context.Context, id string, p picture) (catalog.Record, error) {
	r, err := s.config.Catalog.Record(ctx, id)
	if err == nil && r.SHA256 != p.sha256 {
		err = ErrCollision
	}
	return r, err
}

// Fetch opens the body at a URL through Config.Fetcher, for Receive and ReceiveHashed. Whoever called closes it. ErrNoFetch
// without a Fetcher; ErrSourceMissing, ErrSourceFailed and ErrSourceSlow, also in the middle of the body; origin.ErrForbidden for
// an address that may not be fetched and origin.ErrTooLarge.
func (s *Service) Fetch(ctx context.Context, url string) (io.ReadCloser, error) {
	if s.config.Fetcher == nil {
		return nil, ErrNoFetch
	}
	body, err := s.config.Fetcher.Fetch(ctx, url)
	if err != nil {
		return nil, sourceFault(err)
	}
	return fetched{body}, nil
}

// fetched is a body whose errors say that they are of a client's source, and not of our store.
type fetched struct{ io.ReadCloser }

func (f fetched) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	return n, sourceFault(err)
}

// sourceFault says what an error of a Fetcher means to whoever named the URL.
func sourceFault(err error) error {
	var network net.Error
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, origin.ErrForbidden), errors.Is(err, origin.ErrTooLarge), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, origin.ErrNotFound):
		return fmt.Errorf("%w: %w", ErrSourceMissing, err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%w: %w", ErrSourceSlow, err)
	}
	return fmt.Errorf("%w: %w", ErrSourceFailed, err)
}
