package filter

import (
	"strings"
	"time"
)

// String returns the filter as JSON that Parse reads as the same filter. Every field is written with operators.
func (f *Filter) String() string {
	var b strings.Builder
	if f == nil {
		f = &Filter{}
	}
	writeJSON(&b, printAll(f.clauses))
	return b.String()
}

// printAll writes clauses as one object, or as an $and of objects when two of them have the same key.
func printAll(clauses []clause) any {
	doc, seen, twice := Doc{}, map[string]bool{}, false
	for _, c := range clauses {
		entry := c.print()
		twice = twice || seen[entry.Key]
		seen[entry.Key] = true
		doc = append(doc, entry)
	}
	if !twice {
		return doc
	}
	var parts []any
	for _, entry := range doc {
		parts = append(parts, Doc{entry})
	}
	return Doc{{"$and", parts}}
}

func (c *clause) print() Field {
	if c.op == "" {
		return Field{c.field.path, printTests(c.tests)}
	}
	parts := []any{}
	for _, part := range c.parts {
		parts = append(parts, printAll(part))
	}
	return Field{c.op, parts}
}

func printTests(tests []test) Doc {
	doc := Doc{}
	for _, t := range tests {
		doc = append(doc, Field{t.op, t.operand()})
		if t.op == "$regex" && t.regex.options != "" {
			doc = append(doc, Field{"$options", t.regex.options})
		}
	}
	return doc
}

// operand is what stands behind the operator.
func (t *test) operand() any {
	switch t.op {
	case "$eq", "$ne", "$gt", "$gte", "$lt", "$lte":
		return printValue(t.values[0])
	case "$exists":
		return t.exists
	case "$type":
		names := []any{}
		for _, name := range t.kinds {
			names = append(names, name)
		}
		return names
	case "$regex":
		return t.regex.text
	case "$size":
		return float64(t.size)
	case "$not":
		return printTests(t.tests)
	case "$elemMatch":
		if t.where == nil {
			return printTests(t.tests)
		}
		return printAll(t.where[0])
	}
	values := []any{} // $in, $nin, $all
	for _, value := range t.values {
		values = append(values, printValue(value))
	}
	for _, match := range t.tests {
		values = append(values, printTests([]test{match}))
	}
	return values
}

func printValue(value any) any {
	if at, ok := value.(time.Time); ok {
		return at.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	return value
}
