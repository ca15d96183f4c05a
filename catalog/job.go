package catalog

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"time"
)

// ErrLease says that a job is not leased to the caller any more: its lease ran out and another one took it, or it has ended.
var ErrLease = errors.New("catalog: the job is leased to somebody else, or has ended")

// The states of a job.
const (
	JobDue  = "due"  // it can be leased, or is
	JobDone = "done" // it is kept for its batch
	JobDead = "dead" // it was given up; RetryJob tries it again
)

// Job is something to be done in the background, once for each kind, subject, version, payload and batch, on any node. Whoever
// leases it may die: then it is leased again when its lease has run out. So it may be begun more than once, and ends once.
type Job struct {
	ID      int64  // drawn by Enqueue, positive, at most 53 bits
	Kind    string // of work
	Subject string // id of the source
	Version string // of the source
	Payload []byte // UTF-8 text; the catalog does not read it
	Batch   string // jobs that were asked for together; empty for none

	Attempts int       // how often it was leased
	Failures int       // how often it was given back by FailJob
	Owner    string    // to whom it is leased
	Due      time.Time // when it can be leased; zero in Enqueue is at once
}

// JobState is a job and what became of it.
type JobState struct {
	Job
	State  string
	Reason string // why it failed last
	Result []byte // what JobEnd said
}

const (
	jobColumns      = `id, kind, subject, version, payload, batch, attempts, failures, owner, due`
	jobStateColumns = jobColumns + `, state, reason, result`
)

// jobIDBits bounds ids, so that a JSON number holds them exactly in every client.
const jobIDBits = 53

// OnEnqueue says what is called with a kind once jobs of it have been committed by this process; it must return at once. It is
// called before the catalog is used.
func (c *Catalog) OnEnqueue(wake func(kind string)) { c.jobs.wake = append(c.jobs.wake, wake) }

// jobs is what a Catalog knows of those who wait for jobs.
type jobs struct{ wake []func(kind string) }

func (j jobs) enqueued(list []Job) {
	told := map[string]bool{}
	for _, job := range list {
		for _, wake := range j.wake {
			if !told[job.Kind] {
				wake(job.Kind)
			}
		}
		told[job.Kind] = true
	}
}

// Enqueue puts jobs into the queue, all or none. One that is there is not put in again, and tried again if it is dead. Jobs that
// belong to a change of a record go with the change's own transaction: see Step.Enqueue.
func (c *Catalog) Enqueue(ctx context.Context, list ...Job) error {
	if len(list) == 0 {
		return nil
	}
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return enqueue(ctx, tx, list, time.Now()) })
	if err == nil {
		c.jobs.enqueued(list)
	}
	return fault("enqueue jobs", err)
}

