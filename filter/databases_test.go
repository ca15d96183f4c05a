package filter_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	"modernc.org/sqlite"

	"deckle/filter"
	"deckle/internal/testserver"
)

// columns are those of the table that the tests ask.
var columns = filter.Columns{
	"file": {SQL: "r.file", Kind: filter.Text}, "bytes": {SQL: "r.bytes", Kind: filter.Number},
	"time": {SQL: "r.time", Kind: filter.Time}, "private": {SQL: "r.private", Kind: filter.Bool},
	"tags": {SQL: "r.tags", Kind: filter.Strings}, "data": {SQL: "r.data", Kind: filter.JSON},
}

const table = `CREATE TABLE r (id BIGINT NOT NULL PRIMARY KEY, file TEXT, bytes BIGINT, time BIGINT, private BOOLEAN,
	tags TEXT NOT NULL, data TEXT NOT NULL)`

// database is one that the same records are in.
type database struct {
	name    string
	dialect filter.Dialect
	db      *sql.DB
}

// databases opens both, each with an empty table.
func databases(t testing.TB) []database {
	t.Helper()
	register()
	lite, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "r.db")+"?_pragma=synchronous(OFF)")
	if err != nil {
		t.Fatal(err)
	}
	server, err := sql.Open("pgx", testserver.Postgres(t).Database(t)+"&statement_timeout=10000&jit=off")
	if err != nil {
		t.Fatal(err)
	}
	all := []database{{"SQLite", filter.SQLite, lite}, {"PostgreSQL", filter.Postgres, server}}
	for _, d := range all {
		t.Cleanup(func() { _ = d.db.Close() })
		if _, err := d.db.Exec(table); err != nil {
			t.Fatal(d.name, err)
		}
	}
	return all
}

var register = sync.OnceFunc(func() {
	for _, f := range filter.Functions() {
		sqlite.MustRegisterDeterministicScalarFunction(f.Name, f.Args,
			func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
				values := make([]any, len(args))
				for i, arg := range args {
					values[i] = arg
				}
				return f.Do(values)
			})
	}
})

// fill replaces the records by these: number i has the id i.
func (d database) fill(t testing.TB, records []filter.Doc) {
	t.Helper()
	tx, err := d.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("DELETE FROM r"); err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		row := rowOf(t, r)
		if _, err := tx.Exec("INSERT INTO r VALUES ($1, $2, $3, $4, $5, $6, $7)", append([]any{i}, row...)...); err != nil {
			t.Fatal(d.name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// rowOf returns a record as the table has it.
func rowOf(t testing.TB, record filter.Doc) []any {
	t.Helper()
	row := []any{nil, nil, nil, nil, "", ""}
	for _, field := range record {
		switch field.Key {
		case "file":
			row[0] = field.Value
		case "bytes":
			row[1] = int64(field.Value.(float64))
		case "time":
			row[2] = field.Value.(time.Time).UnixMilli()
		case "private":
			row[3] = field.Value
		case "tags":
			row[4] = filter.Print(field.Value)
		case "data":
			text, err := filter.Canonical([]byte(filter.Print(field.Value)))
			if err != nil {
				t.Fatal(err)
			}
			row[5] = text
		}
	}
	if row[0] == nil && len(record)%2 == 0 {
		row[0] = "" // missing in its other form
	}
	return row
}

// matching returns the ids of the records that the filter selects.
func (d database) matching(t testing.TB, f *filter.Filter) []int {
	t.Helper()
	ids, err := d.ask(t.Context(), f)
	if err != nil {
		t.Fatalf("%s: %s: %v", d.name, f, err)
	}
	return ids
}

func (d database) ask(ctx context.Context, f *filter.Filter) ([]int, error) {
	condition, args := f.SQL(d.dialect, 1)
	rows, err := d.db.QueryContext(ctx, "SELECT id FROM r WHERE "+condition+" ORDER BY id", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	ids := []int{}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// matched is matching by Match.
func matched(f *filter.Filter, records []filter.Doc) []int {
	ids := []int{}
	for i, r := range records {
		if f.Match(r) {
			ids = append(ids, i)
		}
	}
	return ids
}
