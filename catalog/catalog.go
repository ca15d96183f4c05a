// Package catalog owns what is known of uploads: a record for each uploaded source, and the grants that allow uploads.
// It is one query layer over database/sql, in SQL that SQLite and PostgreSQL both read; the folders below open a database.
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
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
}

// New brings the schema up to date and returns the catalog. write must begin its transactions as writers and read must see
// what write has committed; they may be the same handle. After a nil error they are the catalog's, which closes them.
func New(ctx context.Context, dialect goose.Dialect, write, read *sql.DB) (*Catalog, error) {
	if err := migrate(ctx, dialect, write); err != nil {
		return nil, fault("migrate schema", err)
	}
	return &Catalog{write: write, read: read}, nil
}

// Close closes the database.
func (c *Catalog) Close() error {
	return errors.Join(c.read.Close(), c.write.Close())
}

// Ping tells whether the database answers.
func (c *Catalog) Ping(ctx context.Context) error {
	return fault("ping", c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var one int
		return conn.QueryRowContext(ctx, `SELECT 1`).Scan(&one)
	}))
}

// look runs one statement that reads.
func (c *Catalog) look(ctx context.Context, read func(context.Context, *sql.Conn) error) error {
	waiting, stop := context.WithTimeout(ctx, turnTimeout)
	defer stop()
	conn, err := c.read.Conn(waiting)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return errors.Join(read(ctx, conn), conn.Close())
}

// change runs one statement that writes and returns how many rows it touched.
func (c *Catalog) change(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	result, err := c.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// transact runs do in one transaction: all of it is kept when do returns nil, else nothing.
func (c *Catalog) transact(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	tx, err := c.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	c.committed()
	return nil
}

// fault labels an error of the database; nil and this package's own verdicts pass as they are.
func fault(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, verdict := range []error{ErrNotFound, ErrToken, ErrUsed, ErrHeld, ErrExists, ErrChanging} {
		if errors.Is(err, verdict) {
			return err
		}
	}
	return fmt.Errorf("%s: %w: %w", op, ErrUnavailable, err)
}

// millis is how times are stored: Unix milliseconds.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
