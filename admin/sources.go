package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"deckle/catalog"
	"deckle/ingest"

	"golang.org/x/sync/errgroup"
)

// Publisher says which sources are served.
type Publisher interface {
	Publish(ctx context.Context, id string, want ingest.PublishCheck) (ingest.Receipt, error)
	Unpublish(ctx context.Context, id string) (ingest.Receipt, error)
}

// Replacer takes another body for a source.
type Replacer interface {
	Replace(ctx context.Context, id string, body io.Reader) (ingest.Receipt, error)
}

// Records is what is known of sources. Both kinds of list begin after an id, in the order of ids.
type Records interface {
	Record(ctx context.Context, id string) (catalog.Record, error)
	Records(ctx context.Context, after string, limit int) ([]catalog.Record, error)
	Aside(ctx context.Context, area, id string) (catalog.Aside, error)
	Asides(ctx context.Context, area, after string, limit int) ([]catalog.Aside, error)
}

// Sources is what operators do with sources.
type Sources interface {
	Publisher
	Replacer
	Editor
	Remover
	Processor
}

// How many sources one request may name, how many of them are worked on at one time, and the length of a page.
const (
	maxSources     = 1000
	sourcesAtOnce  = 8
	sourcePage     = 100
	sourcesRequest = 16 << 20 // bytes: each may come with 8 KiB of data
)

// sourcePath is the path of one source.
const sourcePath = "/sources/{id}"

// SourceReceipt is ingest.Receipt as operators read it.
type SourceReceipt struct {
	ID          string `json:"id"`
	Version     string `json:"version" doc:"Changes with the bytes."`
	SHA256      string `json:"sha256" doc:"Of the stored bytes."`
	MD5         string `json:"md5,omitempty" doc:"Likewise."`
	Bytes       int64  `json:"bytes"`
	Format      string `json:"format"`
	Width       int    `json:"width" doc:"Pixels, upright."`
	Height      int    `json:"height" doc:"Pixels, upright."`
	Placeholder string `json:"placeholder,omitempty" doc:"ThumbHash, base64; there when the upload was decoded to its end."`
	Pending     bool   `json:"pending,omitempty" doc:"Not served yet: POST /publish makes it so."`
}

func receiptOf(r ingest.Receipt) *SourceReceipt {
	return &SourceReceipt{
		ID: r.ID, Version: r.Version, SHA256: r.SHA256, MD5: r.MD5, Bytes: r.Bytes, Format: r.Format.String(),
		Width: r.Width, Height: r.Height, Placeholder: r.Placeholder, Pending: r.Pending,
	}
}

// resultAnswer is what became of one of several sources.
type resultAnswer struct {
	ID      string         `json:"id"`
	Source  *SourceReceipt `json:"source,omitempty"`
	Problem *problem       `json:"problem,omitempty" doc:"Why it was not done."`
}

type resultsAnswer struct {
	Results []resultAnswer `json:"results" doc:"In the order of the request."`
}

// idsRequest names sources.
type idsRequest struct {
	IDs []string `json:"ids" minItems:"1" maxItems:"1000" example:"[\"shop/cat\"]"`
}

type publishRequest struct {
	Sources []publishOne `json:"sources" minItems:"1" maxItems:"1000"`
}

type publishOne struct {
	ID      string         `json:"id" example:"shop/cat"`
	SHA256  string         `json:"sha256,omitempty" pattern:"^[0-9a-f]{64}$" doc:"Publish these bytes only, lower-case hexadecimal."`
	MD5     string         `json:"md5,omitempty" pattern:"^[0-9a-f]{32}$" doc:"Likewise."`
	Name    string         `json:"name,omitempty" maxLength:"256"`
	Tags    []string       `json:"tags,omitempty" maxItems:"32"`
	Private bool           `json:"private,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
}

// publish answers POST /publish.
func (a *Admin) publish(ctx context.Context, asked *struct{ Body publishRequest }) (*said[resultsAnswer], error) {
	list := asked.Body.Sources
	return a.each(ctx, "publish", len(list), "sources", "id", func(i int) string { return list[i].ID }, func(ctx context.Context, i int) (ingest.Receipt, error) {
		one := list[i]
		want := ingest.PublishCheck{SHA256: one.SHA256, MD5: one.MD5, Name: one.Name, Tags: one.Tags, Private: one.Private}
		if one.Data != nil {
			want.Data, _ = json.Marshal(one.Data) // it was JSON
		}
		return a.Sources.Publish(ctx, one.ID, want)
	})
}

// ofIDs returns the handler of an operation that does one thing to each of several sources.
func (a *Admin) ofIDs(operation string, do func(context.Context, string) (ingest.Receipt, error)) func(context.Context, *struct{ Body idsRequest }) (*said[resultsAnswer], error) {
	return func(ctx context.Context, asked *struct{ Body idsRequest }) (*said[resultsAnswer], error) {
		ids := asked.Body.IDs
		return a.each(ctx, operation, len(ids), "ids", "", func(i int) string { return ids[i] }, func(ctx context.Context, i int) (ingest.Receipt, error) {
			return do(ctx, ids[i])
		})
	}
}

// each does one thing to n sources, some at a time. One alone that fails is answered by its problem.
func (a *Admin) each(ctx context.Context, operation string, n int, list, member string, id func(int) string, do func(context.Context, int) (ingest.Receipt, error)) (*said[resultsAnswer], error) {
	body := resultsAnswer{make([]resultAnswer, n)}
	var group errgroup.Group
	group.SetLimit(sourcesAtOnce)
	for i := range n {
		group.Go(func() error {
			body.Results[i].ID = id(i)
			receipt, err := do(ctx, i)
			if err != nil {
				body.Results[i].Problem = a.problemOf(operation, field(list, i, member), err)
				return nil
			}
			body.Results[i].Source = receiptOf(receipt)
			return nil
		})
	}
	_ = group.Wait() // errors are in the results
	return settleEach(body)
}

// settleEach answers what became of several sources.
func settleEach(body resultsAnswer) (*said[resultsAnswer], error) {
	all := true
	for _, r := range body.Results {
		all = all && r.Problem == nil
	}
	if !all && len(body.Results) == 1 {
		return nil, body.Results[0].Problem
	}
	return settle(all, body), nil
}

// recordAnswer is a record as clients read it.
type recordAnswer struct {
	SourceReceipt
	Created time.Time      `json:"created"`
	Updated time.Time      `json:"updated"`
	Name    string         `json:"name,omitempty"`
	Tags    []string       `json:"tags,omitempty"`
	Private bool           `json:"private,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
	Labels  []labelAnswer  `json:"labels,omitempty" doc:"What machines say of these bytes, the surest first."`
	Expires time.Time      `json:"expires,omitzero" doc:"When it is removed for good, if nothing is done."`
}

