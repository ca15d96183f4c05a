package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"deckle/filter"
)

// MaxDistinct bounds what Distinct returns.
const MaxDistinct = 10_000

// Fields returns the keys of the data of what q selects, sorted. It reads all of them: ErrSlow when that takes too long.
func (c *Catalog) Fields(ctx context.Context, q Query) ([]string, error) {
	keys := `json_each(CASE WHEN r.data = '' THEN '{}' ELSE r.data END)`
	column := `f.key`
	if c.dialect.Filter == filter.Postgres {
		keys, column = `LATERAL json_object_keys(CASE WHEN r.data = '' THEN '{}' ELSE r.data END::json) f(key)`, `f.key`
	} else {
		keys += ` f`
	}
	var names []string
	err := c.distinct(ctx, q, column, keys, nil, MaxDistinct, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	slices.Sort(names)
	return names, fault("list fields", err)
}

// Distinct returns up to limit of the different values that a path has in what q selects: "data.a.b", "tags", "name", "file",
// "format" or "owner". An array counts as its elements, as in MongoDB; what has no value there is left out. Texts and numbers are
// sorted, other values come behind. It reads all that is selected: ErrSlow when that takes too long.
func (c *Catalog) Distinct(ctx context.Context, q Query, path string, limit int) ([]any, error) {
	if limit <= 0 || limit > MaxDistinct {
		return nil, refused("limit", "a number from 1 to %d", MaxDistinct)
	}
	column, args, err := c.distinctColumn(path)
	if err != nil {
		return nil, err
	}
	var values []any
	seen := map[string]bool{}
	err = c.distinct(ctx, q, column, "", args, MaxDistinct, func(rows *sql.Rows) error {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil || !text.Valid || text.String == "" {
			return err
		}
		return eachValue(text.String, args != nil || path == "tags", func(v any) {
			if id := fmt.Sprintf("%T %v", v, v); !seen[id] {
				seen[id] = true
				values = append(values, v)
			}
		})
	})
	slices.SortFunc(values, compareValues)
	return values[:min(len(values), limit)], fault("list values", err)
}

// distinctColumn returns the expression of a path, which in data is JSON as text.
func (c *Catalog) distinctColumn(path string) (column string, args []any, err error) {
	inner, inData := strings.CutPrefix(path, "data.")
	switch {
	case inData && checkPath(inner) != nil:
		return "", nil, checkPath(inner)
	case inData && c.dialect.Filter == filter.Postgres:
		return `(NULLIF(r.data, '')::json #> CAST($1 AS text)::text[])::text`, []any{arrayPath(inner)}, nil
	case inData:
		return `NULLIF(r.data, '') -> $1`, []any{jsonPath(inner)}, nil
	case slices.Contains([]string{"tags", "name", "file", "format", "owner"}, path):
		return "r." + path, nil, nil
	}
	return "", nil, refused("path", "%q is none of data.PATH, tags, name, file, format and owner", path)
}

func (c *Catalog) distinct(ctx context.Context, q Query, column, join string, args []any, limit int, do func(*sql.Rows) error) error {
	return c.ask(ctx, countTimeout, func(ctx context.Context, conn *sql.Conn) error {
		selected, err := c.prepare(ctx, conn, q, false)
		if err != nil {
			return err
		}
		s := statement{args: args}
		s.text(`SELECT DISTINCT `, column, ` FROM (SELECT r.*`)
		c.from(&s, selected)
		s.text(`) r`)
		if join != "" {
			s.text(` CROSS JOIN `, join)
		}
		s.text(` LIMIT `)
		s.value(limit)
		return eachRow(ctx, conn, s.String(), s.args, do)
	})
}

// eachValue calls do with a text, or with the JSON value that it is, or the elements of that.
func eachValue(text string, isJSON bool, do func(any)) error {
	if !isJSON {
		do(text)
		return nil
	}
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	elements, isArray := value.([]any)
	if !isArray {
		elements = []any{value}
	}
	for _, v := range elements {
		do(v)
	}
	return nil
}

// compareValues sorts numbers before texts before all else.
func compareValues(a, b any) int {
	class := func(v any) int {
		switch v.(type) {
		case float64:
			return 0
		case string:
			return 1
		}
		return 2
	}
	if d := class(a) - class(b); d != 0 {
		return d
	}
	if x, ok := a.(float64); ok {
		if y := b.(float64); x != y {
			return map[bool]int{true: -1, false: 1}[x < y]
		}
		return 0
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}
