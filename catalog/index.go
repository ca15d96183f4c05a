package catalog

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"deckle/filter"
)

// What the index has of a record, by which it is found as a whole: each is a kind and a text.
const (
	keyTag   = "t" // folded
	keyLabel = "l" // folded
	keyName  = "n"
	keyFile  = "f"
	keyData  = "d" // a dotted path in data, separator, and a text that is there
)

const (
	separator = "\x1f"
	// maxKey bounds keys, bytes: pages of an index hold little. Of a longer one the index has the beginning and a hash.
	maxKey = 300
	// maxDataTexts bounds the texts in the data of one record: each is in the index.
	maxDataTexts = 1000
)

func key(kind, text string) string {
	k := kind + separator + storable(text)
	if len(k) <= maxKey {
		return k
	}
	sum := sha256.Sum256([]byte(k))
	return strings.ToValidUTF8(k[:maxKey-65], "") + separator + hex.EncodeToString(sum[:])
}

// storable is text as both databases hold it: UTF-8 without NUL.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// storableData is a record's data as filters read it; empty stays empty.
func storableData(data string) (string, error) {
	if data == "" {
		return "", nil
	}
	text, err := filter.Canonical([]byte(data))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrData, err)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return "", fmt.Errorf("%w: %w", ErrData, err)
	}
	texts := 0
	eachText(object, "", func(string, string) { texts++ })
	if texts > maxDataTexts {
		return "", fmt.Errorf("%w: it has more than %d texts", ErrData, maxDataTexts)
	}
	return text, nil
}

// fold is text without the differences that people do not see: of case, of width, of composition.
func fold(text string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(storable(text)))))
}

