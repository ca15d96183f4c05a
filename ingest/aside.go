package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
)

// room returns where an area keeps what belongs to an id.
func (s *Service) room(area origin.Area, id string) (origin.Room, error) {
	areas, ok := s.config.Store.(origin.Areas)
	if !ok {
		return nil, fmt.Errorf("%w: it has no room for sources that are not served", origin.ErrReadOnly)
	}
	return areas.Room(area, id)
}

// newObject draws a name for bytes in an area.
func newObject() string {
	var name [16]byte
	_, _ = rand.Read(name[:]) // never fails
	return hex.EncodeToString(name[:])
}

// dropObject removes bytes that nothing refers to any more. When that fails the sweep does it.
func (s *Service) dropObject(ctx context.Context, area origin.Area, id, object string) {
	room, err := s.room(area, id)
	if err == nil {
		err = room.Delete(ctx, object)
	}
	if err != nil && !errors.Is(err, origin.ErrNotFound) {
		s.config.Log.Warn("bytes that are not served were left for the sweep", slog.String("id", id), slog.Any("cause", err))
	}
}

// keepIncoming makes the bytes durable where no reader reaches them, then what is known of them.
func (s *Service) keepIncoming(ctx context.Context, change *catalog.Change, in intent, staged origin.Staged, outputs []string) (catalog.Record, error) {
	former, err := s.config.Catalog.Aside(ctx, catalog.Incoming, change.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return catalog.Record{}, err
	}
	object := newObject()
	info, err := staged.Commit(ctx, object, false)
	if err != nil {
		return catalog.Record{}, fmt.Errorf("store upload: %w", err)
	}
	r := in.Record
	r.Version, r.Created = info.Version, r.Updated
	r, err = s.config.Catalog.Settle(ctx, r.Updated, catalog.Step{
		Change: change, Replace: in.Replace, Use: in.uses(), Upload: in.Upload, Announce: in.announce,
		Keep: &catalog.Aside{
			Area: catalog.Incoming, ID: change.ID, Object: object, Replaces: in.Replace, Outputs: outputs, Record: r,
			Expires: r.Updated.Add(s.config.IncomingTTL),
		},
	})
	if errors.Is(err, ErrQuota) || errors.Is(err, ErrAccount) {
		s.dropObject(ctx, origin.Incoming, change.ID, object)
	}
	if err != nil {
		return catalog.Record{}, err
	}
	if former.Object != "" {
		s.dropObject(ctx, origin.Incoming, change.ID, former.Object)
	}
	return r, nil
}

// PublishCheck is what a publisher expects and adds. Empty fields expect and add nothing.
type PublishCheck struct {
	SHA256  string // lower-case hexadecimal; ErrHash when the upload has another
	MD5     string // likewise, or of the bytes as they were sent
	Name    string
	Tags    []string
	Private bool
	Data    json.RawMessage
}

func (want PublishCheck) check(r catalog.Record) error {
	switch {
	case want.SHA256 != "" && want.SHA256 != r.SHA256:
		return fmt.Errorf("%w: its SHA-256 is %s", ErrHash, r.SHA256)
	case want.MD5 != "" && want.MD5 != r.MD5 && want.MD5 != r.SentMD5:
		return fmt.Errorf("%w: its MD5 is %s", ErrHash, r.MD5)
	}
	return nil
}

// add puts what the publisher says of the source into its record.
func (want PublishCheck) add(r catalog.Record) catalog.Record {
	if want.Name != "" {
		r.Name = want.Name
	}
	if len(want.Tags) > 0 {
		r.Tags = want.Tags
	}
	if len(want.Data) > 0 {
		r.Data = string(want.Data)
	}
	r.Private = r.Private || want.Private
	return r
}

// Publish makes an upload that waits in the incoming area, or was unpublished, a source that is served. It is idempotent: a
// source that is published already is answered with its receipt, as it stands. ErrNotFound when there is neither; ErrHash;
// ErrExists when the upload was not allowed to replace the source that has the id by now; ErrPolicy.
func (s *Service) Publish(ctx context.Context, id string, want PublishCheck) (Receipt, error) {
	if err := errors.Join(checkData(want.Data), checkLabels(want.Name, want.Tags), s.checkPrivate(want.Private)); err != nil {
		return Receipt{}, err
	}
	r, err := s.takeOut(ctx, catalog.Incoming, id, want, event.Published)
	if errors.Is(err, ErrNotFound) {
		if r, err = s.config.Catalog.Record(ctx, id); err == nil {
			err = want.check(r)
		}
	}
	if err != nil {
		return Receipt{}, err
	}
	return receiptOf(r)
}

