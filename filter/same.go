package filter

import (
	"strconv"
	"strings"
)

// same says whether the JSON at a path below x is want, which is what sub-document equality needs: the same keys in the same order,
// values of the same types. PostgreSQL's jsonb forgets the order, and texts of the same JSON differ, so each key and value is
// compared by itself. In SQLite at is a path of json_extract, in PostgreSQL x alone is the place.
func (w *writer) same(x, at string, want any) string {
	switch want := want.(type) {
	case Doc:
		return w.guarded(x, at, "object", func() string { return w.sameObject(x, at, want) })
	case []any:
		return w.guarded(x, at, "array", func() string {
			all := []string{w.inner("json_array_length", x, at) + " = " + strconv.Itoa(len(want))}
			for i, element := range want {
				place, below := w.below(x, at, "["+strconv.Itoa(i)+"]", strconv.Itoa(i))
				all = append(all, w.same(place, below, element))
			}
			return and(all...)
		})
	case string:
		return w.guarded(x, at, "string", func() string { return w.plain(x, at) + " = " + w.arg(want) })
	case float64:
		return w.guarded(x, at, "number", func() string {
			plain := w.plain(x, at)
			return w.spell("CAST("+plain+" AS REAL)", plain+"::float8") + " = " + w.arg(want)
		})
	case bool:
		truth := strconv.FormatBool(want)
		if w.d == SQLite {
			return w.inner("json_type", x, at) + " = '" + truth + "'"
		}
		return w.guarded(x, at, "boolean", func() string { return w.plain(x, at) + " = '" + truth + "'" })
	}
	return w.guarded(x, at, "null", func() string { return "TRUE" })
}

// guarded asks inside only of what has the type.
func (w *writer) guarded(x, at, name string, inside func() string) string {
	types := []string{name}
	if w.d == SQLite {
		types = typeNames[name]
	}
	return "CASE WHEN " + w.isOneOf(w.inner(w.spell("json_type", "json_typeof"), x, at), types) + " THEN " + inside() + " ELSE FALSE END"
}

// inner calls a function on the JSON at a place.
func (w *writer) inner(function, x, at string) string {
	if w.d == SQLite {
		return function + "(" + x + ", " + w.arg(at) + ")"
	}
	return function + "(" + x + ")"
}

// plain is the text or number at a place.
func (w *writer) plain(x, at string) string {
	if w.d == SQLite {
		return "json_extract(" + x + ", " + w.arg(at) + ")"
	}
	return "(" + x + " #>> '{}')"
}

// below is the place of an element or member, by its step in a path of SQLite and as PostgreSQL's right side of ->.
func (w *writer) below(x, at, step, key string) (place, path string) {
	if w.d == SQLite {
		return x, at + step
	}
	return "(" + x + " -> " + key + ")", at
}

func (w *writer) sameObject(x, at string, want Doc) string {
	keys := []any{}
	for _, field := range want {
		keys = append(keys, field.Key)
	}
	var b strings.Builder
	writeJSON(&b, keys)
	// The database itself writes the keys wanted, so that both sides are escaped alike.
	all := []string{}
	if w.d == SQLite {
		all = append(all, "(SELECT json_group_array(k.key) FROM json_each("+x+", "+w.arg(at)+") k) = "+
			"(SELECT json_group_array(k.value) FROM json_each("+w.arg(b.String())+") k)")
	} else {
		all = append(all, "ARRAY(SELECT json_object_keys("+x+")) = ARRAY(SELECT json_array_elements_text("+w.arg(b.String())+"::json))")
	}
	for _, field := range want {
		key := ""
		if w.d == Postgres {
			key = w.arg(field.Key)
		}
		place, below := w.below(x, at, "."+quote(field.Key), key)
		all = append(all, w.same(place, below, field.Value))
	}
	return and(all...)
}
