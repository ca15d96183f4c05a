package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"deckle/cache"
	"deckle/origin"
)

// purgeRequest asks for a purge. An unknown member is refused: a slip of the pen must not purge something else.
type purgeRequest struct {
	cache.Scope
	Soft bool `json:"soft,omitempty"`
}

const maxPurgeRequest = 16 << 10 // bytes

// purge answers POST /purge: {"prefix": "products/"} -> what was done; 502 when something of the scope may be left.
func (a *Admin) purge(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPurgeRequest))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "The body is larger than a purge request can be.")
		return
	}
	asked, field, hint := parsePurge(body)
	if field != "" {
		refuseField(w, field, hint)
		return
	}
	report, err := a.Purging.Purge(r.Context(), asked.Scope, asked.Soft)
	if err != nil {
		a.refuseError(w, r, err)
		return
	}
	if report.Complete {
		answer(w, http.StatusOK, report)
		return
	}
	const detail = "The purge is not complete: some of it may be left where an error is named. Repeat it."
	send(w, http.StatusBadGateway, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Error  string `json:"error"`
		PurgeReport
	}{http.StatusText(http.StatusBadGateway), http.StatusBadGateway, detail, detail, report})
}

var unknownMember = regexp.MustCompile(`unknown field "(.*)"`)

// parsePurge reads a request; field names what is wrong with it.
func parsePurge(body []byte) (asked purgeRequest, field, hint string) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&asked)
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil && decoder.More():
		return asked, "body", "it goes on behind the JSON object"
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return asked, mistyped.Field[strings.LastIndexByte(mistyped.Field, '.')+1:], "it is no " + mistyped.Type.String()
	case err != nil:
		if name := unknownMember.FindStringSubmatch(err.Error()); name != nil {
			return asked, name[1], "it is unknown; source, prefix, tag, all and soft are known"
		}
		return asked, "body", `it is no JSON object as in {"prefix": "products/"}`
	}
	field, hint = checkScope(asked.Scope)
	return asked, field, hint
}

// checkScope holds a scope against the grammar of ids.
func checkScope(s cache.Scope) (field, hint string) {
	var wrong *cache.ScopeError
	if err := s.Check(); errors.As(err, &wrong) {
		return wrong.Field, wrong.Hint
	}
	tag, _ := url.PathUnescape(s.Tag) // checked
	for _, part := range []struct{ field, id string }{
		{"source", s.Source}, {"prefix", strings.TrimSuffix(s.Prefix, "/")}, {"tag", strings.TrimSuffix(tag, "/")},
	} {
		given := map[string]string{"source": s.Source, "prefix": s.Prefix, "tag": s.Tag}[part.field]
		if given != "" && origin.CheckID(part.id) != nil {
			return part.field, "it is outside the grammar of ids: 1 to 8 segments joined by /, of letters, digits and . _ ~ -, none with a leading dot"
		}
	}
	return "", ""
}

// refuseField answers 400 and names the member of the request that is wrong.
func refuseField(w http.ResponseWriter, field, hint string) {
	detail := field + ": " + hint + "."
	send(w, http.StatusBadRequest, "application/problem+json", map[string]any{
		"title": http.StatusText(http.StatusBadRequest), "status": http.StatusBadRequest, "field": field, "detail": detail, "error": detail,
	})
}
