package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"deckle/ingest"
	"deckle/transform"
)

// Editor changes sources.
type Editor interface {
	Rotate(ctx context.Context, id string, turn ingest.Turn, to ingest.Target) (ingest.Receipt, error)
	Crop(ctx context.Context, id string, crop transform.Crop, to ingest.Target) (ingest.Receipt, error)
}

// Remover deletes sources and brings them back.
type Remover interface {
	Delete(ctx context.Context, ids []string) ([]ingest.Deletion, error)
	Restore(ctx context.Context, id string) (ingest.Receipt, error)
}

// OutputChecker tells whether an output can be made of any source.
type OutputChecker interface {
	CheckOutput(output string) error
}

// Processor renders variants before anybody asks for them.
type Processor interface {
	OutputChecker
	Process(ctx context.Context, id string, outputs []string, wait bool) (ingest.Job, error)
	Job(ctx context.Context, id string) (ingest.Job, error)
}

// Destination says where an edited picture goes: ingest.Target as clients write it.
type Destination struct {
	NewID string `json:"new_id,omitempty" maxLength:"255" doc:"Keep the result as a source of its own; without it the id gets a new version."`
	Move  bool   `json:"move,omitempty" doc:"With new_id: remove the former source."`
}

func (t Destination) target() ingest.Target { return ingest.Target{NewID: t.NewID, Move: t.Move} }

type rotateRequest struct {
	ID   string `json:"id" example:"shop/cat"`
	Turn string `json:"turn" enum:"-90,90,180,auto" doc:"Degrees clockwise; auto turns the pixels as the orientation in the file says."`
	Destination
}

var turns = map[string]ingest.Turn{"-90": ingest.TurnLeft, "90": ingest.TurnRight, "180": ingest.TurnOver, "auto": ingest.TurnAuto}

// rotate answers POST /rotate.
func (a *Admin) rotate(ctx context.Context, asked *struct{ Body rotateRequest }) (*said[*SourceReceipt], error) {
	receipt, err := a.Sources.Rotate(ctx, asked.Body.ID, turns[asked.Body.Turn], asked.Body.target())
	if err != nil {
		return nil, a.problemOf("rotate", "id", err)
	}
	return &said[*SourceReceipt]{http.StatusOK, receiptOf(receipt)}, nil
}

type cropRequest struct {
	ID string `json:"id" example:"shop/cat"`
	Rectangle
	Destination
}

// crop answers POST /crop.
func (a *Admin) crop(ctx context.Context, asked *struct{ Body cropRequest }) (*said[*SourceReceipt], error) {
	receipt, err := a.Sources.Crop(ctx, asked.Body.ID, asked.Body.crop(), asked.Body.target())
	if err != nil {
		return nil, a.problemOf("crop", "id", err)
	}
	return &said[*SourceReceipt]{http.StatusOK, receiptOf(receipt)}, nil
}

// deleteMany answers POST /delete.
func (a *Admin) deleteMany(ctx context.Context, asked *struct{ Body idsRequest }) (*said[resultsAnswer], error) {
	deletions, err := a.Sources.Delete(ctx, asked.Body.IDs)
	if err != nil {
		return nil, a.problemOf("delete", "ids", err)
	}
	body := resultsAnswer{make([]resultAnswer, len(deletions))}
	for i, d := range deletions {
		body.Results[i].ID = d.ID
		switch {
		case d.Err != nil:
			body.Results[i].Problem = a.problemOf("delete", field("ids", i, ""), d.Err)
		case !d.Found:
			body.Results[i].Problem = newProblem(http.StatusNotFound, field("ids", i, ""), "There is no source of that id.")
		}
	}
	return settleEach(body)
}

// deleteOne answers DELETE /sources/{id}.
func (a *Admin) deleteOne(ctx context.Context, asked *struct {
	ID string `path:"id" example:"shop/cat"`
}) (*struct{}, error) {
	many := &struct{ Body idsRequest }{idsRequest{[]string{asked.ID}}}
	_, err := a.deleteMany(ctx, many)
	return nil, err
}

