package filter_test

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"deckle/filter"
)

// placeholders finds the numbered places of arguments.
var placeholders = regexp.MustCompile(`\$[0-9]+`)

// marker is what a filter has as texts and keys, and its SQL may not have.
const marker = "Zq9"

// FuzzParse holds that no text makes Parse panic; that what it takes is, printed, the same filter; that its SQL has an argument for
// each placeholder and no word of the filter; and that Match takes any record.
func FuzzParse(f *testing.F) {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	for range 50 {
		f.Add(filter.Print(g.filter(3, true, g.path)))
	}
	for _, text := range []string{
		`{}`, `{"data.Zq9":"Zq9'--"}`, `{"data.Zq9\"')":{"$in":["Zq9","'; DROP TABLE r; --",{"Zq9'":["Zq9"]}]}}`, `{"file":{"$regex":"Zq9'","$options":"imsx"}}`,
		`{"data.a":{"$elemMatch":{"Zq9.0.'":{"$type":["int",2]}}}}`, `{"time":{"$gt":"2026-11-22T10:00Z"}}`, `{"data.a":{"$all":[{"$elemMatch":{"$gt":1}}]}}`, `{"data.a":{"$not":{"$size":2}}}`,
		`{"$where":"Zq9"}`, `{"data.a":{"$regex":"(?:\\pL{9}){9}"}}`, `{"data.a":[[[[{}]]]]}`, `{"data.a":1e308,"data.b":-0}`, `{"data.1.2.3":{"$lte":null}}`,
	} {
		f.Add(text)
	}
	record := generator{rand.New(rand.NewPCG(7, 8))}.record()
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := filter.Parse([]byte(text), columns)
		if err != nil {
			var fault *filter.Error
			if !errors.Is(err, filter.ErrFilter) || !errors.As(err, &fault) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := filter.Parse([]byte(parsed.String()), columns)
		if err != nil && len(parsed.String()) < filter.MaxBytes {
			t.Fatalf("%s, printed: %s: %v", text, parsed, err)
		}
		if diff := cmp.Diff(parsed, again, filter.Compare); err == nil && diff != "" {
			t.Fatalf("%s, printed: %s: %s", text, parsed, diff)
		}
		for _, d := range []filter.Dialect{filter.SQLite, filter.Postgres} {
			condition, args := parsed.SQL(d, 1)
			seen := map[string]bool{}
			for _, place := range placeholders.FindAllString(strings.ReplaceAll(condition, "'$[", ""), -1) {
				seen[place] = true
			}
			if len(seen) != len(args) {
				t.Errorf("%s: %d placeholders and %d arguments in %s", text, len(seen), len(args), condition)
			}
			if strings.Contains(condition, marker) {
				t.Errorf("%s: its words are in %s", text, condition)
			}
		}
		parsed.Match(record)
	})
}

// FuzzCanonical holds that what Canonical takes it leaves alone the second time, and that it means the same.
func FuzzCanonical(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.50,"x\u00e9",{"b":null}],"a":-0e9}`, `{"\ud800":"\u2028"}`, `{"":1e-999}`, `[]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stored, err := filter.Canonical([]byte(text))
		if err != nil {
			return
		}
		again, err := filter.Canonical([]byte(stored))
		if err != nil || again != stored {
			t.Fatalf("%q: %q, and then %q, %v", text, stored, again, err)
		}
	})
}
