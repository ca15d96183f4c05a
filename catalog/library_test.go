package catalog_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"deckle/catalog"
	"deckle/catalog/postgres"
	"deckle/catalog/sqlite"
	"deckle/filter"
	"deckle/internal/testserver"
)

// libraryRecords is how many records the short form has; DECKLE_LIBRARY_RECORDS sets another number, and has the table written.
const libraryRecords = 3000

// made is a library that was invented, and the words it was made of.
type made struct {
	records             []catalog.Record
	words, tags, labels []string
	owners, projects    []string
}

// invent makes records whose words, tags, labels and owners are as unevenly used as people use them.
func invent(n int) *made {
	random := rand.New(rand.NewPCG(6, 1))
	m := &made{words: vocabulary(random, 50_000), tags: vocabulary(random, 2000), labels: vocabulary(random, 500)}
	for i := range 1000 {
		m.owners = append(m.owners, fmt.Sprintf("user-%04d", i))
	}
	for i := range 5000 {
		m.projects = append(m.projects, fmt.Sprintf("project %d", i))
	}
	often := map[*[]string]*rand.Zipf{}
	for _, from := range []*[]string{&m.words, &m.tags, &m.labels, &m.owners} {
		often[from] = rand.NewZipf(random, 1.1, 20, uint64(len(*from)-1))
	}
	pick := func(from *[]string) string { return (*from)[often[from].Uint64()] }
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		r := catalog.Record{
			ID: fmt.Sprintf("%016x%08x", random.Uint64(), i), Version: "v", SHA256: fmt.Sprintf("%064x", i), MD5: fmt.Sprintf("%032x", i),
			Bytes: random.Int64N(10 << 20), Format: []string{"jpeg", "png", "webp"}[random.IntN(3)], Width: 1000 + random.IntN(5000), Height: 1000 + random.IntN(3000),
			Created: start.Add(time.Duration(i) * time.Minute), Name: pick(&m.words) + " " + pick(&m.words), File: fmt.Sprintf("%s/IMG_%07d.jpg", pick(&m.words), i),
			Owner: pick(&m.owners), Private: random.IntN(10) == 0,
		}
		r.Updated, r.Time = r.Created, r.Created.Add(-time.Duration(random.Int64N(int64(1000*time.Hour)))).Truncate(time.Millisecond)
		for range random.IntN(4) {
			if tag := pick(&m.tags); !slices.Contains(r.Tags, tag) {
				r.Tags = append(r.Tags, tag)
			}
		}
		for range random.IntN(4) {
			r.Labels = append(r.Labels, catalog.Label{Name: pick(&m.labels), Category: "object", Confidence: 90, Source: "builtin"})
		}
		r.Data = fmt.Sprintf(`{"project":%q,"camera":"camera %d","rating":%d}`, m.projects[random.IntN(len(m.projects))], random.IntN(50), random.IntN(6))
		m.records = append(m.records, r)
	}
	return m
}

// vocabulary makes words of syllables.
func vocabulary(random *rand.Rand, n int) []string {
	seen, all := map[string]bool{}, []string{}
	for len(all) < n {
		word := ""
		for range 2 + random.IntN(3) {
			word += string("bcdfghklmnprstvz"[random.IntN(16)]) + string("aeiou"[random.IntN(5)])
			if random.IntN(3) == 0 {
				word += string("nrlst"[random.IntN(5)])
			}
		}
		if !seen[word] {
			seen[word] = true
			all = append(all, word)
		}
	}
	return all
}

// table is rows that are loaded at once, sorted by what they are found by.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

