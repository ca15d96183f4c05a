package filter

import (
	"slices"
	"strconv"
)

// path is the place that a path through JSON leads to. Each end of the path becomes a row, so that what is asked holds when there
// EXISTS one that it holds for. The rows are
//
//   - in SQLite those of json_each (key, type, value, https://www.sqlite.org/json1.html#jeach), where the key is an integer for an
//     element of an array, "m" for what is missing, and else NULL or "x";
//   - in PostgreSQL (j, el): j is json, NULL for what is missing, and el tells elements of an array.
type path struct {
	w      *writer
	column Column // where the path begins
	row    string // or the element where it begins; with no steps it is the place
	steps  []string
}

var _ place = path{}

// reach writes the condition for the places in JSON that the path leads to: leaf gets an expression that is NULL where there is
// nothing, and whether arrays there stay as they are.
func (p path) reach(leaf func(x string, whole bool) string) string {
	if p.row == "" {
		return p.w.bind(p.w.document(p.column), func(x string) string {
			if len(p.steps) == 0 {
				return leaf(x, false)
			}
			if p.column.Kind == Strings {
				return p.w.follow(x, p.steps, leaf)
			}
			return p.w.bind(p.w.member(x, p.steps[0]), func(x string) string { return p.w.follow(x, p.steps[1:], leaf) })
		})
	}
	return p.w.bind(p.w.rootMember(p.row, p.steps[0]), func(x string) string { return p.w.follow(x, p.steps[1:], leaf) })
}

// bind names an expression, so that what is inside may use it often. OFFSET 0 keeps PostgreSQL's planner from putting the expression
// in the place of each use, which doubles it, and what it holds in turn, at every step of a path.
func (w *writer) bind(expression string, inside func(x string) string) string {
	name := w.name()
	return "EXISTS (SELECT 1 FROM (SELECT " + expression + " AS j" + w.spell("", " OFFSET 0") + ") " + name + " WHERE " + inside(name+".j") + ")"
}

// follow goes on along steps from x, which may be an array or missing.
func (w *writer) follow(x string, steps []string, leaf func(x string, whole bool) string) string {
	if len(steps) == 0 {
		return leaf(x, false)
	}
	row := w.name()
	byKey := "EXISTS (SELECT 1 FROM " + w.spread(x, row, false) + " WHERE " + and(w.spell(
		"("+row+".type = 'object' OR typeof("+row+".key) <> 'integer')",
		"(NOT "+row+".el OR json_typeof("+row+".j) = 'object')"),
		w.bind(w.rowMember(row, steps[0]), func(x string) string { return w.follow(x, steps[1:], leaf) })) + ")"
	index, ok := asIndex(steps[0])
	if !ok {
		return byKey
	}
	byIndex := w.bind(w.elementAt(x, index), func(x string) string {
		if len(steps) == 1 {
			return and(x+" IS NOT NULL", leaf(x, true))
		}
		return and(w.placeIs(x, "object", "array"), w.follow(x, steps[1:], leaf))
	})
	return or(byKey, byIndex)
}

// any writes that one of the rows at the path meets the condition; arrays says that it can be one for a whole array.
func (p path) any(arrays bool, meets func(row string) string) string {
	if p.row != "" && len(p.steps) == 0 {
		return meets(p.row)
	}
	w := p.w
	return p.reach(func(x string, whole bool) string {
		one := func(from string, row string) string {
			return "EXISTS (SELECT 1 FROM " + from + " WHERE " + meets(row) + ")"
		}
		row := w.name()
		if whole {
			return one(w.single(x, row), row)
		}
		if w.d == Postgres || !arrays {
			return one(w.spread(x, row, arrays), row)
		}
		row2 := w.name()
		return or(one(w.spread(x, row, false), row), and(w.placeIs(x, "array"), one(w.single(x, row2), row2)))
	})
}

func (p path) equals(want []any) string {
	if len(want) == 0 {
		return "FALSE"
	}
	s := sortWanted(want)
	return p.any(s.arrays(), func(row string) string { return p.w.rowEquals(row, s) })
}

func (p path) compares(sign string, want any) string {
	return p.any(false, func(row string) string { return p.w.rowCompares(row, sign, want) })
}

func (p path) exists() string {
	if p.row != "" && len(p.steps) == 0 {
		return "TRUE"
	}
	return p.reach(func(x string, _ bool) string { return x + " IS NOT NULL" })
}

func (p path) isKind(names []string) string {
	return p.any(slices.Contains(names, "array"), func(row string) string { return p.w.rowIsKind(row, names) })
}

func (p path) matches(pattern pattern) string {
	return p.any(false, func(row string) string {
		return p.w.ofType(row, "string", p.w.matchesText(p.w.rowText(row), pattern))
	})
}

func (p path) hasSize(n int) string {
	return p.containers(func(x string) string { return "json_array_length(" + x + ") = " + strconv.Itoa(n) })
}

func (p path) hasElement(meets func(row string) string) string {
	return p.containers(func(x string) string {
		row := p.w.name()
		return "EXISTS (SELECT 1 FROM " + p.w.elements(x, row) + " WHERE " + meets(row) + ")"
	})
}

// containers writes that an array at the path, as it stands, meets the condition; it gets an expression that is an array.
func (p path) containers(meets func(x string) string) string {
	w := p.w
	if p.row != "" && len(p.steps) == 0 {
		return "CASE WHEN " + w.rowIs(p.row, "array") + " THEN " + meets(w.rowJSON(p.row)) + " ELSE FALSE END"
	}
	return p.reach(func(x string, _ bool) string {
		return "CASE WHEN " + w.placeIs(x, "array") + " THEN " + meets(x) + " ELSE FALSE END"
	})
}
