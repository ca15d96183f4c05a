package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
	"deckle/transform"

	"golang.org/x/sys/unix"
)

// Turn is by how much Rotate turns: degrees clockwise, or TurnAuto.
type Turn int

// The turns.
const (
	TurnLeft  Turn = -90
	TurnRight Turn = 90
	TurnOver  Turn = 180
	TurnAuto  Turn = 360 // as the orientation in the file says, which becomes the pixels' own; upright files stay as they are
)

// Target says where an edited picture goes.
type Target struct {
	// NewID takes the edited picture as a source of its own; "" makes it a new version of the id.
	NewID string
	// Move removes the former source in the same moment as the new one is there, where NewID is set.
	Move bool
}

// Rotate turns a source. A JPEG keeps its coded pixels, except by TurnAuto: the orientation in its EXIF says how to show it.
// Others are encoded anew, without loss where the format can, in PNG where it cannot be written. What is upright already stays
// as it is by TurnAuto, and is answered with the receipt that it had. ErrNotFound; ErrExists when NewID is taken;
// *transform.SpecError for another turn.
func (s *Service) Rotate(ctx context.Context, id string, turn Turn, to Target) (Receipt, error) {
	switch turn {
	case TurnLeft, TurnRight, TurnOver, TurnAuto:
	default:
		return Receipt{}, &transform.SpecError{Option: "rotate", Value: strconv.Itoa(int(turn)), Hint: "it is -90, 90, 180 or auto"}
	}
	return s.edit(ctx, id, to, event.Rotated, func(ctx context.Context, p picture) (picture, error) { return s.turn(ctx, p, turn) })
}

// Crop cuts a source down to a rectangle of the upright picture, as Receive does. Errors are those of Rotate.
func (s *Service) Crop(ctx context.Context, id string, crop transform.Crop, to Target) (Receipt, error) {
	return s.edit(ctx, id, to, event.Replaced, func(ctx context.Context, p picture) (picture, error) {
		return s.crop(ctx, p, crop, s.config.Store)
	})
}

// Replace puts another body in the place of a source, without a grant: whoever calls has the right. ErrNotFound when there is
// no source of the id. Other errors are those of Receive.
func (s *Service) Replace(ctx context.Context, id string, body io.Reader) (Receipt, error) {
	if err := origin.CheckID(id); err != nil {
		return Receipt{}, err
	}
	if _, err := s.served(ctx, id); err != nil {
		return Receipt{}, err
	}
	var made series
	defer func() { made.abort(s) }()
	if _, err := s.take(ctx, body, Policy{}, s.config.Store, &made); err != nil {
		return Receipt{}, err
	}
	return s.edit(ctx, id, Target{}, event.Replaced, func(context.Context, picture) (picture, error) { return made.last(), nil })
}

// turn makes the turned picture, p itself when there is nothing to do.
func (s *Service) turn(ctx context.Context, p picture, turn Turn) (picture, error) {
	if turn == TurnAuto && p.orientation <= 1 {
		return p, nil
	}
	if p.format == transform.JPEG && turn != TurnAuto {
		switch made, err := s.reorient(ctx, p, turnOrientation(p.orientation, turn)); {
		case err != nil:
			return picture{}, err
		case made.staged != nil:
			return made, nil
		}
	}
	spec := transform.Spec{Rotate: (int(turn) + 360) % 360}
	spec.Lossless = p.format == transform.WebP || p.format == transform.AVIF || p.format == transform.JXL
	return s.rerender(ctx, p, spec, s.config.Store)
}

// reorient stages a JPEG with another orientation; nothing is staged where that cannot be done without touching its pixels.
func (s *Service) reorient(ctx context.Context, p picture, orientation int) (picture, error) {
	data, unmap, err := mapFile(p.staged.Path(), p.bytes, unix.PROT_READ)
	if err != nil {
		return picture{}, fmt.Errorf("turn source: %w", err)
	}
	pieces := reoriented(data, orientation)
	if pieces == nil {
		return picture{}, unmap()
	}
	staged, c, err := s.stage(ctx, s.config.Store, pieces)
	if err := errors.Join(err, unmap()); err != nil {
		return picture{}, err
	}
	return s.known(staged, c, s.config.Limits)
}

