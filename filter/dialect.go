package filter

import "strconv"

// document is the JSON of a column; NULL when there is none.
func (w *writer) document(c Column) string {
	sql := "NULLIF(" + c.SQL + ", '')"
	if c.Kind == Strings {
		sql = "COALESCE(" + sql + ", '[]')"
	}
	return w.spell(sql, "("+sql+")::json")
}

// key is the argument that names the member of an object, and index that of an array.
func (w *writer) key(step string) string {
	if w.d == SQLite {
		return w.arg("$." + quote(step))
	}
	return w.arg(step)
}

func (w *writer) index(i int) string { return w.spell("'$["+strconv.Itoa(i)+"]'", strconv.Itoa(i)) }

// member is the member of x, which is an object or NULL.
func (w *writer) member(x, step string) string { return "(" + x + " -> " + w.key(step) + ")" }

// rowMember is the member of a row; NULL for what is no object.
func (w *writer) rowMember(row, step string) string {
	return "CASE WHEN " + w.rowIs(row, "object") + " THEN " + w.rowJSON(row) + " -> " + w.key(step) + " END"
}

// rootMember is rowMember where an array counts as an object with the keys "0", "1", ...
func (w *writer) rootMember(row, step string) string {
	i, ok := asIndex(step)
	if !ok {
		return w.rowMember(row, step)
	}
	return "CASE WHEN " + w.rowIs(row, "object") + " THEN " + w.rowJSON(row) + " -> " + w.key(step) +
		" WHEN " + w.rowIs(row, "array") + " THEN " + w.rowJSON(row) + " -> " + w.index(i) + " END"
}

// elementAt is the element of x at an index; NULL when x is no array or is shorter.
func (w *writer) elementAt(x string, i int) string {
	return "CASE WHEN " + w.placeIs(x, "array") + " THEN " + x + " -> " + w.index(i) + " END"
}

// spread is a FROM item: the elements of x when it is an array, with x itself behind them when whole is wanted (of PostgreSQL only),
// else the one row of x.
func (w *writer) spread(x, row string, whole bool) string {
	if w.d == SQLite {
		return "json_each(CASE json_type(" + x + ") WHEN 'object' THEN json_object('x', json(" + x + ")) ELSE COALESCE(" + x +
			`, '{"m":null}') END) ` + row
	}
	itself := " UNION ALL SELECT " + x + ", FALSE"
	if !whole {
		itself += " WHERE json_typeof(" + x + ") IS DISTINCT FROM 'array'"
	}
	return "(SELECT e.j, TRUE AS el FROM json_array_elements(CASE json_typeof(" + x + ") WHEN 'array' THEN " + x +
		" ELSE '[]' END) e(j)" + itself + ") " + row
}

// single is a FROM item: the one row of x, which is not missing.
func (w *writer) single(x, row string) string {
	return w.spell("json_each(json_object('x', json("+x+"))) "+row, "(SELECT "+x+" AS j) "+row)
}

// elements is a FROM item: the elements of x, which is an array.
func (w *writer) elements(x, row string) string {
	if w.d == SQLite {
		return "json_each(" + x + ") " + row
	}
	// The planner may look into x before it looks at the condition around it.
	return "json_array_elements(CASE json_typeof(" + x + ") WHEN 'array' THEN " + x + " ELSE '[]' END) " + row + "(j)"
}

// placeIs says whether x has one of the types object and array.
func (w *writer) placeIs(x string, types ...string) string {
	return w.isOneOf(w.spell("json_type(", "json_typeof(")+x+")", types)
}

func (w *writer) rowIs(row string, types ...string) string {
	return w.isOneOf(w.spell(row+".type", "json_typeof("+row+".j)"), types)
}

func (w *writer) isOneOf(kind string, types []string) string {
	if len(types) == 1 {
		return kind + " = '" + types[0] + "'"
	}
	text := kind + " IN ("
	for i, name := range types {
		if i > 0 {
			text += ", "
		}
		text += "'" + name + "'"
	}
	return text + ")"
}

