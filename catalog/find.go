package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
)

// How long what reads more than a few keys may take.
const (
	findTimeout  = 2 * time.Second
	totalTimeout = 500 * time.Millisecond
	countTimeout = 10 * time.Second
	eachTimeout  = 30 * time.Second // a page of Each
)

// ask runs statements that read for up to the time given.
func (c *Catalog) ask(ctx context.Context, timeout time.Duration, read func(context.Context, *sql.Conn) error) error {
	waiting, stop := context.WithTimeout(ctx, turnTimeout)
	defer stop()
	conn, err := c.read.Conn(waiting)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = errors.Join(read(asking, conn), conn.Close())
	if err != nil && asking.Err() != nil && ctx.Err() == nil && timeout > readTimeout {
		return ErrSlow
	}
	return err
}

// prepare makes a query ready.
func (c *Catalog) prepare(ctx context.Context, conn *sql.Conn, q Query) (*selection, error) {
	q, err := q.check()
	if err != nil {
		return nil, err
	}
	s := &selection{Query: q}
	if s.keys, s.rest, err = q.keys(); err != nil {
		return nil, err
	}
	s.words, err = c.lookUp(ctx, conn, q.Search)
	return s, err
}

// Find returns a page of what q selects.
//
// Search selects records of which each word of the text is found in a word of the name, of the last part of the file, of a tag or of
// a label, without regard to case or width; words are what stands between anything that is neither letter nor digit. Without Sort
// they are ranked by where the longest word of the text (the first of these) is found:
//
//  1. at the beginning of a word,
//  2. further on in a word without digits: of three characters or more, or of two of a writing without spaces,
//  3. further on in a word with digits, of 24 characters at most,
//  4. nowhere, but in a word that is similar, the most similar one first: of all trigrams that either has, which are counted as
//     with two spaces before the word and one behind it, both have a quarter. Words of four letters and more are so found,
//     in up to 20 words; the others of the text may be similar, too.
//
// In a rank records are sorted by that word, by its bytes, and then by id. With Sort, and in everything that is not Find, the fourth
// rank is left out: what is merely similar is never changed. Total counts 5,000 findings at most then.
func (c *Catalog) Find(ctx context.Context, q Query) (page Page, err error) {
	var s *selection
	err = c.ask(ctx, findTimeout, func(ctx context.Context, conn *sql.Conn) error {
		if s, err = c.prepare(ctx, conn, q); err != nil {
			return err
		}
		if len(s.words) > 0 && q.Sort == "" {
			page, err = c.ranked(ctx, conn, s)
		} else {
			page, err = c.sorted(ctx, conn, s)
		}
		return err
	})
	if err != nil {
		return Page{}, fault("find records", err)
	}
	page.Total = -1
	if !q.NoTotal {
		page.Total, page.AtLeast = c.total(ctx, s)
	}
	return page, nil
}

// total counts what is selected, up to a bound; -1 when that takes too long.
func (c *Catalog) total(ctx context.Context, q *selection) (n int64, atLeast bool) {
	var s statement
	bound := int64(TotalBound)
	if len(q.words) > 0 && q.Sort == "" {
		bound = searchBound
		c.countFindings(&s, q)
	} else {
		s.text(`SELECT COUNT(*), COUNT(*) FROM (SELECT 1`)
		c.fromCounted(&s, q)
		s.text(` LIMIT `)
		s.value(bound + 1)
		s.text(`) counted`)
	}
	var rows int64
	err := c.ask(ctx, totalTimeout, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, s.String(), s.args...).Scan(&n, &rows)
	})
	if err != nil {
		return -1, false
	}
	return min(n, bound), rows > bound
}