func enqueue(ctx context.Context, tx *sql.Tx, list []Job, now time.Time) error {
	for _, job := range list {
		if job.Due.IsZero() {
			job.Due = now
		}
		digest := sha256.Sum256([]byte(job.Batch + "\x00" + string(job.Payload)))
		result, err := tx.ExecContext(ctx, `INSERT INTO jobs (`+jobStateColumns+`, digest, settled)
			VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '', $7, 'due', '', '', $8, 0)
			ON CONFLICT (kind, subject, version, digest) DO UPDATE
			SET state = 'due', due = excluded.due, attempts = 0, failures = 0, owner = '', settled = 0
			WHERE jobs.state = 'dead' AND jobs.batch = ''`,
			1+rand.Int64N(1<<jobIDBits-1), job.Kind, job.Subject, job.Version, string(job.Payload), job.Batch, millis(job.Due),
			hex.EncodeToString(digest[:]))
		if err = orElse(result, err, errKnown); errors.Is(err, errKnown) {
			continue
		}
		if err == nil && job.Batch != "" {
			_, err = tx.ExecContext(ctx, `INSERT INTO job_batches (id, subject, pending, ended) VALUES ($1, $2, 1, 0)
				ON CONFLICT (id) DO UPDATE SET pending = job_batches.pending + 1`, job.Batch, job.Subject)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// LeaseJobs leases up to n jobs of a kind that are due at now to owner until the time given, those first that are due longest.
func (c *Catalog) LeaseJobs(ctx context.Context, kind, owner string, n int, until, now time.Time) (leased []Job, err error) {
	err = c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// That a job be due is asked twice, as of deliveries: see lease.
		rows, err := tx.QueryContext(ctx, `UPDATE jobs SET due = $1, owner = $2, attempts = attempts + 1
			WHERE kind = $3 AND state = 'due' AND due <= $4 AND id IN
				(SELECT id FROM jobs WHERE kind = $3 AND state = 'due' AND due <= $4 ORDER BY due, id LIMIT $5)
			RETURNING `+jobColumns, millis(until), owner, kind, millis(now), n)
		if err != nil {
			return err
		}
		leased, err = scanJobs(rows, func(j *Job) (*Job, []any) { return j, nil })
		return err
	})
	if err != nil {
		return nil, fault("lease jobs", err)
	}
	return leased, nil
}

// RenewJob keeps a job leased until the time given; ErrLease.
func (c *Catalog) RenewJob(ctx context.Context, job Job, until time.Time) error {
	n, err := c.change(ctx, `UPDATE jobs SET due = $1 WHERE `+leasedTo, millis(until), job.ID, job.Owner, job.Attempts)
	if err == nil && n == 0 {
		err = ErrLease
	}
	return fault("renew job", err)
}

// leasedTo is the condition that a job still is its caller's.
const leasedTo = `id = $2 AND owner = $3 AND attempts = $4 AND state = 'due'`

// FinishJob ends a job that is done; ErrLease.
func (c *Catalog) FinishJob(ctx context.Context, job Job) error { return c.EndJob(ctx, job, JobEnd{}) }

// FailJob gives a job back: it is due again at retryAt, or with dead it is given up; ErrLease. Of the reason some hundred bytes
// are kept.
func (c *Catalog) FailJob(ctx context.Context, job Job, reason string, retryAt time.Time, dead bool) error {
	if dead {
		return c.EndJob(ctx, job, JobEnd{Dead: true, Reason: reason})
	}
	n, err := c.change(ctx, `UPDATE jobs SET due = $1, owner = '', failures = failures + 1, reason = $5 WHERE `+leasedTo,
		millis(retryAt), job.ID, job.Owner, job.Attempts, bounded(reason))
	if err == nil && n == 0 {
		err = ErrLease
	}
	return fault("give job back", err)
}

// JobEnd says how a job ended.
type JobEnd struct {
	Result []byte // UTF-8 text, kept as long as its batch is
	Dead   bool   // it was given up
	Reason string // why
	// Announce makes the events that are told of the end, in its transaction. When the job was the last one of its batch that was
	// neither done nor dead, batch are all of the batch, which happens once for a batch; otherwise none.
	Announce func(batch []JobState) []Event
}

// EndJob ends a job; ErrLease. One of a batch is kept until SweepJobs, others that are done are not kept.
func (c *Catalog) EndJob(ctx context.Context, job Job, end JobEnd) error {
	return fault("end job", c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := time.Now()
		var batch []JobState
		err := endOne(ctx, tx, job, end, now)
		if err == nil && job.Batch != "" {
			batch, err = endBatch(ctx, tx, job.Batch, now)
		}
		if err != nil || end.Announce == nil {
			return err
		}
		return c.appendEvents(ctx, tx, end.Announce(batch))
	}))
}

func endOne(ctx context.Context, tx *sql.Tx, job Job, end JobEnd, now time.Time) error {
	state := JobDone
	if end.Dead {
		state = JobDead
	}
	result, err := tx.ExecContext(ctx, `UPDATE jobs SET state = $1, owner = '', settled = $5, reason = $6, result = $7 WHERE `+leasedTo,
		state, job.ID, job.Owner, job.Attempts, millis(now), bounded(end.Reason), string(end.Result))
	if err := orElse(result, err, ErrLease); err != nil {
		return err
	}
	if !end.Dead && job.Batch == "" {
		_, err = tx.ExecContext(ctx, `DELETE FROM jobs WHERE id = $1`, job.ID)
	}
	return err
}

