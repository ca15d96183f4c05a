package filter_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"deckle/filter"
)

// generator makes records and filters out of few keys and values, so that they meet.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// many returns up to n of what one makes.
func many[T any](g generator, n int, one func() T) []any {
	all := []any{}
	for range g.IntN(n + 1) {
		all = append(all, one())
	}
	return all
}

func (g generator) key() string {
	if g.IntN(15) == 0 {
		return pick(g, "1", "01", "é", `q"\`, "x y", "[0]", "#", "größe", "m", "x")
	}
	return pick(g, "a", "a", "a", "b", "b", "b", "c", "0")
}

func (g generator) scalar() any {
	switch g.IntN(16) {
	case 0, 1:
		return nil
	case 2, 3:
		return pick(g, true, false)
	case 4, 5, 6, 7, 8:
		return pick[any](g, 1.0, 2.0, "a", "b")
	case 9, 10, 11:
		return pick[float64](g, 0, 1, 1, 2, -1, 5, 2.5, 1e300, 9007199254740993, 9007199254740992, 18446744073709551615, 0.1, 0.30000000000000004, 3e9, -2147483648, 5e-324)
	}
	return pick(g, "", "a", "b", "ab", "A", "5", "true", "null", "é", "Zürich", "\U0001F600", "\uffff", "l1\nl2", `"`, `\`, "\u2028", "[1]", "ſ", "\x01")
}

func (g generator) value(depth int) any {
	n := g.IntN(10)
	switch {
	case depth > 0 && n < 3:
		return many(g, 3, func() any { return g.value(depth - 1) })
	case depth > 0 && n < 6:
		return g.object(depth - 1)
	}
	return g.scalar()
}

func (g generator) object(depth int) filter.Doc {
	doc := filter.Doc{}
	for range pick(g, 0, 1, 2, 2, 3, 3) {
		key := g.key()
		if !slices.ContainsFunc(doc, func(f filter.Field) bool { return f.Key == key }) {
			doc = append(doc, filter.Field{Key: key, Value: g.value(depth)})
		}
	}
	return doc
}

func (g generator) time() time.Time {
	return time.UnixMilli(pick[int64](g, 0, 1, 1e12, 1e12+1, -5)).UTC()
}

// record leaves out what is missing.
func (g generator) record() filter.Doc {
	doc := filter.Doc{}
	add := func(key string, value any) {
		if g.IntN(5) > 0 {
			doc = append(doc, filter.Field{Key: key, Value: value})
		}
	}
	add("file", pick(g, "a", "b/a.jpg", "B", "é", "5", "true"))
	add("bytes", pick[float64](g, 0, 1, 5, 3e9, 1<<53))
	add("time", g.time())
	add("private", pick(g, true, false))
	tags := many(g, 3, func() string { return pick(g, "a", "b", "ab", "Zürich") })
	doc = append(doc, filter.Field{Key: "tags", Value: tags})
	add("data", g.object(4))
	return doc
}

// path leads into data mostly.
func (g generator) path() string {
	if g.IntN(8) == 0 {
		return pick(g, "tags", "tags", "tags.0", "tags.a", "data")
	}
	return "data." + g.below()
}

func (g generator) below() string {
	path := g.key()
	for range pick(g, 0, 0, 0, 1, 1, 1, 2, 2, 3) {
		path += "." + g.key()
	}
	return path
}

func (g generator) pattern() any {
	return pick(g, "a", "^a", "b$", "(?i)s", "^.$", "^.*$", `\bl`, "[^a]", "é|Z", `\p{L}+`, "^(?:a|b){1,3}$", "")
}

// operators asks one field, or an element.
func (g generator) operators(depth int) filter.Doc {
	doc := filter.Doc{}
	for range pick(g, 1, 1, 2) {
		op := pick(g, "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$regex", "$not", "$all", "$elemMatch", "$size")
		var operand any
		switch op {
		case "$eq", "$ne":
			operand = g.value(2)
		case "$gt", "$gte", "$lt", "$lte":
			operand = g.scalar()
		case "$in", "$nin":
			operand = many(g, 4, func() any { return g.value(2) })
		case "$all":
			operand = many(g, 2, func() any { return g.value(2) })
			if depth > 0 && g.IntN(3) == 0 {
				operand = []any{filter.Doc{{Key: "$elemMatch", Value: g.elem(depth - 1)}}}
			}
		case "$exists":
			operand = pick(g, true, false)
		case "$type":
			operand = pick[any](g, "string", "number", "int", "double", "bool", "null", "array", "object", "date", "long", 2.0,
				[]any{"array", "null"}, []any{"int", "string"})
		case "$regex":
			operand = g.pattern()
		case "$size":
			operand = float64(g.IntN(4))
		case "$not", "$elemMatch":
			if depth == 0 {
				continue
			}
			operand = g.operators(depth - 1)
			if op == "$elemMatch" {
				operand = g.elem(depth - 1)
			}
		}
		if !slices.ContainsFunc(doc, func(f filter.Field) bool { return f.Key == op }) {
			doc = append(doc, filter.Field{Key: op, Value: operand})
		}
	}
	if len(doc) == 0 {
		return filter.Doc{{Key: "$eq", Value: g.scalar()}}
	}
	return doc
}

func (g generator) elem(depth int) filter.Doc {
	if g.IntN(2) == 0 {
		return g.operators(depth)
	}
	return g.filter(depth, false, g.below)
}

// column asks a field that has one value.
func (g generator) column() filter.Field {
	op := pick(g, "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$all", "$size")
	name := pick(g, "file", "bytes", "time", "private")
	value := func() any {
		if g.IntN(6) == 0 {
			return nil
		}
		return map[string]any{
			"file":  pick[any](g, "a", "b/a.jpg", "B", "é", "", 5.0, true),
			"bytes": pick[any](g, 0.0, 1.0, 5.0, 0.5, float64(1<<53)),
			"time":  g.time().Format("2006-01-02T15:04:05.000Z07:00"), "private": pick(g, true, false),
		}[name]
	}
	var operand any
	switch op {
	case "$in", "$nin", "$all":
		operand = many(g, 3, value)
	case "$exists":
		operand = pick(g, true, false)
	case "$type":
		operand = pick(g, "string", "number", "int", "double", "bool", "null", "date")
	case "$size":
		operand = 1.0
	default:
		operand = value()
	}
	if name == "file" && g.IntN(4) == 0 {
		op, operand = "$regex", g.pattern()
	}
	test := filter.Doc{{Key: op, Value: operand}}
	if g.IntN(4) == 0 {
		test = filter.Doc{{Key: "$not", Value: test}}
	}
	return filter.Field{Key: name, Value: test}
}

func (g generator) filter(depth int, column bool, path func() string) filter.Doc {
	doc := filter.Doc{}
	for range pick(g, 1, 1, 1, 2) {
		var entry filter.Field
		switch n := g.IntN(10); {
		case n < 2 && depth > 0:
			var parts []any
			for range 1 + g.IntN(3) {
				parts = append(parts, g.filter(depth-1, column, path))
			}
			entry = filter.Field{Key: pick(g, "$and", "$or", "$nor"), Value: parts}
		case n == 3:
			entry = filter.Field{Key: path(), Value: g.value(2)}
		case n == 4 && column:
			entry = g.column()
		default:
			entry = filter.Field{Key: path(), Value: g.operators(depth)}
		}
		if !slices.ContainsFunc(doc, func(f filter.Field) bool { return f.Key == entry.Key }) {
			doc = append(doc, entry)
		}
	}
	return doc
}

// aimed makes a filter for a value that the record has.
func (g generator) aimed(record filter.Doc) filter.Doc {
	last := record[len(record)-1]
	path, value := last.Key, last.Value
	for g.IntN(6) > 0 {
		if doc, ok := value.(filter.Doc); ok && len(doc) > 0 {
			field := pick(g, doc...)
			path, value = path+"."+field.Key, field.Value
		} else if list, ok := value.([]any); ok && len(list) > 0 {
			i := g.IntN(len(list))
			value = list[i]
			if g.IntN(3) == 0 {
				path += "." + strconv.Itoa(i)
			}
		} else {
			break
		}
	}
	if doc, ok := value.(filter.Doc); ok && g.IntN(3) == 0 {
		value = slices.Clone(doc)
		slices.Reverse(value.(filter.Doc))
	}
	op := pick(g, "$eq", "$eq", "$ne", "$gte", "$lt", "$in", "$nin", "$all")
	test := filter.Doc{{Key: op, Value: value}}
	switch value.(type) {
	case filter.Doc, []any:
		if op == "$gte" || op == "$lt" {
			test[0].Key = "$eq"
		}
	}
	if op == "$in" || op == "$nin" || op == "$all" {
		test[0].Value = append(many(g, 1, g.scalar), value)
	}
	switch g.IntN(6) {
	case 0:
		test = filter.Doc{{Key: "$elemMatch", Value: test}}
	case 1:
		test = filter.Doc{{Key: "$not", Value: test}}
	}
	return filter.Doc{{Key: path, Value: test}}
}

// perRound is how many filters are asked of as many new records.
const perRound = 100

// TestDifferential asks Match and both databases the same. DECKLE_FILTER_SEED repeats a run, and DECKLE_FILTER_ROUNDS makes it
// longer: 51 asks more than 5,000 filters.
func TestDifferential(t *testing.T) {
	seed, rounds := uint64(time.Now().UnixNano()), 8
	if text := os.Getenv("DECKLE_FILTER_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	if text := os.Getenv("DECKLE_FILTER_ROUNDS"); text != "" {
		rounds, _ = strconv.Atoi(text)
	}
	t.Logf("DECKLE_FILTER_SEED=%d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	all := databases(t)
	asked, some := 0, 0
	for range rounds {
		var records []filter.Doc
		for range perRound {
			records = append(records, g.record())
		}
		for _, d := range all {
			d.fill(t, records)
		}
		for n := range perRound {
			doc := g.filter(pick(g, 1, 1, 2, 3), true, g.path)
			if n%3 == 0 {
				doc = g.aimed(pick(g, records...))
			}
			f, err := filter.Parse([]byte(filter.Print(doc)), columns)
			if err != nil {
				continue // too many numbers in its paths
			}
			want := agree(t, all, f, records)
			if asked++; len(want) > 0 && len(want) < len(records) {
				some++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d filters over %d records, %d of them select some and not all", asked, rounds*perRound, some)
	if asked < rounds*perRound*98/100 || some < asked/4 {
		t.Errorf("the generator makes too little of use: %d filters, %d of them select some", asked, some)
	}
}

// agree asks everybody at once and returns what Match says.
func agree(t *testing.T, all []database, f *filter.Filter, records []filter.Doc) []int {
	t.Helper()
	answers, faults := make([][]int, len(all)), make([]error, len(all))
	var group sync.WaitGroup
	for i, d := range all {
		group.Go(func() { answers[i], faults[i] = d.ask(t.Context(), f) })
	}
	want := matched(f, records)
	group.Wait()
	for i, d := range all {
		if faults[i] != nil {
			t.Errorf("%s: %s: %v", d.name, f, faults[i])
		} else if !slices.Equal(want, answers[i]) {
			report(t, d, f, records, want, answers[i])
		}
	}
	return want
}

// report names one record that differs.
func report(t *testing.T, d database, f *filter.Filter, records []filter.Doc, want, got []int) {
	t.Helper()
	for i, r := range records {
		if slices.Contains(want, i) != slices.Contains(got, i) {
			t.Errorf("%s: %s\nover %v\nMatch says %v, it says %v", d.name, f, rowOf(t, r), slices.Contains(want, i), slices.Contains(got, i))
			return
		}
	}
}