// tables returns the rows of the records as the catalog writes them.
func tables(records []catalog.Record) []table {
	all := []table{
		{name: "records", columns: []string{"id", "version", "sha256", "bytes", "format", "width", "height", "created", "updated", "md5", "placeholder",
			"name", "tags", "private", "data", "file", "time", "owner", "indexed"}},
		{name: "record_labels", columns: []string{"record", "source", "name", "category", "confidence"}},
		{name: "record_keys", columns: []string{"key", "time", "record"}},
		{name: "terms", columns: []string{"term"}},
		{name: "record_terms", columns: []string{"term", "record"}},
		{name: "grams", columns: []string{"gram", "term"}},
	}
	add := func(i int, row ...any) { all[i].rows = append(all[i].rows, row) }
	known := map[string]bool{}
	for _, r := range records {
		tags := ""
		if len(r.Tags) > 0 {
			text, _ := json.Marshal(r.Tags)
			tags = string(text)
		}
		add(0, r.ID, r.Version, r.SHA256, r.Bytes, r.Format, r.Width, r.Height, r.Created.UnixMilli(), r.Updated.UnixMilli(), r.MD5, "",
			r.Name, tags, r.Private, r.Data, r.File, r.Time.UnixMilli(), r.Owner, 1)
		labelled := map[string]bool{}
		for _, l := range r.Labels {
			if !labelled[l.Name] {
				labelled[l.Name] = true
				add(1, r.ID, l.Source, l.Name, l.Category, l.Confidence)
			}
		}
		for _, k := range catalog.KeysOf(r) {
			add(2, k, r.Time.UnixMilli(), r.ID)
		}
		for _, term := range catalog.TermsOf(r) {
			add(4, term, r.ID)
			if !known[term] {
				known[term] = true
				add(3, term)
				for _, gram := range catalog.Grams(term) {
					add(5, gram, term)
				}
			}
		}
	}
	for _, t := range all {
		slices.SortFunc(t.rows, func(a, b []any) int {
			x, _ := a[len(a)-1].(string)
			y, _ := b[len(b)-1].(string)
			return cmp.Or(strings.Compare(a[0].(string), b[0].(string)), strings.Compare(x, y))
		})
	}
	return all
}

// store is a database with a library in it.
type store struct {
	name string
	*catalog.Catalog
	load func(t *testing.T, all []table)
	size func(t *testing.T) int64
}

func sqliteStore(t *testing.T) store {
	path := filepath.Join(t.TempDir(), "deckle.db")
	c, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	load := func(t *testing.T, all []table) {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(OFF)&_pragma=synchronous(OFF)")
		must(t, err)
		defer func() { must(t, db.Close()) }()
		tx, err := db.Begin()
		must(t, err)
		for _, table := range all {
			insertTable(t, tx, table)
		}
		must(t, tx.Commit())
	}
	size := func(t *testing.T) int64 {
		info, err := os.Stat(path)
		must(t, err)
		return info.Size()
	}
	return store{"SQLite", c, load, size}
}

// insertTable inserts forty rows at a time: each statement costs more than its rows.
func insertTable(t *testing.T, tx *sql.Tx, table table) {
	const chunk = 40
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(table.columns)), ",") + ")"
	insert := func(n int) string {
		return "INSERT INTO " + table.name + " (" + strings.Join(table.columns, ", ") + ") VALUES " + strings.TrimSuffix(strings.Repeat(row+",", n), ",")
	}
	many, err := tx.Prepare(insert(chunk))
	must(t, err)
	defer func() { must(t, many.Close()) }()
	for rows := range slices.Chunk(table.rows, chunk) {
		if len(rows) == chunk {
			_, err = many.Exec(slices.Concat(rows...)...)
		} else {
			_, err = tx.Exec(insert(len(rows)), slices.Concat(rows...)...)
		}
		must(t, err)
	}

}

func postgresStore(t *testing.T) store {
	address := testserver.Postgres(t).Database(t)
	c, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	load := func(t *testing.T, all []table) {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, address)
		must(t, err)
		defer func() { must(t, conn.Close(ctx)) }()
		_, err = conn.Exec(ctx, "SET session_replication_role = replica") // without foreign keys
		must(t, err)
		for _, table := range all {
			_, err := conn.CopyFrom(ctx, pgx.Identifier{table.name}, table.columns, pgx.CopyFromRows(table.rows))
			must(t, err)
		}
		_, err = conn.Exec(ctx, "VACUUM ANALYZE") // as the server does by itself, some time later
		must(t, err)
	}
	size := func(t *testing.T) (bytes int64) {
		conn, err := pgx.Connect(context.Background(), address)
		must(t, err)
		must(t, conn.QueryRow(context.Background(), "SELECT pg_database_size(current_database())").Scan(&bytes))
		must(t, conn.Close(context.Background()))
		return bytes
	}
	return store{"PostgreSQL", c, load, size}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// usual are the queries whose time is taken, made anew for each run.
