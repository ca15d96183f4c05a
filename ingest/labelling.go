package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"deckle/catalog"
	"deckle/label"
	"deckle/origin"
	"deckle/transform"
)

const (
	// maxBegun is how often a job may be begun without an end: what ends the process each time must not do so for ever. Where it is
	// the store that does not answer, pauses that grow by a lease up to longestGiveBack make that seven hours.
	maxBegun        = 100
	longestGiveBack = 5 * time.Minute
	// firstLabelPause and longestLabelPause are the pauses after a failure; each is up to four times as long as the one before.
	firstLabelPause   = 2 * time.Second
	longestLabelPause = 30 * time.Minute
	// labelSettleTime bounds how long the catalog may take to hear how a picture's labelling ended.
	labelSettleTime = 10 * time.Second
)

// errStale says that the picture has gone or has another version by now, whose labels are another job's.
var errStale = errors.New("ingest: the picture is another by now")

// Run labels pictures until ctx ends. What is under way then is given back, for the next one to begin anew.
func (l *Labeller) Run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	slots := make(chan struct{}, l.config.Workers)
	for ctx.Err() == nil {
		var jobs []catalog.Job
		pause := l.config.Poll
		if free := l.config.Workers - len(slots); free > 0 {
			jobs, pause = l.lease(ctx, free)
		}
		for _, job := range jobs {
			slots <- struct{}{} // only this loop fills slots, and it counted them
			working.Go(func() {
				l.work(ctx, job)
				<-slots
				l.wake() // a slot is free
			})
		}
		if len(jobs) == 0 {
			l.rest(ctx, pause)
		}
	}
}

func (l *Labeller) wake() {
	select {
	case l.wakes <- struct{}{}:
	default:
	}
}

// lease takes what is due, up to n; when that is nothing, pause says when to look again.
func (l *Labeller) lease(ctx context.Context, n int) (jobs []catalog.Job, pause time.Duration) {
	now := l.config.Now()
	_, next, err := l.config.Catalog.PendingJobs(ctx, labelKind, 1)
	switch { // looking is cheap, leasing is a write
	case err == nil && next.IsZero():
		return nil, l.config.Poll
	case err == nil && next.After(now):
		return nil, min(l.config.Poll, next.Sub(now)+time.Millisecond)
	case err == nil:
		jobs, err = l.config.Catalog.LeaseJobs(ctx, labelKind, l.owner, n, now.Add(l.config.Lease), now)
	}
	if err != nil && ctx.Err() == nil {
		l.config.Log.Warn("the queue of pictures to label does not answer", slog.Any("cause", err))
	}
	return jobs, l.config.Poll
}

func (l *Labeller) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-l.wakes:
	case <-timer.C:
	}
}

// work labels one picture under its lease, and says how that ended.
func (l *Labeller) work(ctx context.Context, job catalog.Job) {
	working, cancel := context.WithTimeout(ctx, l.config.Timeout)
	defer cancel()
	var renewing sync.WaitGroup
	over := make(chan struct{})
	renewing.Go(func() { l.renew(working, job, over, cancel) })
	done, failed, err := l.label(working, job)
	close(over)
	renewing.Wait()
	settling, stop := context.WithTimeout(context.WithoutCancel(ctx), labelSettleTime)
	defer stop()
	switch {
	case errors.Is(err, errStale):
		err = l.config.Catalog.FinishJob(settling, job)
	case ctx.Err() != nil:
		err = l.config.Catalog.RenewJob(settling, job, l.config.Now())
	case passes(err):
		later := l.config.Now().Add(min(time.Duration(job.Attempts)*l.config.Lease, longestGiveBack))
		err = l.config.Catalog.RenewJob(settling, job, later)
	default:
		if err != nil {
			failed = []failure{{"", err}}
		}
		err = l.settle(settling, job, done, failed)
	}
	if err != nil && !errors.Is(err, catalog.ErrLease) {
		l.config.Log.Warn("the queue was not told how a picture's labelling ended; it is repeated when its lease runs out",
			slog.String("id", job.Subject), slog.Any("cause", err))
	}
}

// passes tells errors of which nobody is at fault who was asked: trying again is no failure.
func passes(err error) bool {
	return errors.Is(err, transform.ErrBusy) || errors.Is(err, origin.ErrUnavailable) || errors.Is(err, ErrUnavailable)
}

// renew keeps the job leased until it is over, and ends the work when somebody else has it.
func (l *Labeller) renew(ctx context.Context, job catalog.Job, over <-chan struct{}, lost func()) {
	tick := time.NewTicker(l.config.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := l.config.Catalog.RenewJob(ctx, job, l.config.Now().Add(l.config.Lease))
		if errors.Is(err, catalog.ErrLease) {
			lost()
			return
		}
	}
}

// failure is a labeler that failed; without a name it is all of them.
type failure struct {
	name string
	err  error
}

