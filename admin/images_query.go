package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"deckle/catalog"
	"deckle/filter"
)

// The bounds of a query.
const (
	maxIDs      = 1000
	maxDataKeys = 32
	maxFilter   = 16 << 10 // bytes
)

// imageQuery is what a request asks for, read.
type imageQuery struct {
	catalog.Query
	selected selection
	filtered bool // something says which pictures are meant
	all      bool // the caller says that it may be all
}

// queryName is one of the names that a query may have beside data.
type queryName struct {
	name, kind, text string
	pages            bool // it says which of the pictures are answered and how, and not which are meant
	read             func(q *imageQuery, value string) (fault string)
}

// queryNames are reserved: data of these names is asked for as data.NAME, as is all other data.
var queryNames = []queryName{
	{"file", "string", "The path-like name.", false, func(q *imageQuery, v string) string { q.File = v; return "" }},
	{"name", "string", "The name for people.", false, func(q *imageQuery, v string) string { q.Name = v; return "" }},
	{"tag", "string", "One of the tags, in any letter case.", false, func(q *imageQuery, v string) string { q.Tag = v; return "" }},
	{"label", "string", "One of the labels, in any letter case.", false, func(q *imageQuery, v string) string { q.Label = v; return "" }},
	{"q", "string", "Words of name, file, tags and labels: those that begin so come first, then those that hold it, then similar ones.", false, func(q *imageQuery, v string) string { q.Search = v; return "" }},
	{"from", "string", "Of a later time than this, as in 2026-11-21T10:00:00Z or 2026-11-21.", false, readTime(func(q *imageQuery) *time.Time { return &q.From })},
	{"to", "string", "Of an earlier time than this.", false, readTime(func(q *imageQuery) *time.Time { return &q.To })},
	{"ids", "string", "One or more ids, separated by commas, or given more than once.", false, nil},
	{"filter", "string", `A filter as MongoDB has them, as in {"data.score": {"$gt": 5}}.`, false, readFilter},
	{"scope", "string", "own, public or all; users see their own unless they say otherwise, and change nothing but their own.", false, nil},
	{"all", "boolean", "Say true to mean all pictures, where nothing else says which.", false, readAll},
	{"limit", "integer", "The length of the page, up to 1000; 100 unless given.", true, readNumber("limit", 1, maxImagePage, func(q *imageQuery) *int { return &q.Limit })},
	{"skip", "integer", "How many are passed over.", true, readNumber("skip", 0, 1<<31-1, func(q *imageQuery) *int { return &q.Skip })},
	{"after", "string", "What next of the page before says: better than skip, as nothing is missed when pictures come meanwhile.", true, func(q *imageQuery, v string) string { q.After = v; return "" }},
	{"sort", "string", "time (unless given), id, file, name, created, updated, bytes, width, height, format, owner, or data.a.b.", true, func(q *imageQuery, v string) string { q.Sort = v; return "" }},
	{"order", "string", "asc (unless given) or desc.", true, readOrder},
	{"select", "string", "What is in the answer, as in file,data.a; or, with a minus before each, what is not.", true, readSelection},
}

func readTime(at func(*imageQuery) *time.Time) func(*imageQuery, string) string {
	return func(q *imageQuery, value string) string {
		when, ok := parseTime(value)
		if !ok {
			return "it is a time as in 2026-11-21T10:00:00Z, or a day as in 2026-11-21"
		}
		*at(q) = when
		return ""
	}
}

// timeForms are how times may be written; without a zone they are UTC.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02T15:04", "2006-01-02 15:04:05.999", "2006-01-02",
	"2006-01-02T15:04:05.999Z0700", time.RFC1123, time.RFC1123Z,
}

// parseTime reads a time, to the millisecond.
func parseTime(text string) (time.Time, bool) {
	for _, form := range timeForms {
		if when, err := time.Parse(form, text); err == nil && when.Year() >= 1 && when.Year() <= 9999 {
			return when.UTC().Truncate(time.Millisecond), true
		}
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) >= 9 && ms > -62e12 && ms < 253e12 {
		return time.UnixMilli(ms).UTC(), true
	}
	return time.Time{}, false
}

func readFilter(q *imageQuery, value string) string {
	if len(value) > maxFilter {
		return "a filter has at most 16384 bytes"
	}
	where, err := filter.Parse([]byte(value), catalog.Columns())
	if err != nil {
		return filterFault(err)
	}
	q.Where = filter.And(q.Where, where)
	return ""
}

// filterFault says what is wrong with a filter, in the words of that package.
func filterFault(err error) string {
	var found *filter.Error
	if !errors.As(err, &found) {
		return "it is no filter"
	}
	said := found.Problem
	if found.Path != "" {
		said = found.Path + ": " + said
	}
	if found.Hint != "" {
		said += "; " + found.Hint
	}
	return said
}

func readNumber(name string, least, most int, at func(*imageQuery) *int) func(*imageQuery, string) string {
	return func(q *imageQuery, value string) string {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return name + " is a whole number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
		}
		*at(q) = n
		return ""
	}
}

