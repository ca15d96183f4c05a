package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
)

// MaxLibraryData is how many bytes of JSON a Deposit may say of its picture.
const MaxLibraryData = 64 << 10

// maxLibraryFile is the longest path-like name, bytes.
const maxLibraryFile = 1024

// Deposit is a body that somebody brings who has the right to, with what is said of it.
type Deposit struct {
	Body   io.Reader // the file and nothing else; read to its end unless the deposit is refused
	Client string    // as in Upload
	// Describe is called once, when Body has been read to its end: what is said of a picture may come behind it.
	Describe func() (Description, error)
}

// Description is what is said of a deposited picture.
type Description struct {
	ID    string // that it is to have; "" for the one of Owner and File, or a new one
	Owner string // "" for nobody's; such a deposit takes the place of anybody's picture of that ID
	File  string // path-like name, of which an owner has one each; "" for none
	Name  string // for people; "" leaves what was said
	Time  time.Time
	Tags  []string // nil leaves what was said
	Data  json.RawMessage
	// Private is what the record is to say, nil to leave it: new pictures are public then.
	Private *bool
}

func (d Description) check() error {
	if d.ID != "" {
		if err := origin.CheckID(d.ID); err != nil {
			return err
		}
	}
	if text := d.File + d.Owner; len(d.File) > maxLibraryFile || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("%w: a file name is text of at most %d bytes", ErrPolicy, maxLibraryFile)
	}
	return errors.Join(checkObject(d.Data, MaxLibraryData), checkLabels(d.Name, d.Tags))
}

// record adds what is said of the picture to its record. A picture that is deposited anew has new data and a new time.
func (d Description) record(r catalog.Record) catalog.Record {
	r.Owner, r.File, r.Name, r.Tags, r.Time, r.Data = d.Owner, d.File, d.Name, d.Tags, d.Time, string(d.Data)
	if r.Time.IsZero() {
		r.Time = r.Updated
	}
	if r.Data == "" {
		r.Data = "{}"
	}
	r.Private = d.Private != nil && *d.Private
	return r
}

// MintID makes the id of a deposited picture: 24 hexadecimal digits, as an ObjectId has them. The first eight are the seconds of
// now, so that ids sort by time; the other 64 bits are by chance.
func MintID(now time.Time) string {
	var id [12]byte
	binary.BigEndian.PutUint32(id[:], uint32(now.Unix()))
	_, _ = rand.Read(id[4:]) // never fails
	return hex.EncodeToString(id[:])
}

// Deposit takes a picture in and publishes it. Where Owner has a picture of that File, or of that ID, it takes its place: a new
// version, with the data and the time of the deposit. created tells whether it is a new one. ErrNotFound when the id is somebody
// else's, ErrExists when it has another picture's bytes without a record, or File is that of another id. Other errors are those of
// Receive.
func (s *Service) Deposit(ctx context.Context, deposit Deposit) (r catalog.Record, created bool, err error) {
	if err := s.clients.admit(deposit.Client, s.config.Now()); err != nil {
		return r, false, err
	}
	free, err := s.slot(ctx)
	if err != nil {
		return r, false, err
	}
	defer free()
	var made series
	defer func() { made.abort(s) }()
	if _, err := s.take(ctx, deposit.Body, Policy{}, s.config.Store, &made); err != nil {
		return r, false, err
	}
	said, err := deposit.Describe()
	if err == nil {
		err = errors.Join(said.check(), s.checkPrivate(said.Private != nil && *said.Private))
	}
	if err != nil {
		return r, false, err
	}
	d := depositing{Service: s, said: said, picture: made.last()}
	if said.File == "" {
		err = d.store(ctx, said.ID)
	} else {
		// One at a time of an owner's file, on all nodes: two at once would both find it new.
		err = s.changing(ctx, fileLock(said.Owner, said.File), intent{}, nil, d.named)
	}
	if err == nil && !d.created {
		d.made, err = s.reveal(ctx, d.made, said.Private)
	}
	return d.made, d.created, err
}

// fileLock names the right to change what an owner has under a file name. No id has a colon.
func fileLock(owner, file string) string {
	sum := sha256.Sum256([]byte(owner + "\x00" + file))
	return "file:" + hex.EncodeToString(sum[:])
}

// reveal makes a picture public that was deposited anew as such: new bytes by themselves make nothing public.
func (s *Service) reveal(ctx context.Context, r catalog.Record, private *bool) (catalog.Record, error) {
	if private == nil || *private || !r.Private {
		return r, nil
	}
	if err := s.SetPrivate(ctx, r.ID, false); err != nil {
		return r, err
	}
	return s.config.Catalog.Record(ctx, r.ID)
}

// depositing is one deposit under way.
type depositing struct {
	*Service
	said    Description
	picture picture
	made    catalog.Record
	created bool
}

// named finds out which id the owner's file has, and stores the picture under it.
func (d *depositing) named(ctx context.Context, change *catalog.Change) error {
	id, err := d.config.Catalog.IDOf(ctx, d.said.Owner, d.said.File)
	switch {
	case errors.Is(err, ErrNotFound):
		id = d.said.ID
	case err != nil:
		return err
	case d.said.ID != "" && d.said.ID != id:
		return fmt.Errorf("%w: the file is that of another id", ErrExists)
	}
	if err := d.store(ctx, id); err != nil {
		return err
	}
	return d.end(ctx, change)
}

