package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"deckle/catalog"
)

// When and how often outputs are tried.
const (
	// outputPoll is how long a worker with nothing to do waits before it looks whether another node has left something.
	outputPoll = 2 * time.Second
	// outputFailures is how often an output may fail by the moment's fault, which with the pauses between takes some ten minutes;
	// outputLeases is how often it may be begun at all, so that one that ends the process is not begun for ever.
	outputFailures, outputLeases = 14, 30
	// outputPause is how long the first pause is; each is twice the one before, up to the longest.
	outputPause, outputLongest = time.Second, time.Minute
	// jobsKept is how long it is known what became of a job.
	jobsKept = 24 * time.Hour
)

// Work renders what policies and Process ask for, Config.RenderWorkers outputs at one time, until ctx ends. What is under way then
// is given back, and done again by whoever comes next; what a process that died had begun is taken over when its lease has run out.
func (s *Service) Work(ctx context.Context) {
	if s.config.Renderer == nil {
		return
	}
	var workers sync.WaitGroup
	for range s.config.RenderWorkers {
		workers.Go(func() {
			for ctx.Err() == nil {
				if !s.workOne(ctx) {
					s.rest(ctx)
				}
			}
		})
	}
	workers.Wait()
}

// rest waits until there may be something to do.
func (s *Service) rest(ctx context.Context) {
	queued := s.queued.next()
	pause := outputPoll
	switch _, next, err := s.config.Catalog.PendingJobs(ctx, kindOutput, 1); {
	case err != nil || next.IsZero():
	default:
		pause = min(pause, max(next.Sub(s.config.Now()), 0))
	}
	if pause <= 0 {
		return
	}
	select {
	case <-queued:
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

// workOne makes one output that is due, and tells whether there was one.
func (s *Service) workOne(ctx context.Context) bool {
	now := s.config.Now()
	if n, next, err := s.config.Catalog.PendingJobs(ctx, kindOutput, 1); err == nil && (n == 0 || next.After(now)) {
		return false // found out without a place among the writers
	}
	leased, err := s.config.Catalog.LeaseJobs(ctx, kindOutput, s.worker, 1, now.Add(s.config.Lease), now)
	if err != nil || len(leased) == 0 {
		if err != nil && ctx.Err() == nil {
			s.config.Log.Warn("outputs that wait cannot be looked for", slog.Any("cause", err))
			s.pauseFor(ctx, outputPause)
		}
		return false
	}
	defer s.ended.happen()
	if err := s.output(ctx, leased[0]); err != nil && !errors.Is(err, catalog.ErrLease) {
		s.config.Log.Warn("what became of an output could not be kept", slog.String("id", leased[0].Subject), slog.Any("cause", err))
	}
	return true
}

func (s *Service) pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// output makes an output and ends its job, or gives it back.
func (s *Service) output(ctx context.Context, job catalog.Job) error {
	var what outputJob
	if err := json.Unmarshal(job.Payload, &what); err != nil {
		return s.config.Catalog.EndJob(ctx, job, catalog.JobEnd{Dead: true, Reason: "its payload cannot be read"})
	}
	if job.Attempts > outputLeases {
		return s.endOutput(ctx, job, what, outputResult{Failure: &outputFailure{Text: "it was begun too often"}}, true)
	}
	made, err := s.renderLeased(ctx, job, what.Output)
	settling := context.WithoutCancel(ctx)
	if err == nil {
		return s.endOutput(settling, job, what, outputResult{Rendered: made}, false)
	}
	now := s.config.Now()
	if ctx.Err() != nil { // nothing was found out about the picture
		return s.config.Catalog.RenewJob(settling, job, now)
	}
	failure, final := failureOf(err)
	if final || job.Failures+1 >= outputFailures {
		return s.endOutput(settling, job, what, outputResult{Failure: failure}, !final)
	}
	pause := min(outputPause<<min(job.Failures, 16), outputLongest)
	return s.config.Catalog.FailJob(settling, job, failure.Text, now.Add(pause), false)
}

func (s *Service) endOutput(ctx context.Context, job catalog.Job, what outputJob, result outputResult, dead bool) error {
	result.Ended = s.config.Now()
	text, _ := json.Marshal(result) // strings and numbers: cannot fail
	end := catalog.JobEnd{Result: text, Dead: dead, Announce: s.tellOutput(job, what, result)}
	if result.Failure != nil {
		end.Reason = result.Failure.Text
	}
	return s.config.Catalog.EndJob(ctx, job, end)
}

// renderLeased renders while the lease is renewed, and stops when it is lost. A panic fails this output alone.
func (s *Service) renderLeased(ctx context.Context, job catalog.Job, output string) (made Rendered, err error) {
	held, lose := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		tick := time.NewTicker(s.config.Lease / 3) // so that one renewal may fail
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			if err := s.config.Catalog.RenewJob(held, job, s.config.Now().Add(s.config.Lease)); errors.Is(err, catalog.ErrLease) {
				lose(err)
				return
			}
		}
	})
	defer func() {
		if p := recover(); p != nil {
			s.config.Log.Error("panic", slog.Any("value", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("render: panic: %v", p)
		}
		lose(nil)
		keeper.Wait()
	}()
	return s.config.Renderer.Render(held, job.Subject, output)
}

// sweepJobs forgets what became of jobs long ago.
func (s *Service) sweepJobs(ctx context.Context) error {
	_, err := s.config.Catalog.SweepJobs(ctx, s.config.Now().Add(-jobsKept), sweepEntries)
	return err
}
