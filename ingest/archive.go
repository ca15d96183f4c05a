package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
)

// Existing says what becomes of a picture that is to be restored where there is another one already.
type Existing int

// The ways.
const (
	KeepExisting    Existing = iota // it stays as it is
	ReplaceExisting                 // it becomes what is restored, in everything
	RefuseExisting                  // the restoration fails
)

// Restored says what a restoration did, or would do.
type Restored string

// What it can be.
const (
	RestoredNew      Restored = "imported"
	RestoredReplaced Restored = "replaced"
	RestoredThere    Restored = "there" // the same picture is there: a restoration that was broken off goes on behind it
	RestoredKept     Restored = "kept"  // another one is there, and stays
)

// Restoration is a picture that comes back as it was.
type Restoration struct {
	// Record is what is known of it. Without an ID it gets that of Owner and File, or a new one; without a SHA256 the bytes may be
	// any, and without Updated they are as of now. Version is the store's to say; format and size are read from the bytes.
	Record catalog.Record
	// Open opens the bytes, when they are needed: they are stored as they are, metadata included.
	Open     func() (io.ReadCloser, error)
	Existing Existing
	Dry      bool // nothing is changed
	// Confined restores nothing in the place of another owner's picture: that is ErrNotFound.
	Confined bool
}

// The bounds of what may be restored: wider than those of an upload, since pictures may get more data and tags later.
const (
	maxRestoredData   = 4 << 20
	maxRestoredTags   = 1000
	maxRestoredLabels = 1000
	maxRestoredText   = 1024 // of an owner, a name, a tag, and what a label says
	maxPlaceholder    = 256
)

// Import puts a picture back, in the order of durability of an upload: what it says of an id is true of bytes and record
// together. It may be repeated. ErrHash when the bytes are not those of the record; ErrExists when another picture is there that is
// not to be replaced, or has the file name; other errors are those of Receive.
func (s *Service) Import(ctx context.Context, r Restoration) (Restored, string, error) {
	if err := errors.Join(checkRestored(r.Record), s.checkPrivate(r.Record.Private)); err != nil {
		return "", "", err
	}
	t := restoring{Service: s, Restoration: r, id: r.Record.ID}
	done, err := t.look(ctx)
	if err != nil || done != "" || r.Dry {
		return t.would(done, err), t.id, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return "", t.id, ctx.Err()
	}
	var made series
	defer func() { made.abort(s) }()
	if t.picture, err = t.read(ctx, &made); err != nil {
		return "", t.id, err
	}
	if r.Record.File == "" {
		err = t.store(ctx)
	} else {
		// As in Deposit: two at once would both find the name free.
		err = s.changing(ctx, fileLock(r.Record.Owner, r.Record.File), intent{}, nil, t.named)
	}
	if err == nil && t.exact() && t.made.ID != "" {
		_, err = s.reveal(ctx, t.made, &r.Record.Private)
	}
	if err != nil {
		return "", t.id, err
	}
	return t.done, t.id, nil
}

func checkRestored(r catalog.Record) error {
	if r.ID != "" {
		if err := origin.CheckID(r.ID); err != nil {
			return err
		}
	}
	texts := append([]string{r.Owner, r.Name}, r.Tags...)
	for _, l := range r.Labels {
		texts = append(texts, l.Name, l.Category, l.Source)
		if !(l.Confidence >= 0 && l.Confidence <= 100) {
			return fmt.Errorf("%w: the confidence of a label is from 0 to 100", ErrPolicy)
		}
	}
	bad := func(text string) bool {
		return len(text) > maxRestoredText || !utf8.ValidString(text) || strings.ContainsRune(text, 0)
	}
	switch {
	case len(r.Tags) > maxRestoredTags || len(r.Labels) > maxRestoredLabels:
		return fmt.Errorf("%w: a picture has at most %d tags and %d labels", ErrPolicy, maxRestoredTags, maxRestoredLabels)
	case slices.ContainsFunc(texts, bad) || bad(r.File) || len(r.Placeholder) > maxPlaceholder:
		return fmt.Errorf("%w: names, tags and labels are texts of at most %d bytes", ErrPolicy, maxRestoredText)
	}
	return checkObject(json.RawMessage(r.Data), maxRestoredData)
}

