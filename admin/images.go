package admin

import (
	"context"
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"time"

	"deckle/auth"
	"deckle/catalog"
	"deckle/ingest"
	"deckle/origin"
	"deckle/proxy"

	"github.com/danielgtaylor/huma/v2"
)

// Library is the records of all pictures, asked by more than their ids. Errors that wrap catalog.ErrQuery, catalog.ErrPatch and
// filter.ErrFilter are about the request.
type Library interface {
	Record(ctx context.Context, id string) (catalog.Record, error)
	Find(ctx context.Context, q catalog.Query) (catalog.Page, error)
	Count(ctx context.Context, q catalog.Query) (int64, error)
	Update(ctx context.Context, q catalog.Query, p catalog.Patch) (matched, changed int64, err error)
	Fields(ctx context.Context, q catalog.Query) ([]string, error)
	Distinct(ctx context.Context, q catalog.Query, path string, limit int) ([]any, error)
	Each(ctx context.Context, q catalog.Query, do func(catalog.Record) error) error
}

// Depositor takes pictures in with what is said of them, and says who sees them.
type Depositor interface {
	Deposit(ctx context.Context, d ingest.Deposit) (r catalog.Record, created bool, err error)
	ConfirmUpload(ctx context.Context, id, owner string, want ingest.PublishCheck) (catalog.Record, error)
	SetPrivate(ctx context.Context, id string, private bool) error
}

// Images is what the operations below /images work with.
type Images struct {
	Records  Library
	Deposits Depositor
	Files    origin.Reader
	// View signs the path of a picture, percent-encoded, where viewers need that. Optional.
	View func(path string, private bool) string
}

// The bounds of what is asked of many pictures.
const (
	imagePage     = 100
	maxImagePage  = 1000
	maxPublicPage = 100
	maxDistinct   = 1000
)

// imagesPath is the path of one picture. A slash in an id is written %2F: more may follow the id.
const imagesPath = "/images/{image}"

// ownerOf returns whose pictures the caller sees and changes; "" for everybody's.
func ownerOf(ctx context.Context) string { return auth.From(ctx).Owner() }

// imageAnswer is the record of a picture as clients of /images read it.
type imageAnswer struct {
	ID          string          `json:"id"`
	File        string          `json:"file,omitempty" doc:"Path-like name; an owner has one picture of each."`
	Time        time.Time       `json:"time" doc:"When the picture is of."`
	Owner       string          `json:"owner,omitempty"`
	Name        string          `json:"name,omitempty"`
	Tags        []string        `json:"tags,omitempty"`
	Labels      []labelAnswer   `json:"labels,omitempty"`
	Private     bool            `json:"private"`
	Data        json.RawMessage `json:"data" doc:"A JSON object."`
	URL         string          `json:"url" doc:"On the edge. That of a private picture is good for a while."`
	Version     string          `json:"version" doc:"Changes with the bytes."`
	SHA256      string          `json:"sha256" doc:"Of the stored bytes."`
	MD5         string          `json:"md5,omitempty" doc:"Likewise."`
	Bytes       int64           `json:"bytes"`
	Format      string          `json:"format"`
	Width       int             `json:"width" doc:"Pixels, upright."`
	Height      int             `json:"height" doc:"Pixels, upright."`
	Placeholder string          `json:"placeholder,omitempty" doc:"ThumbHash, base64; there when the upload was decoded to its end."`
	Created     time.Time       `json:"created" doc:"When the id was first uploaded."`
	Updated     time.Time       `json:"updated" doc:"When these bytes were uploaded."`
}

// labelAnswer is something that was seen in a picture.
type labelAnswer struct {
	Name       string  `json:"name"`
	Category   string  `json:"category"`
	Confidence float64 `json:"confidence" doc:"Percent."`
	Source     string  `json:"source" doc:"Who says so."`
}

