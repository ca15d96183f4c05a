package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"deckle/catalog"
	"deckle/ingest"

	"github.com/danielgtaylor/huma/v2"
)

// Labels is what operators do about labelling.
type Labels interface {
	// Relabel has a picture labelled anew, in the background.
	Relabel(ctx context.Context, id string) error
	DeadLabels(ctx context.Context, after int64, limit int) ([]ingest.DeadLabel, error)
	RetryLabels(ctx context.Context, job int64) error
}

// labelPath is the path under which a source is labelled anew.
const labelPath = sourcePath + "/label"

func labelsOf(r catalog.Record) []labelAnswer {
	var labels []labelAnswer
	for _, l := range r.Labels {
		labels = append(labels, labelAnswer(l))
	}
	return labels
}

type queuedAnswer struct {
	ID     string `json:"id"`
	Queued bool   `json:"queued" doc:"The picture is in the queue; its labels come when its turn has come."`
}

// relabel answers POST /sources/{id}/label.
func (a *Admin) relabel(ctx context.Context, asked *struct {
	ID string `path:"id" doc:"The id; its slashes may be written as they are, or %2F." example:"shop/cat"`
}) (*said[queuedAnswer], error) {
	if err := a.Labels.Relabel(ctx, asked.ID); err != nil {
		return nil, a.problemOf("label", "id", err)
	}
	return &said[queuedAnswer]{http.StatusAccepted, queuedAnswer{asked.ID, true}}, nil
}

type queuedOne struct {
	queuedAnswer
	Problem *problem `json:"problem,omitempty" doc:"Why it is not."`
}

type queuedMany struct {
	Results []queuedOne `json:"results" doc:"In the order of the request."`
}

// relabelMany answers POST /labels.
func (a *Admin) relabelMany(ctx context.Context, asked *struct{ Body idsRequest }) (*said[queuedMany], error) {
	body, all := queuedMany{make([]queuedOne, len(asked.Body.IDs))}, true
	for i, id := range asked.Body.IDs {
		body.Results[i].queuedAnswer = queuedAnswer{id, true}
		if err := a.Labels.Relabel(ctx, id); err != nil {
			all, body.Results[i] = false, queuedOne{queuedAnswer{id, false}, a.problemOf("label", field("ids", i, ""), err)}
		}
	}
	if !all && len(body.Results) == 1 {
		return nil, body.Results[0].Problem
	}
	return settle(all, body), nil
}

type deadLabel struct {
	Job      int64  `json:"job" doc:"Names it where it is tried again."`
	ID       string `json:"id"`
	Version  string `json:"version"`
	Failures int    `json:"failures" doc:"How often it was tried in vain before the last time."`
	Reason   string `json:"reason" doc:"What went wrong the last time, by labeler."`
}

type deadLabels struct {
	Labels []deadLabel `json:"labels"`
	Next   int64       `json:"next,omitempty" doc:"What after is for the next page; absent at the end."`
}

// deadLabels answers GET /labels/dead.
func (a *Admin) deadLabels(ctx context.Context, asked *struct {
	After int64 `query:"after" minimum:"0" doc:"Begin after this job."`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*said[deadLabels], error) {
	dead, err := a.Labels.DeadLabels(ctx, asked.After, asked.Limit)
	if err != nil {
		return nil, a.problemOf("dead labels", "after", err)
	}
	body := deadLabels{Labels: make([]deadLabel, len(dead))}
	for i, d := range dead {
		body.Labels[i] = deadLabel(d)
	}
	if len(dead) == asked.Limit {
		body.Next = dead[len(dead)-1].Job
	}
	return &said[deadLabels]{http.StatusOK, body}, nil
}

type retriedAnswer struct {
	Retried int `json:"retried" doc:"Pictures that are tried again."`
}

// retryLabel answers POST /labels/dead/{job}/retry.
func (a *Admin) retryLabel(ctx context.Context, asked *struct {
	Job int64 `path:"job" minimum:"1"`
}) (*said[retriedAnswer], error) {
	if err := a.Labels.RetryLabels(ctx, asked.Job); err != nil {
		return nil, a.recordFault("retry labels", "No labelling of that number was given up.", err)
	}
	return &said[retriedAnswer]{http.StatusOK, retriedAnswer{1}}, nil
}

// retryLabels answers POST /labels/dead/retry. What dies meanwhile may be tried again as well, or not.
func (a *Admin) retryLabels(ctx context.Context, _ *struct{}) (*said[retriedAnswer], error) {
	var body retriedAnswer
	for after := int64(0); ; {
		dead, err := a.Labels.DeadLabels(ctx, after, sourcePage)
		if err != nil {
			return nil, a.problemOf("retry labels", "", err)
		}
		if len(dead) == 0 {
			return &said[retriedAnswer]{http.StatusOK, body}, nil
		}
		for _, d := range dead {
			if err := a.Labels.RetryLabels(ctx, d.Job); err == nil { // else somebody else has, or its record is beyond reach
				body.Retried++
			}
		}
		after = dead[len(dead)-1].Job
	}
}

// routeLabels adds what is done about labelling.
func (a *Admin) routeLabels(d *api) {
	if a.Labels == nil {
		return
	}
	op := func(method, path, id, summary, text string, errors ...int) huma.Operation {
		return operation(method, path, id, "sources", summary, text, append(errors, away)...)
	}
	one := op(http.MethodPost, labelPath, "label", "Label anew", "By all labelers, in the background: an event says when. Former labels stay until then.", missed)
	one.DefaultStatus = http.StatusAccepted
	huma.Register(d, one, a.relabel)
	many := op(http.MethodPost, "/labels", "labelMany", "Label many anew", "As POST "+labelPath+" of each.", missed)
	many.MaxBodyBytes = sourcesRequest
	huma.Register(d, d.several(many, queuedMany{}), a.relabelMany)
	huma.Register(d, op(http.MethodGet, "/labels/dead", "deadLabels", "List pictures whose labelling was given up", "In the order of their jobs."), a.deadLabels)
	huma.Register(d, op(http.MethodPost, "/labels/dead/retry", "retryLabels", "Try all again", ""), a.retryLabels)
	huma.Register(d, op(http.MethodPost, "/labels/dead/{job}/retry", "retryLabel", "Try one again", "", missed), a.retryLabel)
}

// escaped lets ids before /label have their slashes as they are: a ServeMux has no pattern for that.
func escaped(next http.Handler) http.Handler {
	before, behind, _ := strings.Cut(labelPath, "{id}")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ours := strings.CutPrefix(r.URL.EscapedPath(), before)
		id, below := strings.CutSuffix(id, behind)
		if r.Method == http.MethodPost && ours && below && strings.Contains(id, "/") {
			shallow := *r
			shallow.URL = new(url.URL)
			*shallow.URL = *r.URL
			shallow.URL.RawPath = before + strings.ReplaceAll(id, "/", "%2F") + behind
			r = &shallow
		}
		next.ServeHTTP(w, r)
	})
}
