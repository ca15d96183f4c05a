package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"deckle/catalog"
)

// parsedQuery reads the query of a request that is answered without a description.
func parsedQuery(r *http.Request) (url.Values, *problem) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fieldProblem("query", "it is not encoded as a query is")
	}
	return query, nil
}

type imagesAnswer struct {
	Total  int64       `json:"total" doc:"All that match, on whatever page; -1 when they could not be counted in time."`
	More   bool        `json:"more,omitempty" doc:"There are more than total, which is how far it was counted."`
	Limit  int         `json:"limit"`
	Skip   int         `json:"skip"`
	Images []imageItem `json:"images"`
	Next   string      `json:"next,omitempty" doc:"What after is for the next page; absent at the end."`
}

// listImages answers GET /images.
func (a *Admin) listImages(ctx context.Context, asked *struct{ Asked }) (*said[imagesAnswer], error) {
	q, wrong := readable(ctx, asked.query)
	if wrong != nil {
		return nil, wrong
	}
	return a.page(ctx, q)
}

func (a *Admin) page(ctx context.Context, q *imageQuery) (*said[imagesAnswer], error) {
	page, err := a.Images.Records.Find(ctx, q.Query)
	if err != nil {
		return nil, a.imageProblem("images", "", err)
	}
	body := imagesAnswer{Total: page.Total, More: page.AtLeast, Limit: q.Limit, Skip: q.Skip, Images: make([]imageItem, len(page.Records)), Next: page.Next}
	for i, r := range page.Records {
		body.Images[i] = a.itemOf(r, q.selected)
	}
	return &said[imagesAnswer]{http.StatusOK, body}, nil
}

// publicImages answers GET /images/public: what everybody may see, the newest first.
func (a *Admin) publicImages(ctx context.Context, asked *struct {
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"100"`
	After string `query:"after" doc:"What next of the page before says."`
}) (*said[imagesAnswer], error) {
	return a.page(ctx, &imageQuery{Query: catalog.Query{
		Scope: catalog.ScopePublic, Sort: "created", Descending: true, Limit: asked.Limit, After: asked.After,
	}})
}

// oneImage answers GET /images/{image}.
func (a *Admin) oneImage(ctx context.Context, asked *struct {
	ID     string `path:"image" doc:"The id; a slash in it is written %2F."`
	Select string `query:"select" doc:"What is in the answer, as in file,data.a; or, with a minus before each, what is not."`
}) (*said[imageItem], error) {
	selected, fault := parseSelection(asked.Select)
	if fault != "" {
		return nil, fieldProblem("select", fault)
	}
	r, err := a.visible(ctx, asked.ID)
	if err != nil {
		return nil, a.imageProblem("image", "image", err)
	}
	return &said[imageItem]{http.StatusOK, a.itemOf(r, selected)}, nil
}

type fieldsAnswer struct {
	Fields []string `json:"fields" doc:"In their order."`
}

// imageFields answers GET /images/fields: the names that data has.
func (a *Admin) imageFields(ctx context.Context, asked *struct{ Asked }) (*said[fieldsAnswer], error) {
	q, wrong := readable(ctx, asked.query)
	if wrong != nil {
		return nil, wrong
	}
	fields, err := a.Images.Records.Fields(ctx, q.whole())
	if err != nil {
		return nil, a.imageProblem("fields", "", err)
	}
	return &said[fieldsAnswer]{http.StatusOK, fieldsAnswer{append([]string{}, fields...)}}, nil
}

type valuesAnswer struct {
	Values []any `json:"values" doc:"Each once; 1000 at most."`
}

// imageValues answers GET /images/fields/{path}: what pictures have there.
func (a *Admin) imageValues(ctx context.Context, asked *struct {
	Asked
	Path string `path:"path" doc:"As in data.a.b, or file, name, format and the like; a name alone is one of data unless it is one of those." example:"data.camera"`
}) (*said[valuesAnswer], error) {
	q, wrong := readable(ctx, asked.query)
	if wrong != nil {
		return nil, wrong
	}
	values, err := a.Images.Records.Distinct(ctx, q.whole(), dataPath(asked.Path), maxDistinct)
	if err != nil {
		return nil, a.imageProblem("values", "path", err)
	}
	return &said[valuesAnswer]{http.StatusOK, valuesAnswer{append([]any{}, values...)}}, nil
}

// whole is the query without its page.
func (q *imageQuery) whole() catalog.Query {
	whole := q.Query
	whole.Limit, whole.Skip, whole.After = 0, 0, ""
	return whole
}

// dataPath has a name that is no column stand for one of data.
func dataPath(path string) string {
	top, _, _ := strings.Cut(path, ".")
	if _, known := catalog.Columns()[top]; known {
		return path
	}
	return "data." + path
}

// imagePatch is what changes of pictures.
type imagePatch struct {
	Set        map[string]json.RawMessage `json:"set,omitempty" example:"{\"a.b\": 1}" doc:"Values within data, by dotted path."`
	Unset      []string                   `json:"unset,omitempty" maxItems:"256" example:"[\"c\"]" doc:"Paths within data that are removed."`
	Tags       *[]string                  `json:"tags,omitempty" maxItems:"32" doc:"In place of all that are there."`
	AddTags    []string                   `json:"add_tags,omitempty" maxItems:"32"`
	RemoveTags []string                   `json:"remove_tags,omitempty" maxItems:"32"`
	Name       *string                    `json:"name,omitempty" maxLength:"256"`
	File       *string                    `json:"file,omitempty" maxLength:"1024" doc:"Of one picture alone."`
	Private    *bool                      `json:"private,omitempty"`
}

func (p imagePatch) patch() (catalog.Patch, error) {
	patch := catalog.Patch{Unset: p.Unset, Tags: p.Tags, AddTags: p.AddTags, RemoveTags: p.RemoveTags, Name: p.Name, File: p.File}
	if p.File != nil {
		file, err := cleanFile(*p.File)
		if err != nil {
			return patch, err
		}
		patch.File = &file
	}
	if len(p.Set) > 0 {
		patch.Set = make(map[string]any, len(p.Set))
	}
	for path, value := range p.Set {
		patch.Set[path] = value
	}
	return patch, nil
}

// says tells whether anything but privacy changes.
func (p imagePatch) says() bool {
	p.Private = nil
	text, err := json.Marshal(p)
	return err != nil || string(text) != "{}"
}
