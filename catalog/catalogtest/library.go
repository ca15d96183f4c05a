package catalogtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
	"deckle/filter"
)

// RunLibrary checks every law of queries on catalogs that open returns, each empty and closed by whoever opened it.
func RunLibrary(t *testing.T, open func(t *testing.T) *catalog.Catalog) {
	t.Run("queries", func(t *testing.T) { testQueries(t, open(t)) })
	t.Run("ranks", func(t *testing.T) { testRanks(t, open(t)) })
	t.Run("refused", func(t *testing.T) { testRefused(t, open(t)) })
	t.Run("patches", func(t *testing.T) { testPatches(t, open(t)) })
	t.Run("patched alike", func(t *testing.T) { testPatchIndex(t, open(t)) })
	t.Run("files", func(t *testing.T) { testFiles(t, open(t)) })
	t.Run("labels", func(t *testing.T) { testLabels(t, open(t)) })
	t.Run("values", func(t *testing.T) { testValues(t, open(t)) })
	t.Run("steady pages", func(t *testing.T) { testSteadyPages(t, open(t)) })
	t.Run("many writers", func(t *testing.T) { testManyWriters(t, open(t)) })
	t.Run("harmful texts", func(t *testing.T) { testHarmfulTexts(t, open(t)) })
	t.Run("faults of queries", func(t *testing.T) { testQueryFaults(t, open(t)) })
}

var (
	nouns    = []string{"cat", "Bridge", "brigde", "harbour", "Straße", "STRASSE", "ＦＵＬＬ", "tower", "flower", "concatenate", "東京タワー", "кошка", "Кот", "été", "bobcat"}
	owners   = []string{"", "ann", "ben", "Ben"}
	tagWords = []string{"red", "Red", "blue sky", "été", "ÉTÉ", "2024", "cat", "a%b_c", "IMG"}
)

// Invent makes records, the same for the same seed.
func Invent(n int, seed uint64) []catalog.Record {
	random := rand.New(rand.NewPCG(seed, 1))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	made := make([]catalog.Record, n)
	for i := range made {
		r := record(fmt.Sprintf("%04x%c", random.IntN(1<<16), 'A'+rune(i%58)), "v", epoch.Add(time.Duration(random.IntN(1000))*time.Second))
		r.ID += fmt.Sprint(i)
		r.Bytes, r.Owner, r.Private = int64(random.IntN(50)), pick(owners), random.IntN(3) == 0
		if random.IntN(2) == 0 {
			r.Name = pick(nouns) + " " + pick(nouns)
		}
		if random.IntN(2) == 0 {
			r.File = fmt.Sprintf("%s/IMG_%06d %s.jpg", pick(nouns), random.IntN(1000)*1000+i, pick(nouns))
		}
		r.Time = epoch.Add(-time.Duration(random.IntN(200)) * time.Hour)
		for range random.IntN(3) {
			if tag := pick(tagWords); !slices.Contains(r.Tags, tag) {
				r.Tags = append(r.Tags, tag)
			}
		}
		if random.IntN(3) == 0 {
			r.Labels = []catalog.Label{{Name: pick(nouns), Category: "object", Confidence: float64(random.IntN(1000)) / 8, Source: "eye"}}
		}
		r.Data = inventData(random, pick)
		made[i] = r
	}
	return made
}