// keysOf returns the keys of a record, sorted, each once.
func keysOf(r Record) []string {
	var keys []string
	for _, tag := range r.Tags {
		keys = append(keys, key(keyTag, fold(tag)))
	}
	for _, l := range r.Labels {
		keys = append(keys, key(keyLabel, fold(l.Name)))
	}
	if r.Name != "" {
		keys = append(keys, key(keyName, r.Name))
	}
	if r.File != "" {
		keys = append(keys, key(keyFile, r.File))
	}
	var data map[string]any
	if r.Data != "" && json.Unmarshal([]byte(r.Data), &data) == nil {
		eachText(data, "", func(path, text string) { keys = append(keys, key(keyData, path+separator+text)) })
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// eachText calls do with each text in a JSON value and its dotted path, which does not count the elements of arrays. An array in
// an array is not looked into: a path without numbers does not lead there.
func eachText(value any, path string, do func(path, text string)) {
	switch v := value.(type) {
	case string:
		do(path, v)
	case map[string]any:
		for name, value := range v {
			if name != "" && !strings.Contains(name, ".") { // no path leads to others
				eachText(value, strings.TrimPrefix(path+"."+name, "."), do)
			}
		}
	case []any:
		for _, element := range v {
			if _, nested := element.([]any); !nested {
				eachText(element, path, do)
			}
		}
	}
}

// The bounds of what is found by words.
const (
	maxTerms = 200 // of a record
	maxTerm  = 64  // characters
	// maxIdentifier is how long a word with digits may be to be found by its middle, characters. Longer ones are hashes and the
	// like, which nobody searches so, and of which each would take as many rows as it has characters.
	maxIdentifier = 24
)

// termsOf returns the words by which a record is found, sorted, each once: those of its name, of the last part of its file, of its
// tags and its labels.
func termsOf(r Record) []string {
	texts := append([]string{r.Name, r.File[strings.LastIndexByte(r.File, '/')+1:]}, r.Tags...)
	for _, l := range r.Labels {
		texts = append(texts, l.Name)
	}
	var terms []string
	for _, text := range texts {
		terms = append(terms, words(text)...)
	}
	terms = terms[:min(len(terms), maxTerms)]
	slices.Sort(terms)
	return slices.Compact(terms)
}

// words splits a text where it has neither letters nor digits, and folds the parts.
func words(text string) []string {
	parts := strings.FieldsFunc(fold(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	for i, part := range parts {
		parts[i] = cut(part, maxTerm)
	}
	return parts
}

// cut returns the first n characters.
func cut(text string, n int) string {
	for i := range text {
		if n--; n < 0 {
			return text[:i]
		}
	}
	return text
}

// grams returns the parts of a word by which it is found: each three characters in a row, and each two where the writing puts no
// spaces between words. Those of a word with digits are told from those of words, which are many fewer, and a word without digits
// has its beginning and its end, too.
func grams(term string) []string {
	mark, edges := "", " "+term+" "
	if strings.ContainsFunc(term, unicode.IsNumber) {
		mark, edges = "#", term
		if utf8.RuneCountInString(term) > maxIdentifier {
			return nil
		}
	}
	all := runs([]rune(edges), 3, nil)
	if strings.ContainsFunc(term, dense) {
		all = runs([]rune(term), 2, all)
	}
	for i := range all {
		all[i] = mark + all[i]
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func runs(text []rune, n int, to []string) []string {
	for i := 0; i+n <= len(text); i++ {
		to = append(to, string(text[i:i+n]))
	}
	return to
}

// dense tells characters of which two say as much as a word: Han, Kana, Hangul and their kin, which begin at U+2E80.
func dense(r rune) bool { return r >= 0x2E80 }

// index lets what is found of a record be what it says now; former is what it said, nil for nothing.
func index(ctx context.Context, tx *sql.Tx, former *Record, now Record) error {
	keys, terms := keysOf(now), termsOf(now)
	if former != nil {
		if err := unindex(ctx, tx, *former, now, keys, terms); err != nil {
			return err
		}
	}
	if err := insertRows(ctx, tx, `INSERT INTO record_keys (key, time, record)`, len(keys), func(s *statement, i int) {
		list(s, []any{keys[i], millis(now.Time), now.ID})
	}); err != nil {
		return err
	}
	if err := learn(ctx, tx, terms); err != nil {
		return err
	}
	return insertRows(ctx, tx, `INSERT INTO record_terms (term, record)`, len(terms), func(s *statement, i int) {
		list(s, []any{terms[i], now.ID})
	})
}

// unindex takes out of the index what former had and now has not.
func unindex(ctx context.Context, tx *sql.Tx, former, now Record, keys, terms []string) error {
	if !former.Time.Equal(now.Time) {
		keys = nil
	}
	goneKeys, goneTerms := without(keysOf(former), keys), without(termsOf(former), terms)
	if len(goneKeys) > 0 {
		var s statement
		s.text(`DELETE FROM record_keys WHERE record = `)
		s.value(now.ID)
		s.text(` AND time = `)
		s.value(millis(former.Time))
		s.text(` AND key IN (`)
		list(&s, goneKeys)
		s.text(`)`)
		if _, err := tx.ExecContext(ctx, s.String(), s.args...); err != nil {
			return err
		}
	}
	if len(goneTerms) == 0 {
		return nil
	}
	var s statement
	s.text(`DELETE FROM record_terms WHERE record = `)
	s.value(now.ID)
	s.text(` AND term IN (`)
	list(&s, goneTerms)
	s.text(`)`)
	if _, err := tx.ExecContext(ctx, s.String(), s.args...); err != nil {
		return err
	}
	return forget(ctx, tx, goneTerms)
}

// without returns the members of a that b has not; both are sorted.
func without(a, b []string) []string {
	return slices.DeleteFunc(a, func(s string) bool {
		_, found := slices.BinarySearch(b, s)
		return found
	})
}

// learn adds the terms that are new, sorted, so that two that learn the same ones wait for each other in one order.
func learn(ctx context.Context, tx *sql.Tx, terms []string) error {
	if len(terms) == 0 {
		return nil
	}
	var s statement
	s.text(`INSERT INTO terms (term) VALUES `)
	for i, term := range terms {
		if i > 0 {
			s.text(`, `)
		}
		s.text(`(`)
		s.value(term)
		s.text(`)`)
	}
	s.text(` ON CONFLICT DO NOTHING RETURNING term`)
	pairs, err := gramsOf(ctx, tx, s)
	if err != nil {
		return err
	}
	return insertRows(ctx, tx, `INSERT INTO grams (gram, term)`, len(pairs), func(s *statement, i int) { list(s, pairs[i][:]) })
}

// forget takes out terms that no record has any more.
func forget(ctx context.Context, tx *sql.Tx, terms []string) error {
	if len(terms) == 0 {
		return nil
	}
	var s statement
	s.text(`DELETE FROM terms WHERE term IN (`)
	list(&s, terms)
	s.text(`) AND NOT EXISTS (SELECT 1 FROM record_terms t WHERE t.term = terms.term) RETURNING term`)
	pairs, err := gramsOf(ctx, tx, s)
	for chunk := range slices.Chunk(pairs, rowsAtOnce) {
		var s statement
		s.text(`DELETE FROM grams WHERE (gram, term) IN (VALUES `)
		for i, pair := range chunk {
			if i > 0 {
				s.text(`, `)
			}
			s.text(`(`)
			list(&s, pair[:])
			s.text(`)`)
		}
		s.text(`)`)
		if _, err := tx.ExecContext(ctx, s.String(), s.args...); err != nil {
			return err
		}
	}
	return err
}

// gramsOf returns the grams, each with its term, of the terms that a statement returns.
func gramsOf(ctx context.Context, tx *sql.Tx, s statement) (pairs [][2]string, err error) {
	err = eachRow(ctx, tx, s.String(), s.args, func(rows *sql.Rows) error {
		var term string
		if err := rows.Scan(&term); err != nil {
			return err
		}
		for _, gram := range grams(term) {
			pairs = append(pairs, [2]string{gram, term})
		}
		return nil
	})
	return pairs, err
}

// rowsAtOnce bounds the rows of one statement.
const rowsAtOnce = 200

// insertRows inserts n rows, of which those that are there are left alone.
func insertRows(ctx context.Context, tx *sql.Tx, into string, n int, row func(s *statement, i int)) error {
	for first := 0; first < n; first += rowsAtOnce {
		var s statement
		s.text(into, ` VALUES `)
		for i := first; i < min(n, first+rowsAtOnce); i++ {
			if i > first {
				s.text(`, `)
			}
			s.text(`(`)
			row(&s, i)
			s.text(`)`)
		}
		s.text(` ON CONFLICT DO NOTHING`)
		if _, err := tx.ExecContext(ctx, s.String(), s.args...); err != nil {
			return err
		}
	}
	return nil
}
