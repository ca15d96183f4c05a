// Package catalog owns what is known of uploads: a record for each uploaded source, and the grants that allow uploads.
// It is one query layer over database/sql, in SQL that SQLite and PostgreSQL both read; the folders below open a database.
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What callers branch on.
var (
	// ErrNotFound says that the catalog holds no record of that id.
	ErrNotFound = errors.New("catalog: no such record")
	// ErrToken says that no grant answers to the token: it is unknown, has expired, or is for another id. Which of the
	// three is not told, so that nobody learns from it which ids are being uploaded.
	ErrToken = errors.New("catalog: the token is unknown, has expired, or is for another id")
	// ErrUsed says that the token's grant has been used, or is being used by another upload at this moment.
	ErrUsed = errors.New("catalog: the token has been used")
	// ErrHeld says that the id has a grant that is unused and has not expired.
	ErrHeld = errors.New("catalog: the id holds an unused token")
	// ErrExists says that the id has a record and that the grant is not one for replacing it.
	ErrExists = errors.New(`catalog: the id is taken; ask for a token with "replace": true to replace it`)
	// ErrChanging says that somebody else is changing the source at this moment.
	ErrChanging = errors.New("catalog: the source is being changed")
	// ErrUnavailable says that the database could not be asked in time. After a write nobody knows whether it was done.
	ErrUnavailable = errors.New("catalog: database unavailable")
	// ErrFull says that the database has no room for what was to be written, which was not; ErrUnavailable is wrapped beside it.
	ErrFull = errors.New("catalog: database is full")
)

// How long one call waits.
const (
	// turnTimeout bounds the wait for a connection, and the whole of a write: writers take turns, and each turn ends with a
	// flush to the disk, which can take seconds on a busy one.
	turnTimeout = 5 * time.Second
	// readTimeout bounds a statement that reads, once it has its connection. Each reads by key, a page at most.
	readTimeout = 250 * time.Millisecond
)

// Catalog keeps records and grants. Methods are safe for concurrent use and stop when ctx ends; a fault of the database is an
// error that wraps ErrUnavailable.
type Catalog struct {
	write  *sql.DB
	read   *sql.DB
	outbox outbox
	jobs   jobs

	dialect Dialect
	limits  limits
	tending tending
}

// New brings the schema up to date and returns the catalog. After a nil error the handles are the catalog's, which closes them.
func New(ctx context.Context, db Database) (*Catalog, error) {
	if err := migrate(ctx, db.Dialect, db.Write); err != nil {
		return nil, fault("migrate schema", err)
	}
	c := &Catalog{write: db.Write, read: db.Read, dialect: db.Dialect, limits: usualLimits}
	c.tend()
	return c, nil
}

// Close closes the database.
func (c *Catalog) Close() error {
	c.tending.end()
	if c.read == c.write {
		return c.write.Close()
	}
	return errors.Join(c.read.Close(), c.write.Close())
}

// Ping tells whether the database answers.
func (c *Catalog) Ping(ctx context.Context) error {
	return fault("ping", c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var one int
		return conn.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
	}))
}

// look runs one statement that reads by key.
func (c *Catalog) look(ctx context.Context, read func(context.Context, *sql.Conn) error) error {
	return c.ask(ctx, readTimeout, read)
}

// change runs one statement that writes and returns how many rows it touched.
func (c *Catalog) change(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	result, err := c.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, c.full(err)
	}
	return result.RowsAffected()
}

// transact runs do in one transaction: all of it is kept when do returns nil, else nothing. do may be run several times.
func (c *Catalog) transact(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	return c.transactFor(ctx, turnTimeout, do)
}

// tries is how often a transaction is tried that loses against others.
const tries = 5

func (c *Catalog) transactFor(ctx context.Context, timeout time.Duration, do func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := c.try(ctx, do)
	for n := 1; n < tries && err != nil && c.dialect.Again != nil && c.dialect.Again(err); n++ {
		err = c.try(ctx, do)
	}
	if err == nil {
		c.committed()
	}
	return c.full(err)
}

// full marks the error of a write that there was no room for.
func (c *Catalog) full(err error) error {
	if err == nil || c.dialect.Full == nil || !c.dialect.Full(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFull, err)
}

func (c *Catalog) try(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	tx, err := c.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// fault labels an error of the database; nil and this package's own verdicts pass as they are.
func fault(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, verdict := range []error{ErrNotFound, ErrToken, ErrUsed, ErrHeld, ErrExists, ErrChanging, ErrQuota, ErrAccount, ErrLease,
		ErrQuery, ErrPatch, ErrSlow, ErrFile, ErrData,
	} {
		if errors.Is(err, verdict) {
			return err
		}
	}
	return fmt.Errorf("%s: %w: %w", op, ErrUnavailable, err)
}

// millis is how times are stored: Unix milliseconds.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