// Restore takes a deleted source out of the trash and publishes it. ErrNotFound when it is not there (any more), ErrExists when
// the id has been taken meanwhile.
func (s *Service) Restore(ctx context.Context, id string) (Receipt, error) {
	r, err := s.takeOut(ctx, catalog.Trash, id, PublishCheck{}, event.Restored)
	if err != nil {
		return Receipt{}, err
	}
	return receiptOf(r)
}

// takeOut copies what an area keeps to where it is served, checks the copy against its hash, and then exchanges the entry of
// the area for the record.
func (s *Service) takeOut(ctx context.Context, area, id string, want PublishCheck, kind event.Kind) (r catalog.Record, err error) {
	if err := origin.CheckID(id); err != nil {
		return r, err
	}
	// What is not there needs no turn.
	if _, err := s.config.Catalog.Aside(ctx, area, id); err != nil {
		return r, err
	}
	err = s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		aside, err := s.config.Catalog.Aside(ctx, area, id)
		if err == nil {
			err = want.check(aside.Record)
		}
		if err != nil {
			return err
		}
		if !aside.Replaces {
			if _, err := s.config.Catalog.Record(ctx, id); err == nil {
				return ErrExists
			}
		}
		room, err := s.room(origin.Area(area), id)
		if err != nil {
			return err
		}
		staged, err := origin.StageCopy(ctx, room, aside.Object, s.config.Store)
		if err != nil {
			return fmt.Errorf("take out of %s: %w", area, err)
		}
		defer s.abort(staged)
		if sum, err := sumFile(staged.Path()); err != nil || sum.sha256 != aside.Record.SHA256 {
			return errors.Join(fmt.Errorf("%w: the stored bytes were damaged", ErrHash), err)
		}
		in := intent{Kind: intentPut, Record: want.add(aside.Record), Replace: aside.Replaces, Event: kind, Area: area, Object: aside.Object, Outputs: aside.Outputs}
		in.Record.Updated = s.config.Now()
		if err := s.decide(ctx, change, in, catalog.Step{}); err != nil {
			return err
		}
		r, err = s.place(ctx, change, in, staged)
		return err
	})
	return r, err
}

// sumFile hashes a file.
func sumFile(path string) (content, error) {
	f, err := os.Open(path)
	if err != nil {
		return content{}, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	sums := newSums()
	n, err := io.CopyBuffer(sums, struct{ io.Reader }{f}, make([]byte, bufferBytes))
	return sums.content(n), err
}

// Unpublish puts a source where no reader reaches it, until Publish. It does not expire. What is not published is answered
// likewise; ErrNotFound when there is nothing, ErrExists when an upload waits to replace the source: publish or delete that first.
func (s *Service) Unpublish(ctx context.Context, id string) (Receipt, error) {
	if err := origin.CheckID(id); err != nil {
		return Receipt{}, err
	}
	var r catalog.Record
	err := s.changing(ctx, id, intent{}, nil, func(ctx context.Context, change *catalog.Change) (err error) {
		if _, err := s.config.Catalog.Aside(ctx, catalog.Incoming, id); err == nil {
			if _, err := s.config.Catalog.Record(ctx, id); err == nil {
				return fmt.Errorf("%w: an upload waits to take its place", ErrExists)
			}
		}
		r, err = s.withdraw(ctx, change, catalog.Incoming, time.Time{}, event.Unpublished)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		var aside catalog.Aside
		aside, err = s.config.Catalog.Aside(ctx, catalog.Incoming, id)
		r = aside.Record
	}
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := receiptOf(r)
	receipt.Pending = true
	return receipt, err
}

// Pending returns up to limit uploads that wait to be published, of ids after the one given and in their order.
func (s *Service) Pending(ctx context.Context, after string, limit int) ([]Receipt, error) {
	asides, err := s.config.Catalog.Asides(ctx, catalog.Incoming, after, limit)
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(asides))
	for i, a := range asides {
		if receipts[i], err = receiptOf(a.Record); err != nil {
			return nil, err
		}
		receipts[i].Pending = true
	}
	return receipts, nil
}
