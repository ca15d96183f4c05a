package admin

import (
	"context"
	"errors"
	"net/http"

	"deckle/catalog"
	"deckle/ingest"
)

// workPage is how many pictures are worked on between two looks at the records.
const workPage = 100

// maxFailures bounds what one answer says of failures.
const maxFailures = 1000

type patchedAnswer struct {
	Matched int64           `json:"matched"`
	Changed int64           `json:"changed" doc:"Those of them that were not so before."`
	Failed  []failureAnswer `json:"failed" doc:"What could not be made private or public; 1000 at most."`
}

type deletedAnswer struct {
	Matched int64           `json:"matched"`
	Deleted int64           `json:"deleted"`
	Failed  []failureAnswer `json:"failed" doc:"What could not be deleted to the end; 1000 at most."`
}

type failureAnswer struct {
	ID      string   `json:"id"`
	Problem *problem `json:"problem"`
}

// patchImages answers PATCH /images.
func (a *Admin) patchImages(ctx context.Context, asked *struct {
	Asked
	Body imagePatch
}) (*said[patchedAnswer], error) {
	q, wrong := changeable(ctx, asked.query)
	if wrong != nil {
		return nil, wrong
	}
	if asked.Body.File != nil {
		return nil, fieldProblem("file", "pictures cannot have one file name together; change them one by one")
	}
	body, err := a.patchAll(ctx, q.Query, asked.Body)
	if err != nil {
		return nil, a.imageProblem("patch", "body", err)
	}
	return &said[patchedAnswer]{http.StatusOK, *body}, nil
}

// patchAll changes all that a query finds. Without a change of privacy that is one transaction, unless they are very many; with one
// it goes page by page, as that is a change of the store, too.
func (a *Admin) patchAll(ctx context.Context, q catalog.Query, p imagePatch) (*patchedAnswer, error) {
	patch, err := p.patch()
	if err != nil {
		return nil, err
	}
	body := &patchedAnswer{Failed: []failureAnswer{}}
	if p.Private == nil {
		body.Matched, body.Changed, err = a.Images.Records.Update(ctx, q, patch)
		var query *catalog.QueryError
		if !errors.As(err, &query) || query.Field != "limit" {
			return body, err
		}
		// They are more than one transaction may hold up others for.
	}
	err = a.inPages(ctx, q, func(records []catalog.Record) error {
		return a.patchPage(ctx, records, p, patch, body)
	})
	return body, err
}

func (a *Admin) patchPage(ctx context.Context, records []catalog.Record, p imagePatch, patch catalog.Patch, body *patchedAnswer) error {
	ids, turned := make([]string, len(records)), int64(0)
	for i, r := range records {
		ids[i] = r.ID
	}
	body.Matched += int64(len(records))
	// Words first: they are refused or kept as one.
	if p.says() {
		_, changed, err := a.Images.Records.Update(ctx, catalog.Query{IDs: ids}, patch)
		if err != nil {
			return err
		}
		body.Changed += changed
	}
	for _, r := range records {
		if p.Private == nil || r.Private == *p.Private {
			continue
		}
		if err := a.Images.Deposits.SetPrivate(ctx, r.ID, *p.Private); err != nil {
			body.Failed = appendFailure(body.Failed, r.ID, a.imageProblem("private", "id", err))
			continue
		}
		turned++
	}
	if !p.says() {
		body.Changed += turned
	}
	return ctx.Err()
}

func appendFailure(failed []failureAnswer, id string, p *problem) []failureAnswer {
	if len(failed) == maxFailures {
		return failed
	}
	return append(failed, failureAnswer{id, p})
}

// inPages hands over what a query finds, some records at a time.
func (a *Admin) inPages(ctx context.Context, q catalog.Query, do func([]catalog.Record) error) error {
	page := make([]catalog.Record, 0, workPage)
	err := a.Images.Records.Each(ctx, q, func(r catalog.Record) error {
		if page = append(page, r); len(page) < workPage {
			return nil
		}
		err := do(page)
		page = page[:0]
		return err
	})
	if err == nil && len(page) > 0 {
		err = do(page)
	}
	return err
}

// patchImage answers PATCH /images/{image}.
func (a *Admin) patchImage(ctx context.Context, asked *struct {
	ID   string `path:"image" doc:"The id; a slash in it is written %2F."`
	Body imagePatch
}) (*said[*imageAnswer], error) {
	r, err := a.patchOne(ctx, asked.ID, asked.Body)
	if err != nil {
		return nil, a.imageProblem("patch", "image", err)
	}
	return &said[*imageAnswer]{http.StatusOK, a.imageOf(r)}, nil
}

// patchOne changes one picture and returns it as it then is.
func (a *Admin) patchOne(ctx context.Context, id string, p imagePatch) (catalog.Record, error) {
	r, err := a.owned(ctx, id)
	if err != nil {
		return r, err
	}
	body, err := a.patchAll(ctx, catalog.Query{IDs: []string{id}}, p)
	switch {
	case err != nil:
		return r, err
	case len(body.Failed) > 0:
		return r, body.Failed[0].Problem
	case body.Matched == 0:
		return r, catalog.ErrNotFound
	}
	return a.Images.Records.Record(ctx, id)
}

// deleteImages answers DELETE /images.
func (a *Admin) deleteImages(ctx context.Context, asked *struct{ Asked }) (*said[deletedAnswer], error) {
	q, wrong := changeable(ctx, asked.query)
	if wrong != nil {
		return nil, wrong
	}
	body, err := a.deleteAll(ctx, q.Query)
	if err != nil {
		return nil, a.imageProblem("delete", "", err)
	}
	return &said[deletedAnswer]{http.StatusOK, *body}, nil
}

// deleteAll deletes all that a query finds, page by page. What cannot be deleted does not keep the others.
func (a *Admin) deleteAll(ctx context.Context, q catalog.Query) (*deletedAnswer, error) {
	body := &deletedAnswer{Failed: []failureAnswer{}}
	err := a.inPages(ctx, q, func(records []catalog.Record) error {
		ids := make([]string, len(records))
		for i, r := range records {
			ids[i] = r.ID
		}
		deletions, err := a.Sources.Delete(ctx, ids)
		if err != nil {
			return err
		}
		body.Matched += int64(len(ids))
		a.countDeletions(body, deletions)
		return ctx.Err()
	})
	return body, err
}

func (a *Admin) countDeletions(body *deletedAnswer, deletions []ingest.Deletion) {
	for _, d := range deletions {
		switch {
		case d.Err != nil:
			body.Failed = appendFailure(body.Failed, d.ID, a.imageProblem("delete", "id", d.Err))
		case d.Found:
			body.Deleted++
		}
	}
}

// deleteImage answers DELETE /images/{image}.
func (a *Admin) deleteImage(ctx context.Context, asked *struct {
	ID string `path:"image" doc:"The id; a slash in it is written %2F."`
}) (*struct{}, error) {
	if err := a.deleteOwned(ctx, asked.ID); err != nil {
		return nil, a.imageProblem("delete", "image", err)
	}
	return nil, nil
}

func (a *Admin) deleteOwned(ctx context.Context, id string) error {
	if _, err := a.owned(ctx, id); err != nil {
		return err
	}
	deletions, err := a.Sources.Delete(ctx, []string{id})
	if err == nil {
		err = deletions[0].Err
	}
	return err
}
