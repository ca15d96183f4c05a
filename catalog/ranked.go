package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The ranks of findings, as Find describes them.
const (
	rankBegins = iota
	rankWords
	rankNumbers
	rankSimilar // and so on, one for each similar word
)

// finding is a place in what a search finds.
type finding struct {
	rank     int
	term, id string
}

func (f finding) compare(g finding) int {
	return cmp.Or(f.rank-g.rank, strings.Compare(f.term, g.term), strings.Compare(f.id, g.id))
}

// rank returns in which rank a term is found by w, -1 for none.
func (w word) rank(term string) int {
	switch {
	case strings.HasPrefix(term, w.text):
		return rankBegins
	case !strings.Contains(term, w.text):
		if i := slices.Index(w.similar, term); i >= 0 {
			return rankSimilar + i
		}
		return -1
	case len(inner(w.text)) == 0:
		return -1
	case !strings.ContainsFunc(term, unicode.IsNumber):
		return rankWords
	case utf8.RuneCountInString(term) <= maxIdentifier:
		return rankNumbers
	}
	return -1
}

// match is what is known of a record while its terms are read: where the first word is found best, and which words are found.
type match struct {
	best  finding
	words int // one bit for each
}

// matches collects the terms of records.
type matches struct {
	words []word
	of    map[string]match
}

func (m *matches) add(record, term string) {
	found, known := m.of[record]
	for i, w := range m.words {
		rank := w.rank(term)
		if rank < 0 {
			continue
		}
		f := finding{rank, term, record}
		if i == 0 && (!known || found.words&1 == 0 || f.compare(found.best) < 0) {
			found.best = f
		}
		found.words |= 1 << i
	}
	m.of[record] = found
}

// all returns what is found by all words.
func (m *matches) all() (found []finding) {
	for _, f := range m.of {
		if f.words == 1<<len(m.words)-1 {
			found = append(found, f.best)
		}
	}
	slices.SortFunc(found, finding.compare)
	return found
}

// ranked returns the page of a search in its ranks; its Total is -1 where not all findings were read.
func (c *Catalog) ranked(ctx context.Context, conn *sql.Conn, q *selection) (page Page, err error) {
	after := finding{rank: -1}
	if q.After != "" {
		values, err := readCursor(q.After, "search", false, []any{int64(0), "", ""})
		if err != nil {
			return page, err
		}
		after = finding{int(values[0].(int64)), values[1].(string), values[2].(string)}
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return page, err
	}
	defer func() { _ = tx.Rollback() }()
	found, all, err := c.findAll(ctx, tx, q)
	if err != nil {
		return page, err
	}
	if page.Total = -1; all {
		page.Total = int64(len(found))
		from, _ := slices.BinarySearchFunc(found, after, func(f, after finding) int { return cmp.Or(f.compare(after), -1) })
		found = found[from:]
	} else {
		w := walk{catalog: c, limits: c.limits, db: tx, q: q.others(lead{byWord, 0}), words: q.words, need: q.Skip + q.Limit + 1}
		if found, err = w.from(ctx, after); err != nil {
			return page, err
		}
	}
	found = found[min(q.Skip, len(found)):]
	if len(found) > q.Limit {
		found = found[:q.Limit]
		last := found[q.Limit-1]
		if page.Next, err = (cursor{"search", false, []any{last.rank, last.term, last.id}}).text(); err != nil {
			return page, err
		}
	}
	page.Records, err = inOrder(ctx, tx, found)
	return page, err
}

// inOrder reads the records of findings.
func inOrder(ctx context.Context, db asker, found []finding) ([]Record, error) {
	if len(found) == 0 {
		return nil, nil
	}
	place := map[string]int{}
	var s statement
	s.text(`SELECT `, recordOf, ` FROM records r WHERE r.id IN (`)
	for i, f := range found {
		place[f.id] = i
		s.listed(i, f.id)
	}
	s.text(`)`)
	page, err := queryRecords(ctx, db, s.String(), s.args...)
	slices.SortFunc(page, func(a, b Record) int { return place[a.ID] - place[b.ID] })
	return page, err
}

// few returns the records that meet some conditions, by the rows of these; false when there may be too many, or nothing is to be
// gained by it.
func (c *Catalog) few(ctx context.Context, db asker, q *selection) (ids []string, met []lead, ok bool, err error) {
	met = []lead{q.lead}
	if q.rows[q.lead] > c.limits.probed {
		met = slices.DeleteFunc(slices.Clone(q.leads), func(l lead) bool { return q.rows[l] > c.limits.set })
		if len(met) < 2 {
			return nil, nil, false, nil
		}
	}
	var s statement
	s.text(`SELECT record FROM (`)
	c.meet(&s, q, met, "record", order{}, nil)
	if c.dialect.Merge {
		s.text(` ORDER BY 1`)
	}
	s.text(`) m LIMIT `)
	s.value(c.limits.few + 1)
	err = eachRow(ctx, db, s.String(), s.args, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	ok = len(ids) <= c.limits.few
	slices.Sort(ids)
	return slices.Compact(ids), met, ok, err
}

// findAll returns all that is found, in its ranks; false when it is too much.
func (c *Catalog) findAll(ctx context.Context, db asker, q *selection) (found []finding, all bool, err error) {
	if q.lone() {
		return c.allRows(ctx, db, q)
	}
	ids, met, ok, err := c.few(ctx, db, q)
	if err != nil || !ok || len(ids) == 0 {
		return nil, ok, err
	}
	left := q.others(met...)
	left.words = nil
	at := place{"e.record", inRecord.time}
	var s statement
	s.text(`SELECT e.record, e.term FROM record_terms e`)
	if left.looks() || len(left.keys) > 0 {
		s.text(` CROSS JOIN records r WHERE r.id = e.record AND `)
	} else {
		s.text(` WHERE `)
	}
	s.text(`e.record IN (`)
	list(&s, ids)
	s.text(`)`)
	c.conditions(&s, left, at)
	s.text(` AND `)
	c.matching(&s, q.words)
	terms := matches{words: q.words, of: map[string]match{}}
	err = terms.read(ctx, db, &s)
	return terms.all(), true, err
}

// read adds what a statement selects: records and their terms.
func (m *matches) read(ctx context.Context, db asker, s *statement) error {
	return eachRow(ctx, db, s.String(), s.args, func(rows *sql.Rows) error {
		var record, term string
		err := rows.Scan(&record, &term)
		m.add(record, term)
		return err
	})
}

// allRows is findAll for one word and nothing else: its rows say all.
func (c *Catalog) allRows(ctx context.Context, db asker, q *selection) (found []finding, all bool, err error) {
	if q.rows[q.lead] > c.limits.all {
		return nil, false, nil
	}
	var s statement
	c.wordRows(&s, q.words[0], "t.record, t.term")
	terms := matches{words: q.words, of: map[string]match{}}
	err = terms.read(ctx, db, &s)
	return terms.all(), true, err
}

// matching writes that a term of e may be found by one of the words.
func (c *Catalog) matching(s *statement, words []word) {
	s.text(`(`)
	for i, w := range words {
		if i > 0 {
			s.text(` OR `)
		}
		s.text(c.dialect.Contains, `(e.term, `)
		s.value(w.text)
		s.text(`) > 0`)
		if len(w.similar) > 0 {
			s.text(` OR `, ownTerm, ` IN (`)
			list(s, w.similar)
			s.text(`)`)
		}
	}
	s.text(`)`)
}
