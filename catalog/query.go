package catalog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"deckle/filter"
)

// What callers branch on when they search and change records in numbers.
var (
	// ErrQuery is what a query is refused with; the error is a QueryError.
	ErrQuery = errors.New("catalog: query refused")
	// ErrPatch says that a patch cannot be done to a record, and why.
	ErrPatch = errors.New("catalog: patch refused")
	// ErrSlow says that a query took too long and was given up.
	ErrSlow = errors.New("catalog: the query takes too long; narrow it by tag, label, owner, file, name, ids or time")
	// ErrFile says that the owner has another picture of that file name.
	ErrFile = errors.New("catalog: the owner has another picture of that file name")
	// ErrData says that a record's data is no JSON object that can be kept, and why.
	ErrData = errors.New("catalog: data refused")
)

// QueryError says which field of a Query is wrong. Its texts may be shown to whoever asked.
type QueryError struct {
	Field   string // as Query spells it, in lower case: "sort", "after", "limit"
	Problem string
}

func (e *QueryError) Error() string { return fmt.Sprintf("%v: %s: %s", ErrQuery, e.Field, e.Problem) }

// Unwrap returns ErrQuery.
func (e *QueryError) Unwrap() error { return ErrQuery }

func refused(field, format string, args ...any) error {
	return &QueryError{field, fmt.Sprintf(format, args...)}
}

// Scope says whose records a query selects.
type Scope int

// The scopes.
const (
	ScopeAll     Scope = iota // everybody's
	ScopeOwn                  // the viewer's
	ScopePublic               // those that are not private
	ScopeVisible              // the viewer's, and those that are not private
)

// The bounds of a page, records.
const (
	DefaultPage = 100
	MaxPage     = 1000
	// MaxSkip bounds Skip: what is skipped has to be read. Cursors reach everything.
	MaxSkip = 100_000
	// MaxIDs bounds IDs.
	MaxIDs = 1000
)

// Query selects records: those that every field that is set lets through. The zero Query is every record.
type Query struct {
	Where *filter.Filter // made with Columns
	IDs   []string
	// File and Name are exact. Tag and Label are compared case-folded, in NFKC.
	File, Name, Tag, Label string
	// Data maps dotted paths in data to a text that must be there: the value, or an element of it where it is an array.
	Data     map[string]string
	From, To time.Time // of Time, both exclusive; zero is open
	Search   string    // words that must all be found; see Find
	Viewer   string
	Scope    Scope

	// Sort is "time" (when empty), "id", "file", "name", "created", "updated", "bytes", "width", "height", "format", "owner", or
	// "data.a.b". What has no value in data comes first, then numbers, then texts by their bytes. Those that are equal are sorted by
	// id. time, id, created and updated are sorted by an index, the others by reading all that is selected.
	Sort       string
	Descending bool
	Limit      int    // DefaultPage when 0, MaxPage at most
	Skip       int    // MaxSkip at most
	After      string // Next of the page before
	NoTotal    bool
}

// Page is a part of what a query selects.
type Page struct {
	Records []Record
	// Total is how many are selected in all; -1 when it was not asked for or could not be counted in time. Where indexes say it
	// alone, which is for Tag, Label, File, Name, plain paths of Data, ScopeOwn and a time, together or not, or for ScopePublic and
	// a time, it is exact up to TotalBound. Where records have to be looked at it is exact while one of the things that are asked
	// for holds for LookBound of them at most; beyond that, those that are selected among LookBound of these are counted. A
	// search for one word is counted up to SearchBound findings.
	Total int64
	// AtLeast says that Total is a lower bound.
	AtLeast bool
	// Next is the After of the next page; empty when this is the last one. It stays good when records come and go.
	Next string
}

// How far Find counts; Count has no bound.
const (
	TotalBound  = 10_000
	LookBound   = 3000
	SearchBound = 2000
)

// Columns are the paths that a filter may ask for.
func Columns() filter.Columns {
	return filter.Columns{
		"_id": {SQL: "r.id", Kind: filter.Text}, "id": {SQL: "r.id", Kind: filter.Text},
		"file": {SQL: "r.file", Kind: filter.Text}, "name": {SQL: "r.name", Kind: filter.Text},
		"owner": {SQL: "r.owner", Kind: filter.Text}, "userId": {SQL: "r.owner", Kind: filter.Text},
		"format": {SQL: "r.format", Kind: filter.Text}, "sha256": {SQL: "r.sha256", Kind: filter.Text}, "md5": {SQL: "r.md5", Kind: filter.Text},
		"time": {SQL: "r.time", Kind: filter.Time}, "created": {SQL: "r.created", Kind: filter.Time}, "updated": {SQL: "r.updated", Kind: filter.Time},
		"bytes": {SQL: "r.bytes", Kind: filter.Number}, "width": {SQL: "r.width", Kind: filter.Number}, "height": {SQL: "r.height", Kind: filter.Number},
		"private": {SQL: "r.private", Kind: filter.Bool}, "tags": {SQL: "r.tags", Kind: filter.Strings}, "data": {SQL: "r.data", Kind: filter.JSON},
	}
}

// check refuses what no page can be made of, and sets the defaults.
func (q Query) check() (Query, error) {
	switch {
	case q.Limit < 0 || q.Limit > MaxPage:
		return q, refused("limit", "a number from 1 to %d", MaxPage)
	case q.Skip < 0 || q.Skip > MaxSkip:
		return q, refused("skip", "a number from 0 to %d; a cursor reaches what is further on", MaxSkip)
	case len(q.IDs) > MaxIDs:
		return q, refused("ids", "at most %d", MaxIDs)
	case (q.Scope == ScopeOwn || q.Scope == ScopeVisible) && q.Viewer == "":
		return q, refused("scope", "nobody in particular owns nothing")
	}
	if q.Limit == 0 {
		q.Limit = DefaultPage
	}
	return q, nil
}

// keys returns what the index must hold of a record for the query to select it. Paths in data that count the elements of an array
// are not in it; they are left to the filter returned.
func (q Query) keys() (keys []string, rest *filter.Filter, err error) {
	add := func(kind, text string) {
		if text != "" {
			keys = append(keys, key(kind, text))
		}
	}
	add(keyFile, q.File)
	for _, path := range slices.Sorted(maps.Keys(q.Data)) {
		f, err := filter.Equal("data."+path, q.Data[path], Columns())
		if err != nil {
			return nil, nil, errors.Join(refused("data", "%v", err))
		}
		if plainPath(path) {
			keys = append(keys, key(keyData, path+separator+q.Data[path]))
		} else {
			rest = filter.And(rest, f)
		}
	}
	add(keyName, q.Name)
	add(keyTag, fold(q.Tag))
	add(keyLabel, fold(q.Label))
	return keys, rest, nil
}

// plainPath tells paths of which no part counts the elements of an array.
func plainPath(path string) bool {
	for part := range strings.SplitSeq(path, ".") {
		if part == "" || strings.Trim(part, "0123456789") == "" {
			return false
		}
	}
	return true
}
