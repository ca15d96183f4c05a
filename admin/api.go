package admin

import (
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// The bounds of a request that is described.
const (
	maxRequest  = 64 << 10 // bytes, where nothing else is said
	requestTime = 30 * time.Second
)

// api is the described part of the listener: huma checks requests against the description that it makes from our types, so
// that the two cannot differ. Handlers that read and write by themselves are described beside it.
type api struct {
	huma.API
	admin *Admin
	mux   *http.ServeMux
}

// newAPI returns an api whose operations go into mux.
func (a *Admin) newAPI(mux *http.ServeMux) *api {
	config := huma.DefaultConfig("Deckle", a.Version)
	config.Info.Description = description
	config.Info.License = &huma.License{Name: "Apache-2.0"}
	// The description and its page are routed by us; links to schemas would be in every answer.
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An API key. Not needed where none are configured."},
		"key":    {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same key, for clients that send no Authorization."},
	}
	config.Security = []map[string][]string{{"bearer": {}}, {"key": {}}}
	config.Tags = []*huma.Tag{
		{Name: "uploads", Description: "The right to upload a picture."},
		{Name: "sources", Description: "Pictures that were uploaded: published, changed, deleted."},
		{Name: "images", Description: "The library: pictures with what is said of them, by owner."},
		{Name: "caches", Description: "What is kept of renderings."},
		{Name: "events", Description: "What happened, told to others."},
		{Name: "access", Description: "Who may do what: keys, and users' accounts."},
		{Name: "server", Description: "This process."},
		{Name: "edge", Description: "On the listener for viewers, not on this one: how a client brings a picture in."},
	}
	return &api{API: humago.New(guardedMux{a, mux, map[string]belowSource{}}, config), admin: a, mux: mux}
}

// guardedMux lets the operations of huma in by key, and lets an id in a path have slashes.
type guardedMux struct {
	admin *Admin
	*http.ServeMux
	below map[string]belowSource // by what they are routed with
}

// HandleFunc routes one operation of huma.
func (m guardedMux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.handle(pattern, m.admin.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Bodies are JSON whatever a client calls them: curl -d says that they are a form.
		r.Header.Set("Content-Type", "application/json")
		r.Header.Del("Accept") // and so are answers
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if _, wrong := parsedQuery(r); wrong != nil { // which huma would take for an empty one
			m.admin.refuseProblem(w, wrong)
			return
		}
		handler(w, r)
	})))
}

// handle routes what stands behind the path of a source by hand: the id takes all that is left of the path.
func (m guardedMux) handle(pattern string, handler http.Handler) {
	before, suffix, found := strings.Cut(pattern, sourcePath+"/")
	if !found {
		m.Handle(wide(pattern), handler)
		return
	}
	whole := wide(before + sourcePath)
	if m.below[whole] == nil {
		m.below[whole] = belowSource{}
		m.Handle(whole, m.below[whole])
	}
	m.below[whole]["/"+suffix] = belowHandler{pattern, handler}
}

// wide has {id} match the rest of a path, slashes included. OpenAPI has no way to say so.
func wide(pattern string) string {
	if rest, found := strings.CutSuffix(pattern, sourcePath); found {
		return rest + strings.TrimSuffix(sourcePath, "}") + "...}"
	}
	return pattern
}

// operation fills in what all have in common.
func operation(method, path, id, tag, summary, text string, errors ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Description: text,
		Errors: append([]int{http.StatusBadRequest, http.StatusUnauthorized}, errors...), MaxBodyBytes: maxRequest, BodyReadTimeout: requestTime,
		RejectUnknownQueryParameters: true,
	}
}

// orEmpty is the body of a request whose members may all be left out: no body says as much as {}.
func orEmpty[T any](body *T) T {
	if body == nil {
		return *new(T)
	}
	return *body
}

// said is an answer of a described operation.
type said[T any] struct {
	Status int
	Body   T
}

// settle returns the answer of a request that asks for several things at once: 200 when all were done, 207 when some were.
func settle[T any](all bool, body T) *said[T] {
	if all {
		return &said[T]{http.StatusOK, body}
	}
	return &said[T]{http.StatusMultiStatus, body}
}
