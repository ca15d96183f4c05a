package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Event is something that happened to a source and that subscribers are to be told.
type Event struct {
	ID     string // unique
	Kind   string
	Source string          // id; events of one source are delivered in the order in which they were committed
	Time   time.Time       // milliseconds, UTC
	Data   json.RawMessage // what the subscribers are told
}

// Subscriber is an endpoint that is told of events from the time on when Subscribe names it.
type Subscriber struct {
	Name  string
	Kinds []string // none stands for all
}

// outbox is what a Catalog knows of subscribers.
type outbox struct {
	subscribers []Subscriber
	wake        func()
	appended    atomic.Bool // something was put in since the last commit
}

// Subscribe says who is told of events that this process appends, and what is called once some have been committed; it must
// return at once. It is called before the catalog is used.
func (c *Catalog) Subscribe(subscribers []Subscriber, wake func()) {
	c.outbox.subscribers, c.outbox.wake = subscribers, wake
}

// committed is called after each transaction.
func (c *Catalog) committed() {
	if c.outbox.appended.CompareAndSwap(true, false) && c.outbox.wake != nil {
		c.outbox.wake()
	}
}

// Append puts events into the outbox, all or none, in their order. What nobody subscribes to is not kept, nor is an event whose
// id is there already. Events about a change of a record belong into the change's own transaction: see Finish.
func (c *Catalog) Append(ctx context.Context, events ...Event) error {
	if !c.anyWanted(events) {
		return nil
	}
	return fault("append events", c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return c.appendEvents(ctx, tx, events)
	}))
}

func (c *Catalog) anyWanted(events []Event) bool {
	return slices.ContainsFunc(events, func(e Event) bool { return len(c.wanting(e.Kind)) > 0 })
}

// wanting returns the names of those that are told of a kind.
func (c *Catalog) wanting(kind string) (names []string) {
	for _, s := range c.outbox.subscribers {
		if len(s.Kinds) == 0 || slices.Contains(s.Kinds, kind) {
			names = append(names, s.Name)
		}
	}
	return names
}

// appendEvents is Append inside a transaction. It comes last in it: from here to the commit no other transaction appends, which
// is what makes the numbers follow the order of commits.
func (c *Catalog) appendEvents(ctx context.Context, tx *sql.Tx, events []Event) error {
	for _, e := range events {
		names := c.wanting(e.Kind)
		if len(names) == 0 {
			continue
		}
		if err := appendEvent(ctx, tx, e, names); err != nil {
			return err
		}
		c.outbox.appended.Store(true)
	}
	return nil
}

func appendEvent(ctx context.Context, tx *sql.Tx, e Event, names []string) error {
	var seq int64
	if err := tx.QueryRowContext(ctx, `UPDATE event_counter SET last = last + 1 RETURNING last`).Scan(&seq); err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO events (seq, id, kind, source, time, data)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING`,
		seq, e.ID, e.Kind, e.Source, millis(e.Time), string(e.Data))
	if err = orElse(result, err, errKnown); errors.Is(err, errKnown) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		_, err := tx.ExecContext(ctx, `INSERT INTO deliveries
			(endpoint, seq, source, state, due, since, attempts, settled, reason) VALUES ($1, $2, $3, 'held', 0, $4, 0, 0, '')`,
			name, seq, e.Source, millis(e.Time))
		if err == nil {
			err = release(ctx, tx, name, e.Source, e.Time)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errKnown says that an event of the id is there.
var errKnown = errors.New("catalog: the event is known")

// release lets the first delivery of a line, which is an endpoint and a source, fall due if it is held.
func release(ctx context.Context, tx *sql.Tx, endpoint, source string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = 'due', due = $1
		WHERE endpoint = $2 AND source = $3 AND state = 'held'
		AND seq = (SELECT MIN(seq) FROM deliveries WHERE endpoint = $2 AND source = $3 AND state IN ('due', 'held'))
		AND NOT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = $2 AND source = $3 AND state = 'due')`,
		millis(now), endpoint, source)
	return err
}

// lockOutbox keeps others from appending and settling until the transaction ends. SQLite, whose transactions here are the only
// ones that write, does not need it.
func lockOutbox(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE event_counter SET last = last`)
	return err
}
