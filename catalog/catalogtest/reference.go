package catalogtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"deckle/catalog"
)

// library is records in memory, and what the documentation of catalog.Query says of them, said plainly.
type library []catalog.Record

// find returns the ids of all that q selects, in its order, whatever its Limit, Skip and After.
func (l library) find(q catalog.Query) []string {
	var found []catalog.Record
	for _, r := range l {
		if selects(q, r) {
			found = append(found, r)
		}
	}
	if q.Search != "" {
		if q.Sort == "" {
			return l.ranked(q.Search, found)
		}
		s := l.search(q.Search)
		found = slices.DeleteFunc(found, func(r catalog.Record) bool {
			return slices.ContainsFunc(s.words, func(w string) bool { return !holdsAny(r, w) })
		})
	}
	slices.SortFunc(found, func(a, b catalog.Record) int {
		d := cmp.Or(compareBy(q.Sort, a, b), strings.Compare(a.ID, b.ID))
		if q.Descending {
			return -d
		}
		return d
	})
	return idsOf(found)
}

func idsOf(records []catalog.Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func selects(q catalog.Query, r catalog.Record) bool {
	own, public := r.Owner == q.Viewer, !r.Private
	switch {
	case q.Scope == catalog.ScopeOwn && !own, q.Scope == catalog.ScopePublic && !public,
		q.Scope == catalog.ScopeVisible && !own && !public,
		len(q.IDs) > 0 && !slices.Contains(q.IDs, r.ID),
		q.File != "" && q.File != r.File, q.Name != "" && q.Name != r.Name,
		q.Tag != "" && !slices.ContainsFunc(r.Tags, func(tag string) bool { return folded(tag) == folded(q.Tag) }),
		q.Label != "" && !slices.ContainsFunc(r.Labels, func(l catalog.Label) bool { return folded(l.Name) == folded(q.Label) }),
		!q.From.IsZero() && !r.Time.After(q.From), !q.To.IsZero() && !r.Time.Before(q.To):
		return false
	}
	if kind, asked := kinds.Load(q.Where); asked && !slices.Contains(atPath(dataOf(r), []string{"kind"}), kind) {
		return false
	}
	for path, want := range q.Data {
		if !slices.Contains(atPath(dataOf(r), strings.Split(path, ".")), any(want)) {
			return false
		}
	}
	return true
}

func dataOf(r catalog.Record) (data any) {
	if r.Data != "" {
		if err := json.Unmarshal([]byte(r.Data), &data); err != nil {
			panic(err)
		}
	}
	return data
}

// atPath returns what a path without numbers leads to: the value, and the elements of it where it is an array.
func atPath(value any, path []string) (all []any) {
	if len(path) == 0 {
		if elements, ok := value.([]any); ok {
			return append(elements, value)
		}
		return []any{value}
	}
	switch v := value.(type) {
	case map[string]any:
		if next, ok := v[path[0]]; ok {
			return atPath(next, path[1:])
		}
	case []any:
		for _, element := range v {
			if object, ok := element.(map[string]any); ok {
				all = append(all, atPath(object, path)...)
			}
		}
	}
	return slices.DeleteFunc(all, func(v any) bool { _, text := v.(string); return !text })
}

func compareBy(sort string, a, b catalog.Record) int {
	switch sort {
	case "", "time":
		return a.Time.Compare(b.Time)
	case "created":
		return a.Created.Compare(b.Created)
	case "bytes":
		return cmp.Compare(a.Bytes, b.Bytes)
	case "file":
		return strings.Compare(a.File, b.File)
	case "name":
		return strings.Compare(a.Name, b.Name)
	case "owner":
		return strings.Compare(a.Owner, b.Owner)
	case "data.n":
		x, y := sortKey(a), sortKey(b)
		return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.number, y.number), strings.Compare(x.text, y.text))
	}
	return 0
}

type dataKey struct {
	kind   int
	number float64
	text   string
}

func sortKey(r catalog.Record) dataKey {
	object, _ := dataOf(r).(map[string]any)
	switch v := object["n"].(type) {
	case float64:
		return dataKey{kind: 1, number: v}
	case string:
		return dataKey{kind: 2, text: v}
	}
	return dataKey{}
}

func folded(text string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(text))))
}

func wordsOf(texts ...string) (all []string) {
	for _, text := range texts {
		word := ""
		for _, r := range folded(text) + " " {
			switch {
			case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
				word += string(r)
			case word != "":
				all = append(all, word)
				word = ""
			}
		}
	}
	return all
}

