package catalog

import (
	"context"
	"database/sql"
	"time"
)

// JobsOf returns up to limit jobs of a kind on a subject at a version, those too that have ended and are kept: those that are due
// first, then the others, that ended last first.
func (c *Catalog) JobsOf(ctx context.Context, kind, subject, version string, limit int) ([]JobState, error) {
	return c.jobStates(ctx, jobsOf, kind, subject, version, limit)
}

const jobsOf = `kind = $1 AND subject = $2 AND version = $3
	ORDER BY CASE state WHEN 'due' THEN 0 ELSE 1 END, settled DESC, id LIMIT $4`

// EnqueueLacking is Enqueue of what lacking returns of JobsOf, which is asked in the same transaction: of two that find out at one
// time that something lacks, one puts it into the queue, unless the database lets transactions overlap. lacking may be called
// several times.
func (c *Catalog) EnqueueLacking(ctx context.Context, kind, subject, version string, limit int, lacking func([]JobState) []Job) error {
	var list []Job
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT `+jobStateColumns+` FROM jobs WHERE `+jobsOf, kind, subject, version, limit)
		if err != nil {
			return err
		}
		there, err := scanJobs(rows, jobState)
		if err != nil {
			return err
		}
		list = lacking(there)
		return enqueue(ctx, tx, list, time.Now())
	})
	if err == nil {
		c.jobs.enqueued(list)
	}
	return fault("enqueue jobs", err)
}
