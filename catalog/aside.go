package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// The areas in which sources are kept that are not served.
const (
	Incoming = "incoming" // to be published
	Trash    = "trash"    // deleted, and not yet for good
)

// Aside is a source that is kept and not served.
type Aside struct {
	Area   string
	ID     string
	Object string // names the bytes in the store's area
	// Replaces says that the source may take the place of one that is served.
	Replaces bool
	Outputs  []string  // what is rendered when it is published
	Record   Record    // as it will be, or was
	Expires  time.Time // when it may be removed; zero for never
}

// asideData is how the rest of an Aside is stored.
type asideData struct {
	Record   Record
	Replaces bool     `json:",omitempty"`
	Outputs  []string `json:",omitempty"`
}

const asideColumns = `area, id, object, record, expires`

func keep(ctx context.Context, tx *sql.Tx, a Aside, replace bool) error {
	if a.Area == Incoming && !a.Expires.IsZero() { // what does not expire was unpublished, not uploaded
		if err := mayWait(ctx, tx, a.Record); err != nil {
			return err
		}
	}
	data, err := json.Marshal(asideData{a.Record, a.Replaces, a.Outputs})
	if err != nil {
		return err
	}
	onConflict := `DO NOTHING`
	if replace {
		onConflict = `DO UPDATE SET object = excluded.object, record = excluded.record, expires = excluded.expires, owner = excluded.owner, bytes = excluded.bytes`
	}
	expires := int64(0)
	if !a.Expires.IsZero() {
		expires = millis(a.Expires)
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO asides (`+asideColumns+`, owner, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (area, id) `+onConflict,
		a.Area, a.ID, a.Object, string(data), expires, a.Record.Owner, a.Record.Bytes)
	return orElse(result, err, ErrExists)
}

// Aside returns what an area keeps for an id, or ErrNotFound.
func (c *Catalog) Aside(ctx context.Context, area, id string) (a Aside, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		a, err = scanAside(conn.QueryRowContext(ctx, `SELECT `+asideColumns+` FROM asides WHERE area = $1 AND id = $2`, area, id))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return a, fault("read what is kept aside", err)
}

// Asides returns up to limit of what an area keeps, of ids after the one given and in their order.
func (c *Catalog) Asides(ctx context.Context, area, after string, limit int) ([]Aside, error) {
	return c.asides(ctx, `area = $1 AND id > $2 ORDER BY id LIMIT $3`, area, after, limit)
}

// ExpiredAsides returns up to limit of what an area keeps and may be removed at now, the oldest first.
func (c *Catalog) ExpiredAsides(ctx context.Context, area string, now time.Time, limit int) ([]Aside, error) {
	return c.asides(ctx, `area = $1 AND expires > 0 AND expires <= $2 ORDER BY expires LIMIT $3`, area, millis(now), limit)
}

func (c *Catalog) asides(ctx context.Context, which string, args ...any) (list []Aside, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
		list = nil
		rows, err := conn.QueryContext(ctx, `SELECT `+asideColumns+` FROM asides WHERE `+which, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			a, err := scanAside(rows)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	return list, fault("list what is kept aside", err)
}

func scanAside(row interface{ Scan(...any) error }) (a Aside, err error) {
	var (
		text    string
		expires int64
		data    asideData
	)
	if err := row.Scan(&a.Area, &a.ID, &a.Object, &text, &expires); err != nil {
		return Aside{}, err
	}
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return Aside{}, err
	}
	a.Record, a.Replaces, a.Outputs = data.Record, data.Replaces, data.Outputs
	if expires != 0 {
		a.Expires = fromMillis(expires)
	}
	return a, nil
}

// Refers tells whether anything that is kept aside, or is being changed, names an object of an area.
func (c *Catalog) Refers(ctx context.Context, area, object string) (known bool, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM asides WHERE area = $1 AND object = $2)
			OR EXISTS (SELECT 1 FROM changes WHERE intent LIKE '%' || $2 || '%')`, area, object).Scan(&known)
	})
	return known, fault("look for what is kept aside", err)
}
