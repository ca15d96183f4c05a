package filter

import (
	"slices"
	"strconv"
	"strings"
)

// The limits of a filter. They keep its SQL within what both databases take: see maxArgs.
const (
	MaxBytes      = 64 << 10 // of the JSON
	maxDepth      = 24       // levels of objects and arrays
	maxValues     = 4096     // objects, arrays, texts, numbers, ... in all
	maxClauses    = 200      // fields and logical operators, those inside of $elemMatch too
	maxList       = 1000     // values of an $in or $nin
	maxAll        = 100      // values of an $all, each of which is a clause
	maxPath       = 512      // bytes
	maxSteps      = 12       // of a path
	maxIndexes    = 3        // steps that are numbers, of a path and those that $elemMatch puts it in: each doubles the ways to read it
	maxIndexBytes = 9        // of such a step; a longer one is a key only
)

// These bound what a filter is compiled to. SQLite takes 32,766 placeholders in a statement, and expressions of 1,000 levels
// (https://www.sqlite.org/limits.html), of which a parenthesis here is up to 20; PostgreSQL takes 65,535 placeholders, and half a
// second to plan as many bytes.
const (
	maxArgs   = 8000
	maxSQL    = 192 << 10
	maxNested = 46
)

// Parse reads a filter from JSON for records with these columns. What it does not know, it refuses: operators, top-level paths,
// keys that are there twice, values that a column cannot have. The error is then an *Error.
func Parse(text []byte, columns Columns) (*Filter, error) {
	if len(text) > MaxBytes {
		return nil, &Error{Problem: "it is longer than " + strconv.Itoa(MaxBytes) + " bytes"}
	}
	value, err := readJSON(text, reader{depth: maxDepth, values: maxValues, strict: true, number: asFloat})
	if err != nil {
		return nil, &Error{Problem: err.Error()}
	}
	doc, ok := value.(Doc)
	if !ok {
		return nil, &Error{Problem: "it is no JSON object", Hint: `as {"data.place": "Rome"}`}
	}
	return fromDoc(doc, columns)
}

func fromDoc(doc Doc, columns Columns) (*Filter, error) {
	p := parser{columns: columns}
	clauses, err := p.clauses(doc, false)
	if err != nil {
		return nil, err
	}
	f := &Filter{clauses}
	for _, d := range []Dialect{SQLite, Postgres} {
		if text, args := f.SQL(d, 1); len(args) > maxArgs || len(text) > maxSQL || (d == SQLite && nested(text) > maxNested) {
			return nil, &Error{Problem: "it asks too much at once", Hint: "ask in parts"}
		}
	}
	return f, nil
}

// nested returns how deep the parentheses of a text are. Those of SQL have no texts in them that hold others.
func nested(text string) int {
	depth, deepest := 0, 0
	for _, c := range []byte(text) {
		switch c {
		case '(':
			depth++
			deepest = max(deepest, depth)
		case ')':
			depth--
		}
	}
	return deepest
}

// parser reads the clauses of one filter.
type parser struct {
	columns Columns
	count   int // clauses read so far
	indexes int // numbers in the paths that lead to where it reads
}

// clauses reads a filter over the record, or over an element of an array.
func (p *parser) clauses(doc Doc, element bool) ([]clause, error) {
	var all []clause
	for _, entry := range doc {
		if p.count++; p.count > maxClauses {
			return nil, &Error{Problem: "it has more than " + strconv.Itoa(maxClauses) + " clauses"}
		}
		read := p.field
		if strings.HasPrefix(entry.Key, "$") {
			read = p.logical
		}
		c, err := read(entry.Key, entry.Value, element)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// logicals are the operators that join filters.
var logicals = []string{"$and", "$or", "$nor"}

func (p *parser) logical(op string, value any, element bool) (clause, error) {
	if !slices.Contains(logicals, op) {
		return clause{}, unknownOperator("", op)
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return clause{}, &Error{op, "it needs an array of filters", ""}
	}
	c := clause{op: op}
	for _, value := range list {
		doc, ok := value.(Doc)
		if !ok {
			return clause{}, &Error{op, "it needs an array of filters", ""}
		}
		if p.count++; p.count > maxClauses {
			return clause{}, &Error{op, "it has too many filters", ""}
		}
		part, err := p.clauses(doc, element)
		if err != nil {
			return clause{}, err
		}
		c.parts = append(c.parts, part)
	}
	return c, nil
}

func (p *parser) field(path string, value any, element bool) (clause, error) {
	f, err := p.resolve(path, element)
	if err != nil {
		return clause{}, err
	}
	if doc, ok := value.(Doc); ok && hasOperators(doc) {
		outside := p.indexes
		defer func() { p.indexes = outside }()
		p.indexes += f.indexes()
		tests, err := p.tests(f, path, doc)
		return clause{field: f, tests: tests}, err
	}
	t, err := equality(f, path, "$eq", value)
	return clause{field: f, tests: []test{t}}, err
}

// hasOperators tells {"$gt": 1} from a document to be equal to.
func hasOperators(doc Doc) bool { return len(doc) > 0 && strings.HasPrefix(doc[0].Key, "$") }

// resolve finds out where path leads.
func (p *parser) resolve(path string, element bool) (field, error) {
	f := field{path: path, element: element}
	refuse := func(problem string) (field, error) { return field{}, &Error{Path: shorten(path), Problem: problem} }
	if len(path) > maxPath {
		return refuse("the path is longer than " + strconv.Itoa(maxPath) + " bytes")
	}
	if goodText(path) != nil {
		return refuse("the path holds the character U+0000")
	}
	f.steps = strings.Split(path, ".")
	if !element {
		column, known := p.columns[f.steps[0]]
		if !known {
			return field{}, &Error{shorten(path), "records have no such field", "they have " + p.known()}
		}
		f.column, f.steps = column, f.steps[1:]
		if len(f.steps) > 0 && !f.document() {
			return refuse("the field has one value and nothing below it")
		}
	}
	for _, step := range f.steps {
		if step == "" || strings.HasPrefix(step, "$") {
			return refuse("a part of the path is empty or begins with $")
		}
	}
	if len(f.steps) > maxSteps || p.indexes+f.indexes() > maxIndexes {
		return refuse("the path has more than " + strconv.Itoa(maxSteps) + " parts, or " + strconv.Itoa(maxIndexes) + " numbers")
	}
	return f, nil
}

// indexes counts the steps that are numbers.
func (f *field) indexes() int {
	n := 0
	for _, step := range f.steps {
		if _, ok := asIndex(step); ok {
			n++
		}
	}
	return n
}

// known lists the top-level fields.
func (p *parser) known() string {
	var names []string
	for name, column := range p.columns {
		if column.Kind == JSON {
			name += ".*"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// asIndex reads a step as the index of an array. "01" is none: MongoDB compares the text.
func asIndex(step string) (int, bool) {
	if len(step) > maxIndexBytes || (len(step) > 1 && step[0] == '0') {
		return 0, false
	}
	for _, digit := range []byte(step) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	i, err := strconv.Atoi(step)
	return i, err == nil
}

// shorten keeps a name from outside short enough for a message.
func shorten(name string) string {
	if len(name) <= 100 {
		return name
	}
	return strings.ToValidUTF8(name[:100], "") + "..."
}

func unknownOperator(path, op string) error {
	hint := "there are " + strings.Join(operators(), " ") + " for fields, and " + strings.Join(logicals, " ") + " for filters"
	return &Error{join(path, op), "there is no such operator here", hint}
}

func join(path, op string) string { return strings.TrimPrefix(shorten(path)+"."+shorten(op), ".") }