// label asks labelers and keeps what they say. done are the names of those that answered. An error is about all.
func (l *Labeller) label(ctx context.Context, job catalog.Job) (done []string, failed []failure, err error) {
	if job.Attempts > maxBegun {
		return nil, nil, fmt.Errorf("%w: it was begun %d times and never ended", label.ErrRefused, maxBegun)
	}
	task, err := labelTaskOf(job)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: read job: %w", label.ErrRefused, err)
	}
	switch _, ok, err := l.still(ctx, job); {
	case err != nil:
		return nil, nil, err
	case !ok:
		return nil, nil, errStale
	}
	picture, err := l.picture(ctx, job)
	if err != nil {
		return nil, nil, err
	}
	asked := l.asks(task)
	said, faults := make([][]label.Label, len(asked)), make([]error, len(asked))
	var asking sync.WaitGroup
	for i, labeler := range asked {
		asking.Go(func() { said[i], faults[i] = ask(ctx, labeler, picture) })
	}
	asking.Wait()
	for i, labeler := range asked {
		if faults[i] == nil {
			faults[i] = l.keep(ctx, job, labeler.Name, said[i])
		}
		switch {
		case errors.Is(faults[i], ErrNotFound):
			return nil, nil, errStale
		case faults[i] != nil:
			failed = append(failed, failure{labeler.Name, faults[i]})
		default:
			done = append(done, labeler.Name)
		}
	}
	return done, failed, nil
}

// ask asks one labeler. One that panics has failed at this picture alone.
func ask(ctx context.Context, labeler label.Named, p label.Picture) (labels []label.Label, err error) {
	defer func() {
		if r := recover(); r != nil {
			labels, err = nil, fmt.Errorf("%w: panic: %v", label.ErrRefused, r)
		}
	}()
	labels, err = labeler.Label(ctx, p)
	if err != nil {
		return nil, err
	}
	return label.Clean(labels)
}

// keep makes labels part of the record, if that is of the same version still.
func (l *Labeller) keep(ctx context.Context, job catalog.Job, labeler string, labels []label.Label) error {
	kept := make([]catalog.Label, len(labels))
	for i, one := range labels {
		kept[i] = catalog.Label{Name: one.Name, Category: one.Category, Confidence: one.Confidence, Source: labeler}
	}
	return l.config.Catalog.SetLabels(ctx, job.Subject, job.Version, labeler, kept)
}

// settle ends a job, or has what failed tried again.
func (l *Labeller) settle(ctx context.Context, job catalog.Job, done []string, failed []failure) error {
	if len(failed) == 0 {
		err := l.end(ctx, job, nil, "")
		if err == nil {
			l.labelled.Add(1)
		}
		return err
	}
	names, reasons, lasting := make([]string, 0, len(failed)), make([]string, len(failed)), true
	for i, f := range failed {
		reasons[i] = f.err.Error()
		if f.name != "" {
			names = append(names, f.name)
			reasons[i] = f.name + ": " + reasons[i]
		}
		lasting = lasting && endures(f.err)
	}
	reason := strings.Join(reasons, "; ")
	log := l.config.Log.With(slog.String("id", job.Subject), slog.Int("failures", job.Failures+1), slog.String("cause", reason))
	if lasting || len(done) == 0 && job.Failures+1 >= l.config.Tries {
		l.dead.Add(1)
		log.Error("a picture's labelling was given up; it can be tried again on the operator's listener")
		return l.end(ctx, job, names, reason)
	}
	l.failed.Add(1)
	log.Info("a picture's labelling failed and will be tried again")
	later := l.config.Now().Add(labelPause(job.Failures))
	if len(done) == 0 {
		return l.config.Catalog.FailJob(ctx, job, reason, later, false)
	}
	// Those that answered are not asked again. A crash between the two calls has them asked again all the same.
	task, _ := labelTaskOf(job) // it could be read
	rest := labelTask{Run: task.Run, Left: names}.job(catalog.Record{ID: job.Subject, Version: job.Version})
	rest.Due = later
	if err := l.config.Catalog.Enqueue(ctx, rest); err != nil {
		return err
	}
	return l.config.Catalog.FinishJob(ctx, job)
}

// end ends a job, as dead when there is a reason, and tells what is known of the picture.
func (l *Labeller) end(ctx context.Context, job catalog.Job, failed []string, reason string) error {
	r, ok, err := l.still(ctx, job)
	if err != nil {
		return err
	}
	if !ok {
		return l.config.Catalog.FinishJob(ctx, job)
	}
	task, err := labelTaskOf(job)
	if len(failed) == 0 && reason != "" {
		for _, labeler := range l.asks(task) {
			failed = append(failed, labeler.Name)
		}
	}
	end := catalog.JobEnd{Dead: reason != "", Reason: reason}
	if err == nil {
		told := Kept(task.event(l.config.Now(), r, failed))
		end.Announce = func([]catalog.JobState) []catalog.Event { return []catalog.Event{told} }
	}
	return l.config.Catalog.EndJob(ctx, job, end)
}

// endures tells errors that are the picture's own.
func endures(err error) bool {
	for _, own := range []error{label.ErrRefused, transform.ErrMalformed, transform.ErrUnsupported, transform.ErrLimit, transform.ErrFormat, transform.ErrMaxBytes} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// labelPause is how long to wait after so many failures. Half of it is by chance, so that a server that is back is not asked by all
// at once.
func labelPause(failures int) time.Duration {
	pause := firstLabelPause
	for range failures {
		pause = min(4*pause, longestLabelPause)
	}
	return pause/2 + rand.N(pause/2)
}
