package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
	"deckle/transform"
)

// maxJobs is how many jobs are remembered, those that were asked about longest ago forgotten first.
const maxJobs = 4096

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
	Rendered
	Err error // why it could not be made
}

// jobs is what is being rendered in the background.
type jobs struct {
	ctx     context.Context // ends with close
	stop    context.CancelFunc
	workers chan struct{} // one token for each output being rendered
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	waiting int // outputs that are not done
	known   *simplelru.LRU[string, *job]
}

// job is a Job under way; jobs.mu guards it.
type job struct {
	Job
	done chan struct{} // closed when all outputs are
}

func newJobs(workers int) *jobs {
	ctx, stop := context.WithCancel(context.Background())
	known, _ := simplelru.NewLRU[string, *job](maxJobs, nil) // fails for a size below 1 only
	return &jobs{ctx: ctx, stop: stop, workers: make(chan struct{}, workers), known: known}
}

func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.stop()
	j.running.Wait()
}

// add enters a job, if there is room for its outputs.
func (j *jobs) add(id string, outputs []string, room int) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || j.waiting+len(outputs) > room {
		return nil, fmt.Errorf("%w: %d outputs wait to be rendered", ErrBusy, j.waiting)
	}
	added := &job{Job: Job{ID: rand.Text(), Source: id, Outputs: make([]Output, len(outputs))}, done: make(chan struct{})}
	for i, name := range outputs {
		added.Outputs[i].Name = name
	}
	j.waiting += len(outputs)
	j.known.Add(added.ID, added)
	j.running.Add(1) // before close can wait
	return added, nil
}

// snapshot returns the job as it stands.
func (j *jobs) snapshot(of *job) Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := of.Job
	now.Outputs = slices.Clone(of.Outputs)
	return now
}

// Process renders variants of a source in the background, or with wait before it returns: outputs are the last segments of their
// URLs, as in "300x300.webp". An output that fails does not keep the others. ErrBusy when too many wait already, ErrNoFetch
// without a Renderer, origin.ErrNotFound, ErrPolicy for too many outputs. When ctx ends while it waits, the job goes on and the error is
// ctx's.
func (s *Service) Process(ctx context.Context, id string, outputs []string, wait bool) (Job, error) {
	switch {
	case s.config.Renderer == nil:
		return Job{}, ErrNoFetch
	case len(outputs) > maxOutputs:
		return Job{}, fmt.Errorf("%w: at most %d outputs can be asked for", ErrPolicy, maxOutputs)
	}
	if _, err := s.config.Store.Stat(ctx, id); err != nil {
		return Job{}, err
	}
	started, err := s.jobs.add(id, outputs, s.config.RenderQueue)
	if err != nil {
		return Job{}, err
	}
	go s.run(started) // jobs.close waits for it
	if !wait {
		return s.jobs.snapshot(started), nil
	}
	select {
	case <-started.done:
		return s.jobs.snapshot(started), nil
	case <-ctx.Done():
		return s.jobs.snapshot(started), ctx.Err()
	}
}

// Job returns how far a job is; ErrNotFound when it is unknown, which jobs become after some thousands of others, and all of them
// when the process ends.
func (s *Service) Job(id string) (Job, error) {
	s.jobs.mu.Lock()
	found, ok := s.jobs.known.Get(id)
	s.jobs.mu.Unlock()
	if !ok {
		return Job{}, ErrNotFound
	}
	return s.jobs.snapshot(found), nil
}

// eager renders what a policy asks for. A variant that is not rendered now is when somebody asks for it.
func (s *Service) eager(id string, outputs []string) {
	if len(outputs) == 0 || s.config.Renderer == nil {
		return
	}
	if _, err := s.Process(s.jobs.ctx, id, outputs, false); err != nil {
		s.config.Log.Warn("variants are not rendered ahead", slog.String("id", id), slog.Any("error", err))
	}
}

// run renders a job's outputs, and tells of each and of the end.
func (s *Service) run(j *job) {
	defer s.jobs.running.Done()
	record, err := s.config.Catalog.Record(s.jobs.ctx, j.Source)
	if err != nil {
		record = catalog.Record{ID: j.Source} // without a version events say less
	}
	var outputs sync.WaitGroup
	for i, o := range j.Outputs {
		s.jobs.workers <- struct{}{}
		outputs.Go(func() {
			defer func() { <-s.jobs.workers }()
			s.runOutput(j, i, o.Name, record.Version)
		})
	}
	outputs.Wait()
	s.jobs.mu.Lock()
	j.Done = true
	failed := 0
	for _, o := range j.Outputs {
		if o.Err != nil {
			failed++
		}
	}
	s.jobs.mu.Unlock()
	if s.jobs.ctx.Err() == nil {
		s.tell(event.OfBatch(s.config.Now(), event.Batch{Source: j.Source, Processed: len(j.Outputs) - failed, Failed: failed}))
	}
	close(j.done)
}

func (s *Service) runOutput(j *job, i int, name, version string) {
	made, err := Rendered{}, s.jobs.ctx.Err()
	if err == nil {
		made, err = s.config.Renderer.Render(s.jobs.ctx, j.Source, name)
	}
	s.jobs.mu.Lock()
	j.Outputs[i] = Output{Name: name, Done: true, Rendered: made, Err: err}
	s.jobs.waiting--
	s.jobs.mu.Unlock()
	if s.jobs.ctx.Err() != nil {
		return // nothing was found out about the picture
	}
	s.tell(event.OfVariant(s.config.Now(), event.Variant{
		Filename: name, Format: made.Format, Width: made.Width, Height: made.Height, Quality: made.Quality, Bytes: made.Bytes,
		Source: j.Source, Version: version, Error: publicReason(err),
	}))
}

// tell puts an event that belongs to no change of a record into the outbox.
func (s *Service) tell(e event.Event) {
	if err := s.config.Catalog.Append(context.WithoutCancel(s.jobs.ctx), Kept(e)); err != nil {
		s.config.Log.Warn("an event was lost", slog.String("event", string(e.Kind)), slog.String("id", e.Source), slog.Any("error", err))
	}
}

// publicReason says why an output failed in words that tell nothing of the server.
func publicReason(err error) string {
	if err == nil {
		return ""
	}
	var spec *transform.SpecError
	if errors.As(err, &spec) {
		return fmt.Sprintf("%s %s: %s", spec.Option, spec.Value, spec.Hint)
	}
	for _, known := range []struct {
		err  error
		text string
	}{
		{origin.ErrNotFound, "there is no such source"},
		{transform.ErrMalformed, "the source is broken"},
		{transform.ErrUnsupported, "the source is of no accepted type"},
		{transform.ErrLimit, "the picture is too large"},
		{transform.ErrMaxBytes, "no quality makes the picture as small"},
		{transform.ErrFormat, "the format cannot be written here"},
		{transform.ErrBusy, "too many renders are waiting"},
		{context.DeadlineExceeded, "it took too long"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "processing failed"
}
