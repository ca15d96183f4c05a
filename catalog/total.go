package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// total counts what is selected: all of it while that is counted by indexes, or among the first records otherwise; -1 when it
// takes too long.
func (c *Catalog) total(ctx context.Context, q *selection) (n int64, atLeast bool) {
	err := c.ask(ctx, totalTimeout, func(ctx context.Context, conn *sql.Conn) (err error) {
		n, atLeast, err = c.countTotal(ctx, conn, q)
		return err
	})
	if err != nil {
		return -1, false
	}
	return n, atLeast
}

func (c *Catalog) countTotal(ctx context.Context, db asker, q *selection) (n int64, atLeast bool, err error) {
	rows, counted := q.rows[q.lead]
	if !counted {
		counts, err := c.countRows(ctx, db, q, []lead{q.lead}, c.limits.total)
		if err != nil {
			return 0, false, err
		}
		rows = counts[0]
	}
	left := q.others(q.lead)
	var s statement
	switch {
	case q.lone():
		s.text(`SELECT COUNT(DISTINCT record) FROM (SELECT record FROM (`)
		c.leadRows(&s, q, q.lead)
		s.text(`) w LIMIT `)
		s.value(c.limits.all)
		s.text(`) x`)
		err := db.QueryRowContext(ctx, s.String(), s.args...).Scan(&n)
		return n, rows > c.limits.all, err
	case left.plain():
		return int64(min(rows, c.limits.total)), rows > c.limits.total, nil
	case c.meets(q):
		s.text(`SELECT COUNT(*) FROM (`)
		c.meet(&s, q, q.leads, "time, record", order{}, nil)
		if c.dialect.Merge {
			s.text(` ORDER BY 1, 2`)
		}
		s.text(` LIMIT `)
		s.value(c.limits.total + 1)
		s.text(`) k`)
		err := db.QueryRowContext(ctx, s.String(), s.args...).Scan(&n)
		return min(n, int64(c.limits.total)), n > int64(c.limits.total), err
	case q.lead.by == byTime && q.Scope != ScopePublic && q.From.IsZero() && q.To.IsZero():
		if err := c.countLatest(ctx, db, &s, q); err != nil {
			return 0, false, err
		}
	default:
		c.countAmong(&s, q, left, c.limits.look)
	}
	err = db.QueryRowContext(ctx, s.String(), s.args...).Scan(&n)
	return n, rows > min(c.limits.look, c.limits.set), err
}

// countLatest writes the statement that counts what is selected among the records of the last ids, which lie side by side.
func (c *Catalog) countLatest(ctx context.Context, db asker, s *statement, q *selection) error {
	var first string
	err := db.QueryRowContext(ctx, `SELECT id FROM records ORDER BY id DESC LIMIT 1 OFFSET $1`, c.limits.look-1).Scan(&first)
	if err != nil && !errors.Is(err, sql.ErrNoRows) { // there are fewer
		return err
	}
	s.text(`SELECT COUNT(*) FROM records r WHERE r.id >= `)
	s.value(first)
	c.conditions(s, q, inRecord)
	return nil
}

// countAmong writes the statement that counts what is selected among the first rows of the condition that leads: the latest ones.
func (c *Catalog) countAmong(s *statement, q, left *selection, bound int) {
	s.text(`SELECT COUNT(*) FROM (`)
	at := inKey
	if q.lead.by == byWord {
		s.text(`SELECT DISTINCT record FROM (SELECT record FROM (`)
		c.leadRows(s, q, q.lead)
		s.text(`) w LIMIT `)
		s.value(bound)
		s.text(`) x`)
		at.time = inRecord.time
	} else {
		c.leadRows(s, q, q.lead)
		s.text(` ORDER BY 1 DESC, 2 DESC LIMIT `)
		s.value(bound)
	}
	s.text(`) k`)
	if left.looks() || at.time == inRecord.time && len(left.keys) > 0 {
		s.text(` CROSS JOIN records r WHERE r.id = k.record`)
	} else {
		s.text(` WHERE TRUE`)
	}
	c.conditions(s, left, at)
}
