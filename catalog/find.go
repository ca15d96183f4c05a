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

// prepare makes a query ready; what is similar to its words is looked for where it is ranked.
func (c *Catalog) prepare(ctx context.Context, conn *sql.Conn, q Query, ranked bool) (*selection, error) {
	q, err := q.check()
	if err != nil {
		return nil, err
	}
	s := &selection{Query: q}
	if s.keys, s.rest, err = q.keys(); err != nil {
		return nil, err
	}
	if s.words, err = c.lookUp(ctx, conn, q.Search); err != nil {
		return nil, err
	}
	if ranked {
		for i := range s.words {
			if err := s.words[i].resemble(ctx, conn, c.dialect.Contains); err != nil {
				return nil, err
			}
		}
	}
	return s, c.choose(ctx, conn, s)
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
// rank is left out: what is merely similar is never changed.
func (c *Catalog) Find(ctx context.Context, q Query) (page Page, err error) {
	var (
		s      *selection
		ranked = q.Search != "" && q.Sort == ""
	)
	err = c.ask(ctx, findTimeout, func(ctx context.Context, conn *sql.Conn) error {
		if s, err = c.prepare(ctx, conn, q, ranked); err != nil {
			return err
		}
		if ranked {
			page, err = c.ranked(ctx, conn, s)
		} else {
			page, err = c.sorted(ctx, conn, s)
		}
		return err
	})
	if err != nil {
		return Page{}, fault("find records", err)
	}
	switch {
	case q.NoTotal:
		page.Total = -1
	case page.Total < 0:
		page.Total, page.AtLeast = c.total(ctx, s)
	}
	return page, nil
}

// sorted returns the page of a query that is sorted by columns, without its Total.
func (c *Catalog) sorted(ctx context.Context, conn *sql.Conn, q *selection) (page Page, err error) {
	page.Total = -1
	o, err := c.ordered(q)
	if err != nil {
		return page, err
	}
	values := o.values()
	var at []any
	if q.After != "" {
		if at, err = readCursor(q.After, o.name, o.desc, values); err != nil {
			return page, err
		}
	}
	var s statement
	if o.name == "time" && c.meets(q) {
		c.metRecords(&s, q, o, at)
	} else {
		c.sortedRecords(&s, q, o, at)
	}
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

// sortedRecords writes the statement of a page.
func (c *Catalog) sortedRecords(s *statement, q *selection, o order, at []any) {
	s.text(`SELECT `, recordOf)
	by := o.expressions(s)
	s.text(`, `, strings.Join(by, ", "))
	c.from(s, q)
	if at != nil {
		s.text(` AND `)
		o.after(s, by, at)
	}
	o.page(s, by, q)
}

// metRecords writes the statement of a page by time of what several conditions have in common.
func (c *Catalog) metRecords(s *statement, q *selection, o order, at []any) {
	s.text(`SELECT `, recordOf, `, k.time, k.record FROM (`)
	c.meet(s, q, q.leads, "time, record", o, at)
	o.page(s, []string{"time", "record"}, q)
	s.text(`) k CROSS JOIN records r WHERE r.id = k.record ORDER BY `, strings.Join([]string{"k.time", "k.record"}, o.direction()+", "), o.direction())
}

// after writes that something is behind a cursor.
func (o order) after(s *statement, by []string, at []any) {
	s.text(`(`, strings.Join(by, ", "), `) `, map[bool]string{true: "<", false: ">"}[o.desc], ` (`)
	list(s, at)
	s.text(`)`)
}

func (o order) direction() string { return map[bool]string{true: " DESC"}[o.desc] }

// page writes ORDER BY and which part of it.
func (o order) page(s *statement, by []string, q *selection) {
	s.text(` ORDER BY `, strings.Join(by, o.direction()+", "), o.direction(), ` LIMIT `)
	s.value(q.Limit + 1)
	s.text(` OFFSET `)
	s.value(q.Skip)
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
		selected, err := c.prepare(ctx, conn, q, false)
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
			selected, err := c.prepare(ctx, conn, q, false)
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