// rowJSON is the row's object or array.
func (w *writer) rowJSON(row string) string { return w.spell(row+".value", row+".j") }

// rowText is the row's text, and in PostgreSQL any value without its quotes.
func (w *writer) rowText(row string) string { return w.spell(row+".value", "("+row+".j #>> '{}')") }

// rowNumber is the row's number. The last digit of what SQLite reads is float64's: see TestNumbers.
func (w *writer) rowNumber(row string) string {
	return w.spell("CAST("+row+".value AS REAL)", "("+row+".j #>> '{}')::float8")
}

// typeNames are the names of JSON's types in SQLite, by those of PostgreSQL.
var typeNames = map[string][]string{
	"string": {"text"}, "number": {"integer", "real"}, "boolean": {"true", "false"}, "null": {"null"},
	"object": {"object"}, "array": {"array"},
}

// ofType guards a condition that only a row of that type (as PostgreSQL calls it) can be asked. CASE, since databases look at both
// sides of AND in what order they like.
func (w *writer) ofType(row, name, condition string) string {
	types := []string{name}
	if w.d == SQLite {
		types = typeNames[name]
	}
	return "CASE WHEN " + w.rowIs(row, types...) + " THEN " + condition + " ELSE FALSE END"
}

// rowEquals says whether a row is one of the values wanted.
func (w *writer) rowEquals(row string, s wanted) string {
	var all []string
	if len(s.texts) > 0 {
		all = append(all, w.ofType(row, "string", w.rowText(row)+" IN "+list(w, s.texts)))
	}
	if len(s.numbers) > 0 {
		all = append(all, w.ofType(row, "number", w.rowNumber(row)+" IN "+list(w, s.numbers)))
	}
	if s.yes {
		all = append(all, w.rowTruth(row, "true"))
	}
	if s.no {
		all = append(all, w.rowTruth(row, "false"))
	}
	if s.null {
		all = append(all, w.spell("("+row+".type = 'null')", "("+row+".j IS NULL OR json_typeof("+row+".j) = 'null')"))
	}
	for _, container := range s.containers {
		name := "object"
		if _, ok := container.([]any); ok {
			name = "array"
		}
		all = append(all, w.ofType(row, name, w.same(w.rowJSON(row), "$", container)))
	}
	return or(all...)
}

func (w *writer) rowTruth(row, truth string) string {
	return w.spell("("+row+".type = '"+truth+"')", w.ofType(row, "boolean", w.rowText(row)+" = '"+truth+"'"))
}

func (w *writer) rowCompares(row, sign string, want any) string {
	if text, ok := want.(string); ok {
		return w.ofType(row, "string", w.rowText(row)+w.spell("", ` COLLATE "C"`)+" "+sign+" "+w.arg(text))
	}
	return w.ofType(row, "number", w.rowNumber(row)+" "+sign+" "+w.arg(want))
}

// kindTypes are what $type calls JSON's types, by PostgreSQL's names.
var kindTypes = map[string]string{"string": "string", "number": "number", "bool": "boolean", "object": "object", "array": "array"}

func (w *writer) rowIsKind(row string, names []string) string {
	var all []string
	for _, name := range names {
		switch name {
		case "null":
			all = append(all, w.spell("("+row+".type = 'null' AND "+row+".key IS NOT 'm')", "(json_typeof("+row+".j) = 'null')"))
		case "int":
			all = append(all, w.ofType(row, "number", w.whole(w.rowNumber(row))))
		case "double":
			all = append(all, w.ofType(row, "number", not(w.whole(w.rowNumber(row)))))
		default:
			if kind, ok := kindTypes[name]; ok {
				all = append(all, w.ofType(row, kind, "TRUE"))
			}
		}
	}
	return or(all...)
}
