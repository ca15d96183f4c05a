package admin

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"deckle/auth"
	"deckle/ingest"
	"deckle/origin"
	"deckle/proxy"
)

// tokenRequest asks for the right to upload one source once. Unknown members are passed over: clients of older services
// send some.
type tokenRequest struct {
	ID      string `json:"id"`
	Replace bool   `json:"replace,omitempty"` // allows the upload to take the place of an existing source
	Secret  string `json:"secret,omitempty"`  // an API key, for clients that cannot send headers
}

type tokenAnswer struct {
	Token   string    `json:"token"`
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
}

const maxTokenRequest = 16 << 10 // bytes

// token answers POST /token: {"id": "cat"} -> {"token": "..."}.
func (a *Admin) token(w http.ResponseWriter, r *http.Request) {
	var asked tokenRequest
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenRequest))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "The body is larger than a token request can be.")
		return
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		refuse(w, http.StatusBadRequest, `The body is no JSON object as in {"id": "cat"}.`)
		return
	}
	credential := auth.Shown(r.Header)
	if credential == "" {
		credential = asked.Secret
	}
	r, ok := a.enter(w, r, credential, needOf(r.Pattern))
	if !ok {
		return
	}
	if asked.ID == "" {
		refuse(w, http.StatusBadRequest, `"id" is missing: name the picture that will be uploaded, as in {"id": "cat"}.`)
		return
	}
	grant, err := a.Grants.Grant(r.Context(), ingest.GrantRequest{ID: asked.ID, Replace: asked.Replace})
	if err != nil {
		a.refuseError(w, r, err)
		return
	}
	answer(w, http.StatusOK, tokenAnswer{Token: grant.Token, ID: grant.ID, Expires: grant.Expires})
}

// refuseError answers as the edge's table says, but for a bad id: here that is a member of the request and not a place.
func (a *Admin) refuseError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, origin.ErrBadID) {
		refuse(w, http.StatusBadRequest, `"id" is 1 to 8 segments joined by /, of letters, digits and . _ ~ -, none with a leading dot.`)
		return
	}
	status, body := proxy.StatusOf(err)
	if status >= http.StatusInternalServerError {
		a.Log.Error("request", slog.String("path", r.URL.Path), slog.Int("status", status), slog.Any("cause", err))
	}
	write(w, status, "application/problem+json", body)
}
