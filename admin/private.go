package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"deckle/origin"
	"deckle/proxy"

	"github.com/danielgtaylor/huma/v2"
)

// viewTTL is how long a view URL is good when nothing is said, where that long is allowed.
const viewTTL = time.Hour

// Hider says which sources are private.
type Hider interface {
	SetPrivate(ctx context.Context, id string, private bool) error
}

// Private makes sources private, and the URLs under which private ones are seen.
type Private struct {
	Sources Hider
	Base    string                                                     // put before the paths of the edge; empty for paths alone
	Sign    func(method, path, scope string, expires time.Time) string // nil when nothing can be signed
	MaxAge  time.Duration                                              // how far ahead the end of a signature may lie
}

// errUnsigned says that view URLs cannot be made.
var errUnsigned = errors.New("admin: there are no signing secrets")

// View is a URL under which a source can be seen by whoever has it, until it expires.
type View struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// View signs a path of the edge, which may have a query, for ttl; 0 is one hour, or the longest that is allowed where that is
// less. With a scope, which covers the path as X-Path does, the parameters of the URL are good for all that it covers.
func (p *Private) View(path, scope string, ttl time.Duration) (View, error) {
	if p.Sign == nil {
		return View{}, errUnsigned
	}
	if ttl == 0 {
		ttl = min(viewTTL, p.MaxAge)
	}
	path, query, _ := strings.Cut(path, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return View{}, fmt.Errorf("sign view: %w", err)
	}
	if query != "" {
		query += "&"
	}
	expires := time.Now().Add(ttl).Truncate(time.Second)
	return View{URL: p.Base + path + "?" + query + p.Sign(http.MethodGet, decoded, scope, expires), Expires: expires.UTC()}, nil
}

// ViewPath is View for a path alone, with its query and without the edge's name, for the usual time.
func (p *Private) ViewPath(path string) (string, error) {
	view, err := p.View(path, "", 0)
	return strings.TrimPrefix(view.URL, p.Base), err
}

type viewRequest struct {
	Variant string `json:"variant,omitempty" maxLength:"512" default:".auto" example:"_300_200.webp" doc:"What stands behind the id in the URL."`
	Every   bool   `json:"every,omitempty" doc:"The parameters are good for every size and format of the source, and for what lies below its id, so that one view serves a srcset."`
	Seconds int    `json:"seconds,omitempty" minimum:"1" doc:"How long the URL is good: an hour, unless said otherwise; at most --signature-max-age."`
}

// view answers POST /sources/{id}/view.
func (a *Admin) view(_ context.Context, asked *struct {
	ID   string       `path:"id" example:"shop/cat"`
	Body *viewRequest `required:"false"`
}) (*said[View], error) {
	if err := origin.CheckID(asked.ID); err != nil {
		return nil, a.problemOf("view", "id", err)
	}
	want := orEmpty(asked.Body)
	ttl := time.Duration(want.Seconds) * time.Second
	if ttl > a.Private.MaxAge {
		return nil, fieldProblem("seconds", fmt.Sprintf("at most %d, as --signature-max-age says", int(a.Private.MaxAge/time.Second)))
	}
	variant := cmp.Or(want.Variant, ".auto") // as the description says
	path := proxy.UploadPath(asked.ID) + variant
	bare, _, _ := strings.Cut(path, "?")
	if !strings.ContainsAny(variant[:1], "._/") || variant[0] != '/' && proxy.SourceOf(bare) != asked.ID {
		return nil, fieldProblem("variant", "what stands behind the id in the picture's URL, as in .auto or _300_200.webp")
	}
	scope := ""
	if want.Every {
		scope = "/" + asked.ID
	}
	view, err := a.Private.View(path, scope, ttl)
	if errors.Is(err, errUnsigned) {
		return nil, newProblem(http.StatusConflict, "", "URLs cannot be signed here: set --signing-secrets on every node.")
	}
	if err != nil {
		return nil, fieldProblem("variant", "its percent-encoding is broken")
	}
	return &said[View]{http.StatusOK, view}, nil
}

type privateRequest struct {
	Private bool `json:"private" doc:"Seen on the edge with a signed URL only; otherwise it is answered as if it were not there."`
}

// setPrivate answers PATCH /sources/{id}.
func (a *Admin) setPrivate(ctx context.Context, asked *struct {
	ID   string `path:"id" example:"shop/cat"`
	Body privateRequest
}) (*said[privateRequest], error) {
	if err := a.Private.Sources.SetPrivate(ctx, asked.ID, asked.Body.Private); err != nil {
		return nil, a.problemOf("private", "id", err)
	}
	return &said[privateRequest]{http.StatusOK, asked.Body}, nil
}

// routePrivate adds what is done about who sees a source.
func (a *Admin) routePrivate(d *api) {
	if a.Private == nil {
		return
	}
	huma.Register(d, operation(http.MethodPost, sourcePath+"/view", "view", "sources", "Make a URL under which it is seen",
		"Whoever has the URL sees the picture until it expires, private or not. Whether there is one is not looked at.", conflict), a.view)
	huma.Register(d, operation(http.MethodPatch, sourcePath, "setPrivate", "sources", "Make private, or public", "At once on this node, and on the others when they have been told.", missed, forbid, conflict, away), a.setPrivate)
}

// belowSource are the operations that stand behind the path of a source, by what stands there.
type belowSource map[string]belowHandler

// belowHandler is one of them, with the pattern that it would be routed with if ids had no slashes.
type belowHandler struct {
	pattern string
	http.Handler
}

func (b belowSource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	whole := r.PathValue("id")
	for suffix, handler := range b {
		if id, found := strings.CutSuffix(whole, suffix); found {
			r.SetPathValue("id", id)
			r.Pattern = handler.pattern
			handler.ServeHTTP(w, r)
			return
		}
	}
	refuse(w, http.StatusNotFound, "There is no such operation. They are listed in /openapi.json.")
}
