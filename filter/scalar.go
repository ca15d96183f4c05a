package filter

import (
	"math"
	"strconv"
	"time"
)

// scalar is the place of a column with one value, so that indexes over it can be used.
type scalar struct {
	w      *writer
	column Column
}

var _ place = scalar{}

func (s scalar) equals(want []any) string {
	sql := s.column.SQL
	var all []string
	var texts []string
	var numbers []float64
	for _, value := range want {
		switch value := value.(type) {
		case nil:
			all = append(all, not(s.exists()))
		case string:
			if value != "" { // the empty text is a missing field
				texts = append(texts, value)
			}
		case float64:
			numbers = append(numbers, value)
		case bool:
			all = append(all, "("+sql+" = "+s.w.arg(value)+")")
		case time.Time:
			all = append(all, "("+sql+" = "+s.w.arg(value.UnixMilli())+")")
		}
	}
	if len(texts) > 0 {
		all = append(all, "("+sql+" IN "+list(s.w, texts)+")")
	}
	if len(numbers) > 0 {
		all = append(all, s.number()+" IN "+list(s.w, numbers))
	}
	return or(all...)
}

// number reads the column as float64, since PostgreSQL compares a BIGINT with one in the same way and SQLite does not.
func (s scalar) number() string {
	return s.w.spell("CAST("+s.column.SQL+" AS REAL)", "("+s.column.SQL+")::float8")
}

func (s scalar) compares(sign string, want any) string {
	sql := s.column.SQL
	switch want := want.(type) {
	case float64:
		return "(" + s.number() + " " + sign + " " + s.w.arg(want) + ")"
	case time.Time:
		return "(" + sql + " " + sign + " " + s.w.arg(want.UnixMilli()) + ")"
	case string:
		return and(s.exists(), "("+sql+s.w.spell("", ` COLLATE "C"`)+" "+sign+" "+s.w.arg(want)+")")
	}
	return "FALSE"
}

func (s scalar) exists() string {
	if s.column.Kind == Text {
		return "(" + s.column.SQL + " <> '')" // and NULL where it is NULL
	}
	return "(" + s.column.SQL + " IS NOT NULL)"
}

func (s scalar) isKind(names []string) string {
	var all []string
	for _, name := range names {
		switch {
		case name == "string" && s.column.Kind == Text, name == "number" && s.column.Kind == Number,
			name == "bool" && s.column.Kind == Bool, name == "date" && s.column.Kind == Time:
			all = append(all, s.exists())
		case name == "int" && s.column.Kind == Number:
			all = append(all, and(s.exists(), s.w.whole(s.number())))
		case name == "double" && s.column.Kind == Number:
			all = append(all, and(s.exists(), not(s.w.whole(s.number()))))
		}
	}
	return or(all...)
}

// whole says of a float64 whether $type calls it "int".
func (w *writer) whole(number string) string {
	const low, high = math.MinInt32, math.MaxInt32
	return "CASE WHEN " + number + " BETWEEN " + strconv.Itoa(low) + " AND " + strconv.Itoa(high) +
		" THEN " + number + " = " + w.spell("CAST("+number+" AS INTEGER)", "trunc("+number+")") + " ELSE FALSE END"
}

func (s scalar) matches(p pattern) string {
	return and(s.exists(), s.w.matchesText(s.column.SQL, p))
}

// matchesText writes the match of an expression that is a text.
func (w *writer) matchesText(text string, p pattern) string {
	if w.d == SQLite {
		return regexFunction + "(" + w.arg(p.source) + ", " + text + ")"
	}
	return "((" + text + `) COLLATE "C" ~ ` + w.arg(p.are) + ")"
}

func (s scalar) hasSize(int) string { return "FALSE" }

func (s scalar) hasElement(func(row string) string) string { return "FALSE" }
