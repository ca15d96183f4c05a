package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
)

// What an intent says is being done to the store. The empty kind is nothing yet.
const (
	intentPut   = "put"   // the bytes of the record come under the id; once they are there, the record follows
	intentNew   = "new"   // likewise, but nobody knows of the id yet: without a record the bytes are taken back
	intentErase = "erase" // the record is gone; the bytes and their variants follow
	// The bytes become what the record that comes with it says, private or not, and the record follows.
	intentPrivate = "private"
)

// intent is what a change says of itself, for whoever finishes it after a crash.
type intent struct {
	Kind    string         `json:",omitempty"`
	Record  catalog.Record // that the id will have, or had
	Replace bool           `json:",omitempty"` // a put may take the place of other bytes
	Exact   bool           `json:",omitempty"` // the record is put as it stands: nothing of a former one stays
	Event   event.Kind     `json:",omitempty"` // what is told of it; empty for an upload
	Area    string         `json:",omitempty"` // of which a put takes its bytes
	Object  string         `json:",omitempty"` // which they are there
	Token   string         `json:",omitempty"` // hash of the token that a put uses
	Attempt int64          `json:",omitempty"` // its claim
	Upload  string         `json:",omitempty"` // what it was used for
	Outputs []string       `json:",omitempty"` // what is rendered of a put
}

// String spells the intent as the catalog keeps it.
func (in intent) String() string {
	if in.Kind == "" {
		return ""
	}
	text, _ := json.Marshal(in) // strings and numbers: cannot fail
	return string(text)
}

// announce makes the events of the record as it now stands.
func (in intent) announce(r catalog.Record) []catalog.Event {
	if in.Event == "" {
		return announceUpload(r)
	}
	return []catalog.Event{Kept(event.OfSource(in.Event, r.Updated, sourceOf(r)))}
}

// uses says which grant a put uses, nil for none.
func (in intent) uses() *catalog.Grant {
	if in.Token == "" {
		return nil
	}
	return &catalog.Grant{TokenHash: in.Token, Attempt: in.Attempt}
}

// changing runs do with the right to change what is stored under id, which nobody else has meanwhile, on any node. It goes on
// without the caller, for one lease at most: the right cannot run out before do has ended. When do fails, whoever comes next
// finishes or undoes what the intent says by then.
func (s *Service) changing(ctx context.Context, id string, in intent, g *catalog.Grant, do func(context.Context, *catalog.Change) error) error {
	change, until, err := s.begin(ctx, id, in, g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	left := true
	defer func() {
		if left { // by an error, or by a panic
			s.leave(ctx, &change)
		}
	}()
	if err := do(ctx, &change); err != nil {
		return err
	}
	left = false
	return nil
}

// begin waits for its turn with id, and first finishes what a process that has died left unfinished. until is on the clock of
// this process, and no later than the right runs out.
func (s *Service) begin(ctx context.Context, id string, in intent, g *catalog.Grant) (change catalog.Change, until time.Time, err error) {
	patience, cancel := context.WithTimeout(ctx, s.config.Patience)
	defer cancel()
	for pause := 5 * time.Millisecond; ; {
		now := s.config.Now()
		until = time.Now().Add(s.config.Lease)
		change, err = s.config.Catalog.Begin(ctx, id, in.String(), g, now, now.Add(s.config.Lease))
		switch {
		case err == nil && !change.Unfinished:
			return change, until, nil
		case err == nil:
			if err := s.finish(ctx, change); err != nil {
				return catalog.Change{}, until, fmt.Errorf("finish an earlier change: %w", err)
			}
			continue
		case !errors.Is(err, ErrChanging):
			return catalog.Change{}, until, err
		}
		// Half of the pause is by chance, so that those who wait do not come all at once.
		select {
		case <-time.After(pause/2 + rand.N(pause)):
			pause = min(2*pause, 200*time.Millisecond)
		case <-patience.Done():
			return catalog.Change{}, until, errors.Join(ErrChanging, ctx.Err())
		}
	}
}

// leave gives the right back. When that fails, too, it runs out.
func (s *Service) leave(ctx context.Context, change *catalog.Change) {
	ctx = context.WithoutCancel(ctx)
	var err error
	if change.Intent == "" { // nothing was begun
		if err = s.end(ctx, change); errors.Is(err, ErrChanging) {
			return // it has ended
		}
	} else {
		err = s.config.Catalog.Leave(ctx, *change)
	}
	if err != nil {
		s.config.Log.Warn("a source is blocked until the right to change it runs out", slog.String("id", change.ID), slog.Any("cause", err))
	}
}

// decide lets the change go on with an intent: from here on whoever comes next finishes it.
func (s *Service) decide(ctx context.Context, change *catalog.Change, in intent, step catalog.Step) error {
	change.Intent = in.String() // before it is known to be kept
	step.Change, step.Next = change, change.Intent
	if in.Kind == intentPut || in.Kind == intentNew {
		step.Hold = &in.Record
	}
	_, err := s.config.Catalog.Settle(ctx, s.config.Now(), step)
	return err
}

// end ends a change that changes nothing more.
func (s *Service) end(ctx context.Context, change *catalog.Change) error {
	_, err := s.config.Catalog.Settle(ctx, s.config.Now(), catalog.Step{Change: change})
	return err
}

// finish brings a change to its end that another process began, or this one failed at.
func (s *Service) finish(ctx context.Context, change catalog.Change) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Lease)
	defer cancel()
	defer func() {
		if err != nil {
			s.leave(ctx, &change)
		}
	}()
	var in intent
	if change.Intent != "" {
		if err := json.Unmarshal([]byte(change.Intent), &in); err != nil {
			return fmt.Errorf("read intent: %w", err)
		}
	}
	switch in.Kind {
	case intentPut, intentNew:
		return s.finishPut(ctx, &change, in)
	case intentErase:
		return s.erase(ctx, &change, in)
	case intentPrivate:
		return except(s.finishPrivate(ctx, &change, in), ErrNotFound)
	}
	return s.end(ctx, &change)
}