func usual(m *made, random *rand.Rand) []usualQuery {
	some := func() catalog.Record { return m.records[random.IntN(len(m.records))] }
	word := func() string { return strings.Fields(some().Name)[0] }
	tagged := func() catalog.Record {
		for {
			if r := some(); len(r.Tags) > 0 && len(r.Labels) > 0 {
				return r
			}
		}
	}
	cuts := func(n int) string {
		w := word()
		return w[min(len(w)-n, 1):][:n]
	}
	return []usualQuery{
		{"newest, a page of 100", func() catalog.Query { return catalog.Query{Descending: true} }},
		{"newest public", func() catalog.Query { return catalog.Query{Descending: true, Scope: catalog.ScopePublic} }},
		{"between two times", func() catalog.Query {
			at := some().Time
			return catalog.Query{From: at, To: at.Add(240 * time.Hour)}
		}},
		{"by tag", func() catalog.Query { return catalog.Query{Tag: tagged().Tags[0], Descending: true} }},
		{"by label", func() catalog.Query { return catalog.Query{Label: tagged().Labels[0].Name, Descending: true} }},
		{"by tag and label", func() catalog.Query { r := tagged(); return catalog.Query{Tag: r.Tags[0], Label: r.Labels[0].Name} }},
		{"by owner", func() catalog.Query {
			return catalog.Query{Scope: catalog.ScopeOwn, Viewer: some().Owner, Descending: true}
		}},
		{"by owner and tag", func() catalog.Query {
			r := tagged()
			return catalog.Query{Scope: catalog.ScopeOwn, Viewer: r.Owner, Tag: r.Tags[0]}
		}},
		{"by 100 ids", func() catalog.Query {
			q := catalog.Query{}
			for range 100 {
				q.IDs = append(q.IDs, some().ID)
			}
			return q
		}},
		{"by file", func() catalog.Query { return catalog.Query{File: some().File} }},
		{"by name", func() catalog.Query { return catalog.Query{Name: some().Name} }},
		{"data.project =", func() catalog.Query {
			return catalog.Query{Data: map[string]string{"project": m.projects[random.IntN(len(m.projects))]}}
		}},
		{"data.camera = (of 50)", func() catalog.Query {
			return catalog.Query{Data: map[string]string{"camera": fmt.Sprint("camera ", random.IntN(50))}, Descending: true}
		}},
		{"search, beginning of a word", func() catalog.Query { w := word(); return catalog.Query{Search: w[:min(len(w), 3+random.IntN(3))]} }},
		{"search, one letter", func() catalog.Query { return catalog.Query{Search: word()[:1]} }},
		{"search, middle of a word", func() catalog.Query { return catalog.Query{Search: cuts(3)} }},
		{"search, middle of a number", func() catalog.Query { return catalog.Query{Search: fmt.Sprintf("%04d", random.IntN(10000))} }},
		{"search, misspelt", func() catalog.Query {
			w := []byte(word())
			i := 1 + random.IntN(len(w)-2)
			w[i], w[i+1] = w[i+1], w[i]
			return catalog.Query{Search: string(w)}
		}},
		{"search, two words", func() catalog.Query { return catalog.Query{Search: some().Name} }},
		{"search, nothing found", func() catalog.Query { return catalog.Query{Search: "qqxyzzy"} }},
		{"search, in one owner's", func() catalog.Query {
			r := some()
			return catalog.Query{Search: strings.Fields(r.Name)[1], Scope: catalog.ScopeOwn, Viewer: r.Owner}
		}},
		{"filter, rating > 4, newest", func() catalog.Query {
			f, err := filter.Parse([]byte(`{"data.rating":{"$gt":4}}`), catalog.Columns())
			if err != nil {
				panic(err)
			}
			return catalog.Query{Where: f, Descending: true}
		}},
	}
}