func inventData(random *rand.Rand, pick func([]string) string) string {
	data := map[string]any{}
	switch random.IntN(6) {
	case 0:
		return ""
	case 1:
		data["n"] = random.IntN(20)
	case 2:
		data["n"] = float64(random.IntN(20)) / 4
	case 3:
		data["n"] = pick(nouns)
	case 4:
		data["n"] = []any{pick(nouns), 3, map[string]any{"deep": pick(tagWords)}}
	}
	data["kind"] = pick(tagWords)
	data["in"] = map[string]any{"place": pick(nouns), "a.b": "c", "": "d"}
	text, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// fill puts records in, and returns them as they are stored then.
func fill(t testing.TB, c *catalog.Catalog, records []catalog.Record) library {
	t.Helper()
	stored := make(library, 0, len(records))
	for chunk := range slices.Chunk(records, 20) {
		steps := make([]catalog.Step, len(chunk))
		for i := range chunk {
			steps[i].Put = &chunk[i]
		}
		if _, err := c.Settle(t.Context(), epoch, steps...); err != nil {
			t.Fatal(err)
		}
		for _, r := range chunk {
			record, err := c.Record(t.Context(), r.ID)
			for errors.Is(err, catalog.ErrUnavailable) && t.Context().Err() == nil { // on a busy machine
				record, err = c.Record(t.Context(), r.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, record)
		}
	}
	return stored
}

// testQueries compares random queries with the reference, page by page.
func testQueries(t *testing.T, c *catalog.Catalog) {
	askQueries(t, c, fill(t, c, Invent(250, 42)), 7, 120)
}

// RunPlans compares random queries with the reference after each of the plans, which are ways in which the catalog, an empty one,
// is to answer.
func RunPlans(t *testing.T, c *catalog.Catalog, plans map[string]func(*catalog.Catalog)) {
	l := fill(t, c, Invent(250, 43))
	for i, name := range slices.Sorted(maps.Keys(plans)) {
		t.Run(name, func(t *testing.T) {
			plans[name](c)
			askQueries(t, c, l, uint64(i), 16)
		})
	}
}

func askQueries(t *testing.T, c *catalog.Catalog, l library, seed uint64, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	for i := range n {
		q := inventQuery(random, l)
		want := l.find(q)
		got, total, atLeast := pages(t, c, q, []int{9, 50, 1000}[random.IntN(3)])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("query %d, %+v (-want +got):\n%s", i, q, diff)
		}
		if total > int64(len(want)) || total < int64(len(want)) && !atLeast {
			t.Fatalf("query %d, %+v: total %d of %d, at least: %v", i, q, total, len(want), atLeast)
		}
		q.Skip, q.Limit = random.IntN(20), 10
		page, err := c.Find(t.Context(), q)
		must(t, err)
		wantSkipped := want[min(len(want), q.Skip):min(len(want), q.Skip+10)]
		if diff := cmp.Diff(append([]string{}, wantSkipped...), append([]string{}, idsOf(page.Records)...)); diff != "" {
			t.Fatalf("query %d, skipping, %+v (-want +got):\n%s", i, q, diff)
		}
		testBulk(t, c, l, q)
	}
}

// testBulk holds that Count and Each select what Find does, without the similar.
func testBulk(t *testing.T, c *catalog.Catalog, l library, q catalog.Query) {
	t.Helper()
	q.Sort, q.Descending = "id", false
	want := l.find(q)
	if n, err := c.Count(t.Context(), q); n != int64(len(want)) || err != nil {
		t.Fatalf("%+v: counted %d, %v, want %d", q, n, err, len(want))
	}
	var got []string
	must(t, c.Each(t.Context(), q, func(r catalog.Record) error {
		got = append(got, r.ID)
		return nil
	}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("each of %+v (-want +got):\n%s", q, diff)
	}
}

func pages(t *testing.T, c *catalog.Catalog, q catalog.Query, limit int) (ids []string, total int64, atLeast bool) {
	t.Helper()
	q.Limit = limit
	for {
		page, err := c.Find(t.Context(), q)
		if err == nil && page.Total < 0 || errors.Is(err, catalog.ErrSlow) {
			continue // a busy machine
		}
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if total, atLeast = page.Total, page.AtLeast; len(page.Records) > limit {
			t.Fatalf("%+v: a page of %d", q, len(page.Records))
		}
		ids = append(ids, idsOf(page.Records)...)
		if q.After = page.Next; q.After == "" {
			return ids, total, atLeast
		}
	}
}

func inventQuery(random *rand.Rand, l library) (q catalog.Query) {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	some := l[random.IntN(len(l))]
	for range random.IntN(4) {
		switch random.IntN(10) {
		case 0:
			q.Tag = pick(tagWords)
		case 1:
			q.Label = pick(nouns)
		case 2:
			q.File, q.Name = some.File, ""
		case 3:
			q.Name = some.Name
		case 4:
			q.From = some.Time
		case 5:
			q.To = some.Time.Add(time.Microsecond)
		case 6:
			for range 1 + random.IntN(30) {
				q.IDs = append(q.IDs, l[random.IntN(len(l))].ID)
			}
		case 7:
			path := pick([]string{"kind", "n", "in.place", "n.deep"})
			q.Data = map[string]string{path: pick(append(tagWords, nouns...))}
		case 8:
			q.Scope, q.Viewer = catalog.Scope(random.IntN(4)), pick(owners[1:])
		case 9:
			q.Where = kindIs(pick(tagWords))
		}
	}
	q.Sort = pick([]string{"", "", "time", "id", "created", "bytes", "file", "name", "owner", "data.n"})
	q.Descending = random.IntN(2) == 0
	if random.IntN(2) == 0 {
		q.Search = pick([]string{"cat", "ca", "BRIDGE", "bridg", "brigde", "tow", "lower", "東京", "タワ", "タ", "шка", "strasse", "full", "0001", "00", "12",
			"img 0001", "cat bridge", "cat brigde", "jpg кот", "ete", "été", "%", "a%b", "zzzz", "concatenation", "sky blue", "harbor"})
		if q.Search == "%" {
			q.Search = "b_c"
		}
		q.Descending = q.Descending && q.Sort != ""
	}
	return q
}

// kinds is what the filters ask for that kindIs made.
var kinds sync.Map

// kindIs is a filter for records whose data has this text as its kind.
func kindIs(text string) *filter.Filter {
	f, err := filter.Equal("data.kind", text, catalog.Columns())
	if err != nil {
		panic(err)
	}
	kinds.Store(f, text)
	return f
}

// testRanks is the order of a search as people would write it down.
func testRanks(t *testing.T, c *catalog.Catalog) {
	for i, name := range []string{"brigde", "footbridge", "b4bridge7", "Bridgetown", "a Bridge", "bridge", "birch"} {
		r := record(fmt.Sprint(i), "v", epoch)
		r.Name = name
		fill(t, c, []catalog.Record{r})
	}
	page, err := c.Find(t.Context(), catalog.Query{Search: " bridge!"})
	must(t, err)
	var names []string
	for _, r := range page.Records {
		names = append(names, r.Name)
	}
	want := []string{"a Bridge", "bridge", "Bridgetown", "footbridge", "b4bridge7", "brigde"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n, err := c.Count(t.Context(), catalog.Query{Search: "bridge"})
	if n != 5 || err != nil {
		t.Errorf("counted %d, %v, want 5: the similar one is not counted", n, err)
	}
}

// testRefused holds that what is wrong with a query is named.
func testRefused(t *testing.T, c *catalog.Catalog) {
	fill(t, c, Invent(20, 1))
	page, err := c.Find(t.Context(), catalog.Query{Limit: 5})
	must(t, err)
	for name, q := range map[string]catalog.Query{
		"sort":       {Sort: "nothing"},
		"sort ":      {Sort: `data.a"b`},
		"sort  ":     {Sort: "data."},
		"sort   ":    {Sort: "id; DROP TABLE records"},
		"after":      {After: "x"},
		"after ":     {After: page.Next, Sort: "bytes"},
		"after  ":    {After: page.Next, Descending: true},
		"after   ":   {After: page.Next, Search: "cat"},
		"after    ":  {After: "eyJzIjoidGltZSIsImEiOlsiYSIsMV19"},
		"after     ": {After: strings.Repeat("A", 1<<20)},
		"limit":      {Limit: catalog.MaxPage + 1},
		"limit ":     {Limit: -1},
		"skip":       {Skip: -1},
		"skip ":      {Skip: catalog.MaxSkip + 1},
		"ids":        {IDs: make([]string, catalog.MaxIDs+1)},
		"scope":      {Scope: catalog.ScopeOwn},
		"search":     {Search: "%_ -"},
		"data":       {Data: map[string]string{"": "x"}},
	} {
		_, err := c.Find(t.Context(), q)
		var refused *catalog.QueryError
		if errors.Is(err, catalog.ErrUnavailable) || !errors.Is(err, catalog.ErrQuery) || !errors.As(err, &refused) || refused.Field != strings.TrimSpace(name) {
			t.Errorf("%s: %v, want ErrQuery that names it", name, err)
		}
	}
	_, err = c.Distinct(t.Context(), catalog.Query{}, "sha256", 10)
	wants(t, "distinct of another column", err, catalog.ErrQuery)
	_, err = c.Distinct(t.Context(), catalog.Query{}, `data.a"`, 10)
	wants(t, "distinct of an odd path", err, catalog.ErrQuery)
}

// testSteadyPages holds that a cursor neither skips nor repeats what is there all along, while others come and go.
func testSteadyPages(t *testing.T, c *catalog.Catalog) {
	l := fill(t, c, Invent(60, 3))
	for _, q := range []catalog.Query{{}, {Descending: true}, {Sort: "data.n"}, {Search: "jpg"}, {Tag: "red"}} {
		want, newcomers := l.find(q), 0
		var got []string
		q.Limit = 5
		for {
			page, err := c.Find(t.Context(), q)
			must(t, err)
			got = append(got, idsOf(page.Records)...)
			if q.After = page.Next; q.After == "" {
				break
			}
			for _, r := range Invent(3, uint64(1000+newcomers)) {
				newcomers++
				r.ID, r.File = fmt.Sprint("new", len(got), newcomers, q.Sort, q.Search, q.Tag, q.Descending), ""
				fill(t, c, []catalog.Record{r})
			}
		}
		got = slices.DeleteFunc(got, func(id string) bool { return strings.HasPrefix(id, "new") })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", q, diff)
		}
		for _, id := range mustIDs(t, c) {
			if strings.HasPrefix(id, "new") {
				remove(t, c, id)
			}
		}
	}
}

func mustIDs(t *testing.T, c *catalog.Catalog) []string {
	t.Helper()
	ids, _, _ := pages(t, c, catalog.Query{}, 1000)
	return ids
}

func remove(t *testing.T, c *catalog.Catalog, id string) {
	t.Helper()
	change, err := c.Begin(t.Context(), id, "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Settle(t.Context(), epoch, catalog.Step{Change: &change, Remove: true})
	must(t, err)
}