type processRequest struct {
	ID      string   `json:"id" example:"shop/cat"`
	Outputs []string `json:"outputs" minItems:"1" maxItems:"32" example:"[\"300x300.webp\"]" doc:"Names of variants as in the path form: 300x300.webp, x200.jpg, w600-q70.avif or full_size.png, and not what stands behind an id."`
	Wait    bool     `json:"wait,omitempty" doc:"Answer when all are done."`
}

type jobAnswer struct {
	ID      string         `json:"id"`
	Source  string         `json:"source"`
	Done    bool           `json:"done"`
	Outputs []outputAnswer `json:"outputs" doc:"In the order of the request."`
}

type outputAnswer struct {
	Name    string   `json:"name"`
	Done    bool     `json:"done"`
	Format  string   `json:"format,omitempty"`
	Width   int      `json:"width,omitempty" doc:"Pixels."`
	Height  int      `json:"height,omitempty" doc:"Pixels."`
	Quality int      `json:"quality,omitempty"`
	Bytes   int64    `json:"bytes,omitempty"`
	Problem *problem `json:"problem,omitempty"`
}

// jobSaid is the answer about a job, and where to ask for it again.
type jobSaid struct {
	Status   int
	Location string `header:"Location"`
	Body     jobAnswer
}

// process answers POST /process.
func (a *Admin) process(ctx context.Context, asked *struct{ Body processRequest }) (*jobSaid, error) {
	if wrong := a.checkOutputs(a.Sources, asked.Body.Outputs); wrong != nil {
		return nil, wrong
	}
	job, err := a.Sources.Process(ctx, asked.Body.ID, asked.Body.Outputs, asked.Body.Wait)
	if err != nil {
		return nil, a.problemOf("process", "id", err)
	}
	status := http.StatusOK
	if !job.Done {
		status = http.StatusAccepted
	}
	return &jobSaid{status, "/jobs/" + url.PathEscape(job.ID), a.jobOf(job)}, nil
}

// checkOutputs refuses names of what can never be made, before anything is queued.
func (a *Admin) checkOutputs(by OutputChecker, outputs []string) *problem {
	for i, name := range outputs {
		err, at := by.CheckOutput(name), field("outputs", i, "")
		var spec *transform.SpecError
		switch {
		case err == nil:
		case errors.Is(err, transform.ErrNoVariant):
			return fieldProblem(at, "it names no variant; one is named as in 300x200.webp, x200.jpg, w300-q70.avif or full_size.png, without the id and its underscores")
		case errors.Is(err, transform.ErrFormat):
			return fieldProblem(at, "this server cannot write that format; name another extension")
		case errors.As(err, &spec):
			wrong := fieldProblem(at, spec.Option+" "+bounded(spec.Value)+": "+spec.Hint)
			wrong.Option, wrong.Value, wrong.Hint = spec.Option, bounded(spec.Value), spec.Hint
			return wrong
		default:
			return a.problemOf("check outputs", at, err)
		}
	}
	return nil
}

// job answers GET /jobs/{job}.
func (a *Admin) job(ctx context.Context, asked *struct {
	Job string `path:"job" maxLength:"128"`
}) (*said[jobAnswer], error) {
	job, err := a.Sources.Job(ctx, asked.Job)
	if err != nil {
		return nil, a.recordFault("job", "There is no job of that id. What became of one is known for a day.", err)
	}
	return &said[jobAnswer]{http.StatusOK, a.jobOf(job)}, nil
}

func (a *Admin) jobOf(j ingest.Job) jobAnswer {
	body := jobAnswer{ID: j.ID, Source: j.Source, Done: j.Done, Outputs: make([]outputAnswer, len(j.Outputs))}
	for i, o := range j.Outputs {
		body.Outputs[i] = outputAnswer{Name: o.Name, Done: o.Done, Format: o.Format, Width: o.Width, Height: o.Height, Quality: o.Quality, Bytes: o.Bytes}
		if o.Err != nil {
			body.Outputs[i].Problem = a.problemOf("process", field("outputs", i, ""), o.Err)
		}
	}
	return body
}
