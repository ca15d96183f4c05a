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

// The bounds of a search.
const (
	maxSearchWords = 8    // of a text; more are not read
	maxSimilar     = 20   // similar words that are looked at
	minSimilar     = 4    // characters of a word for which similar ones are looked for
	similarity     = 0.25 // of two words that are similar, at least
	// commonGrams of a word must be those of a similar one, beside the beginning.
	commonGrams = 2
	// gramSample bounds how far the rows of a gram are counted to tell the rarest.
	gramSample = 500
)

// afterAll is behind every character.
const afterAll = "\U0010FFFF"

// word is a word of a search.
type word struct {
	text string
	// inWords and inNumbers are grams of the words, without and with digits, that hold it; empty when no word is looked for so.
	inWords, inNumbers string
	similar            []string // the most similar first; none of them holds it
}

// grams returns those by which words are looked for that hold w.
func (w word) grams() []string {
	return slices.DeleteFunc([]string{w.inWords, w.inNumbers}, func(gram string) bool { return gram == "" })
}

// lookUp reads the words of a search, the longest first.
func (c *Catalog) lookUp(ctx context.Context, db asker, text string) ([]word, error) {
	if text == "" {
		return nil, nil
	}
	var found []word
	for _, w := range words(text) {
		if !slices.ContainsFunc(found, func(f word) bool { return f.text == w }) && len(found) < maxSearchWords {
			found = append(found, word{text: w})
		}
	}
	if len(found) == 0 {
		return nil, refused("search", "it has neither letters nor digits")
	}
	slices.SortStableFunc(found, func(a, b word) int {
		return cmp.Compare(utf8.RuneCountInString(b.text), utf8.RuneCountInString(a.text))
	})
	for i := range found {
		if err := found[i].choose(ctx, db); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// inner returns the grams that every word that holds this one has.
func inner(text string) []string {
	if strings.ContainsFunc(text, dense) {
		return runs([]rune(text), 2, nil)
	}
	return runs([]rune(text), 3, nil)
}

// choose finds the gram of the fewest words.
func (w *word) choose(ctx context.Context, db asker) error {
	all := inner(w.text)
	if len(all) == 0 {
		return nil
	}
	digits := strings.ContainsFunc(w.text, unicode.IsNumber)
	var err error
	if !digits {
		if w.inWords, err = rarest(ctx, db, all); err != nil {
			return err
		}
	}
	for i := range all {
		all[i] = "#" + all[i]
	}
	w.inNumbers, err = rarest(ctx, db, all)
	return err
}

func rarest(ctx context.Context, db asker, grams []string) (string, error) {
	counts, err := countEach(ctx, db, len(grams), gramSample, func(s *statement, i int) {
		s.text(`SELECT 1 FROM grams WHERE gram = `)
		s.value(grams[i])
	})
	if err != nil {
		return "", err
	}
	return grams[slices.Index(counts, slices.Min(counts))], nil
}

// resemble finds the words that are similar.
func (w *word) resemble(ctx context.Context, db asker, contains string) error {
	if utf8.RuneCountInString(w.text) < minSimilar || strings.ContainsFunc(w.text, unicode.IsNumber) {
		return nil
	}
	var s statement
	s.text(`SELECT term FROM grams WHERE gram IN (`)
	list(&s, grams(w.text))
	s.text(`) AND `, contains, `(term, `)
	s.value(w.text)
	s.text(`) = 0 GROUP BY term HAVING COUNT(*) >= `)
	s.value(commonGrams)
	type candidate struct {
		term string
		like float64
	}
	var near []candidate
	err := eachRow(ctx, db, s.String(), s.args, func(rows *sql.Rows) error {
		var term string
		err := rows.Scan(&term)
		if like := alike(w.text, term); like >= similarity {
			near = append(near, candidate{term, like})
		}
		return err
	})
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.like, a.like), strings.Compare(a.term, b.term))
	})
	for _, n := range near[:min(len(near), maxSimilar)] {
		w.similar = append(w.similar, n.term)
	}
	return err
}

// alike is how similar two words are, 0-1: the share of those trigrams that both have of those that either has. Trigrams are
// counted as pg_trgm does (https://www.postgresql.org/docs/15/pgtrgm.html), with two spaces before the word and one behind it.
func alike(a, b string) float64 {
	x, y := runs([]rune("  "+a+" "), 3, nil), runs([]rune("  "+b+" "), 3, nil)
	slices.Sort(x)
	slices.Sort(y)
	x, y = slices.Compact(x), slices.Compact(y)
	all := len(x) + len(y)
	both := all - len(y) - len(without(x, y))
	return float64(both) / float64(all-both)
}

// ownTerm is a term of a record that is looked at anyhow. It is spelled so that no database looks for the term instead, among all
// records: of a common word that is a thousand times as much.
const ownTerm = `(e.term || '')`

// found writes that one of a record's words holds w, or is similar where those are known.
func (c *Catalog) found(s *statement, at place, w word) {
	s.text(` AND EXISTS (SELECT 1 FROM record_terms e WHERE e.record = `, at.id, ` AND (`)
	c.holds(s, ownTerm, w)
	if len(w.similar) > 0 {
		s.text(` OR `, ownTerm, ` IN (`)
		list(s, w.similar)
		s.text(`)`)
	}
	s.text(`))`)
}

// wordRows writes the statement of the rows that a word finds; a record may have several.
func (c *Catalog) wordRows(s *statement, w word, columns string) {
	s.text(`SELECT `, columns, ` FROM record_terms t WHERE `)
	w.begins(s, "t.term")
	for _, gram := range w.grams() {
		s.text(` UNION ALL SELECT `, columns, ` FROM grams g CROSS JOIN record_terms t WHERE t.term = g.term AND g.gram = `)
		s.value(gram)
		s.text(` AND `, c.dialect.Contains, `(g.term, `)
		s.value(w.text)
		s.text(`) > 1`)
	}
	if len(w.similar) > 0 {
		s.text(` UNION ALL SELECT `, columns, ` FROM record_terms t WHERE t.term IN (`)
		list(s, w.similar)
		s.text(`)`)
	}
}

// holds writes that a term begins with w, or holds it where the grams find it.
func (c *Catalog) holds(s *statement, term string, w word) {
	s.text(`(`)
	w.begins(s, term)
	for _, gram := range w.grams() {
		s.text(` OR `)
		c.within(s, term, gram, w)
	}
	s.text(`)`)
}

func (w word) begins(s *statement, term string) {
	s.text(term, ` >= `)
	s.value(w.text)
	s.text(` AND `, term, ` < `)
	s.value(w.text + afterAll)
}

// within writes that a term holds w and has the gram.
func (c *Catalog) within(s *statement, term, gram string, w word) {
	s.text(`(`, c.dialect.Contains, `(`, term, `, `)
	s.value(w.text)
	s.text(`) > 0 AND EXISTS (SELECT 1 FROM grams h WHERE h.gram = `)
	s.value(gram)
	s.text(` AND h.term = `, term, `))`)
}
