package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
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

	MD5         string   `json:",omitempty"` // of the stored bytes, lower-case hexadecimal; empty when not known
	Placeholder string   `json:",omitempty"` // ThumbHash, base64; empty when none was made
	Name        string   `json:",omitempty"` // for people
	Tags        []string `json:",omitempty"`
	Private     bool     `json:",omitempty"`
	Data        string   `json:"Metadata,omitempty"` // a JSON object, or empty
}

const recordColumns = `id, version, sha256, bytes, format, width, height, created, updated,
	md5, placeholder, name, tags, private, data`

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
		tags             string
	)
	err := row.Scan(&r.ID, &r.Version, &r.SHA256, &r.Bytes, &r.Format, &r.Width, &r.Height, &created, &updated,
		&r.MD5, &r.Placeholder, &r.Name, &tags, &r.Private, &r.Data)
	if err == nil && tags != "" {
		err = json.Unmarshal([]byte(tags), &r.Tags)
	}
	if err != nil {
		return Record{}, err
	}
	r.Created, r.Updated = fromMillis(created), fromMillis(updated)
	return r, nil
}

// overwrite lets a record take the place of another. What people said of the source stays unless they say it anew, and new bytes
// make nothing public that was private.
const overwrite = `DO UPDATE SET version = excluded.version, sha256 = excluded.sha256, bytes = excluded.bytes,
	format = excluded.format, width = excluded.width, height = excluded.height, updated = excluded.updated,
	md5 = excluded.md5, placeholder = excluded.placeholder, private = records.private OR excluded.private,
	name = CASE WHEN excluded.name = '' THEN records.name ELSE excluded.name END,
	tags = CASE WHEN excluded.tags = '' THEN records.tags ELSE excluded.tags END,
	data = CASE WHEN excluded.data = '' THEN records.data ELSE excluded.data END`

// put writes r, with Updated as the time, and as Created where it has none, and returns it as it now stands. A record that is
// there is replaced and keeps its Created, or is ErrExists when replace is false.
func put(ctx context.Context, tx *sql.Tx, r Record, replace bool) (Record, error) {
	if r.Created.IsZero() {
		r.Created = r.Updated
	}
	onConflict := `DO NOTHING`
	if replace {
		onConflict = overwrite
	}
	tags := ""
	if len(r.Tags) > 0 {
		text, err := json.Marshal(r.Tags)
		if err != nil {
			return Record{}, err
		}
		tags = string(text)
	}
	stored, err := scanRecord(tx.QueryRowContext(ctx, `INSERT INTO records (`+recordColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (id) `+onConflict+` RETURNING `+recordColumns,
		r.ID, r.Version, r.SHA256, r.Bytes, r.Format, r.Width, r.Height, millis(r.Created), millis(r.Updated),
		r.MD5, r.Placeholder, r.Name, tags, r.Private, r.Data))
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrExists
	}
	return stored, err
}