// edit makes another source of one, and puts it where it is to go. What make returns may be the source itself.
func (s *Service) edit(ctx context.Context, id string, to Target, kind event.Kind, make func(context.Context, picture) (picture, error)) (Receipt, error) {
	if err := origin.CheckID(id); err != nil {
		return Receipt{}, err
	}
	e := edit{Service: s, id: id, to: to, kind: kind, make: make}
	var run func(context.Context, *catalog.Change) error
	lock := id
	switch {
	case to.NewID == "" || to.NewID == id:
		run = e.inPlace
	case origin.CheckID(to.NewID) != nil:
		return Receipt{}, origin.CheckID(to.NewID)
	case to.Move:
		run = e.move
	default:
		lock, run = to.NewID, func(ctx context.Context, change *catalog.Change) error { return e.anew(ctx, change) }
	}
	// What is not there needs no turn.
	if _, err := s.served(ctx, id); err != nil {
		return Receipt{}, err
	}
	if err := s.changing(ctx, lock, intent{}, nil, run); err != nil {
		return Receipt{}, err
	}
	return receiptOf(e.made)
}

// edit is one edit under way.
type edit struct {
	*Service
	id   string
	to   Target
	kind event.Kind
	make func(context.Context, picture) (picture, error)
	made catalog.Record
}

// prepare makes the edited picture and its record; same when it is what it was. Whoever called runs done.
func (e *edit) prepare(ctx context.Context, target string) (p picture, r catalog.Record, same bool, done func(), err error) {
	done = func() {}
	former, err := e.served(ctx, e.id)
	if err != nil {
		return p, r, false, done, err
	}
	staged, err := origin.StageCopy(ctx, e.config.Store, e.id, e.config.Store)
	if err != nil {
		return p, r, false, done, err
	}
	var made series
	made.add(picture{staged: staged})
	done = func() { made.abort(e.Service) }
	sum, err := sumFile(staged.Path())
	if err != nil {
		return p, r, false, done, err
	}
	source, err := e.known(staged, sum, e.config.Limits)
	if err != nil {
		return p, r, false, done, err
	}
	if p, err = e.make(ctx, source); err != nil {
		return p, r, false, done, err
	}
	made.add(p)
	r = e.record(target, p)
	r.Name, r.Tags, r.Private, r.Data, r.Owner = former.Name, former.Tags, former.Private, former.Data, former.Owner
	same = p.staged == source.staged
	if same {
		r.Placeholder, r.Version = former.Placeholder, former.Version
	}
	return p, r, same, done, nil
}

func (e *edit) inPlace(ctx context.Context, change *catalog.Change) error {
	p, r, same, done, err := e.prepare(ctx, e.id)
	defer done()
	if err != nil {
		return err
	}
	if same {
		e.made = r
		return e.end(ctx, change)
	}
	in := intent{Kind: intentPut, Record: r, Replace: true, Event: e.kind}
	if err := e.decide(ctx, change, in, catalog.Step{}); err != nil {
		return err
	}
	e.made, err = e.place(ctx, change, in, p.staged)
	return err
}

// anew puts the edited picture under the new id, whose change this is; more is settled with it.
func (e *edit) anew(ctx context.Context, change *catalog.Change, more ...catalog.Step) error {
	if err := e.checkFree(ctx, e.to.NewID); err != nil {
		return err
	}
	p, r, _, done, err := e.prepare(ctx, e.to.NewID)
	defer done()
	if err != nil {
		return err
	}
	in := intent{Kind: intentNew, Record: r, Event: e.kind}
	if err := e.decide(ctx, change, in, catalog.Step{}); err != nil {
		return err
	}
	e.made, err = e.place(ctx, change, in, p.staged, more...)
	return err
}

// move is anew, and the former source, whose change this is, goes with the transaction that brings the new one.
func (e *edit) move(ctx context.Context, former *catalog.Change) error {
	r, err := e.served(ctx, e.id)
	if err != nil {
		return err
	}
	in := intent{Kind: intentErase, Record: r, Event: event.Deleted}
	in.Record.Updated = e.config.Now()
	err = e.changing(ctx, e.to.NewID, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		former.Intent = in.String()
		return e.anew(ctx, change, catalog.Step{Change: former, Next: former.Intent, Remove: true})
	})
	if err != nil {
		return err
	}
	if err := e.erase(ctx, former, in); err != nil {
		// It was decided: whoever comes next finishes it, or Recover.
		e.config.Log.Warn("a source that was moved has not been erased yet", slog.String("id", e.id), slog.Any("cause", err))
		e.leave(ctx, former)
	}
	return nil
}
