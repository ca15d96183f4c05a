package admin

import (
	"net/http"
	"strings"

	"deckle/auth"

	"github.com/danielgtaylor/huma/v2"
)

// need is what an operation wants of its caller.
type need struct {
	scope auth.Scopes
	// operators says that the operation is not confined to a user's own pictures, so that users may not call it whatever rights
	// they have.
	operators bool
}

// refuses says why a caller may not; empty when it may.
func (n need) refuses(p auth.Principal) string {
	switch {
	case !p.May(n.scope):
		return "The key or token does not have the right to do this: it needs " + strings.Join(n.scope.Names(), " and ") + "."
	case n.operators && p.Owner() != "":
		return "This is for operators: the key or token is a user's. Users have /images and /users/me."
	}
	return ""
}

// needs lists the operations that callers with less than every right may call. What is not here is for administrators alone.
var needs = []struct {
	methods, path string // methods separated by spaces; a path that ends in * has all that go on from it
	need
}{
	{"POST", "/token", need{auth.Upload, true}},
	{"POST", "/grants", need{auth.Upload, true}},
	{"GET", "/sources", need{auth.Read, true}},
	{"GET", "/sources/{id}", need{auth.Read, true}},
	{"GET", "/jobs/{job}", need{auth.Read, true}},
	{"GET", "/metrics", need{auth.Read, true}},
	{"GET", "/explain", need{auth.Read, true}},
	{"PUT PATCH DELETE", "/sources/{id}", need{auth.Write, true}},
	{"POST", "/sources/{id}/view", need{auth.Read, true}},
	{"POST", "/publish", need{auth.Write, true}},
	{"POST", "/unpublish", need{auth.Write, true}},
	{"POST", "/restore", need{auth.Write, true}},
	{"POST", "/delete", need{auth.Write, true}},
	{"POST", "/rotate", need{auth.Write, true}},
	{"POST", "/crop", need{auth.Write, true}},
	{"POST", "/process", need{auth.Write, true}},
	{"POST", "/sources/{id}/label", need{auth.Write, true}},
	{"POST", "/labels", need{auth.Write, true}},
	{"GET", "/images*", need{scope: auth.Read}},
	{"POST", "/images*", need{scope: auth.Upload}},
	{"PUT PATCH DELETE", "/images*", need{scope: auth.Write}},
	{"GET", "/export", need{scope: auth.Read}},
	{"POST", "/import", need{scope: auth.Upload | auth.Write}},
	{"GET", "/users/me", need{scope: auth.Read}},
	{"POST", "/users", need{scope: auth.Write}},
	{"DELETE", "/users/me", need{scope: auth.Write}},
}

// needOf returns what a route needs, by the pattern that it is routed with.
func needOf(pattern string) need {
	method, path, found := strings.Cut(strings.ReplaceAll(pattern, "...}", "}"), " ")
	if !found {
		return need{scope: auth.Admin}
	}
	for _, n := range needs {
		prefix, open := strings.CutSuffix(n.path, "*")
		fits := path == n.path || open && (path == prefix || strings.HasPrefix(path, prefix+"/"))
		if fits && strings.Contains(" "+n.methods+" ", " "+method+" ") {
			return n.need
		}
	}
	return need{scope: auth.Admin}
}

// describeNeeds writes into the description which rights each operation needs, as scopes of the two ways to show a key.
func describeNeeds(d *api) {
	for path, item := range d.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op == nil || op.Security != nil || op.Servers != nil { // open, or of the edge
				continue
			}
			scopes := needOf(method + " " + path).scope.Names()
			op.Security = []map[string][]string{{"bearer": scopes}, {"key": scopes}}
		}
	}
}
