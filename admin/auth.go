package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"deckle/auth"
	"deckle/proxy"
)

// Access is who may do what.
type Access struct {
	Auth           auth.Authenticator // tells who calls; when nil every caller is let in, as an operator
	Keys           KeyRecords         // optional: without it /keys is not there
	KeysChanged    func()             // optional: called when a key was rotated or revoked
	Accounts       Accounts           // optional: without it /users is not there
	AccountDeleter AccountDeleter     // beside Accounts
}

// guarded lets a caller in who may do what the route needs, and says who it is in the request's context. Without an
// authenticator every caller is an operator: the wiring sees to it that only loopback can call then.
func (a *Admin) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r, ok := a.enter(w, r, auth.Shown(r.Header), needOf(r.Pattern)); ok {
			next.ServeHTTP(w, r)
		}
	})
}

// enter answers those who may not, and returns the request of those who may with the caller in its context.
func (a *Admin) enter(w http.ResponseWriter, r *http.Request, credential string, n need) (*http.Request, bool) {
	caller, err := a.caller(r.Context(), credential)
	if err != nil {
		a.refuseCaller(w, err)
		return nil, false
	}
	if refused := n.refuses(caller); refused != "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="deckle", error="insufficient_scope", scope="`+n.scope.String()+`"`)
		refuse(w, http.StatusForbidden, refused)
		return nil, false
	}
	return r.WithContext(auth.With(r.Context(), caller)), true
}

// caller tells who shows a credential.
func (a *Admin) caller(ctx context.Context, credential string) (auth.Principal, error) {
	if a.Auth == nil {
		return auth.Principal{Admin: true}, nil
	}
	if credential == "" {
		return auth.Principal{}, auth.ErrMissing
	}
	return a.Auth.Authenticate(ctx, credential)
}

// refuseCaller answers 401 with the reason (RFC 6750 section 3), or 503 when nobody can tell.
func (a *Admin) refuseCaller(w http.ResponseWriter, err error) {
	if !errors.Is(err, auth.ErrRefused) {
		a.Log.Warn("a caller was turned away: nobody can tell who it is", slog.Any("cause", err))
		w.Header().Set("Retry-After", "2")
		refuse(w, http.StatusServiceUnavailable, "It cannot be told at this moment whether the key or token is good. Try again in a moment.")
		return
	}
	reason := auth.Reason(err)
	challenge := `Bearer realm="deckle"`
	if !errors.Is(err, auth.ErrMissing) { // who shows nothing is told of no error (RFC 6750 section 3.1)
		challenge += `, error="invalid_token", error_description="` + reason + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, http.StatusUnauthorized, strings.ToUpper(reason[:1])+reason[1:]+".")
}

// recordFault is what the edge's table says of an error of the records, for handlers of what is no picture, as keys and jobs;
// missing is said where there is none of the name.
func (a *Admin) recordFault(operation, missing string, err error) *problem {
	p := a.problemOf(operation, "", err)
	if status, _ := proxy.StatusOf(err); status == http.StatusNotFound {
		p = newProblem(status, "", missing)
	}
	return p
}
