package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
)

func testPatches(t *testing.T, c *catalog.Catalog) {
	const before = `{"z":1,"a":{"b":[1,{"c":"x"}],"k":null},"big":12345678901234}`
	name, none := "Cat", ""
	rows := []struct {
		name  string
		patch catalog.Patch
		data  string
		want  error
	}{
		{"nothing", catalog.Patch{}, before, nil},
		{"set at the end", catalog.Patch{Set: map[string]any{"n": "<é>"}}, `{"z":1,"a":{"b":[1,{"c":"x"}],"k":null},"big":12345678901234,"n":"<é>"}`, nil},
		{"set in place", catalog.Patch{Set: map[string]any{"z": nil}}, `{"z":null,"a":{"b":[1,{"c":"x"}],"k":null},"big":12345678901234}`, nil},
		{"set deep", catalog.Patch{Set: map[string]any{"p.q.r": 5, "a.l": true}}, `{"z":1,"a":{"b":[1,{"c":"x"}],"k":null,"l":true},"big":12345678901234,"p":{"q":{"r":5}}}`, nil},
		{"set in an array", catalog.Patch{Set: map[string]any{"a.b.0": 2, "a.b.1.c": "y", "a.b.2": 3}}, `{"z":1,"a":{"b":[2,{"c":"y"},3],"k":null},"big":12345678901234}`, nil},
		{"unset", catalog.Patch{Unset: []string{"a.b", "z", "no.such", "big.x"}}, `{"a":{"k":null},"big":12345678901234}`, nil},
		{"unset in an array", catalog.Patch{Unset: []string{"a.b.0", "a.b.7"}}, `{"z":1,"a":{"b":[null,{"c":"x"}],"k":null},"big":12345678901234}`, nil},
		{"through a number", catalog.Patch{Set: map[string]any{"z.y": 1}}, before, catalog.ErrPatch},
		{"beyond an array", catalog.Patch{Set: map[string]any{"a.b.9": 1}}, before, catalog.ErrPatch},
		{"set and unset", catalog.Patch{Set: map[string]any{"a": 1}, Unset: []string{"a"}}, before, catalog.ErrPatch},
		{"set and unset below", catalog.Patch{Set: map[string]any{"a.b": 1}, Unset: []string{"a"}}, before, catalog.ErrPatch},
		{"no path", catalog.Patch{Set: map[string]any{"a..b": 1}}, before, catalog.ErrPatch},
		{"name and file", catalog.Patch{Name: &name, File: &none}, before, nil},
	}
	for i, row := range rows {
		r := record(fmt.Sprint("r", i), "v", epoch)
		r.Data, r.File = before, fmt.Sprint("file", i)
		fill(t, c, []catalog.Record{r})
		matched, changed, err := c.Update(t.Context(), catalog.Query{IDs: []string{r.ID}}, row.patch)
		wants(t, row.name, err, row.want)
		got, err := c.Record(t.Context(), r.ID)
		must(t, err)
		if got.Data != row.data {
			t.Errorf("%s: %s, want %s", row.name, got.Data, row.data)
		}
		did := row.data != before || row.patch.Name != nil
		if row.want == nil && (matched != 1 || changed == 1 != did) {
			t.Errorf("%s: %d matched, %d changed", row.name, matched, changed)
		}
		if row.patch.Name != nil && (got.Name != name || got.File != "") {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
	// One that cannot be patched leaves all alone.
	_, _, err := c.Update(t.Context(), catalog.Query{}, catalog.Patch{Set: map[string]any{"a.k": 1, "big.x": 1}})
	wants(t, "one of many", err, catalog.ErrPatch)
	if n, err := c.Count(t.Context(), catalog.Query{Name: "Cat"}); n != 1 || err != nil {
		t.Errorf("%d are named so, %v", n, err)
	}
}

// testPatchIndex holds that patched, replaced and removed records are found by what they say, and by nothing else.
func testPatchIndex(t *testing.T, c *catalog.Catalog) {
	l := fill(t, c, Invent(120, 9))
	name, tags := "a renamed lighthouse", []string{"beacon", "Beacon"}
	n, changed, err := c.Update(t.Context(), catalog.Query{Tag: "RED"}, catalog.Patch{
		Name: &name, AddTags: tags, RemoveTags: []string{"red"}, Set: map[string]any{"in.place": "shore"},
	})
	must(t, err)
	if n == 0 || n != changed {
		t.Fatalf("%d matched, %d changed", n, changed)
	}
	for i, id := range idsOf(l) {
		if i%10 == 0 {
			remove(t, c, id)
		}
		if i%10 == 1 {
			again := l[i]
			again.Version, again.Updated, again.Time, again.Tags = "v2", epoch.Add(time.Hour), epoch.Add(time.Minute), []string{"anew"}
			_, err := c.Settle(t.Context(), epoch, catalog.Step{Put: &again, Replace: true})
			must(t, err)
		}
	}
	var now library
	must(t, c.Each(t.Context(), catalog.Query{}, func(r catalog.Record) error {
		now = append(now, r)
		return nil
	}))
	for _, q := range []catalog.Query{
		{Tag: "red"}, {Tag: "beacon"}, {Tag: "anew"}, {Name: name}, {Search: "lighthouse"}, {Search: "house"}, {Search: "cat"}, {Search: "jpg"},
		{Search: "lihgthouse"}, {Data: map[string]string{"in.place": "shore"}}, {Data: map[string]string{"in.place": "cat"}}, {Search: "red"}, {Label: "cat"},
	} {
		got, total, _ := pages(t, c, q, 9)
		if diff := cmp.Diff(now.find(q), got); diff != "" || total != int64(len(got)) {
			t.Errorf("%+v: total %d, (-want +got):\n%s", q, total, diff)
		}
	}
}

// testFiles holds that of one owner's files each has a name of its own.
func testFiles(t *testing.T, c *catalog.Catalog) {
	make := func(id, owner, file string) error {
		r := record(id, "v", epoch)
		r.Owner, r.File = owner, file
		_, err := c.Settle(t.Context(), epoch, catalog.Step{Put: &r})
		return err
	}
	must(t, make("1", "ann", "a/b.png"))
	must(t, make("2", "ben", "a/b.png"))
	must(t, make("3", "ann", ""))
	must(t, make("4", "ann", ""))
	wants(t, "a file twice", make("5", "ann", "a/b.png"), catalog.ErrFile)
	must(t, make("5", "ann", "A/b.png"))
	file := "a/b.png"
	_, _, err := c.Update(t.Context(), catalog.Query{IDs: []string{"3"}}, catalog.Patch{File: &file})
	wants(t, "a file renamed so", err, catalog.ErrFile)
	for owner, want := range map[string]string{"ann": "1", "ben": "2"} {
		if id, err := c.IDOf(t.Context(), owner, file); id != want || err != nil {
			t.Errorf("%s's: %q, %v", owner, id, err)
		}
	}
	_, err = c.IDOf(t.Context(), "", file)
	wants(t, "nobody's", err, catalog.ErrNotFound)
	_, err = c.IDOf(t.Context(), "ann", "")
	wants(t, "no file", err, catalog.ErrNotFound)
	if n, bytes, err := c.Usage(t.Context(), "ann"); n != 4 || bytes != 4<<33 || err != nil {
		t.Errorf("usage: %d, %d, %v", n, bytes, err)
	}
}

// testLabels holds that labels of a source take each other's place, and never land on other bytes.
func testLabels(t *testing.T, c *catalog.Catalog) {
	upload(t, c, record("cat", "v1", epoch), false)
	wants(t, "another version", c.SetLabels(t.Context(), "cat", "v0", "eye", []catalog.Label{{Name: "x"}}), catalog.ErrNotFound)
	wants(t, "nothing", c.SetLabels(t.Context(), "dog", "v1", "eye", nil), catalog.ErrNotFound)
	must(t, c.SetLabels(t.Context(), "cat", "v1", "eye", []catalog.Label{{Name: "Cat", Confidence: 70}, {Name: "Cat", Confidence: 90}, {Name: "Box", Confidence: 80}}))
	must(t, c.SetLabels(t.Context(), "cat", "v1", "ear", []catalog.Label{{Name: "Purr", Category: "sound", Confidence: 85}}))
	check := func(step string, found map[string]int64, want ...catalog.Label) {
		t.Helper()
		r, err := c.Record(t.Context(), "cat")
		must(t, err)
		if diff := cmp.Diff(want, r.Labels); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		for label, n := range found {
			if got, err := c.Count(t.Context(), catalog.Query{Label: label}); got != n || err != nil {
				t.Errorf("%s: %d are labelled %s, %v", step, got, label, err)
			}
			if got, err := c.Count(t.Context(), catalog.Query{Search: label}); got != n || err != nil {
				t.Errorf("%s: a search finds %d of %s, %v", step, got, label, err)
			}
		}
	}
	purr := catalog.Label{Name: "Purr", Category: "sound", Confidence: 85, Source: "ear"}
	check("two sources", map[string]int64{"cat": 1, "box": 1, "PURR": 1},
		catalog.Label{Name: "Cat", Confidence: 90, Source: "eye"}, purr, catalog.Label{Name: "Box", Confidence: 80, Source: "eye"})
	must(t, c.SetLabels(t.Context(), "cat", "v1", "eye", []catalog.Label{{Name: "Dog", Confidence: 1}}))
	check("one anew", map[string]int64{"cat": 0, "dog": 1, "purr": 1}, purr, catalog.Label{Name: "Dog", Confidence: 1, Source: "eye"})
	upload(t, c, record("cat", "v2", epoch.Add(time.Hour)), true)
	check("other bytes", map[string]int64{"dog": 0, "purr": 0})
}

// testManyWriters has words come and go on all sides, and holds that what is left is found.
func testManyWriters(t *testing.T, c *catalog.Catalog) {
	const writers, rounds = 6, 12
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range rounds {
				if err := writeSome(t.Context(), c, w, i); err != nil {
					t.Errorf("writer %d, round %d: %v", w, i, err)
					return
				}
			}
		})
	}
	group.Wait()
	var now library
	must(t, c.Each(t.Context(), catalog.Query{}, func(r catalog.Record) error {
		now = append(now, r)
		return nil
	}))
	for _, text := range []string{"shared", "hare", "word0", "ord1", "word2", "common"} {
		q := catalog.Query{Search: text, Sort: "id"}
		got, _, _ := pages(t, c, q, 100)
		if diff := cmp.Diff(now.find(q), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// writeSome writes a record of words that others write, too, in another order; every other one goes again at once, and every third
// one loses its words.
func writeSome(ctx context.Context, c *catalog.Catalog, w, i int) error {
	r := record(fmt.Sprintf("w%d-%d", w, i), "v", epoch)
	r.Name, r.Tags = fmt.Sprintf("word%d shared%d", (w+i)%3, i%5), []string{fmt.Sprint("common", (i*7+w)%4), "zebra", "aardvark"}
	if _, err := c.Settle(ctx, epoch, catalog.Step{Put: &r}); err != nil {
		return err
	}
	if i%3 == 0 {
		name := "plain"
		if _, _, err := c.Update(ctx, catalog.Query{IDs: []string{r.ID}}, catalog.Patch{Name: &name, Tags: &[]string{}}); err != nil {
			return err
		}
	}
	if i%2 == 0 {
		return nil
	}
	change, err := c.Begin(ctx, r.ID, "", nil, epoch, epoch.Add(Lease))
	if err != nil {
		return err
	}
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &change, Remove: true})
	return err
}

