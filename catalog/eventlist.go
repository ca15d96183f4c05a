package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// EventState is an event that is kept, and how far it has come.
type EventState struct {
	Event
	Number     int64      // in the order of commits
	Deliveries []Delivery // in the order of endpoints
}

// Delivery is where an event stands with one endpoint.
type Delivery struct {
	Endpoint string
	State    string    // one of the constants
	Due      time.Time // when it is tried next, or its lease runs out; of StateDue only
	Attempts int
	Settled  time.Time // when it was delivered or given up; zero before
	Reason   string    // why the latest attempt that failed did so
}

// Which events Events lists.
const (
	allEvents  = `SELECT seq FROM events WHERE seq < $1 ORDER BY seq DESC LIMIT $2`
	deadEvents = `SELECT DISTINCT seq FROM deliveries WHERE state = 'dead' AND seq < $1 ORDER BY seq DESC LIMIT $2`
)

// Events returns up to limit events of numbers below before, the latest first; with dead only those that an endpoint was not
// given in the end.
func (o Outbox) Events(ctx context.Context, before int64, dead bool, limit int) (list []EventState, err error) {
	which := allEvents
	if dead {
		which = deadEvents
	}
	err = o.c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		list, err = eventStates(ctx, conn, which, before, limit)
		return err
	})
	return list, fault("list events", err)
}

func eventStates(ctx context.Context, conn *sql.Conn, which string, before int64, limit int) (list []EventState, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT e.id, e.kind, e.source, e.time, e.data, e.seq,
			d.endpoint, d.state, d.due, d.attempts, d.settled, d.reason
		FROM events e JOIN deliveries d ON d.seq = e.seq WHERE e.seq IN (`+which+`) ORDER BY e.seq DESC, d.endpoint`, before, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			s            EventState
			d            Delivery
			due, settled int64
		)
		s.Event, err = scanEvent(rows, &s.Number, &d.Endpoint, &d.State, &due, &d.Attempts, &settled, &d.Reason)
		if err != nil {
			return nil, err
		}
		if d.State == StateDue {
			d.Due = fromMillis(due)
		}
		if settled != 0 {
			d.Settled = fromMillis(settled)
		}
		if len(list) == 0 || list[len(list)-1].Number != s.Number {
			list = append(list, s)
		}
		last := &list[len(list)-1]
		last.Deliveries = append(last.Deliveries, d)
	}
	return list, rows.Err()
}

// Backlog counts the events that the endpoint has yet to get, and those that were given up.
func (o Outbox) Backlog(ctx context.Context, endpoint string) (waiting, dead int, err error) {
	err = o.c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT
			(SELECT COUNT(*) FROM deliveries WHERE endpoint = $1 AND state IN ('due', 'held')),
			(SELECT COUNT(*) FROM deliveries WHERE endpoint = $1 AND state = 'dead')`, endpoint).Scan(&waiting, &dead)
	})
	return waiting, dead, fault("count events", err)
}
