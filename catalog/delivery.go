package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// The states of a delivery.
const (
	StateHeld      = "held"      // an earlier event of its source is not settled
	StateDue       = "due"       // it can be taken, or has been
	StateDelivered = "delivered" // the endpoint has it
	StateDead      = "dead"      // it was given up; Replay tries it again
)

// maxReason bounds what is kept of why a delivery failed, bytes.
const maxReason = 300

// Parcel is an event that one endpoint is to get, leased to whoever took it.
type Parcel struct {
	Event    Event
	Endpoint string
	Number   int64     // of the event, in the order of commits
	Attempt  int       // how often it has been taken
	Since    time.Time // when the event happened, or was last replayed
}

// Outbox hands events out to those that deliver them. Of an endpoint and a source only the oldest event that is neither
// delivered nor dead can be taken. Methods are safe for concurrent use, in several processes.
type Outbox struct{ c *Catalog }

// Outbox returns the outbox of this catalog.
func (c *Catalog) Outbox() Outbox { return Outbox{c} }

// Next returns when the endpoint's next event falls due, or its lease runs out; the zero time when there is none.
func (o Outbox) Next(ctx context.Context, endpoint string) (time.Time, error) {
	var due sql.NullInt64
	err := o.c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT MIN(due) FROM deliveries WHERE endpoint = $1 AND state = 'due'`, endpoint).Scan(&due)
	})
	if err != nil || !due.Valid {
		return time.Time{}, fault("look for events", err)
	}
	return fromMillis(due.Int64), nil
}

// Take leases up to limit events that are due at now until the time given, those first that are due longest.
func (o Outbox) Take(ctx context.Context, endpoint string, now, until time.Time, limit int) (parcels []Parcel, err error) {
	err = o.c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if parcels, err = lease(ctx, tx, endpoint, now, until, limit); err != nil {
			return err
		}
		for i := range parcels {
			if err := fillIn(ctx, tx, &parcels[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fault("take events", err)
	}
	return parcels, nil
}

// lease asks twice that a delivery be due: PostgreSQL looks again at the outer condition, and not at the inner one, when another
// process has just taken the row.
func lease(ctx context.Context, tx *sql.Tx, endpoint string, now, until time.Time, limit int) (parcels []Parcel, err error) {
	rows, err := tx.QueryContext(ctx, `UPDATE deliveries SET due = $1, attempts = attempts + 1
		WHERE endpoint = $2 AND state = 'due' AND due <= $3 AND seq IN
			(SELECT seq FROM deliveries WHERE endpoint = $2 AND state = 'due' AND due <= $3 ORDER BY due, seq LIMIT $4)
		RETURNING seq, attempts, since`, millis(until), endpoint, millis(now), limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		p := Parcel{Endpoint: endpoint}
		var since int64
		if err := rows.Scan(&p.Number, &p.Attempt, &since); err != nil {
			return nil, err
		}
		p.Since = fromMillis(since)
		parcels = append(parcels, p)
	}
	return parcels, rows.Err()
}

func fillIn(ctx context.Context, tx *sql.Tx, p *Parcel) (err error) {
	p.Event, err = scanEvent(tx.QueryRowContext(ctx, `SELECT id, kind, source, time, data FROM events WHERE seq = $1`, p.Number))
	return err
}

func scanEvent(row interface{ Scan(...any) error }, more ...any) (Event, error) {
	var (
		e    Event
		at   int64
		data string
	)
	if err := row.Scan(append([]any{&e.ID, &e.Kind, &e.Source, &at, &data}, more...)...); err != nil {
		return Event{}, err
	}
	e.Time, e.Data = fromMillis(at), []byte(data)
	return e, nil
}

// Delivered ends p's lease: its endpoint has it. Where p has been taken anew since, this and the next two do nothing.
func (o Outbox) Delivered(ctx context.Context, p Parcel, now time.Time) error {
	return o.settle(ctx, p, now, StateDelivered, "")
}

// Bury ends p's lease and gives it up.
func (o Outbox) Bury(ctx context.Context, p Parcel, now time.Time, reason string) error {
	return o.settle(ctx, p, now, StateDead, reason)
}

// settle makes way for what p held back.
func (o Outbox) settle(ctx context.Context, p Parcel, now time.Time, state, reason string) error {
	return fault("settle event", o.c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := lockOutbox(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = $1, settled = $2, reason = $3
			WHERE endpoint = $4 AND seq = $5 AND attempts = $6 AND state = 'due'`,
			state, millis(now), bounded(reason), p.Endpoint, p.Number, p.Attempt)
		if err = orElse(result, err, sql.ErrNoRows); errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return release(ctx, tx, p.Endpoint, p.Event.Source, now)
	}))
}

// Defer ends p's lease: it is due again at the time given.
func (o Outbox) Defer(ctx context.Context, p Parcel, due time.Time, reason string) error {
	_, err := o.c.change(ctx, `UPDATE deliveries SET due = $1, reason = $2
		WHERE endpoint = $3 AND seq = $4 AND attempts = $5 AND state = 'due'`,
		millis(due), bounded(reason), p.Endpoint, p.Number, p.Attempt)
	return fault("defer event", err)
}

func bounded(reason string) string { return reason[:min(len(reason), maxReason)] }

// Replay has dead deliveries tried again: those of the event, or all of them when id is empty. It returns how many. A replayed
// event comes behind what was delivered since it died, and holds back what was not.
func (o Outbox) Replay(ctx context.Context, id string, now time.Time) (n int, err error) {
	err = o.c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := lockOutbox(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = 'held', since = $1, attempts = 0, settled = 0
			WHERE state = 'dead' AND ($2 = '' OR seq = (SELECT seq FROM events WHERE id = $2))`, millis(now), id)
		if err != nil {
			return err
		}
		replayed, err := result.RowsAffected()
		n = int(replayed)
		if n > 0 {
			o.c.outbox.appended.Store(true)
		}
		return errors.Join(err, releaseAll(ctx, tx, now))
	})
	return n, fault("replay events", err)
}

// releaseAll does for every line what release does for one. It says IN ('due', 'held') where 'held' would do, which is how the
// index of what waits is found.
func releaseAll(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = 'due', due = $1
		WHERE state IN ('due', 'held') AND state = 'held'
		AND NOT EXISTS (SELECT 1 FROM deliveries d
			WHERE d.endpoint = deliveries.endpoint AND d.source = deliveries.source AND d.state = 'due')
		AND seq = (SELECT MIN(d.seq) FROM deliveries d
			WHERE d.endpoint = deliveries.endpoint AND d.source = deliveries.source AND d.state IN ('due', 'held'))`, millis(now))
	return err
}

// SweepEvents removes up to limit events of before the time given with their deliveries, whatever their state, and returns
// how many. Those stay that were delivered, buried or replayed since. The bound must lie further back than events are tried.
func (o Outbox) SweepEvents(ctx context.Context, before, now time.Time, limit int) (n int, err error) {
	err = o.c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := lockOutbox(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM events WHERE seq IN
			(SELECT e.seq FROM events e WHERE e.time < $1 AND NOT EXISTS
				(SELECT 1 FROM deliveries d WHERE d.seq = e.seq AND (d.since >= $1 OR d.settled >= $1)) LIMIT $2)`,
			millis(before), limit)
		if err != nil {
			return err
		}
		swept, err := result.RowsAffected()
		if n = int(swept); n == 0 {
			return err
		}
		// An endpoint that was taken out of the configuration may have left lines whose first one has just gone.
		return errors.Join(err, releaseAll(ctx, tx, now))
	})
	return n, fault("sweep events", err)
}
