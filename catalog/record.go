package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
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
	SentMD5     string   `json:",omitempty"` // of the bytes as they were sent, where those are stored otherwise; known until they are published
	Placeholder string   `json:",omitempty"` // ThumbHash, base64; empty when none was made
	Name        string   `json:",omitempty"` // for people
	Tags        []string `json:",omitempty"`
	Private     bool     `json:",omitempty"`
	Data        string   `json:"Metadata,omitempty"` // a JSON object, or empty

	File   string    `json:",omitempty"` // like a path, its owner's only one of that name; empty for none
	Time   time.Time `json:",omitzero"`  // when the picture is of, milliseconds, UTC; Created unless it is said
	Owner  string    `json:",omitempty"` // user; empty for nobody
	Labels []Label   `json:",omitempty"` // of these bytes, by confidence
}

const recordColumns = `id, version, sha256, bytes, format, width, height, created, updated,
	md5, placeholder, name, tags, private, data, file, time, owner`

// recordOf is recordColumns of the table r.
var recordOf = "r." + strings.Join(strings.Fields(recordColumns), " r.")

// Record returns the record of id, or ErrNotFound.
func (c *Catalog) Record(ctx context.Context, id string) (r Record, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		if r, err = scanRecord(conn.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM records WHERE id = $1`, id)); err != nil {
			return err
		}
		page := []Record{r}
		err := fillLabels(ctx, conn, page)
		r = page[0]
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
		page, err = queryRecords(ctx, conn, `SELECT `+recordColumns+` FROM records WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
		return err
	})
	return page, fault("list records", err)
}

