package catalog

import (
	"context"
	"database/sql"
	"slices"
)

// walk goes through what the first word of a search finds, in the order of ranks, until it has found as much as is needed.
type walk struct {
	catalog *Catalog
	limits  limits
	db      asker
	q       *selection // without the first word
	words   []word
	need    int
	found   []finding
}

// from returns what is found after a place.
func (w *walk) from(ctx context.Context, after finding) ([]finding, error) {
	if after.rank < rankWords {
		if err := w.beginning(ctx, after); err != nil {
			return nil, err
		}
	}
	first := w.words[0]
	for rank := rankWords; rank <= rankNumbers; rank++ {
		gram := []string{first.inWords, first.inNumbers}[rank-rankWords]
		if gram == "" || rank < after.rank {
			continue
		}
		if err := w.holding(ctx, rank, gram, after); err != nil {
			return nil, err
		}
	}
	return w.found, w.alike(ctx, after)
}

func (w *walk) done() bool { return len(w.found) >= w.need }

// beginning goes through the terms that begin with the word: one range of the index.
func (w *walk) beginning(ctx context.Context, after finding) error {
	for n := w.need + w.need/8 + 1; !w.done(); n *= 2 {
		n = min(n, w.limits.walk)
		var s statement
		w.candidates(&s)
		w.words[0].begins(&s, "t.term")
		w.after(&s, after)
		s.text(` ORDER BY t.term, t.record LIMIT `)
		s.value(n)
		read, err := w.read(ctx, &s, after, func(string) int { return rankBegins })
		if err != nil || len(read) < n {
			return err
		}
		after = read[len(read)-1]
	}
	return nil
}

// candidates writes a statement of terms and records up to its own conditions.
func (w *walk) candidates(s *statement) {
	s.text(`SELECT t.term, t.record FROM record_terms t`)
	at := place{"t.record", inRecord.time}
	if w.q.looks() || len(w.q.keys) > 0 {
		s.text(` CROSS JOIN records r WHERE r.id = t.record`)
	} else {
		s.text(` WHERE TRUE`)
	}
	w.catalog.conditions(s, w.q, at)
	s.text(` AND `)
}

func (w *walk) after(s *statement, after finding) {
	if after.term != "" {
		s.text(` AND (t.term, t.record) > (`)
		list(s, []any{after.term, after.id})
		s.text(`)`)
	}
}

