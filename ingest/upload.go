package ingest

import (
	"context"
	"encoding/json"
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
	ID    string // may be empty: that of the grant
	Token string
	Body  io.Reader      // the file and nothing else; read to its end unless the upload is refused
	Crop  transform.Crop // what to keep of the upright picture; zero keeps the file as it is
	// Client is who uploads, for the bound on uploads of one client: an address, or a key. Empty for nobody in particular.
	Client string
}

// Receipt says what the store holds, durably, once an upload has been received. Without a crop these are the very bytes of
// the body, less the metadata that Config.Scrub leaves out.
type Receipt struct {
	ID      string
	Version string // the store's
	SHA256  string // of the stored bytes, lower-case hexadecimal
	Bytes   int64
	Format  transform.Format
	Width   int // pixels, upright
	Height  int // pixels, upright

	MD5         string // of the stored bytes, lower-case hexadecimal; empty for what was uploaded before there were any
	Placeholder string // ThumbHash, base64; empty when none was made
	Pending     bool   // not served: Publish makes it so
}

// Receive takes one upload in; the order of its steps is in the package's documentation. The body is not read unless the token
// is good. It is streamed: memory does not grow with it, save for a crop and with Config.Decode, which need the picture in
// memory.
//
// An upload that fails frees its grant: the token is good for another try until it expires. A token that has been used is
// answered with the receipt of that use when body and crop are those of that use, and else with ErrUsed. Other errors are
// this package's, and those of transform and origin that its list of errors names.
func (s *Service) Receive(ctx context.Context, upload Upload) (Receipt, error) {
	if upload.ID != "" {
		if err := origin.CheckID(upload.ID); err != nil {
			return Receipt{}, err
		}
	}
	if err := s.clients.admit(upload.Client, s.config.Now()); err != nil {
		return Receipt{}, err
	}
	free, err := s.slot(ctx)
	if err != nil {
		return Receipt{}, err
	}
	defer free()
	g, policy, err := s.findGrant(ctx, upload.ID, upload.Token)
	if err != nil {
		return Receipt{}, err
	}
	if policy.Crop != (transform.Crop{}) {
		upload.Crop = policy.Crop
	}
	if g.Used() {
		return s.repeat(ctx, g, policy, upload)
	}
	if g, err = s.claim(ctx, g); err != nil {
		return Receipt{}, err
	}
	return s.receiveClaimed(ctx, g, policy, upload)
}

// repeat answers an upload whose token has been used: it reads the body to know whether it is the same, and stores nothing.
func (s *Service) repeat(ctx context.Context, g catalog.Grant, policy Policy, upload Upload) (Receipt, error) {
	got, err := s.readBody(ctx, upload.Body, io.Discard, policy.limits(s.config.Limits).SourceBytes)
	if err != nil {
		return Receipt{}, err
	}
	return s.repeated(g, policy, fingerprint(got.sha256, upload.Crop))
}

// repeated returns the receipt of a used grant to an upload of that fingerprint.
func (s *Service) repeated(g catalog.Grant, policy Policy, fingerprint string) (Receipt, error) {
	if fingerprint != g.Upload {
		return Receipt{}, fmt.Errorf("%w for another upload", ErrUsed)
	}
	receipt, err := receiptOf(g.Record)
	receipt.Pending = policy.Later
	return receipt, err
}

// receiveClaimed keeps the claim while the upload goes on, and frees the grant when it fails, by a panic too.
func (s *Service) receiveClaimed(ctx context.Context, g catalog.Grant, policy Policy, upload Upload) (receipt Receipt, err error) {
	done := false
	held, letGo := s.hold(ctx, g)
	defer func() {
		letGo()
		if !done {
			s.release(ctx, g)
		}
	}()
	receipt, err = s.store(held, g, policy, upload)
	if lost := context.Cause(held); err != nil && errors.Is(lost, ErrUsed) {
		err = lost
	}
	done = err == nil
	return receipt, err
}

