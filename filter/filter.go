// Package filter owns the language in which people select records: filters as MongoDB has them, read from JSON, matched in Go
// and compiled to SQL for SQLite and PostgreSQL with the same meaning on both.
//
// The meaning is that of MongoDB's find for documents that were JSON: a dotted path leads through objects and through every
// element of an array, or to the one at an index; a value equals an array that has it as an element or is the same array; null
// is null or missing; $gt and its like compare within one type only; objects are equal with the same keys in the same order;
// $ne, $nin and $not match what is missing. Where databases could differ, this is what counts on both:
//
//   - numbers are compared as float64, so that 5 is 5.0 and integers beyond 2^53 are rounded;
//   - texts are compared by their UTF-8 bytes;
//   - patterns are those of RE2 (package regexp), where $ is the end of the text and not before a last newline;
//   - of numbers, those that are whole and fit 32 bits are "int" to $type and the rest are "double".
package filter

import (
	"errors"
	"strings"
)

// ErrFilter is what every refused filter is; the error itself is an Error.
var ErrFilter = errors.New("filter refused")

// Error says what is wrong with a filter. Its texts name paths and operators of the filter and nothing of this machine, so that
// they may be shown to whoever sent it.
type Error struct {
	Path    string // the field and operator at fault, as "data.size.$gt"; empty for the filter as a whole
	Problem string
	Hint    string // what to write instead; may be empty
}

// Error joins the parts into one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("filter")
	if e.Path != "" {
		b.WriteString(" at " + e.Path)
	}
	b.WriteString(": " + e.Problem)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap returns ErrFilter.
func (e *Error) Unwrap() error { return ErrFilter }

// Kind is what a column holds, and with it what a filter may ask of it.
type Kind int

// The kinds of columns. NULL is a missing field in each of them.
const (
	Text    Kind = iota // TEXT; the empty text is a missing field. Numbers and booleans of a filter are compared as their text
	Number              // BIGINT or DOUBLE PRECISION
	Time                // BIGINT, milliseconds since 1970 UTC; a filter has ISO 8601 texts, without a zone they are UTC
	Bool                // BOOLEAN
	JSON                // TEXT, a JSON object as Canonical returns it; the empty text is a missing field. Paths lead into it
	Strings             // TEXT, a JSON array of strings; the empty text is the empty array
)

// Column is where the values of one top-level path are. SQL is an expression that becomes part of statements as it stands: it must
// come from the program, never from outside.
type Column struct {
	SQL  string
	Kind Kind
}

// Columns maps top-level paths ("file", "data") to columns. A path of a filter that is none of them, and leads into no JSON or
// Strings column, is refused.
type Columns map[string]Column

// Doc is a JSON object with the order of its keys, which counts when two are compared. Values are nil, bool, float64, string,
// []any and Doc.
type Doc []Field

// Field is one key of a Doc and its value.
type Field struct {
	Key   string
	Value any
}

// Filter is a filter that was read and found good. It is immutable; nil and the zero Filter match every record.
type Filter struct {
	clauses []clause // all must hold
}

// clause is one key of a filter: a logical operator over filters, or a field and what is asked of it.
type clause struct {
	op    string     // $and, $or, $nor; empty for a field
	parts [][]clause // of op

	field field
	tests []test // of field; all must hold
}

// field is where a path leads.
type field struct {
	path    string
	column  Column   // of the record; none inside of $elemMatch, where the path begins at the element
	element bool     // the path begins at an element of an array; the element itself when it has no steps
	steps   []string // the keys and indexes that follow
}

// document says whether the field is inside of JSON, in contrast to a column with one value.
func (f *field) document() bool {
	return f.element || f.column.Kind == JSON || f.column.Kind == Strings
}

// test is one operator and its operand, of which each operator uses some.
type test struct {
	op     string
	values []any // $eq, $ne, $gt, $gte, $lt, $lte: one; $in, $nin, $all; a time.Time where the column is one
	kinds  []string
	size   int
	exists bool
	regex  pattern
	tests  []test     // $not; $elemMatch of operators; $all: one $elemMatch each
	where  [][]clause // $elemMatch of a filter: that one
}

// Equal returns the filter {path: value}: value is nil, bool, float64, string, []any or Doc, also for a Time column, where it is
// the text of a time.
func Equal(path string, value any, columns Columns) (*Filter, error) {
	return fromDoc(Doc{{path, Doc{{"$eq", value}}}}, columns)
}

// Regex returns the filter {path: {"$regex": pattern, "$options": options}}.
func Regex(path, pattern, options string, columns Columns) (*Filter, error) {
	return fromDoc(Doc{{path, Doc{{"$regex", pattern}, {"$options", options}}}}, columns)
}

// And returns the filter that holds where all of the filters do. Empty and nil ones hold everywhere.
func And(filters ...*Filter) *Filter {
	all := &Filter{}
	for _, f := range filters {
		if !f.Empty() {
			all.clauses = append(all.clauses, f.clauses...)
		}
	}
	return all
}

// Empty says whether the filter asks for nothing, and so matches every record. A filter such as {"$nor": [{"x": {"$in": []}}]} also
// matches every record and is not empty.
func (f *Filter) Empty() bool { return f == nil || len(f.clauses) == 0 }