func recordOf(r catalog.Record, expires time.Time) *recordAnswer {
	answer := &recordAnswer{
		SourceReceipt: SourceReceipt{
			ID: r.ID, Version: r.Version, SHA256: r.SHA256, MD5: r.MD5, Bytes: r.Bytes, Format: r.Format,
			Width: r.Width, Height: r.Height, Placeholder: r.Placeholder,
		},
		Created: r.Created, Updated: r.Updated, Name: r.Name, Tags: r.Tags, Private: r.Private, Labels: labelsOf(r), Expires: expires,
	}
	if r.Data != "" {
		_ = json.Unmarshal([]byte(r.Data), &answer.Data) // it was an object when it came
	}
	return answer
}

// knownAnswer is all that is known under one id. A source may be served while its replacement waits.
type knownAnswer struct {
	ID       string        `json:"id"`
	Active   *recordAnswer `json:"active,omitempty" doc:"What is served."`
	Incoming *recordAnswer `json:"incoming,omitempty" doc:"What waits to be published."`
	Deleted  *recordAnswer `json:"deleted,omitempty" doc:"What can be restored."`
}

// known answers GET /sources/{id}.
func (a *Admin) known(ctx context.Context, asked *struct {
	ID string `path:"id" doc:"The id; its slashes may be written as they are, or %2F." example:"shop/cat"`
}) (*said[knownAnswer], error) {
	body := knownAnswer{ID: asked.ID}
	record, err := a.Records.Record(ctx, asked.ID)
	if err == nil {
		body.Active = recordOf(record, time.Time{})
	}
	for area, to := range map[string]**recordAnswer{catalog.Incoming: &body.Incoming, catalog.Trash: &body.Deleted} {
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			break
		}
		var aside catalog.Aside
		if aside, err = a.Records.Aside(ctx, area, asked.ID); err == nil {
			*to = recordOf(aside.Record, aside.Expires)
		}
	}
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return nil, a.problemOf("known", "id", err)
	}
	if body.Active == nil && body.Incoming == nil && body.Deleted == nil {
		return nil, newProblem(http.StatusNotFound, "id", "No source of that id was uploaded here.")
	}
	return &said[knownAnswer]{http.StatusOK, body}, nil
}

type pageAnswer struct {
	Sources []*recordAnswer `json:"sources"`
	Next    string          `json:"next,omitempty" doc:"What after is for the next page; absent at the end."`
}

// list answers GET /sources.
func (a *Admin) list(ctx context.Context, asked *struct {
	State string `query:"state" enum:"active,incoming,deleted" default:"active" doc:"What is served, waits to be published, or can be restored."`
	After string `query:"after" doc:"Begin after this id."`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*said[pageAnswer], error) {
	body := pageAnswer{Sources: []*recordAnswer{}}
	var err error
	if asked.State == "active" {
		var records []catalog.Record
		records, err = a.Records.Records(ctx, asked.After, asked.Limit)
		for _, r := range records {
			body.Sources = append(body.Sources, recordOf(r, time.Time{}))
		}
	} else {
		area := map[string]string{"incoming": catalog.Incoming, "deleted": catalog.Trash}[asked.State]
		var asides []catalog.Aside
		asides, err = a.Records.Asides(ctx, area, asked.After, asked.Limit)
		for _, aside := range asides {
			body.Sources = append(body.Sources, recordOf(aside.Record, aside.Expires))
		}
	}
	if err != nil {
		return nil, a.problemOf("list", "after", err)
	}
	if n := len(body.Sources); n == asked.Limit {
		body.Next = body.Sources[n-1].ID
	}
	return &said[pageAnswer]{http.StatusOK, body}, nil
}

// replace answers PUT /sources/{id}: the body is the picture, streamed.
func (a *Admin) replace(w http.ResponseWriter, r *http.Request) {
	receipt, err := a.Sources.Replace(r.Context(), r.PathValue("id"), r.Body)
	if err != nil {
		a.refuseProblem(w, a.problemOf("replace", "id", err))
		return
	}
	answer(w, http.StatusOK, receiptOf(receipt))
}

func (a *Admin) refuseProblem(w http.ResponseWriter, p *problem) {
	send(w, p.Status, p.ContentType(""), p)
}