// restoring is one restoration under way.
type restoring struct {
	*Service
	Restoration
	id      string
	former  *catalog.Record // whose bytes are there, too, when it is to be looked at; nil for none
	picture picture
	made    catalog.Record
	done    Restored
}

// exact tells whether the record says everything of the picture.
func (t *restoring) exact() bool { return !t.Record.Updated.IsZero() }

// would says what is done, or what would be.
func (t *restoring) would(done Restored, err error) Restored {
	switch {
	case err != nil || done != "":
		return done
	case t.former != nil:
		return RestoredReplaced
	}
	return RestoredNew
}

// look finds out what is there, and whether it settles the matter.
func (t *restoring) look(ctx context.Context) (Restored, error) {
	if t.Record.File != "" {
		id, err := t.config.Catalog.IDOf(ctx, t.Record.Owner, t.Record.File)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return "", err
		case t.id != "" && t.id != id:
			return t.nameTaken()
		default:
			t.id = id
		}
	}
	if t.id == "" {
		return "", nil
	}
	former, err := t.config.Catalog.Record(ctx, t.id)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if t.Confined && former.Owner != t.Record.Owner {
		return "", ErrNotFound
	}
	_, err = t.config.Store.Stat(ctx, t.id)
	if errors.Is(err, origin.ErrNotFound) { // a record that has lost its bytes: nothing is there that could be kept
		t.former = &former
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return t.compare(ctx, former)
}

// nameTaken says what becomes of a picture whose file name another one of the owner has, which is never replaced: its id is another.
func (t *restoring) nameTaken() (Restored, error) {
	if t.Existing == KeepExisting {
		return RestoredKept, nil
	}
	return "", fmt.Errorf("%w: the file is that of another id", ErrExists)
}

// compare looks at a picture that is there.
func (t *restoring) compare(ctx context.Context, former catalog.Record) (Restored, error) {
	same, err := t.same(ctx, former)
	switch {
	case err != nil:
		return "", err
	case same:
		return RestoredThere, nil
	case t.Existing == KeepExisting:
		return RestoredKept, nil
	case t.Existing == RefuseExisting:
		return "", ErrExists
	}
	t.former = &former
	return "", nil
}

// same tells whether what is there need not be restored: its bytes are the same, and where it would be replaced, all that is said
// of it.
func (t *restoring) same(ctx context.Context, former catalog.Record) (bool, error) {
	if t.Record.SHA256 == "" {
		if t.Existing == KeepExisting {
			return false, nil // whatever they are
		}
		body, err := t.Open()
		if err != nil {
			return false, err
		}
		got, err := t.readBody(ctx, body, io.Discard, t.config.Limits.SourceBytes)
		if err := errors.Join(err, body.Close()); err != nil {
			return false, err
		}
		t.Record.SHA256 = got.sha256
	}
	if t.Record.SHA256 != former.SHA256 {
		return false, nil
	}
	if t.Existing != ReplaceExisting {
		return true, nil
	}
	if !t.exact() {
		return sameData(t.Record.Data, former.Data), nil
	}
	return SameRecord(t.Record, former), nil
}

// SameRecord tells whether two records say the same of one picture, as far as an archive keeps it: the version is the store's, and
// labels have no order.
func SameRecord(a, b catalog.Record) bool {
	if !sameData(a.Data, b.Data) {
		return false
	}
	return reflect.DeepEqual(plainly(a), plainly(b))
}

func plainly(r catalog.Record) catalog.Record {
	r.Version, r.SentMD5, r.Data = "", "", ""
	for _, t := range []*time.Time{&r.Created, &r.Updated, &r.Time} {
		*t = time.UnixMilli(t.UnixMilli()).UTC()
	}
	if len(r.Tags) == 0 {
		r.Tags = nil
	}
	r.Labels = slices.Clone(r.Labels)
	slices.SortFunc(r.Labels, func(a, b catalog.Label) int {
		return strings.Compare(a.Source+"\x00"+a.Category+"\x00"+a.Name, b.Source+"\x00"+b.Category+"\x00"+b.Name)
	})
	if len(r.Labels) == 0 {
		r.Labels = nil
	}
	return r
}

