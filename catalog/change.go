package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Change is the right to change what the store holds under one id, which one caller at a time has.
//
//	      Begin                  Settle
//	free --------> being changed --------> free
//	                    |  ^
//	   its time ran out |  | Begin, by the next one
//	                    v  |
//	                unfinished
//
// Whoever finds one unfinished finishes it, or undoes it, by what its Intent says.
type Change struct {
	ID     string
	Owner  string // drawn by Begin
	Intent string // what is being done; the catalog does not read it
	// Unfinished says that Intent is that of an earlier change, which has to be settled before another one begins.
	Unfinished bool
}

// Begin takes the right to change id until the time given. A grant given along must be claimed by whoever calls, and its claim
// is renewed until then. It answers ErrChanging while somebody else has the right, and ErrUsed when the claim is lost.
func (c *Catalog) Begin(ctx context.Context, id, intent string, g *Grant, now, until time.Time) (Change, error) {
	change := Change{ID: id, Owner: rand.Text(), Intent: intent}
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if g != nil {
			result, err := tx.ExecContext(ctx, `UPDATE grants SET claimed_until = $1 WHERE token_hash = $2 AND attempt = $3 AND used = 0`,
				millis(until), g.TokenHash, g.Attempt)
			if err := orElse(result, err, fmt.Errorf("%w: the claim ran out", ErrUsed)); err != nil {
				return err
			}
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO changes (id, owner, until, intent) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
			id, change.Owner, millis(until), intent)
		if err = orElse(result, err, ErrChanging); errors.Is(err, ErrChanging) {
			return takeOver(ctx, tx, &change, now, until)
		}
		return err
	})
	if err != nil {
		return Change{}, fault("begin change", err)
	}
	return change, nil
}

func takeOver(ctx context.Context, tx *sql.Tx, change *Change, now, until time.Time) error {
	err := tx.QueryRowContext(ctx, `UPDATE changes SET owner = $1, until = $2 WHERE id = $3 AND until <= $4 RETURNING intent`,
		change.Owner, millis(until), change.ID, millis(now)).Scan(&change.Intent)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrChanging
	}
	change.Unfinished = true
	return err
}

// Leave gives the right back at once, for the next one to finish what is unfinished. Where it is no longer change's it does
// nothing.
func (c *Catalog) Leave(ctx context.Context, change Change) error {
	_, err := c.change(ctx, `UPDATE changes SET until = 0 WHERE id = $1 AND owner = $2`, change.ID, change.Owner)
	return fault("leave change", err)
}

// Unfinished returns the ids of up to limit changes whose time has run out, those first that ran out first.
func (c *Catalog) Unfinished(ctx context.Context, now time.Time, limit int) (ids []string, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, `SELECT id FROM changes WHERE until <= $1 ORDER BY until LIMIT $2`, millis(now), limit)
		if err != nil {
			return err
		}
		ids, err = scanIDs(rows)
		return err
	})
	return ids, fault("list changes", err)
}

func scanIDs(rows *sql.Rows) (ids []string, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Step is what one change does to the catalog.
type Step struct {
	// Change must be its owner's still, or Settle answers ErrChanging; nil where the grant alone gives the right.
	Change *Change
	// Next is the intent with which the change goes on; without one it has ended.
	Next string
	Hold *Record // that is to come: with Next, its account holds what it will need until the change ends, else ErrQuota or ErrAccount

	Put     *Record  // written, with Updated as the time
	Replace bool     // Put and Keep may take the place of others, else ErrExists
	Remove  bool     // the record of the change's id
	Keep    *Aside   // written
	Privacy *Privacy // of the record of the change's id, which it must have
	Drop    string   // the area of which the change's id is taken

	Use    *Grant // marked as used by Put, or by the record of Keep
	Upload string // what it was used for
	Anyhow bool   // the grant may be lost

	// Announce makes the events of the record that was put, kept or else removed.
	Announce func(Record) []Event
	// Enqueue are jobs that are to be done when the steps are, as by Catalog.Enqueue.
	Enqueue []Job
}

// Settle does the steps in one transaction, all or none, and returns the record that the first one put, kept or removed, as it
// now stands. It answers ErrChanging and ErrUsed when a right is lost.
func (c *Catalog) Settle(ctx context.Context, now time.Time, steps ...Step) (first Record, err error) {
	var queued []Job
	err = c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var events []Event
		queued = nil
		for i, step := range steps {
			r, err := c.do(ctx, tx, step, now)
			if err != nil {
				return err
			}
			if i == 0 {
				first = r
			}
			if step.Announce != nil {
				events = append(events, step.Announce(r)...)
			}
			queued = append(queued, step.Enqueue...)
		}
		if err := enqueue(ctx, tx, queued, now); err != nil {
			return err
		}
		return c.appendEvents(ctx, tx, events)
	})
	if err != nil {
		return Record{}, fault("settle change", err)
	}
	c.jobs.enqueued(queued)
	return first, nil
}

func (c *Catalog) do(ctx context.Context, tx *sql.Tx, s Step, now time.Time) (r Record, err error) {
	if err := s.goOn(ctx, tx); err != nil {
		return Record{}, err
	}
	if s.Remove {
		if r, err = removeCounted(ctx, tx, s); err != nil {
			return Record{}, err
		}
	}
	if s.Drop != "" {
		if _, err := tx.ExecContext(ctx, `DELETE FROM asides WHERE area = $1 AND id = $2`, s.Drop, s.Change.ID); err != nil {
			return Record{}, err
		}
	}
	if s.Keep != nil {
		r = s.Keep.Record
		if err := keep(ctx, tx, *s.Keep, s.Replace); err != nil {
			return Record{}, err
		}
	}
	if s.Privacy != nil {
		if r, err = s.Privacy.set(ctx, tx, s.Change.ID); err != nil {
			return Record{}, err
		}
	}
	if s.Put != nil {
		if r, err = c.putCounted(ctx, tx, s); err != nil {
			return Record{}, err
		}
	}
	if s.Use != nil {
		err = use(ctx, tx, *s.Use, r, s.Upload, s.Anyhow, now)
	}
	return r, err
}

// goOn ends the step's change, or gives it its next intent.
func (s Step) goOn(ctx context.Context, tx *sql.Tx) error {
	if s.Change == nil {
		return nil
	}
	if s.Next == "" {
		return endHold(ctx, tx, s.Change)
	}
	result, err := tx.ExecContext(ctx, `UPDATE changes SET intent = $1 WHERE id = $2 AND owner = $3`, s.Next, s.Change.ID, s.Change.Owner)
	if err := orElse(result, err, ErrChanging); err != nil || s.Hold == nil {
		return err
	}
	return hold(ctx, tx, s.Change, *s.Hold)
}

// remove removes a record and returns it; one of the id alone when there was none.
func remove(ctx context.Context, tx *sql.Tx, id string) (Record, error) {
	former, err := one(queryRecords(ctx, tx, `SELECT `+recordColumns+` FROM records WHERE id = $1`, id))
	if err != nil {
		return Record{}, err
	}
	if former == nil {
		return Record{ID: id}, nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM records WHERE id = $1`, id); err != nil {
		return Record{}, err
	}
	return *former, forget(ctx, tx, termsOf(*former))
}
