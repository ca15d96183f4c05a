package admin

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"deckle/origin"
	"deckle/proxy"

	"github.com/danielgtaylor/huma/v2"
)

// problem is an error as the client sees it (RFC 9457). It names what is wrong and what to do, and repeats no value: one may
// be a secret.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Field  string `json:"field,omitempty" doc:"The member of the request that is wrong, as in grants[3].policy.ttl."`
	Code   string `json:"code,omitempty" doc:"Why a signature was refused."`
	Option string `json:"option,omitempty" doc:"The option of a picture's URL that is wrong."`
	Value  string `json:"value,omitempty" doc:"Its value."`
	Hint   string `json:"hint,omitempty" doc:"What it should be."`
	Detail string `json:"detail" doc:"What is wrong, and what to do about it."`
	Err    string `json:"error" doc:"The detail again, for clients that know only this."`
}

// Error is the detail.
func (p *problem) Error() string { return p.Detail }

// GetStatus is the HTTP status of the answer.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is that of every error.
func (p *problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, field, detail string) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Field: field, Detail: detail, Err: detail}
}

// fieldProblem says what is wrong with a member of the request, as refuseField does for handlers that write by themselves.
func fieldProblem(field, hint string) *problem {
	return newProblem(http.StatusBadRequest, field, field+": "+hint+".")
}

const badID = "1 to 8 segments joined by /, of letters, digits and . _ ~ -, none with a leading dot"

// problemOf says what the edge's table says of an error, but for a bad id: here that is a member of the request and not a
// place. What went wrong here is logged.
func (a *Admin) problemOf(operation, field string, err error) *problem {
	var own *problem
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, origin.ErrBadID):
		return fieldProblem(field, "an id is "+badID)
	}
	status, body := proxy.StatusOf(err)
	if status >= http.StatusInternalServerError {
		a.Log.Error("request", slog.String("operation", operation), slog.Int("status", status), slog.Any("cause", err))
	}
	p := &problem{}
	_ = json.Unmarshal(body, p) // our own text
	return p
}

// huma makes its errors with a function of its package: it cannot be told otherwise which form they have.
func init() {
	huma.NewError = func(status int, text string, errs ...error) huma.StatusError { return invalid(status, text, errs) }
}

// missing and tooLarge tell two of huma's texts, which say a thing differently from the others.
var missing = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// invalid words what huma finds wrong with a request, by its first finding. Requests that break the description are answered
// 400 as everywhere here: 422 is for pictures.
func invalid(status int, text string, errs []error) *problem {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	var found huma.ErrorDetailer
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return newProblem(status, "body", "The body is larger than this request can be. Ask for less at once.")
	case len(errs) == 0 || !errors.As(errs[0], &found):
		return newProblem(status, "", sentence(text))
	}
	detail := found.ErrorDetail()
	field := detail.Location
	for _, place := range []string{"body.", "query.", "path.", "header."} {
		field = strings.TrimPrefix(field, place)
	}
	message := detail.Message
	if name := missing.FindStringSubmatch(message); name != nil {
		if field = strings.TrimPrefix(field+"."+name[1], "body."); field == "" {
			field = name[1]
		}
		message = "it is missing"
	}
	if field == "body" && !strings.HasPrefix(message, "expected") && message != "unexpected property" {
		message = "it is no JSON as in the description of this operation" // what a decoder says may repeat the body
	}
	if message == "unexpected property" {
		message = "it is unknown; the description in /openapi.json has all that are known"
	}
	return newProblem(status, field, field+": "+message+".")
}

// sentence makes a text of huma's one of ours.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}