// sameData compares JSON objects; none is an empty one.
func sameData(a, b string) bool {
	return a == b || reflect.DeepEqual(decoded(a), decoded(b))
}

func decoded(text string) (v map[string]any) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&v) != nil || len(v) == 0 {
		return nil
	}
	return v
}

// read takes the bytes in and finds that they are the record's.
func (t *restoring) read(ctx context.Context, made *series) (p picture, err error) {
	body, err := t.Open()
	if err != nil {
		return p, err
	}
	_, err = t.take(ctx, body, Policy{KeepMetadata: true}, t.config.Store, made)
	if err := errors.Join(err, body.Close()); err != nil {
		return p, err
	}
	if p = made.last(); t.Record.SHA256 != "" && t.Record.SHA256 != p.sha256 {
		return p, ErrHash
	}
	return p, nil
}

// named is store, with the owner's file name to itself.
func (t *restoring) named(ctx context.Context, change *catalog.Change) error {
	id, err := t.config.Catalog.IDOf(ctx, t.Record.Owner, t.Record.File)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	case t.id != "" && t.id != id:
		if t.done, err = t.nameTaken(); err != nil {
			return err
		}
		return t.end(ctx, change)
	default:
		t.id = id
	}
	if err := t.store(ctx); err != nil {
		return err
	}
	return t.end(ctx, change)
}

func (t *restoring) store(ctx context.Context) error {
	if t.id == "" {
		t.id = MintID(t.config.Now())
	}
	taken := false // what is stored under the id can be taken back
	err := t.changing(ctx, t.id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		in, err := t.intent(ctx)
		if err != nil {
			return err
		}
		if t.done == RestoredThere || t.done == RestoredKept {
			return t.end(ctx, change)
		}
		taken = in.Kind == intentNew
		if err := t.decide(ctx, change, in, catalog.Step{}); err != nil {
			return err
		}
		t.made, err = t.place(ctx, change, in, t.picture.staged)
		return err
	})
	if err != nil && taken {
		d := depositing{Service: t.Service}
		d.undo(ctx, t.id)
	}
	return err
}

// intent says what is to be done, by what is there now that nobody else can change it.
func (t *restoring) intent(ctx context.Context) (in intent, err error) {
	in.Record = t.record()
	former, err := t.config.Catalog.Record(ctx, t.id)
	if errors.Is(err, ErrNotFound) {
		in.Kind, in.Event, in.Exact, t.done = intentNew, event.Uploaded, t.exact(), RestoredNew
		err = t.checkFree(ctx, t.id)
		if errors.Is(err, ErrExists) {
			// Bytes without a record, which place takes over if they are the same. They are not taken back. Nobody in particular owns
			// them, so that users do not replace them.
			in.Kind, in.Replace, err = intentPut, t.Existing == ReplaceExisting && !t.Confined, nil
		}
		return in, err
	}
	if err != nil {
		return in, err
	}
	if t.former == nil { // it has come since
		if t.Confined && former.Owner != t.Record.Owner {
			return in, ErrNotFound
		}
		if t.done, err = t.compare(ctx, former); err != nil || t.done != "" {
			return in, err
		}
	}
	in.Kind, in.Event, in.Replace, t.done = intentPut, event.Replaced, true, RestoredReplaced
	in.Exact = t.exact()
	if !in.Exact {
		in.Record.Created = former.Created
	}
	return in, nil
}

// record is what the catalog is to say.
func (t *restoring) record() catalog.Record {
	r := t.Service.record(t.id, t.picture)
	want := t.Record
	r.Name, r.Tags, r.Private, r.Data = want.Name, want.Tags, want.Private, want.Data
	r.File, r.Time, r.Owner, r.Labels, r.Created = want.File, want.Time, want.Owner, want.Labels, want.Created
	if t.exact() {
		r.Updated, r.Placeholder = want.Updated, want.Placeholder
	}
	if !utf8.ValidString(r.Placeholder) {
		r.Placeholder = ""
	}
	if data := bytes.TrimSpace([]byte(r.Data)); len(data) == 0 {
		r.Data = ""
	}
	return r
}