func readOrder(q *imageQuery, value string) string {
	switch strings.ToLower(value) {
	case "asc", "ascending", "1":
		q.Descending = false
	case "desc", "descending", "-1":
		q.Descending = true
	default:
		return "it is asc or desc"
	}
	return ""
}

func readSelection(q *imageQuery, value string) (fault string) {
	q.selected, fault = parseSelection(value)
	return fault
}

func readAll(q *imageQuery, value string) string {
	if value != "true" && value != "false" {
		return "it is true or false"
	}
	q.all = value == "true"
	return ""
}

// readQuery reads what a request asks for. Names that are not in the table, and no data, are refused: a name with a mistake in it
// would mean all pictures.
func readQuery(values url.Values) (*imageQuery, *problem) {
	q := &imageQuery{Query: catalog.Query{Limit: imagePage}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		if path, ok := strings.CutPrefix(name, "data."); ok {
			if wrong := q.readData(path, name, given); wrong != nil {
				return nil, wrong
			}
			continue
		}
		if name == "ids" || name == "ids[]" {
			if wrong := q.readIDs(given); wrong != nil {
				return nil, wrong
			}
			continue
		}
		i := slices.IndexFunc(queryNames, func(n queryName) bool { return n.name == name })
		switch {
		case i < 0:
			return nil, newProblem(http.StatusBadRequest, bounded(name), "It is no name of a query. What is in data is asked for as data."+bounded(name)+"=.")
		case len(given) != 1:
			return nil, fieldProblem(name, "it is given more than once")
		case queryNames[i].read == nil || given[0] == "" && name != "all":
			continue // an empty field of a form; scope is read by whoever knows the caller
		}
		if fault := queryNames[i].read(q, given[0]); fault != "" {
			return nil, fieldProblem(name, fault)
		}
		q.filtered = q.filtered || !queryNames[i].pages && name != "all" && (name != "filter" || !q.Where.Empty())
	}
	return q, nil
}

// bounded bounds what an answer repeats of a request.
func bounded(text string) string { return strings.ToValidUTF8(text[:min(len(text), 64)], "?") }

func (q *imageQuery) readData(path, name string, given []string) *problem {
	if path == "" || strings.Contains("."+path+".", "..") {
		return fieldProblem(bounded(name), "data is named as in data.a or data.a.b")
	}
	if len(given) != 1 {
		return fieldProblem(bounded(name), `it is given more than once; for one of several values say filter={"`+bounded(name)+`": {"$in": [...]}}`)
	}
	if len(q.Data) == maxDataKeys {
		return fieldProblem(bounded(name), "at most 32 names of data can be asked for")
	}
	if q.Data == nil {
		q.Data = map[string]string{}
	}
	q.Data[path], q.filtered = given[0], true
	return nil
}

func (q *imageQuery) readIDs(given []string) *problem {
	for _, some := range given {
		for id := range strings.SplitSeq(some, ",") {
			if id != "" {
				q.IDs = append(q.IDs, id)
			}
		}
	}
	if len(q.IDs) > maxIDs {
		return fieldProblem("ids", "at most 1000 ids can be asked for at once")
	}
	if len(q.IDs) == 0 {
		return fieldProblem("ids", "it names no id")
	}
	q.filtered = true
	return nil
}

// readable is the query of a request that reads, confined to what its caller sees.
func readable(ctx context.Context, values url.Values) (*imageQuery, *problem) {
	q, wrong := readQuery(values)
	if wrong != nil {
		return nil, wrong
	}
	q.Viewer = ownerOf(ctx)
	switch scope := values.Get("scope"); {
	case scope == "" && q.Viewer != "", scope == "own":
		q.Scope = catalog.ScopeOwn
	case scope == "public":
		q.Scope = catalog.ScopePublic
	case scope == "all" && q.Viewer != "":
		q.Scope = catalog.ScopeVisible
	case scope == "" || scope == "all":
	default:
		return nil, fieldProblem("scope", "it is own, public or all")
	}
	return q, nil
}

// changeable is the query of a request that changes what it finds: of a user nothing but their own. Something has to say which.
func changeable(ctx context.Context, values url.Values) (*imageQuery, *problem) {
	q, wrong := readable(ctx, values)
	if wrong != nil {
		return nil, wrong
	}
	if q.Viewer != "" && q.Scope != catalog.ScopeOwn {
		return nil, fieldProblem("scope", "users change nothing but their own")
	}
	for _, n := range queryNames {
		if n.pages && values.Has(n.name) {
			return nil, fieldProblem(n.name, "it belongs to a list; a change is of all that are meant")
		}
	}
	if !q.filtered && !q.all {
		return nil, newProblem(http.StatusBadRequest, "all", "Nothing says which pictures are meant. Name them, as in ids= or data.x=, or say all=true.")
	}
	q.Limit = 0
	return q, nil
}