type usualQuery struct {
	name string
	make func() catalog.Query
}

// TestMillion asks both databases the queries that people make, each of which has to be answered, and in its long form writes how
// long they take.
func TestMillion(t *testing.T) {
	n, long := libraryRecords, false
	if text := os.Getenv("DECKLE_LIBRARY_RECORDS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		must(t, err)
		long = true
	}
	m := invent(n)
	all := tables(m.records)
	var report strings.Builder
	for _, s := range []store{sqliteStore(t), postgresStore(t)} {
		begin := time.Now()
		s.load(t, all)
		loaded := time.Since(begin)
		single, batched := putRates(t, s.Catalog, m)
		fmt.Fprintf(&report, "\n## %s\n\nLoaded in bulk: %.0f records/s. Written as uploads are: %.0f/s one a transaction, %.0f/s fifty a transaction. Size: %d MB, %d bytes a record.\n\n",
			s.name, float64(n)/loaded.Seconds(), single, batched, s.size(t)>>20, s.size(t)/int64(n))
		report.WriteString("| query | best ms | p50 ms | p99 ms | worst ms | without total p99 ms |\n|---|--:|--:|--:|--:|--:|\n")
		for _, q := range usual(m, rand.New(rand.NewPCG(1, 2))) {
			rounds := 8
			if long {
				rounds = 100
			}
			with, without := timed(t, s.Catalog, q, rounds, false), timed(t, s.Catalog, q, rounds, true)
			fmt.Fprintf(&report, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", q.name, quantile(with, 0), quantile(with, 0.5), quantile(with, 0.99), quantile(with, 1), quantile(without, 0.99))
		}
	}
	t.Log(report.String())
	if long {
		head := fmt.Sprintf("# A library of %d records\n\n`DECKLE_LIBRARY_RECORDS=%d go test ./catalog -run TestMillion -timeout 1h` on %s, %d cores, %s, databases on the same machine, one client.\nEach row is 100 runs with other arguments, after a load in bulk; a page is 100 records with their labels. Total is counted up to %d, of a search up to %d findings, and among %d records where these are looked at.\n",
			n, n, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), catalog.TotalBound, catalog.SearchBound, catalog.LookBound)
		must(t, os.WriteFile(filepath.Join("..", "bench", "results", "library.md"), []byte(head+report.String()), 0o644))
	}
}

// putRates returns how many records a second are written as uploads write them, one a transaction and fifty.
func putRates(t *testing.T, c *catalog.Catalog, m *made) (single, batched float64) {
	next := 0
	run := func(transactions, size int) float64 {
		begin := time.Now()
		for range transactions {
			steps := make([]catalog.Step, size)
			for i := range steps {
				r := m.records[next]
				r.ID, r.File = fmt.Sprint("put", next), fmt.Sprintf("put/IMG_%d.jpg", next)
				steps[i].Put, steps[i].Replace = &r, true
				next++
			}
			_, err := c.Settle(t.Context(), time.Now(), steps...)
			for errors.Is(err, catalog.ErrUnavailable) && t.Context().Err() == nil { // its turn has not come on a busy machine
				_, err = c.Settle(t.Context(), time.Now(), steps...)
			}
			must(t, err)
		}
		return float64(transactions*size) / time.Since(begin).Seconds()
	}
	return run(200, 1), run(10, 50)
}

// timed returns the times that runs of a query took, milliseconds, sorted.
func timed(t *testing.T, c *catalog.Catalog, q usualQuery, rounds int, noTotal bool) []float64 {
	t.Helper()
	took := make([]float64, rounds)
	for i := range took {
		query := q.make()
		query.NoTotal = noTotal
		begin := time.Now()
		if _, err := c.Find(t.Context(), query); err != nil {
			t.Errorf("%s, %+v: %v", q.name, query, err)
		}
		took[i] = float64(time.Since(begin).Microseconds()) / 1000
	}
	slices.Sort(took)
	return took
}

// quantile is the nearest rank: the least value that a share q of all do not exceed.
func quantile(sorted []float64, q float64) float64 {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
