package catalog

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"deckle/filter"
)

// selection is a query that is ready to be written as SQL over the table r of records.
type selection struct {
	Query
	keys  []string
	rest  *filter.Filter
	words []word
	lead  lead
	leads []lead       // those that the query has
	rows  map[lead]int // how many rows they have, up to one more than a limit; empty when there is nothing to choose from
}

// lead is a condition of which an index has the rows. One of a query leads: its rows are read, and for each of them it is looked up
// whether it meets the others.
type lead struct {
	by leader
	at int // of keys or words
}

type leader int

// What leads. Among those that have as many rows the first one does.
const (
	byTime leader = iota // nothing else: all records, or all public ones, by time
	byIDs
	byKey
	byOwner
	byWord
)

// limits are how much is read before a query is answered in another way. What it selects does not depend on them, nor in which
// order; only how far its total is counted does.
type limits struct {
	total  int // rows of an index that are counted
	look   int // records that are looked at to count those that are selected
	probed int // rows for each of which the other conditions are looked up
	set    int // rows of a condition that are met with those of others
	few    int // records of which all terms are read, to rank them at once
	all    int // findings of one word that are ranked at once
	walk   int // findings that are read at once while they are walked through
	verify int // findings that are looked at together then
	terms  int // terms that are looked at together then
	rows   int // rows of them that are read together
}

// Reading a row of an index by itself costs two tenths of a microsecond, handing it over three, and looking for it ten or more.
var usualLimits = limits{
	total: TotalBound, look: LookBound, probed: 100, set: 30_000, few: 1000, all: SearchBound, walk: 1000, verify: 128, terms: 100, rows: 500,
}

// choose lets the condition lead that has the fewest rows.
func (c *Catalog) choose(ctx context.Context, db asker, q *selection) error {
	if len(q.IDs) > 0 {
		q.leads = append(q.leads, lead{by: byIDs})
	}
	for i := range q.keys {
		q.leads = append(q.leads, lead{byKey, i})
	}
	if q.Scope == ScopeOwn {
		q.leads = append(q.leads, lead{by: byOwner})
	}
	for i := range q.words {
		q.leads = append(q.leads, lead{byWord, i})
	}
	if len(q.leads) == 0 {
		return nil
	}
	q.lead = q.leads[0]
	if len(q.leads) == 1 && len(q.words) == 0 {
		return nil
	}
	bound := c.limits.set
	if q.lone() {
		bound = c.limits.all
	}
	counts, err := c.countRows(ctx, db, q, q.leads, bound)
	if err != nil {
		return err
	}
	q.rows = map[lead]int{}
	for i, l := range q.leads {
		q.rows[l] = counts[i]
		if counts[i] < q.rows[q.lead] {
			q.lead = l
		}
	}
	return nil
}

// countRows counts the rows of conditions, each up to one more than a bound.
func (c *Catalog) countRows(ctx context.Context, db asker, q *selection, leads []lead, bound int) ([]int, error) {
	return countEach(ctx, db, len(leads), bound+1, func(s *statement, i int) {
		s.text(`SELECT 1 FROM (`)
		c.leadRows(s, q, leads[i])
		s.text(`) x`)
	})
}

// countEach counts the rows of n statements, each up to a bound, in one.
func countEach(ctx context.Context, db asker, n, bound int, rows func(s *statement, i int)) ([]int, error) {
	var s statement
	for i := range n {
		if i > 0 {
			s.text(` UNION ALL `)
		}
		s.text(`SELECT `)
		s.value(i)
		s.text(` + 0, COUNT(*) FROM (`)
		rows(&s, i)
		s.text(` LIMIT `)
		s.value(bound)
		s.text(`) counted`)
	}
	counts := make([]int, n)
	err := eachRow(ctx, db, s.String(), s.args, func(rows *sql.Rows) error {
		var i, count int
		err := rows.Scan(&i, &count)
		counts[i] = count
		return err
	})
	return counts, err
}

// leadRows writes the statement of the rows of a condition, each a time and a record; those of a word are records alone, some of
// them more than once.
func (c *Catalog) leadRows(s *statement, q *selection, l lead) {
	const records = `SELECT r.time, r.id AS record FROM records r WHERE `
	switch l.by {
	case byWord:
		c.wordRows(s, q.words[l.at], "t.record")
		return
	case byKey:
		s.text(`SELECT k.time, k.record FROM record_keys k WHERE k.key = `)
		s.value(q.keys[l.at])
		q.times(s, "k.time")
		return
	case byIDs:
		s.text(records, `r.id IN (`)
		list(s, q.IDs)
		s.text(`)`)
		return
	case byOwner:
		s.text(records, `r.owner = `)
		s.value(q.Viewer)
	default:
		s.text(records, `TRUE`)
		if q.Scope == ScopePublic {
			s.text(` AND r.private = FALSE`)
		}
	}
	q.times(s, "r.time")
}

