package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"deckle/catalog"
	"deckle/event"
	"deckle/label"
	"deckle/origin"
	"deckle/transform"
)

// labelKind is the kind of the jobs that label pictures.
const labelKind = "label"

// LabelConfig is what a Labeller works with. Store, Catalog, Engine and Labelers are required; zero fields of the others take the
// value in brackets.
type LabelConfig struct {
	Store    origin.Reader
	Catalog  *catalog.Catalog
	Engine   transform.Engine // renders what labelers look at
	Limits   transform.Limits // [transform.DefaultLimits]
	Labelers []label.Named

	Workers int           // pictures at one time [2]
	Timeout time.Duration // of one picture, all labelers together [2 minutes]
	// Lease is how long a picture is left alone that a process which has died was labelling; it is renewed three times as often. [6 s]
	Lease time.Duration
	Poll  time.Duration // how often to look for what other nodes put in [1 s]
	// Tries is how often a picture's labelers may fail before it is given up. With pauses that grow from two seconds to half an
	// hour, 12 last for some four hours. [12]
	Tries int

	Now func() time.Time // the wall clock [time.Now]
	Log *slog.Logger     // what fails [nowhere]
}

// LabelStats counts what one Labeller did.
type LabelStats struct {
	Labelled uint64 // pictures of which all labelers have said what they see
	Failed   uint64 // tries that will be repeated
	Dead     uint64 // pictures that were given up
}

// Labeller labels pictures: what its labelers say of one becomes part of its record. Each version of each picture that is published
// while Config.Labelled is set is labelled once, by whichever node comes first; a node that dies is stood in for by another, or by
// itself when it is back. Any number of Labellers may share a catalog.
//
// A labeler that fails loses no other's labels: those are kept, and it alone is asked again. When all have answered, or those that
// have not were given up, the event is told, which has one id for one version and run, so that it is kept once however often the end
// is reached. Labels never land on another version than the one whose pixels were looked at: the catalog compares them.
type Labeller struct {
	config LabelConfig
	owner  string        // of leases
	turn   chan struct{} // held while something is rendered: labelling takes one slot at most
	wakes  chan struct{} // of capacity 1: one look finds all that is due

	labelled, failed, dead atomic.Uint64
}

// NewLabeller returns a Labeller that does not run yet. It comes before the catalog is used.
func NewLabeller(c LabelConfig) *Labeller {
	if c.Limits == (transform.Limits{}) {
		c.Limits = transform.DefaultLimits()
	}
	setDefault(&c.Workers, 2)
	setDefault(&c.Timeout, 2*time.Minute)
	setDefault(&c.Lease, 6*time.Second)
	setDefault(&c.Poll, time.Second)
	setDefault(&c.Tries, 12)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l := &Labeller{config: c, owner: rand.Text(), turn: make(chan struct{}, 1), wakes: make(chan struct{}, 1)}
	c.Catalog.OnEnqueue(func(kind string) {
		if kind == labelKind {
			l.wake()
		}
	})
	return l
}

// Stats returns what has been done so far.
func (l *Labeller) Stats() LabelStats {
	return LabelStats{Labelled: l.labelled.Load(), Failed: l.failed.Load(), Dead: l.dead.Load()}
}

// maxCounted is how far Waiting counts.
const maxCounted = 100_000

// Waiting returns how many pictures wait to be labelled, or are being, on all nodes; 100,000 for more.
func (l *Labeller) Waiting(ctx context.Context) (int, error) {
	n, _, err := l.config.Catalog.PendingJobs(ctx, labelKind, maxCounted)
	return n, err
}

// Relabel has a picture labelled anew, by all labelers. What they say takes the place of what they said before; what others said
// stays. ErrNotFound.
func (l *Labeller) Relabel(ctx context.Context, id string) error {
	if err := origin.CheckID(id); err != nil {
		return err
	}
	r, err := l.config.Catalog.Record(ctx, id)
	if err != nil {
		return err
	}
	return l.config.Catalog.Enqueue(ctx, labelTask{Run: rand.Text()}.job(r))
}

// DeadLabel is a picture that was given up.
type DeadLabel struct {
	Job      int64 // names it to RetryLabels
	ID       string
	Version  string
	Failures int    // how often it was given back before
	Reason   string // for operators
}

// DeadLabels returns up to limit pictures that were given up, after the job given and in the order of jobs.
func (l *Labeller) DeadLabels(ctx context.Context, after int64, limit int) ([]DeadLabel, error) {
	jobs, err := l.config.Catalog.DeadJobs(ctx, labelKind, after, limit)
	if err != nil {
		return nil, err
	}
	dead := make([]DeadLabel, len(jobs))
	for i, j := range jobs {
		dead[i] = DeadLabel{Job: j.ID, ID: j.Subject, Version: j.Version, Failures: j.Failures, Reason: j.Reason}
	}
	return dead, nil
}

// RetryLabels has a picture that was given up tried again. ErrNotFound when there is none of that job.
func (l *Labeller) RetryLabels(ctx context.Context, job int64) error {
	found, err := l.config.Catalog.DeadJobs(ctx, labelKind, job-1, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].ID != job {
		return ErrNotFound // a job of another kind is none
	}
	return l.config.Catalog.RetryJob(ctx, job)
}

// labelTask is what the payload of a job says.
type labelTask struct {
	Run  string   `json:",omitempty"` // drawn for each Relabel; empty for the first time
	Left []string `json:",omitempty"` // names of the labelers that are still to be asked; empty for all
}

func (t labelTask) job(r catalog.Record) catalog.Job {
	job := catalog.Job{Kind: labelKind, Subject: r.ID, Version: r.Version}
	if t.Run != "" || len(t.Left) > 0 {
		job.Payload, _ = json.Marshal(t) // strings: cannot fail
	}
	return job
}

// labelTaskOf reads the payload of a job.
func labelTaskOf(job catalog.Job) (t labelTask, err error) {
	if len(job.Payload) > 0 {
		err = json.Unmarshal(job.Payload, &t)
	}
	return t, err
}

// asks returns the labelers that are to be asked.
func (l *Labeller) asks(t labelTask) []label.Named {
	if len(t.Left) == 0 {
		return l.config.Labelers
	}
	return slices.DeleteFunc(slices.Clone(l.config.Labelers), func(n label.Named) bool { return !slices.Contains(t.Left, n.Name) })
}

// event says what is known of a version once a run has ended. Who was given up is part of its id: a run that ends better later is
// told of.
func (t labelTask) event(at time.Time, r catalog.Record, failed []string) event.Event {
	digest := sha256.Sum256([]byte(strings.Join(append([]string{r.ID, r.Version, t.Run}, failed...), "\x00")))
	said := event.Labels{Source: r.ID, Version: r.Version, Failed: failed}
	for _, l := range r.Labels {
		said.Labels = append(said.Labels, event.Label{Name: l.Name, Category: l.Category, Confidence: l.Confidence, Source: l.Source})
	}
	return event.OfLabels(hex.EncodeToString(digest[:16]), at, said)
}

// toLabel returns the job of a record whose bytes have just come, if pictures are labelled.
func (s *Service) toLabel(r catalog.Record) []catalog.Job {
	if !s.config.Labelled {
		return nil
	}
	return []catalog.Job{labelTask{}.job(r)}
}

// still tells whether a record is of the version that was looked at.
func (l *Labeller) still(ctx context.Context, job catalog.Job) (r catalog.Record, ok bool, err error) {
	r, err = l.config.Catalog.Record(ctx, job.Subject)
	if errors.Is(err, ErrNotFound) {
		return r, false, nil
	}
	return r, err == nil && r.Version == job.Version, err
}
