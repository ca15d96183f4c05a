package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"deckle/catalog"
	"deckle/ingest"

	"golang.org/x/sync/errgroup"
)

// maxConfirms is how many pictures one request confirms.
const maxConfirms = 100

type uploadsRequest struct {
	Count  int           `json:"count" minimum:"1" maximum:"1000" doc:"How many pictures will come."`
	Owner  string        `json:"owner,omitempty" maxLength:"255" doc:"Whose they will be; users bring in their own."`
	Policy policyRequest `json:"policy,omitempty" doc:"Of each. They are published by POST /images/confirm, whatever it says of publish."`
}

type uploadsAnswer struct {
	Uploads []uploadAnswer `json:"uploads"`
}

type uploadAnswer struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"`
	Put     *way      `json:"put" doc:"The picture as the body, with the headers as they are; then POST /images/confirm with the id."`
}

// allowUploads answers POST /images/uploads.
func (a *Admin) allowUploads(ctx context.Context, asked *struct{ Body uploadsRequest }) (*said[uploadsAnswer], error) {
	policy, wrong := a.policyOf(&asked.Body.Policy)
	if wrong != nil {
		return nil, wrong
	}
	policy.Later, policy.Owner = true, asked.Body.Owner
	if owner := ownerOf(ctx); owner != "" {
		if policy.Owner != "" && policy.Owner != owner {
			return nil, fieldProblem("owner", "users bring in pictures of their own")
		}
		policy.Owner = owner
	}
	requests := make([]ingest.GrantRequest, asked.Body.Count)
	for i := range requests {
		requests[i].Policy = policy
	}
	results, err := a.Bulk.Grants(ctx, requests)
	if err != nil {
		return nil, a.imageProblem("uploads", "count", err)
	}
	body := uploadsAnswer{make([]uploadAnswer, len(results))}
	for i, result := range results {
		if result.Err != nil {
			return nil, a.imageProblem("uploads", "policy", result.Err)
		}
		ways := a.ways(ctx, result.Grant)
		ways.Put.Confirm = nil // by id, with what is said of the picture
		body.Uploads[i] = uploadAnswer{ID: ways.ID, Expires: ways.Expires, Put: ways.Put}
	}
	return &said[uploadsAnswer]{http.StatusOK, body}, nil
}

type confirmRequest struct {
	Images []confirmOne `json:"images" minItems:"1" maxItems:"100"`
}

type confirmOne struct {
	ID      string         `json:"id"`
	MD5     string         `json:"md5,omitempty" pattern:"^[0-9a-fA-F]{32}$" doc:"Of the bytes that were sent, or of those that are stored: publish these and no others."`
	SHA256  string         `json:"sha256,omitempty" pattern:"^[0-9a-f]{64}$" doc:"Of the stored bytes, likewise."`
	Name    string         `json:"name,omitempty" maxLength:"256"`
	Tags    []string       `json:"tags,omitempty" maxItems:"32"`
	Private bool           `json:"private,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
}

type confirmedAnswer struct {
	Results []confirmedOne `json:"results" doc:"In the order of the request."`
}

type confirmedOne struct {
	ID      string       `json:"id"`
	Image   *imageAnswer `json:"image,omitempty"`
	Problem *problem     `json:"problem,omitempty" doc:"Why nothing of it was done: 404 when nothing was uploaded or other bytes were, 415 and 413 by the bytes, 409."`
}

// confirmImages answers POST /images/confirm: each picture is published with all that is said of it, or not at all.
func (a *Admin) confirmImages(ctx context.Context, asked *struct{ Body confirmRequest }) (*said[confirmedAnswer], error) {
	list := asked.Body.Images
	body, all := confirmedAnswer{make([]confirmedOne, len(list))}, true
	var group errgroup.Group
	group.SetLimit(confirmsAtOnce)
	for i, one := range list {
		group.Go(func() error {
			body.Results[i].ID = one.ID
			record, err := a.confirmOne(ctx, one)
			if err != nil {
				body.Results[i].Problem = a.confirmProblem(field("images", i, "id"), err)
				return nil
			}
			body.Results[i].Image = a.imageOf(record)
			return nil
		})
	}
	_ = group.Wait() // errors are in the results
	for _, r := range body.Results {
		all = all && r.Problem == nil
	}
	if !all && len(list) == 1 {
		return nil, body.Results[0].Problem
	}
	return settle(all, body), nil
}

// confirmsAtOnce is less than the uploads that a node receives at one time, of which these are some.
const confirmsAtOnce = 4

func (a *Admin) confirmOne(ctx context.Context, one confirmOne) (catalog.Record, error) {
	want := ingest.PublishCheck{SHA256: one.SHA256, MD5: strings.ToLower(one.MD5), Name: one.Name, Tags: one.Tags, Private: one.Private}
	if one.Data != nil {
		want.Data, _ = json.Marshal(one.Data) // it was JSON
	}
	return a.Images.Deposits.ConfirmUpload(ctx, one.ID, ownerOf(ctx), want)
}

// confirmProblem says of other bytes what it says of none: what was named has not been uploaded.
func (a *Admin) confirmProblem(field string, err error) *problem {
	switch {
	case errors.Is(err, ingest.ErrHash):
		return newProblem(http.StatusNotFound, field, "Other bytes were uploaded than those that the hash is of.")
	case errors.Is(err, ingest.ErrNotFound), errors.Is(err, ingest.ErrNoImage), errors.Is(err, ingest.ErrToken):
		return newProblem(http.StatusNotFound, field, "Nothing has been uploaded under that id.")
	case errors.Is(err, ingest.ErrUsed):
		return newProblem(http.StatusConflict, field, "The picture is being taken in by another request.")
	}
	return a.imageProblem("confirm", field, err)
}
