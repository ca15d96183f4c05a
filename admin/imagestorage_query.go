package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"deckle/catalog"
	"deckle/filter"
	"deckle/ingest"
)

// storageNames mean something in a query of image-storage-service; all others are names of data. The last three are a token's, or
// ours.
var storageNames = []string{"skip", "limit", "sort", "order", "select", "from", "to", "file", "regex", "filter", "ids", "ids[]", "jwt", "token", "all"}

// queried reads the query of a request of that system. Everything that it says has to hold.
func (s *storageService) queried(r *http.Request) (*imageQuery, error) {
	values, wrong := parsedQuery(r)
	if wrong != nil {
		return nil, wrong
	}
	q := &imageQuery{Query: catalog.Query{Limit: imagePage, Viewer: ownerOf(r.Context())}}
	if q.Viewer != "" {
		q.Scope = catalog.ScopeOwn
	}
	var err error
	if q.To, err = storageMoment(values, "to"); err != nil {
		return nil, err
	}
	if q.From, err = storageMoment(values, "from"); err != nil {
		return nil, err
	}
	ids := slices.Concat(values["ids"], values["ids[]"])
	if len(ids) > 0 {
		if wrong := q.readIDs(ids); wrong != nil {
			return nil, wrong
		}
	}
	if err := q.readStorage(values); err != nil {
		return nil, err
	}
	q.filtered = q.filtered || !q.From.IsZero() || !q.To.IsZero() || !q.Where.Empty() || q.File != ""
	q.all = values.Get("all") == "true"
	return q, nil
}

// readStorage reads what is said of file and data, and the filter.
func (q *imageQuery) readStorage(values url.Values) error {
	regex := values.Get("regex")
	matching := regex != "" && regex != "undefined" && regex != "false" && regex != "0"
	if file := values.Get("file"); file != "" {
		if !matching {
			q.File = file
		} else if err := q.matches("file", file); err != nil {
			return err
		}
	}
	if text := values.Get("filter"); text != "" {
		if !json.Valid([]byte(text)) {
			return badText("Malformed filter")
		}
		if fault := readFilter(q, text); fault != "" {
			return badText("Malformed filter: " + fault)
		}
	}
	if matching {
		for name, given := range values {
			if slices.Contains(storageNames, name) {
				continue
			}
			for _, pattern := range given {
				if err := q.matches("data."+name, pattern); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return q.readEqualities(values)
}

func (q *imageQuery) matches(path, pattern string) error {
	f, err := filter.Regex(path, pattern, "i", catalog.Columns())
	if err != nil {
		return badText("Malformed regular expression: " + filterFault(err))
	}
	q.Where = filter.And(q.Where, f)
	return nil
}

// readEqualities reads the names of data. As in the query parser of that system a[b] is b within a, and a name that is given more
// than once, or ends in [], is a list.
func (q *imageQuery) readEqualities(values url.Values) error {
	wanted := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if slices.Contains(storageNames, name) {
			continue
		}
		top, below, _ := strings.Cut(name, "[")
		path, list, ok := fieldPath("x[" + below)
		if below == "" {
			path, list, ok = []string{"x"}, false, true
		}
		if !ok || top == "" {
			return badText("Malformed parameter " + bounded(name))
		}
		var value any = values[name]
		if len(values[name]) == 1 && !list {
			value = values[name][0]
		}
		if !setPath(wanted, append([]string{"data." + top}, path[1:]...), value) {
			return badText("Malformed parameter " + bounded(name))
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	text, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	where, err := filter.Parse(text, catalog.Columns())
	if err != nil {
		return badText("Malformed parameter: " + filterFault(err))
	}
	q.Where = filter.And(q.Where, where)
	return nil
}

// storageList is an answer of GET /images. skip and limit are said as they were asked, or as that system's defaults are.
type storageList struct {
	Total  int64       `json:"total"`
	Skip   any         `json:"skip"`
	Limit  any         `json:"limit"`
	Items  []imageItem `json:"items"`
	Select string      `json:"select,omitempty"`
}

func (s *storageService) list(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queried(r)
	if err != nil {
		return err
	}
	values := r.URL.Query()
	body := storageList{Skip: "0", Limit: imagePage, Items: []imageItem{}, Select: values.Get("select")}
	if err := q.readPage(values, &body); err != nil {
		return err
	}
	page, err := s.Images.Records.Find(r.Context(), q.Query)
	if err != nil {
		return err
	}
	if body.Total = page.Total; page.Total < 0 || page.AtLeast {
		if body.Total, err = s.Images.Records.Count(r.Context(), q.Query); err != nil {
			return err
		}
	}
	for _, record := range page.Records {
		text, err := json.Marshal(documentOf(record))
		if err != nil {
			return err
		}
		body.Items = append(body.Items, imageItem(q.selected.of(text)))
	}
	return sayJSON(w, body)
}

// readPage reads skip, limit, sort, order and select.
func (q *imageQuery) readPage(values url.Values, body *storageList) error {
	if text := values.Get("skip"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return badText(`Parameter "skip" is not a number`)
		}
		q.Skip, body.Skip = n, text
	}
	if text := values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return badText(`Parameter "limit" is not a number`)
		}
		if n == 0 || n > maxImagePage {
			n = maxImagePage
		}
		q.Limit, body.Limit = n, text
	}
	switch q.Sort = values.Get("sort"); q.Sort {
	case "_id":
		q.Sort = "id"
	case "userId":
		q.Sort = "owner"
	}
	if text := values.Get("order"); text != "" && readOrder(q, text) != "" {
		return badText(`Parameter "order" is not 1 or -1`)
	}
	if fault := readSelection(q, body.Select); fault != "" {
		return badText(`Parameter "select": ` + fault)
	}
	return nil
}

// meant is the query of a change.
func (s *storageService) meant(r *http.Request) (catalog.Query, error) {
	q, err := s.queried(r)
	if err == nil && s.DemandAll && !q.filtered && !q.all {
		err = badText("Nothing says which images are meant: say all=true to mean all")
	}
	if err != nil {
		return catalog.Query{}, err
	}
	return q.whole(), nil
}

// storageUpdate is what that system's driver says of an update.
type storageUpdate struct {
	Acknowledged bool    `json:"acknowledged"`
	Modified     int64   `json:"modifiedCount"`
	UpsertedID   *string `json:"upsertedId"`
	Upserted     int64   `json:"upsertedCount"`
	Matched      int64   `json:"matchedCount"`
}

func (s *storageService) patchMany(w http.ResponseWriter, r *http.Request) error {
	q, err := s.meant(r)
	if err != nil {
		return err
	}
	patch, err := storagePatch(r)
	if err != nil {
		return err
	}
	body, err := s.patchAll(r.Context(), q, patch)
	if err != nil {
		return err
	}
	return sayJSON(w, storageUpdate{Acknowledged: true, Modified: body.Changed, Matched: body.Matched})
}

func (s *storageService) deleteMany(w http.ResponseWriter, r *http.Request) error {
	q, err := s.meant(r)
	if err != nil {
		return err
	}
	body, err := s.deleteAll(r.Context(), q)
	if err != nil {
		return err
	}
	if len(body.Failed) > 0 {
		return &textRefusal{http.StatusInternalServerError, strconv.FormatInt(body.Deleted, 10) + " images were deleted, and " + strconv.Itoa(len(body.Failed)) + " could not be: " + body.Failed[0].Problem.Detail}
	}
	return sayJSON(w, map[string]int64{"item_count": body.Deleted})
}

func isNoImage(err error) bool { return errors.Is(err, ingest.ErrNoImage) }