// read reads candidates, and keeps those behind a place that are the best place of their record.
func (w *walk) read(ctx context.Context, s *statement, after finding, rank func(term string) int) (read []finding, err error) {
	err = eachRow(ctx, w.db, s.String(), s.args, func(rows *sql.Rows) error {
		var f finding
		err := rows.Scan(&f.term, &f.id)
		f.rank = rank(f.term)
		read = append(read, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(read, finding.compare)
	for part := range slices.Chunk(read, w.limits.verify) {
		if w.done() {
			break
		}
		if err := w.verify(ctx, part, after); err != nil {
			return nil, err
		}
	}
	return read, nil
}

// verify keeps those of some candidates that are the best place of their record, which all words must find.
func (w *walk) verify(ctx context.Context, part []finding, after finding) error {
	var s statement
	s.text(`SELECT e.record, e.term FROM record_terms e WHERE e.record IN (`)
	for i, f := range part {
		s.listed(i, f.id)
	}
	s.text(`) AND `)
	w.catalog.matching(&s, w.words)
	best := matches{words: w.words, of: map[string]match{}}
	if err := best.read(ctx, w.db, &s); err != nil {
		return err
	}
	for _, f := range part {
		if m := best.of[f.id]; f.compare(after) > 0 && m.best == f && m.words == 1<<len(w.words)-1 {
			w.found = append(w.found, f)
		}
	}
	return nil
}

// counted is a term, the rank in which it is found, and how many rows it has, up to a limit.
type counted struct {
	term string
	rank int
	rows int
}

// holding goes through the terms that hold the word further on, by a gram that they have.
func (w *walk) holding(ctx context.Context, rank int, gram string, after finding) error {
	from := ""
	if rank == after.rank {
		from = after.term
	}
	for begin := `>=`; !w.done(); begin = `>` {
		var s statement
		w.countOf(&s, "g.term")
		s.text(` FROM grams g WHERE g.gram = `)
		s.value(gram)
		s.text(` AND g.term `, begin, ` `)
		s.value(from)
		s.text(` AND `, w.catalog.dialect.Contains, `(g.term, `)
		s.value(w.words[0].text)
		s.text(`) > 1 ORDER BY g.term LIMIT `)
		s.value(w.limits.terms)
		terms, err := w.count(ctx, &s, func(string) int { return rank })
		if err != nil {
			return err
		}
		if err := w.terms(ctx, terms, after); err != nil || len(terms) < w.limits.terms {
			return err
		}
		from = terms[w.limits.terms-1].term
	}
	return nil
}

// alike goes through the similar terms.
func (w *walk) alike(ctx context.Context, after finding) error {
	similar := w.words[0].similar
	if len(similar) == 0 || w.done() {
		return nil
	}
	var s statement
	w.countOf(&s, "m.term")
	s.text(` FROM terms m WHERE m.term IN (`)
	list(&s, similar)
	s.text(`)`)
	terms, err := w.count(ctx, &s, func(term string) int { return rankSimilar + slices.Index(similar, term) })
	if err != nil {
		return err
	}
	slices.SortFunc(terms, func(a, b counted) int { return a.rank - b.rank })
	return w.terms(ctx, slices.DeleteFunc(terms, func(t counted) bool { return t.rank < after.rank }), after)
}

// countOf begins a statement of terms and how many rows each has, which count reads.
func (w *walk) countOf(s *statement, term string) {
	s.text(`SELECT `, term, `, (SELECT COUNT(*) FROM (SELECT 1 FROM record_terms t WHERE t.term = `, term, ` LIMIT `)
	s.value(w.limits.rows)
	s.text(`) x)`)
}

func (w *walk) count(ctx context.Context, s *statement, rank func(term string) int) (terms []counted, err error) {
	err = eachRow(ctx, w.db, s.String(), s.args, func(rows *sql.Rows) error {
		var t counted
		err := rows.Scan(&t.term, &t.rows)
		t.rank = rank(t.term)
		terms = append(terms, t)
		return err
	})
	return terms, err
}

// terms goes through the rows of terms: of several at once while they have few, in parts where one has many.
func (w *walk) terms(ctx context.Context, terms []counted, after finding) error {
	for len(terms) > 0 && !w.done() {
		n, rows := 1, terms[0].rows
		for n < len(terms) && rows+terms[n].rows <= w.limits.rows {
			rows += terms[n].rows
			n++
		}
		if err := w.together(ctx, terms[:n], after); err != nil {
			return err
		}
		terms = terms[n:]
	}
	return nil
}

// together reads the rows of terms in the order of their ranks.
func (w *walk) together(ctx context.Context, terms []counted, after finding) error {
	for !w.done() {
		var s statement
		w.candidates(&s)
		s.text(`t.term IN (`)
		for i, t := range terms {
			s.listed(i, t.term)
		}
		s.text(`)`)
		if len(terms) == 1 {
			if after.rank == terms[0].rank && after.term == terms[0].term {
				s.text(` AND t.record > `)
				s.value(after.id)
			}
			s.text(` ORDER BY t.record LIMIT `)
			s.value(w.limits.walk)
		}
		read, err := w.read(ctx, &s, after, func(term string) int {
			return terms[slices.IndexFunc(terms, func(t counted) bool { return t.term == term })].rank
		})
		if err != nil || len(terms) > 1 || len(read) < w.limits.walk {
			return err
		}
		after = read[len(read)-1]
	}
	return nil
}