// finishPut looks whether the bytes came as far as the store.
func (s *Service) finishPut(ctx context.Context, change *catalog.Change, in intent) error {
	same, err := s.holds(ctx, change.ID, content{sha256: in.Record.SHA256, bytes: in.Record.Bytes})
	if err != nil && !errors.Is(err, origin.ErrNotFound) {
		return err
	}
	switch {
	case errors.Is(err, origin.ErrNotFound):
		// What the store may have been told of bytes that did not come.
		if _, err := s.config.Store.SetPrivate(ctx, change.ID, false); err != nil && !errors.Is(err, origin.ErrNotFound) {
			return err
		}
		return s.end(ctx, change)
	case !same:
		return s.end(ctx, change)
	case in.Kind == intentNew:
		if err := s.config.Store.Delete(ctx, change.ID); err != nil && !errors.Is(err, origin.ErrNotFound) {
			return err
		}
		s.config.Versions.Invalidate(change.ID)
		return s.end(ctx, change)
	}
	if !in.Replace {
		if _, err := s.config.Catalog.Record(ctx, change.ID); !errors.Is(err, ErrNotFound) {
			if err != nil {
				return err
			}
			return s.end(ctx, change) // the bytes were there before
		}
	}
	// Stored again, since the process may have ended between the bytes' being visible and their being durable.
	info, err := origin.Copy(ctx, s.config.Store, change.ID, s.config.Store, change.ID, true, nil)
	if err != nil {
		return err
	}
	if in.Record.Private && !info.Private { // the same bytes were there before
		if info, err = s.config.Store.SetPrivate(ctx, change.ID, true); err != nil {
			return err
		}
	}
	in.Record.Private = info.Private
	_, err = s.recordPut(ctx, change, in, info, true)
	return err
}

// recoverBatch bounds one look for unfinished changes.
const recoverBatch = 100

// Recover finishes what processes left unfinished that have died, and returns how many changes. Whoever changes one of these
// sources does so, too; this is for those that nobody asks for again. It is called from time to time.
func (s *Service) Recover(ctx context.Context) (finished int, err error) {
	ids, err := s.config.Catalog.Unfinished(ctx, s.config.Now(), recoverBatch)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, id := range ids {
		err := s.changing(ctx, id, intent{}, nil, s.end)
		switch {
		case err == nil:
			finished++
		case !errors.Is(err, ErrChanging): // then it is being finished
			failed = append(failed, err)
		}
	}
	return finished, errors.Join(failed...)
}
