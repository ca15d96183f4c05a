package catalog

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"deckle/filter"
)

// order is how a query's records are sorted: by expressions over the table r, none of them ever NULL, the last of them the id.
type order struct {
	name string
	desc bool
	by   []string
	args []any // of the expressions, which spell them $0
}

// sortable are the columns by which records are sorted.
var sortable = map[string]string{
	"id": "", "file": "r.file", "name": "r.name", "created": "r.created", "updated": "r.updated", "bytes": "r.bytes",
	"width": "r.width", "height": "r.height", "format": "r.format", "owner": "r.owner", "time": "r.time",
}

// ordered returns how q is sorted. Keys that lead have the time, too, and are sorted by it.
func (c *Catalog) ordered(q *selection) (order, error) {
	o := order{name: q.Sort, desc: q.Descending}
	if o.name == "" {
		o.name = "time"
	}
	path, inData := strings.CutPrefix(o.name, "data.")
	column, known := sortable[o.name]
	switch {
	case inData:
		if err := checkPath(path); err != nil {
			return o, refused("sort", "%v", err)
		}
		o.by, o.args = c.sortData(path)
	case !known:
		return o, refused("sort", "%q is none of %s and data.PATH", o.name, strings.Join(slices.Sorted(maps.Keys(sortable)), ", "))
	case o.name == "time" && q.lead.by == byKey:
		o.by = []string{"k.time", "k.record"}
		return o, nil
	case column != "":
		o.by = []string{column}
	}
	o.by = append(o.by, "r.id")
	return o, nil
}

// sortData sorts by what kind of value a path leads to, and then by the value.
func (c *Catalog) sortData(path string) (by []string, args []any) {
	if c.dialect.Filter == filter.Postgres {
		const (
			data  = `NULLIF(r.data, '')::json`
			kind  = `COALESCE(json_typeof(` + data + ` #> CAST($0 AS text)::text[]), '')`
			value = data + ` #>> CAST($0 AS text)::text[]`
		)
		return []string{
			`CASE ` + kind + ` WHEN 'number' THEN 1 WHEN 'string' THEN 2 ELSE 0 END`,
			`CASE ` + kind + ` WHEN 'number' THEN (` + value + `)::double precision ELSE 0 END`,
			`CASE ` + kind + ` WHEN 'string' THEN ` + value + ` ELSE '' END COLLATE "C"`,
		}, []any{arrayPath(path)}
	}
	const (
		kind  = `COALESCE(json_type(NULLIF(r.data, ''), $0), '')`
		value = `json_extract(NULLIF(r.data, ''), $0)`
	)
	return []string{
		`CASE ` + kind + ` WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 ELSE 0 END`,
		`CASE ` + kind + ` WHEN 'integer' THEN CAST(` + value + ` AS REAL) WHEN 'real' THEN ` + value + ` ELSE 0.0 END`,
		`CASE ` + kind + ` WHEN 'text' THEN ` + value + ` ELSE '' END`,
	}, []any{jsonPath(path)}
}

// checkPath refuses paths that the databases do not read alike.
func checkPath(path string) error {
	if len(path) > 500 || strings.ContainsAny(path, "\"\\\x00{}") || slices.Contains(strings.Split(path, "."), "") {
		return refused("path", "%q is no dotted path of keys", path)
	}
	return nil
}

// jsonPath is a dotted path as SQLite spells it (https://www.sqlite.org/json1.html section 3.5).
func jsonPath(path string) string {
	return `$."` + strings.ReplaceAll(path, ".", `"."`) + `"`
}

// arrayPath is a dotted path as a text array of PostgreSQL.
func arrayPath(path string) string {
	return `{"` + strings.ReplaceAll(path, ".", `","`) + `"}`
}

// expressions returns the expressions, with their arguments put in place.
func (o order) expressions(s *statement) []string {
	by := slices.Clone(o.by)
	for i, e := range by {
		if strings.Contains(e, "$0") {
			var inner statement
			inner.args = s.args
			inner.value(o.args[0])
			by[i], s.args = strings.ReplaceAll(e, "$0", inner.String()), inner.args
		}
	}
	return by
}

// cursor is what Page.Next says: how the page was sorted, and the values of its last record.
type cursor struct {
	Sort string `json:"s"`
	Desc bool   `json:"d,omitempty"`
	At   []any  `json:"a"`
}

func (c cursor) text() (string, error) {
	text, err := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// maxCursor bounds what is read of a cursor, bytes.
const maxCursor = 8 << 10

// readCursor returns the values that a cursor of this order holds; as tells what they must be.
func readCursor(text, sort string, desc bool, as []any) ([]any, error) {
	bad := refused("after", "it is no cursor of this query and order")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > maxCursor {
		return nil, bad
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	var c cursor
	if decoder.Decode(&c) != nil || c.Sort != sort || c.Desc != desc || len(c.At) != len(as) {
		return nil, bad
	}
	for i, v := range c.At {
		number, isNumber := v.(json.Number)
		_, isText := v.(string)
		switch as[i].(type) {
		case int64:
			c.At[i], err = number.Int64()
		case float64:
			c.At[i], err = number.Float64()
		default:
			isNumber = isText
		}
		if err != nil || !isNumber {
			return nil, bad
		}
	}
	return c.At, nil
}
