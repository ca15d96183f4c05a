package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"deckle/catalog"
	"deckle/origin"
	"deckle/transform"
)

// Upload is one body on its way in.
type Upload struct {
	ID    string
	Token string
	Body  io.Reader      // the file and nothing else; read to its end unless the upload is refused
	Crop  transform.Crop // what to keep of the upright picture; zero keeps the file as it is
}

// Receipt says what the store holds, durably, once an upload has been received. Without a crop these are the very bytes of
// the body.
type Receipt struct {
	ID      string
	Version string // the store's
	SHA256  string // of the stored bytes, lower-case hexadecimal
	Bytes   int64
	Format  transform.Format
	Width   int // pixels, upright
	Height  int // pixels, upright
}

// Receive takes one upload in; the order of its steps is in the package's documentation. The body is not read unless the token
// is good. It is streamed: memory does not grow with it, save for a crop, which needs the picture in memory.
//
// An upload that fails frees its grant: the token is good for another try until it expires. A token that has been used is
// answered with the receipt of that use when body and crop are those of that use, and else with ErrUsed. Other errors are
// this package's, and those of transform and origin that its list of errors names.
func (s *Service) Receive(ctx context.Context, upload Upload) (Receipt, error) {
	if err := origin.CheckID(upload.ID); err != nil {
		return Receipt{}, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return Receipt{}, ErrBusy
	}
	g, err := s.findGrant(ctx, upload.ID, upload.Token)
	if err != nil {
		return Receipt{}, err
	}
	if g.Used() {
		return s.repeat(ctx, g, upload)
	}
	if g, err = s.claim(ctx, g); err != nil {
		return Receipt{}, err
	}
	return s.receiveClaimed(ctx, g, upload)
}

// repeat answers an upload whose token has been used: it reads the body to know whether it is the same, and stores nothing.
func (s *Service) repeat(ctx context.Context, g catalog.Grant, upload Upload) (Receipt, error) {
	got, err := s.readBody(ctx, upload.Body, io.Discard)
	if err != nil {
		return Receipt{}, err
	}
	if fingerprint(got.sha256, upload.Crop) != g.Upload {
		return Receipt{}, fmt.Errorf("%w for another upload", ErrUsed)
	}
	return receiptOf(g.Record)
}

// receiveClaimed keeps the claim while the upload goes on, and frees the grant when it fails, by a panic too.
func (s *Service) receiveClaimed(ctx context.Context, g catalog.Grant, upload Upload) (receipt Receipt, err error) {
	done := false
	held, letGo := s.hold(ctx, g)
	defer func() {
		letGo()
		if !done {
			s.release(ctx, g)
		}
	}()
	receipt, err = s.store(held, g, upload)
	if lost := context.Cause(held); err != nil && errors.Is(lost, ErrUsed) {
		err = lost
	}
	done = err == nil
	return receipt, err
}

// store does what lies between the claim and the answer.
func (s *Service) store(ctx context.Context, g catalog.Grant, upload Upload) (Receipt, error) {
	staged, err := s.config.Store.Stage(ctx)
	if err != nil {
		return Receipt{}, fmt.Errorf("stage upload: %w", err)
	}
	defer s.abort(staged)
	got, err := s.readBody(ctx, upload.Body, staged)
	if err != nil {
		return Receipt{}, err
	}
	header, err := s.inspect(staged.Path(), got.bytes)
	if err != nil {
		return Receipt{}, err
	}
	p := picture{content: got, staged: staged, format: header.Format}
	p.width, p.height = header.Upright()
	if upload.Crop != (transform.Crop{}) {
		if p, err = s.crop(ctx, p, upload.Crop); err != nil {
			return Receipt{}, err
		}
		defer s.abort(p.staged)
	}
	return s.publish(ctx, g, p, fingerprint(got.sha256, upload.Crop))
}

// abort drops what was staged; after a commit there is nothing to drop.
func (s *Service) abort(staged origin.Staged) {
	if err := staged.Abort(); err != nil {
		s.config.Log.Warn("a refused upload was left in the store's room for uploads", slog.Any("error", err))
	}
}

// fingerprint names a body and what was to be made of it.
func fingerprint(sha256 string, crop transform.Crop) string {
	if crop == (transform.Crop{}) {
		return sha256
	}
	return sha256 + " crop=" + crop.String()
}

func receiptOf(r catalog.Record) (Receipt, error) {
	format, err := formatByName(r.Format)
	return Receipt{
		ID: r.ID, Version: r.Version, SHA256: r.SHA256, Bytes: r.Bytes, Format: format, Width: r.Width, Height: r.Height,
	}, err
}

// formatByName is the inverse of transform.Format.String for the formats that a source can have.
func formatByName(name string) (transform.Format, error) {
	for f := transform.JPEG; f <= transform.SVG; f++ {
		if f.String() == name {
			return f, nil
		}
	}
	return 0, fmt.Errorf("record has the unknown format %q", name)
}
