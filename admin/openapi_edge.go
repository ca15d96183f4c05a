package admin

import (
	"net/http"

	"deckle/proxy"

	"github.com/danielgtaylor/huma/v2"
)

// describeEdge describes how clients bring pictures in. It is routed by the edge.
func (a *Admin) describeEdge(d *api) {
	server := []*huma.Server{{URL: fallbackURL(a.Edge.Base), Description: "The edge, not this listener"}}
	add := func(op huma.Operation, parts ...part) {
		described := describe(op, append(parts, parameter(proxy.TokenHeader, "header", "string", "The token of the grant."))...)
		described.Servers, described.Security = server, []map[string][]string{{}}
		d.describe(described)
	}
	errors := []int{forbid, large, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests, away}
	form := func(op *huma.Operation) {
		op.RequestBody.Content["multipart/form-data"] = &huma.MediaType{Schema: &huma.Schema{Type: "object", Required: []string{"image"}, Properties: map[string]*huma.Schema{
			"image": {Type: "string", Format: "binary"},
		}}}
	}
	crops := []part{
		query("x", "integer", "Crop: pixels of the upright picture; all four or none."), query("y", "integer", "Crop."),
		query("width", "integer", "Crop."), query("height", "integer", "Crop."),
	}
	add(operation(http.MethodPost, "/{id}", "uploadPost", "edge", "Upload", "", errors...),
		append([]part{idInPath, binaryBody, form, d.answer(http.StatusOK, "The receipt", proxy.Receipt{})}, crops...)...)
	add(operation(http.MethodPut, "/{id}", "uploadPut", "edge", "Upload a body", "", errors...),
		append([]part{idInPath, binaryBody, d.answer(http.StatusCreated, "The receipt", proxy.Receipt{})}, crops...)...)
	add(operation(http.MethodPost, proxy.ConfirmPath, "confirm", "edge", "Take in what was put into the store",
		"Behind a PUT to the store's own signed URL. It may be repeated.", errors...), d.answer(http.StatusCreated, "The receipt", proxy.Receipt{}))
}

func fallbackURL(base string) string {
	if base == "" {
		return "/" // OpenAPI's own default
	}
	return base
}
