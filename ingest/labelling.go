package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
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
	// labelPatience is how long a rendering for labelers waits for viewers' renders before it joins their queue: labels come late
	// on a server that is always busy, and come.
	labelPatience = 10 * time.Second
	// maxBegun is how often a job may be begun without an end: what ends the process each time must not do so for ever.
	maxBegun = 100
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
		l.config.Log.Warn("the queue of pictures to label does not answer", slog.Any("error", err))
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
	case ctx.Err() != nil || errors.Is(err, transform.ErrBusy): // nothing was found out about the picture
		later := l.config.Now()
		if ctx.Err() == nil {
			later = later.Add(l.config.Lease)
		}
		err = l.config.Catalog.RenewJob(settling, job, later)
	default:
		if err != nil {
			failed = []failure{{"", err}}
		}
		err = l.settle(settling, job, done, failed)
	}
	if err != nil && !errors.Is(err, catalog.ErrLease) {
		l.config.Log.Warn("the queue was not told how a picture's labelling ended; it is repeated when its lease runs out",
			slog.String("id", job.Subject), slog.Any("error", err))
	}
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

// picture reads the bytes of the job's version and renders what labelers look at.
func (l *Labeller) picture(ctx context.Context, job catalog.Job) (label.Picture, error) {
	source, err := l.read(ctx, job)
	if err != nil {
		return label.Picture{}, err
	}
	header, err := l.config.Limits.ReadHeader(source)
	if err != nil {
		return label.Picture{}, err
	}
	spec := transform.Spec{Format: transform.PNG, Width: label.SmallSide, Height: label.SmallSide, Still: header.Frames > 1}
	small, err := l.render(ctx, source, spec)
	if err != nil {
		return label.Picture{}, err
	}
	decoded, err := png.Decode(bytes.NewReader(small.Body))
	if err != nil {
		return label.Picture{}, fmt.Errorf("read the small rendering: %w", err)
	}
	straight := image.NewNRGBA(image.Rect(0, 0, decoded.Bounds().Dx(), decoded.Bounds().Dy()))
	draw.Draw(straight, straight.Rect, decoded, decoded.Bounds().Min, draw.Src)
	p := label.Picture{Source: job.Subject, Version: job.Version, Frames: header.Frames, Small: straight}
	p.Width, p.Height = header.Upright()
	large := sync.OnceValues(func() ([]byte, error) {
		spec.Format, spec.Width, spec.Height, spec.Quality, spec.MaxBytes = transform.JPEG, label.LargeSide, label.LargeSide, 85, label.MaxLarge
		made, err := l.render(ctx, source, spec)
		if err != nil {
			return nil, fmt.Errorf("render for labels: %w", err)
		}
		return made.Body, nil
	})
	p.Large = func(context.Context) ([]byte, error) { return large() } // all of one job's contexts are one
	return p, nil
}

// read reads the source, if it is of the job's version still.
func (l *Labeller) read(ctx context.Context, job catalog.Job) (source []byte, err error) {
	object, err := l.config.Store.Open(ctx, job.Subject, origin.Range{})
	if errors.Is(err, origin.ErrNotFound) {
		return nil, errStale
	}
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	defer func() { err = errors.Join(err, object.Body.Close()) }()
	if object.Version != job.Version {
		return nil, errStale
	}
	if source, err = io.ReadAll(io.LimitReader(object.Body, l.config.Limits.SourceBytes+1)); err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	return source, nil
}

// render takes its turn behind viewers. While every place in their queue is taken it waits.
func (l *Labeller) render(ctx context.Context, source []byte, spec transform.Spec) (*transform.Picture, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	crowded, _ := l.config.Engine.(interface{ Waiting() int })
	begin := time.Now()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if crowded == nil || crowded.Waiting() == 0 || time.Since(begin) > labelPatience {
			made, err := l.config.Engine.Render(ctx, source, spec)
			if !errors.Is(err, transform.ErrBusy) {
				return made, err
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: %w", transform.ErrBusy, context.Cause(ctx))
		}
	}
}
