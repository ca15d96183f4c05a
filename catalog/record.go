package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Record is what is known of one uploaded source. It describes the bytes that the store holds under ID.
type Record struct {
	ID      string
	Version string // the store's, as origin.Info has it
	SHA256  string // of the stored bytes, lower-case hexadecimal
	Bytes   int64
	Format  string    // as transform.Format spells it: "jpeg"
	Width   int       // pixels, upright
	Height  int       // pixels, upright
	Created time.Time // when the id was first uploaded, milliseconds, UTC
	Updated time.Time // when these bytes were uploaded, milliseconds, UTC
}

const recordColumns = `id, version, sha256, bytes, format, width, height, created, updated`

// Record returns the record of id, or ErrNotFound.
func (c *Catalog) Record(ctx context.Context, id string) (r Record, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		r, err = scanRecord(conn.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM records WHERE id = $1`, id))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return r, fault("read record", err)
}

// Records returns up to limit records whose ids come after the id given, in the order of ids; after "" come all. The last id
// of one page is what the next begins after; an empty page is the end.
func (c *Catalog) Records(ctx context.Context, after string, limit int) (page []Record, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		page, err = records(ctx, conn, after, limit)
		return err
	})
	return page, fault("list records", err)
}

func records(ctx context.Context, conn *sql.Conn, after string, limit int) (page []Record, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT `+recordColumns+` FROM records WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

func scanRecord(row interface{ Scan(...any) error }) (Record, error) {
	var (
		r                Record
		created, updated int64
	)
	if err := row.Scan(&r.ID, &r.Version, &r.SHA256, &r.Bytes, &r.Format, &r.Width, &r.Height, &created, &updated); err != nil {
		return Record{}, err
	}
	r.Created, r.Updated = fromMillis(created), fromMillis(updated)
	return r, nil
}

// put writes r, with Updated as the time, and returns it as it now stands. A record that is there is replaced and keeps its
// Created, or is ErrExists when replace is false.
func put(ctx context.Context, tx *sql.Tx, r Record, replace bool) (Record, error) {
	onConflict := `DO NOTHING`
	if replace {
		onConflict = `DO UPDATE SET version = excluded.version, sha256 = excluded.sha256, bytes = excluded.bytes,
			format = excluded.format, width = excluded.width, height = excluded.height, updated = excluded.updated`
	}
	stored, err := scanRecord(tx.QueryRowContext(ctx, `INSERT INTO records (`+recordColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (id) `+onConflict+` RETURNING `+recordColumns,
		r.ID, r.Version, r.SHA256, r.Bytes, r.Format, r.Width, r.Height, millis(r.Updated)))
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrExists
	}
	return stored, err
}