// others returns the selection without what the rows of some conditions say.
func (q *selection) others(met ...lead) *selection {
	left := *q
	left.keys, left.words = nil, nil
	for i, k := range q.keys {
		if !slices.Contains(met, lead{byKey, i}) {
			left.keys = append(left.keys, k)
		}
	}
	for i, w := range q.words {
		if !slices.Contains(met, lead{byWord, i}) {
			left.words = append(left.words, w)
		}
	}
	for _, l := range met {
		switch {
		case l.by == byIDs:
			left.IDs = nil
		case l.by == byOwner, l.by == byTime && q.Scope == ScopePublic:
			left.Scope = ScopeAll
		}
		if l.by == byKey || l.by == byOwner || l.by == byTime {
			left.From, left.To = time.Time{}, time.Time{}
		}
	}
	return &left
}

// plain tells selections that select everything.
func (q *selection) plain() bool { return len(q.keys) == 0 && len(q.words) == 0 && !q.looks() }

// looks tells selections that look at records, beside their keys and their words.
func (q *selection) looks() bool {
	return q.Scope != ScopeAll || len(q.IDs) > 0 || !q.From.IsZero() || !q.To.IsZero() || !q.rest.Empty() || !q.Where.Empty()
}

// lone tells searches for one word and nothing else.
func (q *selection) lone() bool { return len(q.words) == 1 && len(q.leads) == 1 && !q.looks() }

// place is how a statement spells the id and the time of a record.
type place struct{ id, time string }

var (
	inRecord = place{"r.id", "r.time"}
	inKey    = place{"k.record", "k.time"}
)

// from writes FROM and WHERE of all that is selected.
func (c *Catalog) from(s *statement, q *selection) {
	switch q.lead.by {
	case byKey:
		// A cross join keeps SQLite from looking the other way round.
		s.text(` FROM record_keys k CROSS JOIN records r WHERE r.id = k.record AND k.key = `)
		s.value(q.keys[q.lead.at])
		q.times(s, "k.time")
		c.conditions(s, q.others(q.lead), inKey)
	case byWord:
		s.text(` FROM records r WHERE r.id IN (`)
		c.leadRows(s, q, q.lead)
		s.text(`)`)
		c.conditions(s, q.others(q.lead), inRecord)
	default:
		s.text(` FROM records r WHERE TRUE`)
		c.conditions(s, q, inRecord)
	}
}

// conditions writes what selects records.
func (c *Catalog) conditions(s *statement, q *selection, at place) {
	for _, k := range q.keys {
		s.text(` AND EXISTS (SELECT 1 FROM record_keys x WHERE x.time = `, at.time, ` AND x.record = `, at.id, ` AND x.key = `)
		s.value(k)
		s.text(`)`)
	}
	c.scope(s, q)
	if len(q.IDs) > 0 {
		s.text(` AND `, at.id, ` IN (`)
		list(s, q.IDs)
		s.text(`)`)
	}
	q.times(s, at.time)
	for _, f := range []*filter.Filter{q.rest, q.Where} {
		if !f.Empty() {
			text, args := f.SQL(c.dialect.Filter, len(s.args)+1)
			s.text(` AND (`, text, `)`)
			s.args = append(s.args, args...)
		}
	}
	for _, w := range q.words {
		c.found(s, at, w)
	}
}

func (c *Catalog) scope(s *statement, q *selection) {
	switch q.Scope {
	case ScopeOwn:
		s.text(` AND r.owner = `)
		s.value(q.Viewer)
	case ScopePublic:
		s.text(` AND r.private = FALSE`)
	case ScopeVisible:
		s.text(` AND (r.private = FALSE OR r.owner = `)
		s.value(q.Viewer)
		s.text(`)`)
	}
}

// times writes what selects records by their time.
func (q *selection) times(s *statement, column string) {
	if !q.From.IsZero() {
		s.text(` AND `, column, ` > `)
		s.value(millis(q.From))
	}
	if !q.To.IsZero() {
		s.text(` AND `, column, ` < `)
		s.value(ceilMillis(q.To))
	}
}

// ceilMillis is the first stored time that is not before t.
func ceilMillis(t time.Time) int64 { return millis(t.Add(time.Millisecond - time.Nanosecond)) }
