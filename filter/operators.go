package filter

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// readOperator reads the operand of an operator, which is found at the path.
type readOperator func(p *parser, f field, path, op string, operand any) (test, error)

// operatorTable is filled by init since $not and $elemMatch lead back to it.
var operatorTable map[string]readOperator

func init() {
	operatorTable = map[string]readOperator{
		"$eq": one(equality), "$ne": one(equality),
		"$gt": one(comparison), "$gte": one(comparison), "$lt": one(comparison), "$lte": one(comparison),
		"$in": one(membership), "$nin": one(membership), "$all": (*parser).all,
		"$exists": one(existence), "$type": one(kinds), "$size": one(size),
		"$not": (*parser).not, "$elemMatch": (*parser).elemMatch,
		"$regex": one(regex), "$options": one(regex),
	}
}

func operators() []string {
	var names []string
	for name := range operatorTable {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// one is a reader that needs no parser.
func one(read func(f field, path, op string, operand any) (test, error)) readOperator {
	return func(_ *parser, f field, path, op string, operand any) (test, error) {
		return read(f, path, op, operand)
	}
}

// tests reads the operators that are asked of one field.
func (p *parser) tests(f field, path string, doc Doc) ([]test, error) {
	var all []test
	options, hasOptions, hasRegex := any(nil), false, false
	for _, entry := range doc {
		hasRegex = hasRegex || entry.Key == "$regex"
		if entry.Key == "$options" {
			options, hasOptions = entry.Value, true
		}
	}
	if hasOptions && !hasRegex {
		return nil, &Error{join(path, "$options"), "there is no $regex that it is for", ""}
	}
	for _, entry := range doc {
		read, known := operatorTable[entry.Key]
		operand := entry.Value
		switch {
		case !known && !strings.HasPrefix(entry.Key, "$"):
			return nil, &Error{join(path, entry.Key), "operators and fields are mixed", "write a filter of dotted paths, or an object to be equal to"}
		case !known:
			return nil, unknownOperator(path, entry.Key)
		case entry.Key == "$options":
			continue
		case entry.Key == "$regex" && hasOptions:
			operand = []any{entry.Value, options}
		case entry.Key == "$regex":
			operand = []any{entry.Value, ""}
		}
		t, err := read(p, f, path, entry.Key, operand)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func equality(f field, path, op string, operand any) (test, error) {
	value, err := f.cast(path, op, operand)
	return test{op: op, values: []any{value}}, err
}

func comparison(f field, path, op string, operand any) (test, error) {
	switch operand.(type) {
	case Doc, []any:
		return test{}, &Error{join(path, op), "objects and arrays have no order", "compare numbers, texts, times or booleans"}
	}
	return equality(f, path, op, operand)
}

func membership(f field, path, op string, operand any) (test, error) {
	list, ok := operand.([]any)
	if !ok || len(list) > maxList {
		return test{}, &Error{join(path, op), "it needs an array of at most " + strconv.Itoa(maxList) + " values", ""}
	}
	t := test{op: op}
	for _, operand := range list {
		value, err := f.cast(path, op, operand)
		if err != nil {
			return test{}, err
		}
		t.values = append(t.values, value)
	}
	return t, nil
}

// all reads $all, whose values are all to be equal to or all $elemMatch.
func (p *parser) all(f field, path, op string, operand any) (test, error) {
	list, _ := operand.([]any)
	matches := func(value any) bool {
		doc, ok := value.(Doc)
		return ok && len(doc) == 1 && doc[0].Key == "$elemMatch"
	}
	if len(list) > maxAll {
		return test{}, &Error{join(path, op), "it has more than " + strconv.Itoa(maxAll) + " values", ""}
	}
	if !slices.ContainsFunc(list, matches) {
		return membership(f, path, op, operand)
	}
	t := test{op: op}
	for _, value := range list {
		if !matches(value) {
			return test{}, &Error{join(path, op), "$elemMatch and values are mixed", "use one $all for each"}
		}
		match, err := p.elemMatch(f, path, "$elemMatch", value.(Doc)[0].Value)
		if err != nil {
			return test{}, err
		}
		t.tests = append(t.tests, match)
	}
	return t, nil
}

func existence(_ field, path, op string, operand any) (test, error) {
	switch operand := operand.(type) {
	case bool:
		return test{op: op, exists: operand}, nil
	case float64:
		return test{op: op, exists: operand != 0}, nil
	}
	return test{}, &Error{join(path, op), "it needs true or false", ""}
}

func size(_ field, path, op string, operand any) (test, error) {
	n, ok := operand.(float64)
	if !ok || n < 0 || n != math.Trunc(n) || n > math.MaxInt32 {
		return test{}, &Error{join(path, op), "it needs a whole number of 0 or more", ""}
	}
	return test{op: op, size: int(n)}, nil
}

func (p *parser) not(f field, path, op string, operand any) (test, error) {
	doc, ok := operand.(Doc)
	if !ok || !hasOperators(doc) {
		return test{}, &Error{join(path, op), "it needs an object of operators", `as {"$not": {"$gt": 5}}`}
	}
	tests, err := p.tests(f, path, doc)
	return test{op: op, tests: tests}, err
}

// elemMatch reads operators for an element, or a filter over the fields of one.
func (p *parser) elemMatch(_ field, path, op string, operand any) (test, error) {
	doc, ok := operand.(Doc)
	if !ok {
		return test{}, &Error{join(path, op), "it needs an object", `as {"$elemMatch": {"$gt": 5}}`}
	}
	if p.count++; p.count > maxClauses {
		return test{}, &Error{join(path, op), "the filter has too many clauses", ""}
	}
	if hasOperators(doc) && !slices.Contains(logicals, doc[0].Key) {
		tests, err := p.tests(field{element: true}, path, doc)
		return test{op: op, tests: tests}, err
	}
	where, err := p.clauses(doc, true)
	return test{op: op, where: [][]clause{where}}, err
}

// kindCodes are the names of MongoDB's types by their numbers (https://www.mongodb.com/docs/manual/reference/bson-types/).
var kindCodes = map[float64]string{
	1: "double", 2: "string", 3: "object", 4: "array", 7: "objectId", 8: "bool", 9: "date", 10: "null", 16: "int", 18: "long",
	19: "decimal",
}

func kinds(_ field, path, op string, operand any) (test, error) {
	list, ok := operand.([]any)
	if !ok {
		list = []any{operand}
	}
	t := test{op: op}
	for _, value := range list {
		name, _ := value.(string)
		if code, ok := value.(float64); ok {
			name = kindCodes[code]
		}
		known := name == "number"
		for _, other := range kindCodes {
			known = known || name == other
		}
		if !known {
			return test{}, &Error{join(path, op), "there is no such type", "as string, number, int, double, bool, date, object, array, null"}
		}
		if !slices.Contains(t.kinds, name) {
			t.kinds = append(t.kinds, name)
		}
	}
	if len(t.kinds) == 0 {
		return test{}, &Error{join(path, op), "it needs at least one type", ""}
	}
	return t, nil
}

func regex(f field, path, op string, operand any) (test, error) {
	pair := operand.([]any) // tests made it
	text, ok := pair[0].(string)
	options, okToo := pair[1].(string)
	if !ok || !okToo {
		return test{}, &Error{join(path, op), "$regex and $options need texts", ""}
	}
	if !f.document() && f.column.Kind != Text {
		return test{}, &Error{join(path, op), "the field is no text", ""}
	}
	compiled, problem := compilePattern(text, options)
	if problem != nil {
		problem.Path = join(path, op)
		return test{}, problem
	}
	return test{op: op, regex: compiled}, nil
}