// endBatch counts one of a batch as ended, and returns all of it when that was the last one. The row of the batch makes those
// that end at the same moment take turns.
func endBatch(ctx context.Context, tx *sql.Tx, batch string, now time.Time) ([]JobState, error) {
	var pending, ended int64
	err := tx.QueryRowContext(ctx, `UPDATE job_batches SET pending = pending - 1 WHERE id = $1 RETURNING pending, ended`, batch).Scan(&pending, &ended)
	if err != nil || pending > 0 || ended > 0 {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE job_batches SET ended = $1 WHERE id = $2`, millis(now), batch); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+jobStateColumns+` FROM jobs WHERE batch = $1 ORDER BY id`, batch)
	if err != nil {
		return nil, err
	}
	return scanJobs(rows, jobState)
}

// BatchJobs returns the jobs of a batch by their ids, those too that have ended. ErrNotFound when there are none, or when they were
// swept.
func (c *Catalog) BatchJobs(ctx context.Context, batch string) ([]JobState, error) {
	list, err := c.jobStates(ctx, `batch = $1 AND batch <> '' ORDER BY id`, batch)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	return list, err
}

// DeadJobs returns up to limit jobs of a kind that were given up, of ids after the one given and in their order.
func (c *Catalog) DeadJobs(ctx context.Context, kind string, after int64, limit int) ([]JobState, error) {
	return c.jobStates(ctx, `kind = $1 AND state = 'dead' AND id > $2 ORDER BY id LIMIT $3`, kind, after, limit)
}

func (c *Catalog) jobStates(ctx context.Context, which string, args ...any) (list []JobState, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, `SELECT `+jobStateColumns+` FROM jobs WHERE `+which, args...)
		if err != nil {
			return err
		}
		list, err = scanJobs(rows, jobState)
		return err
	})
	return list, fault("list jobs", err)
}

// PendingJobs returns how many jobs of a kind are neither done nor dead, counted up to most, and when the next one falls due or its
// lease runs out; the zero time when there is none.
func (c *Catalog) PendingJobs(ctx context.Context, kind string, most int) (n int, next time.Time, err error) {
	var due sql.NullInt64
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT COUNT(*), MIN(due) FROM
			(SELECT due FROM jobs WHERE kind = $1 AND state = 'due' ORDER BY due, id LIMIT $2) pending`, kind, most).Scan(&n, &due)
	})
	if due.Valid {
		next = fromMillis(due.Int64)
	}
	return n, next, fault("count jobs", err)
}

// RetryJob has a dead job tried again at once. ErrNotFound when there is none of the id. Its batch, if it has one, stays as it
// ended.
func (c *Catalog) RetryJob(ctx context.Context, id int64) error {
	var job Job
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `UPDATE jobs SET state = 'due', due = $1, attempts = 0, failures = 0, settled = 0
			WHERE id = $2 AND state = 'dead' RETURNING kind, batch`, millis(time.Now()), id).Scan(&job.Kind, &job.Batch)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err == nil && job.Batch != "" {
			_, err = tx.ExecContext(ctx, `UPDATE job_batches SET pending = pending + 1 WHERE id = $1`, job.Batch)
		}
		return err
	})
	if err == nil {
		c.jobs.enqueued([]Job{job})
	}
	return fault("retry job", err)
}

// SweepJobs removes up to limit batches that ended before the time given, with their jobs, and as many jobs without a batch that
// died before it. It returns how many of both.
func (c *Catalog) SweepJobs(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		const ended = `SELECT id FROM job_batches WHERE ended > 0 AND ended < $1 AND pending = 0 ORDER BY ended, id LIMIT $2`
		if _, err := tx.ExecContext(ctx, `DELETE FROM jobs WHERE batch IN (`+ended+`)`, millis(before), limit); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM job_batches WHERE id IN (` + ended + `)`,
			`DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = 'dead' AND batch = '' AND settled < $1 ORDER BY settled LIMIT $2)`,
		} {
			result, err := tx.ExecContext(ctx, query, millis(before), limit)
			if err != nil {
				return err
			}
			swept, err := result.RowsAffected()
			if err != nil {
				return err
			}
			n += int(swept)
		}
		return nil
	})
	return n, fault("sweep jobs", err)
}

func jobState(s *JobState) (*Job, []any) {
	return &s.Job, []any{&s.State, &s.Reason, (*text)(&s.Result)}
}

// scanJobs reads rows of jobColumns and of what parts says beside them.
func scanJobs[T any](rows *sql.Rows, parts func(*T) (*Job, []any)) (list []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			one T
			due int64
		)
		job, more := parts(&one)
		if err := rows.Scan(append([]any{&job.ID, &job.Kind, &job.Subject, &job.Version, (*text)(&job.Payload), &job.Batch,
			&job.Attempts, &job.Failures, &job.Owner, &due}, more...)...); err != nil {
			return nil, err
		}
		job.Due = fromMillis(due)
		list = append(list, one)
	}
	return list, rows.Err()
}

// text is a column of text that is read as bytes; none when it is empty.
type text []byte

// Scan implements sql.Scanner.
func (t *text) Scan(value any) error {
	var s sql.NullString
	err := s.Scan(value)
	if *t = text(s.String); s.String == "" {
		*t = nil
	}
	return err
}
