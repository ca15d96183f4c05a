package ingest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"deckle/catalog"
	"deckle/origin"
)

// kindOutput is the kind of the jobs that each make one variant.
const kindOutput = "output"

// Job is what became of the outputs that were asked for together.
type Job struct {
	ID      string
	Source  string
	Done    bool
	Outputs []Output // in the order in which they were asked for
}

// Output is one variant of a Job.
type Output struct {
	Name string
	Done bool
	Job  string // in which it is being made, from Ensure
	Rendered
	Err error // why it could not be made
}

// outputJob is the payload of a catalog.Job that makes a variant.
type outputJob struct {
	Place  int    `json:"place"` // among the outputs of the batch
	Output string `json:"output"`
}

// outputJobs spells the jobs that make outputs of a source at a version, due at the time given.
func outputJobs(id, version string, outputs []string, due time.Time) (batch string, list []catalog.Job) {
	batch = rand.Text()
	for i, name := range outputs {
		payload, _ := json.Marshal(outputJob{i, name}) // a number and a string: cannot fail
		list = append(list, catalog.Job{Kind: kindOutput, Subject: id, Version: version, Payload: payload, Batch: batch, Due: due})
	}
	return batch, list
}

// eager are the jobs that a policy asks for; they go with the transaction that publishes the source.
func (s *Service) eager(r catalog.Record, outputs []string) []catalog.Job {
	if s.config.Renderer == nil {
		return nil
	}
	_, list := outputJobs(r.ID, r.Version, outputs, r.Updated)
	return list
}

// Process renders variants of a source in the background, or with wait before it returns: outputs are the last segments of their
// URLs, as in "300x300.webp". An output that fails does not keep the others. What is asked for survives the process, and is done by
// whichever node comes to it first. ErrBusy when too many wait already, ErrNoFetch without a Renderer, origin.ErrNotFound,
// ErrPolicy for too many outputs. When ctx ends while it waits, the job goes on and the error is ctx's.
func (s *Service) Process(ctx context.Context, id string, outputs []string, wait bool) (Job, error) {
	info, err := s.processable(ctx, id, outputs)
	if err != nil {
		return Job{}, err
	}
	if err := s.queueable(ctx, len(outputs)); err != nil {
		return Job{}, err
	}
	batch, list := outputJobs(id, info.Version, outputs, s.config.Now())
	job := Job{ID: batch, Source: id, Done: len(outputs) == 0, Outputs: make([]Output, len(outputs))}
	for i, name := range outputs {
		job.Outputs[i].Name = name
	}
	if err := s.config.Catalog.Enqueue(ctx, list...); err != nil || !wait || job.Done {
		return job, err
	}
	return s.whenDone(ctx, func() (Job, error) { return s.Job(ctx, job.ID) })
}

// processable returns what the store says of a source of which outputs may be asked for.
func (s *Service) processable(ctx context.Context, id string, outputs []string) (origin.Info, error) {
	switch {
	case s.config.Renderer == nil:
		return origin.Info{}, ErrNoFetch
	case len(outputs) > maxOutputs:
		return origin.Info{}, fmt.Errorf("%w: at most %d outputs can be asked for", ErrPolicy, maxOutputs)
	}
	return s.config.Store.Stat(ctx, id)
}

// queueable tells whether n outputs more may wait.
func (s *Service) queueable(ctx context.Context, n int) error {
	waiting, _, err := s.config.Catalog.PendingJobs(ctx, kindOutput, s.config.RenderQueue+1)
	if err == nil && waiting+n > s.config.RenderQueue {
		err = fmt.Errorf("%w: %d outputs wait to be rendered", ErrBusy, waiting)
	}
	return err
}

// CheckOutput tells whether an output can be made of any source: transform.ErrNoVariant for what names none, *transform.SpecError
// for what is out of bounds, transform.ErrFormat for what cannot be written. Without a Renderer nothing is known of outputs.
func (s *Service) CheckOutput(output string) error {
	if s.config.Renderer == nil {
		return nil
	}
	return s.config.Renderer.Check(output)
}

// askEvery is how often a job that is waited for is looked at: another node may be doing it.
const askEvery = 500 * time.Millisecond

// whenDone returns a job when it is done; look says how far it is.
func (s *Service) whenDone(ctx context.Context, look func() (Job, error)) (Job, error) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		ended := s.ended.next()
		now, err := look()
		if err != nil || now.Done {
			return now, err
		}
		select {
		case <-ended:
		case <-tick.C:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

// Job returns how far a job is; ErrNotFound when it is unknown, which a job becomes a day after it was done.
func (s *Service) Job(ctx context.Context, id string) (Job, error) {
	states, err := s.config.Catalog.BatchJobs(ctx, id)
	if err != nil {
		return Job{}, err
	}
	job := Job{ID: id, Done: true, Outputs: make([]Output, len(states))}
	for _, state := range states {
		var what outputJob
		if err := json.Unmarshal(state.Payload, &what); err != nil || state.Kind != kindOutput || what.Place >= len(states) {
			return Job{}, ErrNotFound // jobs of another kind
		}
		job.Source = state.Subject
		output := &job.Outputs[what.Place]
		output.Name, output.Done = what.Output, state.State != catalog.JobDue
		if job.Done = job.Done && output.Done; output.Done {
			output.Rendered, output.Err = resultOf(state)
		}
	}
	return job, nil
}

// signal tells those who wait of something that happens again and again.
type signal struct {
	mu sync.Mutex
	c  chan struct{} // closed and forgotten when it happens
}

// next returns a channel that is closed when it happens next.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) happen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