func testValues(t *testing.T, c *catalog.Catalog) {
	for i, data := range []string{`{"a":1,"b":{"c":"x"}}`, `{"a":1.0,"z":null}`, `{"a":["y","x",2],"b":7}`, `{"a":"x"}`, ``, `{"a":true,"b":{"c":"w"}}`} {
		r := record(fmt.Sprint(i), "v", epoch)
		r.Data, r.Format, r.Tags = data, []string{"png", "jpeg"}[i%2], []string{"b", "a"}[:i%3]
		fill(t, c, []catalog.Record{r})
	}
	fields, err := c.Fields(t.Context(), catalog.Query{})
	must(t, err)
	if diff := cmp.Diff([]string{"a", "b", "z"}, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for path, want := range map[string][]any{
		"data.a": {1.0, 2.0, "x", "y", true}, "data.b.c": {"w", "x"}, "data.none": nil, "format": {"jpeg", "png"}, "tags": {"a", "b"},
	} {
		got, err := c.Distinct(t.Context(), catalog.Query{}, path, 10)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	got, err := c.Distinct(t.Context(), catalog.Query{IDs: []string{"1", "3"}}, "data.a", 1)
	if diff := cmp.Diff([]any{1.0}, got); diff != "" || err != nil {
		t.Errorf("some: %v (-want +got):\n%s", err, diff)
	}
}

// testHarmfulTexts stores what a database may not hold, or may read as its own language.
func testHarmfulTexts(t *testing.T, c *catalog.Catalog) {
	for i, text := range []string{"nul\x00byte", "bad\xff\xfeutf8", "'; DROP TABLE records; --", `a\"b`, "%_%", strings.Repeat("long ", 2000), "\U0010FFFF", "e\u0301"} {
		r := record(fmt.Sprint(i), "v", epoch)
		r.Name, r.File, r.Tags, r.Owner = text, "f/"+text, []string{text}, "o"
		r.Labels = []catalog.Label{{Name: text, Confidence: 1, Source: "eye"}}
		r.Data = `{"t":"\u0000a","s":"\ud800b"}`
		if _, err := c.Settle(t.Context(), epoch, catalog.Step{Put: &r}); err != nil {
			if errors.Is(err, catalog.ErrData) {
				r.Data = ""
				fill(t, c, []catalog.Record{r})
			} else {
				t.Errorf("%.20q: %v", text, err)
			}
		}
		for _, q := range []catalog.Query{{Tag: text}, {Label: text}, {Search: "x" + text}} {
			page, err := c.Find(t.Context(), q)
			if err != nil || q.Search == "" && len(page.Records) == 0 {
				t.Errorf("%.40q: found %d, %v", fmt.Sprint(q.Tag, q.Label, q.Search), len(page.Records), err)
			}
		}
	}
	if _, err := c.Find(t.Context(), catalog.Query{Sort: "data.t"}); err != nil {
		t.Errorf("sorted by data: %v", err)
	}
}

func testQueryFaults(t *testing.T, c *catalog.Catalog) {
	must(t, c.Close())
	_, findErr := c.Find(t.Context(), catalog.Query{})
	_, countErr := c.Count(t.Context(), catalog.Query{})
	_, _, updateErr := c.Update(t.Context(), catalog.Query{}, catalog.Patch{})
	_, fieldsErr := c.Fields(t.Context(), catalog.Query{})
	_, distinctErr := c.Distinct(t.Context(), catalog.Query{}, "name", 1)
	_, idErr := c.IDOf(t.Context(), "", "f")
	_, _, usageErr := c.Usage(t.Context(), "")
	for op, err := range map[string]error{
		"Find": findErr, "Count": countErr, "Update": updateErr, "Fields": fieldsErr, "Distinct": distinctErr, "IDOf": idErr, "Usage": usageErr,
		"Each":      c.Each(context.Background(), catalog.Query{}, func(catalog.Record) error { return nil }),
		"SetLabels": c.SetLabels(t.Context(), "", "", "", nil),
	} {
		wants(t, op, err, catalog.ErrUnavailable)
	}
}