func (a *Admin) imageOf(r catalog.Record) *imageAnswer {
	answer := &imageAnswer{
		ID: r.ID, File: r.File, Time: r.Time, Owner: r.Owner, Name: r.Name, Tags: r.Tags, Private: r.Private, Data: json.RawMessage(r.Data),
		URL: a.viewURL(r), Version: r.Version, SHA256: r.SHA256, MD5: r.MD5, Bytes: r.Bytes, Format: r.Format, Width: r.Width,
		Height: r.Height, Placeholder: r.Placeholder, Created: r.Created, Updated: r.Updated,
	}
	for _, l := range r.Labels {
		answer.Labels = append(answer.Labels, labelAnswer{l.Name, l.Category, l.Confidence, l.Source})
	}
	if len(answer.Data) == 0 {
		answer.Data = json.RawMessage("{}")
	}
	return answer
}

// viewURL is where viewers see the picture.
func (a *Admin) viewURL(r catalog.Record) string {
	path := proxy.UploadPath(r.ID)
	if f, known := formatNamed(r.Format); known && f.Ext() != "" {
		path += "." + f.Ext()
	}
	if a.Images.View != nil {
		path = a.Images.View(path, r.Private)
	}
	return a.Edge.Base + path
}

// imageItem is an imageAnswer, or the part of one that was asked for.
type imageItem json.RawMessage

// MarshalJSON writes it as it is.
func (i imageItem) MarshalJSON() ([]byte, error) { return i, nil }

// Schema is that of the whole.
func (imageItem) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[imageAnswer](), true, "imageAnswer")
}

func (a *Admin) itemOf(r catalog.Record, s selection) imageItem {
	text, err := json.Marshal(a.imageOf(r))
	if err != nil {
		text = []byte(`{}`) // data that is no JSON, which no way in lets through
	}
	return imageItem(s.of(text))
}

// selection is a projection: the dotted paths that are in an answer, or that are left out of it.
type selection struct {
	paths   []string
	exclude bool
}

// maxSelection bounds a selection's paths.
const maxSelection = 64

// parseSelection reads paths with spaces or commas between them, all with a minus before them or none.
func parseSelection(text string) (s selection, fault string) {
	s.paths = strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '+' })
	if len(s.paths) > maxSelection {
		return s, "at most 64 names can be selected"
	}
	for i, path := range s.paths {
		bare, minus := strings.CutPrefix(path, "-")
		if i > 0 && minus != s.exclude {
			return s, "either all names have a minus before them, to be left out, or none"
		}
		if bare == "" || strings.Contains("."+bare+".", "..") {
			return s, "names are as in file or data.a.b"
		}
		s.paths[i], s.exclude = bare, minus
	}
	return s, ""
}

// of returns the part of a JSON object. Its id is always there, unless it is left out by name.
func (s selection) of(text []byte) []byte {
	if len(s.paths) == 0 {
		return text
	}
	var whole map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if decoder.Decode(&whole) != nil {
		return text
	}
	result := whole
	if s.exclude {
		for _, path := range s.paths {
			dropPath(whole, strings.Split(path, "."))
		}
	} else {
		result = map[string]any{}
		for _, path := range append([]string{"id", "_id"}, s.paths...) {
			copyPath(whole, result, strings.Split(path, "."))
		}
	}
	part, err := json.Marshal(result)
	if err != nil {
		return text
	}
	return part
}

func dropPath(from map[string]any, path []string) {
	if len(path) == 1 {
		delete(from, path[0])
		return
	}
	if inner, ok := from[path[0]].(map[string]any); ok {
		dropPath(inner, path[1:])
	}
}

func copyPath(from, to map[string]any, path []string) {
	value, there := from[path[0]]
	if !there {
		return
	}
	inner, nested := value.(map[string]any)
	if len(path) == 1 {
		to[path[0]] = value
		return
	}
	if !nested {
		return
	}
	below, ok := to[path[0]].(map[string]any)
	if !ok {
		below = map[string]any{}
		to[path[0]] = below
	}
	copyPath(inner, below, path[1:])
}

// Asked keeps the query of a request: the names of data in it are the client's own, so that no description lists them. It has a
// public name, as huma passes over embedded types without one.
type Asked struct{ query url.Values }

// Resolve reads the query.
func (a *Asked) Resolve(ctx huma.Context) []error {
	at := ctx.URL()
	query, err := url.ParseQuery(at.RawQuery)
	if err != nil {
		return []error{&huma.ErrorDetail{Location: "query", Message: "it is not encoded as a query is"}}
	}
	a.query = query
	return nil
}