// store stores the picture under the id, a new one where it is empty.
func (d *depositing) store(ctx context.Context, id string) error {
	if id == "" {
		id = MintID(d.config.Now())
	}
	err := d.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		former, err := d.config.Catalog.Record(ctx, id)
		in := intent{Record: d.said.record(d.record(id, d.picture))}
		switch {
		case errors.Is(err, ErrNotFound):
			// Nobody has heard of the id, so that after a crash the bytes are taken back.
			in.Kind, d.created = intentNew, true
			err = d.checkFree(ctx, id)
		case err == nil && d.said.Owner != "" && d.said.Owner != former.Owner:
			err = ErrNotFound
		case err == nil:
			in.Kind, in.Replace, in.Event = intentPut, true, event.Replaced
			in.Record.Owner, in.Record.Private = former.Owner, in.Record.Private || former.Private
		}
		if err == nil && in.Replace {
			err = d.rename(ctx, &in.Record, former)
		}
		if err == nil {
			err = d.decide(ctx, change, in, catalog.Step{})
		}
		if err == nil {
			d.made, err = d.place(ctx, change, in, d.picture.staged)
		}
		return err
	})
	if err != nil && d.created {
		d.undo(ctx, id)
	}
	return err
}

// rename gives a picture that is to be replaced its new file name. It comes before anything is decided: the name may be taken, and
// what was decided must not fail by that.
func (d *depositing) rename(ctx context.Context, r *catalog.Record, former catalog.Record) error {
	if r.File != "" && r.File != former.File {
		if _, _, err := d.config.Catalog.Update(ctx, catalog.Query{IDs: []string{r.ID}}, catalog.Patch{File: &r.File}); err != nil {
			return err
		}
	}
	r.File = "" // which leaves it
	return nil
}

// undo takes back at once what a deposit that failed may have stored. When that fails, too, Recover does it.
func (d *depositing) undo(ctx context.Context, id string) {
	if err := d.changing(context.WithoutCancel(ctx), id, intent{}, nil, d.end); err != nil {
		d.config.Log.Warn("a refused deposit has not been taken back yet", slog.String("id", id), slog.Any("cause", err))
	}
}

// ConfirmUpload publishes the picture that was uploaded for a grant of the id: to the edge, or into the store by the PUT of
// SignPut. It checks and adds what want says, and may be repeated. Hashes are of the bytes that were sent, or of those that are
// stored. With an owner, grants and pictures of others are not found. ErrNotFound when nothing has been uploaded; ErrHash; other
// errors are those of Receive and Publish.
func (s *Service) ConfirmUpload(ctx context.Context, id, owner string, want PublishCheck) (catalog.Record, error) {
	if err := origin.CheckID(id); err != nil {
		return catalog.Record{}, err
	}
	if err := errors.Join(checkData(want.Data), checkLabels(want.Name, want.Tags)); err != nil {
		return catalog.Record{}, err
	}
	g, err := s.config.Catalog.GrantFor(ctx, id, s.config.Now())
	if err != nil && !errors.Is(err, ErrToken) {
		return catalog.Record{}, err
	}
	policy, err := policyOf(g)
	if err != nil {
		return catalog.Record{}, err
	}
	if g.TokenHash != "" && !g.Used() && (owner == "" || owner == policy.Owner) {
		if err := s.takePut(ctx, g, policy); err != nil && !errors.Is(err, ErrNotFound) {
			return catalog.Record{}, err
		}
	}
	return s.confirmed(ctx, id, owner, want, g)
}

// confirmed publishes what waits under an id. What is served already is answered as it stands.
func (s *Service) confirmed(ctx context.Context, id, owner string, want PublishCheck, g catalog.Grant) (catalog.Record, error) {
	aside, err := s.config.Catalog.Aside(ctx, catalog.Incoming, id)
	if err == nil {
		if owner != "" && owner != aside.Record.Owner {
			return catalog.Record{}, ErrNotFound
		}
		if _, err = s.Publish(ctx, id, want); err != nil {
			return catalog.Record{}, err
		}
		return s.config.Catalog.Record(ctx, id)
	}
	if !errors.Is(err, ErrNotFound) {
		return catalog.Record{}, err
	}
	r, err := s.config.Catalog.Record(ctx, id)
	if err == nil && owner != "" && owner != r.Owner {
		err = ErrNotFound
	}
	if err != nil {
		return catalog.Record{}, err
	}
	if g.Record.SHA256 == r.SHA256 {
		r.SentMD5 = g.Record.SentMD5
	}
	return r, want.check(r)
}

// takePut takes in what the client of an unused grant has PUT into the store. ErrNotFound when nothing has come.
func (s *Service) takePut(ctx context.Context, g catalog.Grant, policy Policy) error {
	room, err := s.room(origin.Incoming, g.ID)
	if err != nil {
		return err
	}
	object, err := room.Open(ctx, putObject(g.TokenHash), origin.Range{})
	if errors.Is(err, origin.ErrNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	defer func() { _ = object.Body.Close() }() // it was read to its end, or is not wanted
	free, err := s.slot(ctx)
	if err != nil {
		return err
	}
	defer free()
	claimed, err := s.claim(ctx, g)
	if err != nil {
		return err
	}
	if _, err := s.receiveClaimed(ctx, claimed, policy, Upload{ID: g.ID, Body: object.Body}); err != nil {
		return err
	}
	s.dropObject(ctx, origin.Incoming, g.ID, putObject(g.TokenHash))
	return nil
}
