package filter

import (
	"slices"
	"strconv"
	"strings"
)

// Dialect is a database that filters are compiled for.
type Dialect int

// The databases: SQLite with JSON functions and those of Functions registered, and PostgreSQL with a UTF-8 database. Connections to
// PostgreSQL need jit = off: it takes the functions inside of a filter for long work, and to compile them lasts seconds.
const (
	SQLite Dialect = iota
	Postgres
)

// SQL returns the filter as a condition for a WHERE clause, in parentheses, with the placeholders $n, $n+1, ... and their
// arguments in that order: string, float64, bool and int64. Nothing of the filter stands in the text. The condition is true for the
// records that match; for others it is false or NULL.
func (f *Filter) SQL(d Dialect, n int) (text string, args []any) {
	w := writer{d: d, next: n}
	if f != nil {
		text = w.all(f.clauses, "")
	} else {
		text = "TRUE"
	}
	return "(" + text + ")", w.args
}

// writer writes one condition. A place in JSON is an SQL expression; a row is the alias of one value in a FROM.
type writer struct {
	d     Dialect
	next  int // the next placeholder
	args  []any
	alias int // aliases given so far
}

// sqlite chooses between two spellings.
func (w *writer) spell(sqlite, postgres string) string {
	if w.d == SQLite {
		return sqlite
	}
	return postgres
}

// arg adds an argument and returns its placeholder, with the type that PostgreSQL is to read it as.
func (w *writer) arg(value any) string {
	kind := "::text"
	switch value.(type) {
	case float64:
		kind = "::float8"
	case int64:
		kind = "::bigint"
	case bool:
		kind = "::boolean"
	}
	w.args = append(w.args, value)
	w.next++
	placeholder := "$" + strconv.Itoa(w.next-1)
	return w.spell(placeholder, placeholder+kind)
}

// list adds arguments and returns "(a, b)".
func list[T any](w *writer, values []T) string {
	var all []string
	for _, value := range values {
		all = append(all, w.arg(value))
	}
	return "(" + strings.Join(all, ", ") + ")"
}

func (w *writer) name() string {
	w.alias++
	return "j" + strconv.Itoa(w.alias)
}

// and and or join conditions; without any they are what they are for none. Long ones become trees, since both databases limit how
// deep an expression nests and read a AND b AND c as (a AND b) AND c.
func and(all ...string) string { return joined(all, " AND ", "TRUE") }
func or(all ...string) string  { return joined(all, " OR ", "FALSE") }

func joined(all []string, with, none string) string {
	const flat = 8
	switch {
	case len(all) == 0:
		return none
	case len(all) == 1:
		return all[0]
	case len(all) <= flat:
		return "(" + strings.Join(all, with) + ")"
	}
	half := len(all) / 2
	return "(" + joined(all[:half], with, none) + with + joined(all[half:], with, none) + ")"
}

// not is true also where the condition is NULL.
func not(condition string) string { return "(NOT COALESCE(" + condition + ", FALSE))" }

// all writes clauses that all must hold. Paths of clauses inside of $elemMatch begin at the row.
func (w *writer) all(clauses []clause, row string) string {
	var all []string
	for _, c := range clauses {
		all = append(all, w.clause(c, row))
	}
	return and(all...)
}

func (w *writer) clause(c clause, row string) string {
	if c.op == "" {
		return w.tests(w.at(c.field, row), c.tests)
	}
	var parts []string
	for _, part := range c.parts {
		parts = append(parts, w.all(part, row))
	}
	switch c.op {
	case "$and":
		return and(parts...)
	case "$or":
		return or(parts...)
	}
	return not(or(parts...))
}

// at returns where the tests of a field look.
func (w *writer) at(f field, row string) place {
	switch {
	case f.element:
		return path{w: w, row: row, steps: f.steps}
	case f.document():
		return path{w: w, column: f.column, steps: f.steps}
	}
	return scalar{w, f.column}
}

// place is where tests look.
type place interface {
	// equals is true where one of the values there is one of those wanted.
	equals(want []any) string
	// compares is true where one of the values there has the order to a string, a float64 or a time: op is a sign.
	compares(sign string, want any) string
	exists() string
	isKind(names []string) string
	matches(p pattern) string
	hasSize(n int) string
	// hasElement is true where there is an array of which one element, a row, meets the condition.
	hasElement(meets func(row string) string) string
}

func (w *writer) tests(at place, tests []test) string {
	var all []string
	for _, t := range tests {
		all = append(all, w.test(at, t))
	}
	return and(all...)
}

// signs are the operators of comparison.
var signs = map[string]string{"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}

func (w *writer) test(at place, t test) string {
	switch t.op {
	case "$eq", "$in":
		return at.equals(t.values)
	case "$ne", "$nin":
		return not(at.equals(t.values))
	case "$all":
		return w.everyOf(at, t)
	case "$exists":
		if t.exists {
			return at.exists()
		}
		return not(at.exists())
	case "$type":
		return at.isKind(t.kinds)
	case "$regex":
		return at.matches(t.regex)
	case "$size":
		return at.hasSize(t.size)
	case "$not":
		return not(w.tests(at, t.tests))
	case "$elemMatch":
		return at.hasElement(func(row string) string { return w.element(t, row) })
	}
	return compared(at, t.op, t.values[0])
}

// compared writes an order. Of two booleans and one null there is little to choose from.
func compared(at place, op string, want any) string {
	same := strings.HasSuffix(op, "e")
	switch want := want.(type) {
	case nil:
		if same {
			return at.equals([]any{nil})
		}
		return "FALSE"
	case bool:
		var in []any
		for _, value := range []bool{false, true} {
			if ordered(op, value, want) {
				in = append(in, value)
			}
		}
		return at.equals(in)
	}
	return at.compares(signs[op], want)
}

func (w *writer) everyOf(at place, t test) string {
	if len(t.values)+len(t.tests) == 0 {
		return "FALSE"
	}
	all := []string{}
	for _, value := range t.values {
		all = append(all, at.equals([]any{value}))
	}
	if len(t.tests) > 0 {
		all = append(all, w.tests(at, t.tests))
	}
	return and(all...)
}

// element writes what $elemMatch asks of an element.
func (w *writer) element(t test, row string) string {
	if t.where == nil {
		return w.tests(path{w: w, row: row}, t.tests)
	}
	return and(w.rowIs(row, "object", "array"), w.all(t.where[0], row))
}

// wanted sorts the values of an $eq or $in by their types.
type wanted struct {
	texts      []string
	numbers    []float64
	yes, no    bool
	null       bool
	containers []any // Doc and []any
}

func sortWanted(want []any) wanted {
	var s wanted
	for _, value := range want {
		switch value := value.(type) {
		case nil:
			s.null = true
		case bool:
			s.yes, s.no = s.yes || value, s.no || !value
		case string:
			s.texts = append(s.texts, value)
		case float64:
			s.numbers = append(s.numbers, value)
		case Doc, []any:
			s.containers = append(s.containers, value)
		}
	}
	return s
}

// arrays says whether a whole array can be among the values.
func (s *wanted) arrays() bool {
	return slices.ContainsFunc(s.containers, func(value any) bool { _, ok := value.([]any); return ok })
}