// sorted returns the page of a query that is sorted by columns.
func (c *Catalog) sorted(ctx context.Context, conn *sql.Conn, q *selection) (page Page, err error) {
	o, err := c.ordered(q)
	if err != nil {
		return page, err
	}
	var s statement
	s.text(`SELECT `, recordOf)
	by := o.expressions(&s)
	s.text(`, `, strings.Join(by, ", "))
	c.from(&s, q)
	values := o.values()
	if q.After != "" {
		at, err := readCursor(q.After, o.name, o.desc, values)
		if err != nil {
			return page, err
		}
		s.text(` AND (`, strings.Join(by, ", "), `) `, map[bool]string{true: "<", false: ">"}[o.desc], ` (`)
		c.typed(&s, at)
		s.text(`)`)
	}
	direction := map[bool]string{true: " DESC"}[o.desc]
	s.text(` ORDER BY `, strings.Join(by, direction+", "), direction, ` LIMIT `)
	s.value(q.Limit + 1)
	s.text(` OFFSET `)
	s.value(q.Skip)
	var last []any
	err = eachRow(ctx, conn, s.String(), s.args, func(rows *sql.Rows) error {
		values, into := targets(o.values())
		r, err := scanRecord(rows, into...)
		if len(page.Records) < q.Limit {
			last = values()
			page.Records = append(page.Records, r)
		} else if page.Next == "" && err == nil {
			page.Next, err = cursor{o.name, o.desc, last}.text()
		}
		return err
	})
	if err != nil {
		return Page{}, err
	}
	return page, fillLabels(ctx, conn, page.Records)
}

// typed writes the values of a cursor.
func (c *Catalog) typed(s *statement, at []any) {
	for i, v := range at {
		s.listed(i, v)
	}
}

// values returns a zero of the type of each expression.
func (o order) values() []any {
	zero := []any{}
	switch {
	case len(o.args) > 0:
		zero = append(zero, int64(0), float64(0), "")
	case len(o.by) == 2 && slices.Contains([]string{"time", "created", "updated", "bytes", "width", "height"}, o.name):
		zero = append(zero, int64(0))
	case len(o.by) == 2:
		zero = append(zero, "")
	}
	return append(zero, "")
}

// targets returns what values of these types are scanned into, and how they are read then.
func targets(zero []any) (values func() []any, into []any) {
	for _, v := range zero {
		switch v.(type) {
		case int64:
			into = append(into, new(int64))
		case float64:
			into = append(into, new(float64))
		default:
			into = append(into, new(string))
		}
	}
	return func() []any {
		all := make([]any, len(into))
		for i, target := range into {
			switch v := target.(type) {
			case *int64:
				all[i] = *v
			case *float64:
				all[i] = *v
			case *string:
				all[i] = *v
			}
		}
		return all
	}, into
}

// Count counts what q selects, whatever its Limit, exactly. ErrSlow when that takes more than ten seconds.
func (c *Catalog) Count(ctx context.Context, q Query) (n int64, err error) {
	err = c.ask(ctx, countTimeout, func(ctx context.Context, conn *sql.Conn) error {
		selected, err := c.prepare(ctx, conn, q)
		if err != nil {
			return err
		}
		var s statement
		s.text(`SELECT COUNT(*)`)
		c.from(&s, selected)
		return conn.QueryRowContext(ctx, s.String(), s.args...).Scan(&n)
	})
	return n, fault("count records", err)
}

// eachPage is how many records Each holds.
const eachPage = 500

// Each calls do with each record that q selects, whatever its Sort, Limit and Skip, in the order of ids, and stops at its first
// error. It holds a page at a time and no connection while do runs; a record that comes meanwhile is met when its id is yet to
// come.
func (c *Catalog) Each(ctx context.Context, q Query, do func(Record) error) error {
	q.Sort, q.Limit, q.Skip, q.After = "id", 0, 0, ""
	for after, more := "", true; more; {
		var page []Record
		err := c.ask(ctx, eachTimeout, func(ctx context.Context, conn *sql.Conn) error {
			selected, err := c.prepare(ctx, conn, q)
			if err != nil {
				return err
			}
			page, err = c.pageByID(ctx, conn, selected, after, "")
			return err
		})
		if err != nil {
			return fault("list records", err)
		}
		for _, r := range page {
			if err := do(r); err != nil {
				return err
			}
			after = r.ID
		}
		more = len(page) == eachPage
	}
	return nil
}

// pageByID returns the next page of what is selected in the order of ids.
func (c *Catalog) pageByID(ctx context.Context, db asker, q *selection, after, lock string) ([]Record, error) {
	var s statement
	s.text(`SELECT `, recordOf)
	c.from(&s, q)
	s.text(` AND r.id > `)
	s.value(after)
	s.text(` ORDER BY r.id LIMIT `)
	s.value(eachPage)
	s.text(lock)
	return queryRecords(ctx, db, s.String(), s.args...)
}
