package filter

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Match says whether a record matches. The record has its values by top-level path: a Text column's is a string, a Number's a
// float64, a Time's a time.Time, a Bool's a bool, a JSON's a Doc and a Strings' an []any of strings; what is missing is left out.
// It reads the filter as MongoDB does, element by element, and is what the SQL is held against.
func (f *Filter) Match(record Doc) bool { return f == nil || matchAll(f.clauses, record) }

func matchAll(clauses []clause, root any) bool {
	for _, c := range clauses {
		if !c.match(root) {
			return false
		}
	}
	return true
}

func (c *clause) match(root any) bool {
	holds := func(part []clause) bool { return matchAll(part, root) }
	switch c.op {
	case "$and":
		return !slices.ContainsFunc(c.parts, func(part []clause) bool { return !holds(part) })
	case "$or":
		return slices.ContainsFunc(c.parts, holds)
	case "$nor":
		return !slices.ContainsFunc(c.parts, holds)
	}
	at := reached{root: root, path: strings.Split(c.field.path, ".")}
	for _, t := range c.tests {
		if !t.match(at) {
			return false
		}
	}
	return true
}

// missing is what a path leads to where there is nothing. It equals null.
type missing struct{}

// reached is where tests look: at what a path leads to from a document, or at one element of an array.
type reached struct {
	root    any
	path    []string
	element bool // root itself is looked at
}

// any says whether one of the values there, the elements of arrays at the end of the path among them, has what is asked.
func (at reached) any(has func(value any) bool) bool {
	if at.element {
		return has(at.root)
	}
	return visit(member(at.root, at.path[0]), at.path[1:], true, has)
}

// anyWhole looks at arrays at the end of the path as they are.
func (at reached) anyWhole(has func(value any) bool) bool {
	if at.element {
		return has(at.root)
	}
	return visit(member(at.root, at.path[0]), at.path[1:], false, has)
}

// member is one step into a document, as which an array counts here: {"0": ..., "1": ...}.
func member(parent any, key string) any {
	switch parent := parent.(type) {
	case Doc:
		for _, field := range parent {
			if field.Key == key {
				return field.Value
			}
		}
	case []any:
		if i, ok := asIndex(key); ok && i < len(parent) {
			return parent[i]
		}
	}
	return missing{}
}

// visit goes on from value along path and reports whether one of the ends has what is asked. Arrays at the end are spread into
// their elements and themselves, unless an index led to them.
func visit(value any, path []string, spread bool, has func(value any) bool) bool {
	list, isList := value.([]any)
	switch {
	case len(path) == 0 && isList && spread:
		return slices.ContainsFunc(list, has) || has(value)
	case len(path) == 0:
		return has(value)
	case !isList:
		return visit(member(value, path[0]), path[1:], spread, has)
	}
	index, numeric := asIndex(path[0])
	for i, element := range list {
		doc, isDoc := element.(Doc)
		if isDoc && visit(member(doc, path[0]), path[1:], spread, has) {
			return true
		}
		if !numeric || i != index {
			continue
		}
		_, isArray := element.([]any)
		if (len(path) == 1 && has(element)) || (len(path) > 1 && (isDoc || isArray) && visit(element, path[1:], spread, has)) {
			return true
		}
	}
	return false
}

func (t *test) match(at reached) bool {
	switch t.op {
	case "$eq", "$in":
		return at.any(func(value any) bool { return t.hasValue(value) })
	case "$ne", "$nin":
		return !at.any(func(value any) bool { return t.hasValue(value) })
	case "$gt", "$gte", "$lt", "$lte":
		return at.any(func(value any) bool { return ordered(t.op, value, t.values[0]) })
	case "$all":
		for _, want := range t.values {
			if !at.any(func(value any) bool { return equal(value, want) }) {
				return false
			}
		}
		return len(t.values)+len(t.tests) > 0 && (len(t.tests) == 0 || matchTests(t.tests, at))
	case "$exists":
		return t.exists == at.any(func(value any) bool { return value != any(missing{}) })
	case "$type":
		return at.any(func(value any) bool {
			return slices.ContainsFunc(t.kinds, func(k string) bool { return isKind(k, value) })
		})
	case "$regex":
		return at.any(func(value any) bool { text, ok := value.(string); return ok && t.regex.re2.MatchString(text) })
	case "$size":
		return at.anyWhole(func(value any) bool { list, ok := value.([]any); return ok && len(list) == t.size })
	case "$not":
		return !matchTests(t.tests, at)
	}
	return at.anyWhole(t.matchElement) // $elemMatch
}

func matchTests(tests []test, at reached) bool {
	return !slices.ContainsFunc(tests, func(t test) bool { return !t.match(at) })
}

func (t *test) matchElement(value any) bool {
	list, _ := value.([]any)
	return slices.ContainsFunc(list, func(element any) bool {
		if t.where == nil {
			return matchTests(t.tests, reached{root: element, element: true})
		}
		switch element.(type) {
		case Doc, []any:
			return matchAll(t.where[0], element)
		}
		return false
	})
}

func (t *test) hasValue(value any) bool {
	return slices.ContainsFunc(t.values, func(want any) bool { return equal(value, want) })
}

// equal compares a value of a record with one of a filter.
func equal(value, want any) bool {
	switch want := want.(type) {
	case nil:
		return value == nil || value == any(missing{})
	case Doc:
		doc, ok := value.(Doc)
		return ok && slices.EqualFunc(doc, want, func(a, b Field) bool { return a.Key == b.Key && equal(a.Value, b.Value) })
	case []any:
		list, ok := value.([]any)
		return ok && slices.EqualFunc(list, want, equal)
	case time.Time:
		at, ok := value.(time.Time)
		return ok && at.Equal(want)
	}
	switch value.(type) {
	case Doc, []any:
		return false
	}
	return value == want
}

// ordered says whether value op want. Values of different types have no order, and null has none but with itself.
func ordered(op string, value, want any) bool {
	order, same := 0, true
	switch want := want.(type) {
	case nil:
		return strings.HasSuffix(op, "e") && equal(value, nil)
	case float64:
		var number float64
		number, same = value.(float64)
		order = compare(number < want, number > want)
	case string:
		var text string
		text, same = value.(string)
		order = strings.Compare(text, want)
	case bool:
		var truth bool
		truth, same = value.(bool)
		order = compare(!truth && want, truth && !want)
	case time.Time:
		var at time.Time
		at, same = value.(time.Time)
		order = at.Compare(want)
	}
	if !same {
		return false
	}
	return (order == 0 && strings.HasSuffix(op, "e")) || (order < 0 && op[1] == 'l') || (order > 0 && op[1] == 'g')
}

func compare(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
}

// isKind says whether a value is of a type that $type names.
func isKind(name string, value any) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "bool"
	case string:
		return name == "string"
	case time.Time:
		return name == "date"
	case Doc:
		return name == "object"
	case []any:
		return name == "array"
	case float64:
		whole := value == math.Trunc(value) && value >= math.MinInt32 && value <= math.MaxInt32
		return name == "number" || (name == "int" && whole) || (name == "double" && !whole)
	}
	return false
}