// asker is a connection or a transaction.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// queryRecords returns the records, with their labels, that a statement selects by recordColumns.
func queryRecords(ctx context.Context, db asker, query string, args ...any) ([]Record, error) {
	var page []Record
	err := eachRow(ctx, db, query, args, func(rows *sql.Rows) error {
		r, err := scanRecord(rows)
		page = append(page, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, fillLabels(ctx, db, page)
}

// eachRow calls do at each row that a statement selects.
func eachRow(ctx context.Context, db asker, query string, args []any, do func(*sql.Rows) error) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanRecord reads recordColumns, and more that follow them.
func scanRecord(row interface{ Scan(...any) error }, more ...any) (Record, error) {
	var (
		r                    Record
		created, updated, at int64
		tags                 string
	)
	err := row.Scan(append([]any{&r.ID, &r.Version, &r.SHA256, &r.Bytes, &r.Format, &r.Width, &r.Height, &created, &updated,
		&r.MD5, &r.Placeholder, &r.Name, &tags, &r.Private, &r.Data, &r.File, &at, &r.Owner}, more...)...)
	if err == nil && tags != "" {
		err = json.Unmarshal([]byte(tags), &r.Tags)
	}
	if err != nil {
		return Record{}, err
	}
	r.Created, r.Updated, r.Time = fromMillis(created), fromMillis(updated), fromMillis(at)
	return r, nil
}

// overwrite lets a record take the place of another. What people said of the source stays unless they say it anew, and new bytes
// make nothing public that was private.
const overwrite = `DO UPDATE SET version = excluded.version, sha256 = excluded.sha256, bytes = excluded.bytes,
	format = excluded.format, width = excluded.width, height = excluded.height, updated = excluded.updated,
	md5 = excluded.md5, placeholder = excluded.placeholder, private = records.private OR excluded.private,
	name = CASE WHEN excluded.name = '' THEN records.name ELSE excluded.name END,
	tags = CASE WHEN excluded.tags = '' THEN records.tags ELSE excluded.tags END,
	data = CASE WHEN excluded.data = '' THEN records.data ELSE excluded.data END,
	file = CASE WHEN excluded.file = '' THEN records.file ELSE excluded.file END,
	time = CASE WHEN $19 THEN excluded.time ELSE records.time END,
	owner = CASE WHEN excluded.owner = '' THEN records.owner ELSE excluded.owner END, indexed = 1`

// put writes r, with Updated as the time, and as Created where it has none, and returns it as it now stands. A record that is
// there is replaced and keeps its Created, or is ErrExists when replace is false; its labels go with its version, unless r has
// some. ErrFile when the owner has another picture of that File.
func (c *Catalog) put(ctx context.Context, tx *sql.Tx, r Record, replace bool) (Record, error) {
	former, err := one(queryRecords(ctx, tx, `SELECT `+recordColumns+` FROM records WHERE id = $1`+c.forUpdate(), r.ID))
	if err != nil {
		return Record{}, err
	}
	stored, err := write(ctx, tx, r, replace)
	if err != nil {
		return Record{}, err
	}
	switch {
	case len(r.Labels) > 0:
		err = putLabels(ctx, tx, r.ID, r.Labels)
	case former != nil && former.Version != r.Version:
		_, err = tx.ExecContext(ctx, `DELETE FROM record_labels WHERE record = $1`, r.ID)
	}
	if err != nil {
		return Record{}, err
	}
	page := []Record{stored}
	if err := fillLabels(ctx, tx, page); err != nil {
		return Record{}, err
	}
	return page[0], index(ctx, tx, former, page[0])
}

// one returns the record of a page of one, nil when it is empty.
func one(page []Record, err error) (*Record, error) {
	if err != nil || len(page) == 0 {
		return nil, err
	}
	return &page[0], nil
}

// write writes the row of a record.
func write(ctx context.Context, tx *sql.Tx, r Record, replace bool) (Record, error) {
	timed := !r.Time.IsZero()
	if r.Created.IsZero() {
		r.Created = r.Updated
	}
	if !timed {
		r.Time = r.Created
	}
	onConflict := `DO NOTHING`
	if replace {
		onConflict = overwrite
	}
	tags, err := tagText(r.Tags)
	if err != nil {
		return Record{}, err
	}
	data, err := storableData(r.Data)
	if err != nil {
		return Record{}, err
	}
	args := []any{
		r.ID, r.Version, r.SHA256, r.Bytes, r.Format, r.Width, r.Height, millis(r.Created), millis(r.Updated),
		r.MD5, r.Placeholder, storable(r.Name), tags, r.Private, data, storable(r.File), millis(r.Time), storable(r.Owner),
	}
	if replace {
		args = append(args, timed)
	}
	stored, err := scanRecord(tx.QueryRowContext(ctx, `INSERT INTO records (`+recordColumns+`, indexed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1) ON CONFLICT (id) `+onConflict+`
		RETURNING `+recordColumns, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrExists
	}
	return stored, fileTaken(err)
}

// tagText is how tags are stored: a JSON array, or nothing.
func tagText(tags []string) (string, error) {
	if len(tags) == 0 {
		return "", nil
	}
	clean := make([]string, len(tags))
	for i, tag := range tags {
		clean[i] = storable(tag)
	}
	text, err := json.Marshal(clean)
	return string(text), err
}

// fileTaken tells the breach of records_file, which SQLite names by its columns and PostgreSQL by its name, from other errors.
func fileTaken(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if strings.Contains(text, `records_file`) || strings.Contains(text, `records.owner, records.file`) {
		return ErrFile
	}
	return err
}

// IDOf returns the id of the owner's picture of that file name, or ErrNotFound.
func (c *Catalog) IDOf(ctx context.Context, owner, file string) (id string, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT id FROM records WHERE owner = $1 AND file = $2 AND file <> ''`, owner, file).Scan(&id)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return id, fault("find record", err)
}

// Usage returns how many pictures the owner has, and their bytes together.
func (c *Catalog) Usage(ctx context.Context, owner string) (pictures, bytes int64, err error) {
	err = c.ask(ctx, countTimeout, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM records WHERE owner = $1`, owner).Scan(&pictures, &bytes)
	})
	return pictures, bytes, fault("count usage", err)
}