// memo keeps what was folded: the reference folds the same texts over and over.
var memo sync.Map

func terms(r catalog.Record) []string {
	id := fmt.Sprintf("%q %q %q %v", r.Name, r.File, r.Tags, r.Labels)
	known, ok := memo.Load(id)
	if !ok {
		known, _ = memo.LoadOrStore(id, splitTerms(r))
	}
	return known.([]string)
}

func splitTerms(r catalog.Record) []string {
	texts := append([]string{r.Name, r.File[strings.LastIndexByte(r.File, '/')+1:]}, r.Tags...)
	for _, l := range r.Labels {
		texts = append(texts, l.Name)
	}
	return wordsOf(texts...)
}

// rankOf returns where a term holds a word: 0, 1 or 2, or -1 for nowhere.
func rankOf(term, w string) int {
	numbers := strings.ContainsFunc(term, unicode.IsNumber)
	long := len([]rune(w)) >= 3 || len([]rune(w)) == 2 && strings.ContainsFunc(w, func(r rune) bool { return r >= 0x2E80 })
	switch {
	case strings.HasPrefix(term, w):
		return 0
	case !strings.Contains(term, w) || !long:
		return -1
	case !numbers:
		return 1
	case len([]rune(term)) <= 24:
		return 2
	}
	return -1
}

func holdsAny(r catalog.Record, w string) bool {
	return slices.ContainsFunc(terms(r), func(term string) bool { return rankOf(term, w) >= 0 })
}

// search is a text that is searched for: its words, the longest first, and the words that are similar to each.
type search struct {
	words   []string
	similar [][]string
}

func (l library) search(text string) search {
	var s search
	for _, w := range wordsOf(text) {
		if !slices.Contains(s.words, w) {
			s.words = append(s.words, w)
		}
	}
	slices.SortStableFunc(s.words, func(a, b string) int { return len([]rune(b)) - len([]rune(a)) })
	for _, w := range s.words {
		s.similar = append(s.similar, l.similar(w))
	}
	return s
}

// similar returns the twenty most similar terms of the library that do not hold w.
func (l library) similar(w string) (near []string) {
	if len([]rune(w)) < 4 || strings.ContainsFunc(w, unicode.IsNumber) {
		return nil
	}
	like := map[string]float64{}
	for _, r := range l {
		for _, term := range terms(r) {
			if _, known := like[term]; known || strings.ContainsFunc(term, unicode.IsNumber) || strings.Contains(term, w) {
				continue
			}
			either, both, shared := map[string]bool{}, 0, 0
			for gram := range trigrams(w) {
				either[gram] = true
			}
			for gram := range trigrams(term) {
				if either[gram] {
					both++
					if !strings.HasPrefix(gram, "  ") {
						shared++
					}
				}
				either[gram] = true
			}
			if share := float64(both) / float64(len(either)); share >= 0.25 && shared >= 2 {
				like[term] = share
			}
		}
	}
	for term := range like {
		near = append(near, term)
	}
	slices.SortFunc(near, func(a, b string) int { return cmp.Or(cmp.Compare(like[b], like[a]), strings.Compare(a, b)) })
	return near[:min(len(near), 20)]
}

func trigrams(w string) map[string]bool {
	all, text := map[string]bool{}, []rune("  "+w+" ")
	for i := range len(text) - 2 {
		all[string(text[i:i+3])] = true
	}
	return all
}

// ranked returns the ids of those that a text finds, in the order of Find.
func (l library) ranked(text string, of []catalog.Record) (ids []string) {
	type hit struct {
		rank     int
		term, id string
	}
	s := l.search(text)
	var hits []hit
	for _, r := range of {
		best := hit{rank: 1000}
		for _, term := range terms(r) {
			rank := rankOf(term, s.words[0])
			if rank < 0 {
				if rank = slices.Index(s.similar[0], term); rank < 0 {
					continue
				}
				rank += 3
			}
			if rank < best.rank || rank == best.rank && term < best.term {
				best = hit{rank, term, r.ID}
			}
		}
		others := true
		for i, w := range s.words[1:] {
			others = others && (holdsAny(r, w) || slices.ContainsFunc(terms(r), func(t string) bool { return slices.Contains(s.similar[i+1], t) }))
		}
		if best.rank < 1000 && others {
			hits = append(hits, best)
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(a.rank-b.rank, strings.Compare(a.term, b.term), strings.Compare(a.id, b.id))
	})
	for _, h := range hits {
		ids = append(ids, h.id)
	}
	return ids
}