// store does what lies between the claim and the answer.
func (s *Service) store(ctx context.Context, g catalog.Grant, policy Policy, upload Upload) (Receipt, error) {
	to := origin.Writer(s.config.Store)
	if policy.Later {
		room, err := s.room(origin.Incoming, g.ID)
		if err != nil {
			return Receipt{}, err
		}
		to = room
	}
	var made series
	defer func() { made.abort(s) }()
	got, err := s.take(ctx, upload.Body, policy, to, &made)
	if err != nil {
		return Receipt{}, err
	}
	p := made.last()
	if upload.Crop != (transform.Crop{}) {
		if p, err = s.crop(ctx, p, upload.Crop, to); err != nil {
			return Receipt{}, err
		}
		made.add(p)
	}
	in := intent{
		Record: policy.describe(s.record(g.ID, p)), Replace: g.Replace,
		Token: g.TokenHash, Attempt: g.Attempt, Upload: fingerprint(got.sha256, upload.Crop),
	}
	if got.md5 != p.md5 {
		in.Record.SentMD5 = got.md5
	}
	return s.keep(ctx, g, policy, in, p)
}

// keep is the last step: it puts the picture where it belongs, and uses the grant.
func (s *Service) keep(ctx context.Context, g catalog.Grant, policy Policy, in intent, p picture) (receipt Receipt, err error) {
	var begun intent // to be published later: what a crash leaves in the area is nobody's, and swept
	if !policy.Later {
		in.Kind, in.Outputs = intentPut, policy.Outputs
		begun = in
	}
	if in.Record.Owner != "" {
		begun = intent{} // what the account allows is asked first
	}
	var r catalog.Record
	err = s.changing(ctx, g.ID, begun, &g, func(ctx context.Context, change *catalog.Change) (err error) {
		if policy.Later {
			r, err = s.keepIncoming(ctx, change, in, p.staged, policy.Outputs)
			return err
		}
		if begun.Kind == "" {
			if err := s.decide(ctx, change, in, catalog.Step{}); err != nil {
				return err
			}
		}
		r, err = s.place(ctx, change, in, p.staged)
		return err
	})
	if errors.Is(err, ErrUsed) {
		// An earlier try with this token may have been finished in passing.
		if used, policy, findErr := s.grantOf(ctx, g); findErr == nil && used.Used() {
			return s.repeated(used, policy, in.Upload)
		}
	}
	if err != nil {
		return Receipt{}, err
	}
	receipt, err = receiptOf(r)
	receipt.Pending = policy.Later
	return receipt, err
}

// describe adds what the policy says of the source to its record.
func (p Policy) describe(r catalog.Record) catalog.Record {
	r.Private, r.Data, r.Name, r.Tags, r.Owner = p.Private, string(p.Data), p.Name, p.Tags, p.Owner
	return r
}

// take reads a body into a staged object and finds it within the policy and whole; without its metadata it is another object.
// What was staged is in made, the last one being the one to go on with, and is its owner's to abort. It returns what the body is
// known by.
func (s *Service) take(ctx context.Context, body io.Reader, policy Policy, to origin.Writer, made *series) (content, error) {
	staged, err := to.Stage(ctx)
	if err != nil {
		return content{}, fmt.Errorf("stage upload: %w", err)
	}
	made.add(picture{staged: staged})
	limits := policy.limits(s.config.Limits)
	got, err := s.readBody(ctx, body, staged, limits.SourceBytes)
	if err != nil {
		return content{}, err
	}
	p, err := s.known(staged, got, limits)
	if err == nil {
		err = policy.admits(p.format)
	}
	if err != nil {
		return content{}, err
	}
	if s.config.Decode || policy.Whole {
		if p.placeholder, err = s.decode(ctx, p); err != nil {
			return content{}, err
		}
	}
	made.add(p)
	if s.config.Scrub && !policy.KeepMetadata {
		clean, err := s.scrub(ctx, p, to)
		if err != nil {
			return content{}, err
		}
		made.add(clean)
	}
	return got, nil
}

// series is one upload's staged objects, each made of the one before.
type series struct{ made []picture }

func (m *series) add(p picture) { m.made = append(m.made, p) }

func (m *series) last() picture { return m.made[len(m.made)-1] }

// abort drops them; of what was committed there is nothing to drop.
func (m *series) abort(s *Service) {
	for _, p := range m.made {
		s.abort(p.staged)
	}
}

// abort drops what was staged; after a commit there is nothing to drop.
func (s *Service) abort(staged origin.Staged) {
	if err := staged.Abort(); err != nil {
		s.config.Log.Warn("a refused upload was left in the store's room for uploads", slog.Any("cause", err))
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
		MD5: r.MD5, Placeholder: r.Placeholder,
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

// policyOf reads a grant's policy.
func policyOf(g catalog.Grant) (policy Policy, err error) {
	if g.Policy != "" {
		err = json.Unmarshal([]byte(g.Policy), &policy)
	}
	return policy, err
}
