package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Skew is by how much the clocks of two nodes may differ: a grant counts as live for this much longer than Expires says, so
// that a node whose clock is ahead does not refuse a token that another has just given out. There is no "not before", so
// a clock that is behind refuses nothing.
const Skew = 60 * time.Second

// issueTime is what one grant may take of a transaction that issues many: three statements, each a trip to the database.
const issueTime = 10 * time.Millisecond

// Grant is the right to upload one source once.
//
//	          Claim                 Finish
//	issued --------------> claimed --------> used
//	       <--------------
//	   Release, or the claim runs out
//
// Every change of state is one conditional statement, so that of any number of uploads at once only one makes it. Attempt
// numbers the claims: whoever holds an outdated one (its claim ran out, and another upload has the grant) can change nothing.
type Grant struct {
	TokenHash string // lower-case hexadecimal SHA-256 of the token, which itself is never stored
	ID        string
	Replace   bool      // the upload may replace a source that is there
	Expires   time.Time // by the wall clock, milliseconds; no claim is made later than Skew after it
	Attempt   int64     // of the latest claim, 0 before the first
	Policy    string    // as given to Issue; the catalog does not read it
	Upload    string    // names what was uploaded, as given to Finish; empty while unused
	Record    Record    // what the upload made; zero while unused
}

// Used tells whether the grant has been used.
func (g Grant) Used() bool { return g.Upload != "" }

// Issue adds a grant, unused. It answers ErrHeld when the id has another that is live and unused, and ErrExists when the id has
// a record, or a source is kept aside for it to be published, and g does not replace. Of g, Attempt, Upload and Record are not
// read.
func (c *Catalog) Issue(ctx context.Context, g Grant, now time.Time) error {
	verdicts, err := c.IssueAll(ctx, []Grant{g}, now)
	if err != nil {
		return err
	}
	return verdicts[0]
}

// IssueAll adds grants in one transaction, each with the verdict of Issue, nil for one that was added.
func (c *Catalog) IssueAll(ctx context.Context, grants []Grant, now time.Time) (verdicts []error, err error) {
	err = c.transactFor(ctx, turnTimeout+time.Duration(len(grants))*issueTime, func(ctx context.Context, tx *sql.Tx) error {
		verdicts = make([]error, len(grants))
		for i, g := range grants {
			err := issue(ctx, tx, g, now)
			if err != nil && !errors.Is(err, ErrHeld) && !errors.Is(err, ErrExists) {
				return err
			}
			verdicts[i] = err
		}
		return nil
	})
	if err != nil {
		return nil, fault("issue grant", err)
	}
	return verdicts, nil
}

func issue(ctx context.Context, tx *sql.Tx, g Grant, now time.Time) error {
	if err := mayIssue(ctx, tx, g); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE id = $1 AND used = 0 AND expires <= $2 AND claimed_until <= $3`,
		g.ID, deadline(now), millis(now))
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO grants
		(token_hash, id, replaces, expires, claimed_until, attempt, used, upload, receipt, policy)
		VALUES ($1, $2, $3, $4, 0, 0, 0, '', '', $5) ON CONFLICT DO NOTHING`,
		g.TokenHash, g.ID, g.Replace, millis(g.Expires), g.Policy)
	return orElse(result, err, ErrHeld)
}

func mayIssue(ctx context.Context, tx *sql.Tx, g Grant) error {
	if g.Replace {
		return nil
	}
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM records WHERE id = $1)
		OR EXISTS (SELECT 1 FROM asides WHERE area = $2 AND id = $1)`, g.ID, Incoming).Scan(&taken)
	if err == nil && taken {
		return ErrExists
	}
	return err
}

// Grant returns the live grant of a token, used or not, or ErrToken when the token has none for that id; any id will do when it
// is empty.
func (c *Catalog) Grant(ctx context.Context, tokenHash, id string, now time.Time) (Grant, error) {
	g := Grant{TokenHash: tokenHash, ID: id}
	var (
		expires int64
		receipt string
	)
	err := c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT id, replaces, expires, attempt, upload, receipt, policy FROM grants
			WHERE token_hash = $1 AND (id = $2 OR $2 = '') AND expires > $3`, tokenHash, id, deadline(now)).
			Scan(&g.ID, &g.Replace, &expires, &g.Attempt, &g.Upload, &receipt, &g.Policy)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Grant{}, ErrToken
	}
	if err == nil && g.Used() {
		err = json.Unmarshal([]byte(receipt), &g.Record)
	}
	if err != nil {
		return Grant{}, fault("read grant", err)
	}
	g.Expires = fromMillis(expires)
	return g, nil
}

// Claim takes a live, unused grant for one upload until the time given, and returns it with its Attempt. It answers ErrUsed
// when another upload has the claim, or has used the grant; a claim that has run out counts no more.
func (c *Catalog) Claim(ctx context.Context, g Grant, now, until time.Time) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, turnTimeout)
	defer cancel()
	err := c.write.QueryRowContext(ctx, `UPDATE grants SET claimed_until = $1, attempt = attempt + 1
		WHERE token_hash = $2 AND used = 0 AND claimed_until <= $3 AND expires > $4 RETURNING attempt`,
		millis(until), g.TokenHash, millis(now), deadline(now)).Scan(&g.Attempt)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w, or another upload is using it", ErrUsed)
	}
	return g, fault("claim grant", c.full(err))
}

// Renew makes g's claim last until the time given. It answers ErrUsed when the claim is no longer g's.
func (c *Catalog) Renew(ctx context.Context, g Grant, until time.Time) error {
	n, err := c.change(ctx, `UPDATE grants SET claimed_until = $1 WHERE token_hash = $2 AND attempt = $3 AND used = 0`,
		millis(until), g.TokenHash, g.Attempt)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: the claim ran out", ErrUsed)
	}
	return fault("renew claim", err)
}

// Release gives g's claim back: the token can be used again until it expires. Where the claim is no longer g's it does nothing.
func (c *Catalog) Release(ctx context.Context, g Grant) error {
	_, err := c.change(ctx, `UPDATE grants SET claimed_until = 0 WHERE token_hash = $1 AND attempt = $2 AND used = 0`,
		g.TokenHash, g.Attempt)
	return fault("release grant", err)
}

// Finish writes r, the record of what was uploaded, and marks g used, both or neither; it returns the record as it now stands.
// upload, not empty, names what was uploaded, so that a repetition can be told from another upload. The record's Created is not
// read. It answers ErrUsed when the claim is no longer g's, and ErrExists when the id has a record and g does not replace.
// The events that announce makes of the record as it now stands are appended with it, or not at all.
func (c *Catalog) Finish(ctx context.Context, g Grant, r Record, upload string, announce ...func(Record) []Event) (Record, error) {
	step := Step{Put: &r, Replace: g.Replace, Use: &g, Upload: upload}
	if len(announce) > 0 {
		step.Announce = announce[0]
	}
	return c.Settle(ctx, r.Updated, step)
}

// use marks a grant used by r. With anyhow it may be claimed by somebody else by now, or be gone.
func use(ctx context.Context, tx *sql.Tx, g Grant, r Record, upload string, anyhow bool, now time.Time) error {
	receipt, err := json.Marshal(r)
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `UPDATE grants SET claimed_until = 0, used = $1, upload = $2, receipt = $3
		WHERE token_hash = $4 AND (attempt = $5 OR $6) AND used = 0`,
		millis(now), upload, string(receipt), g.TokenHash, g.Attempt, anyhow)
	if anyhow {
		return err
	}
	return orElse(result, err, fmt.Errorf("%w: the claim ran out", ErrUsed))
}

// Sweep removes up to limit grants that have expired, used or not, and returns how many it removed. A grant that an upload
// has claimed is left to it.
func (c *Catalog) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := c.change(ctx, `DELETE FROM grants WHERE token_hash IN
		(SELECT token_hash FROM grants WHERE expires <= $1 AND claimed_until <= $2 LIMIT $3)`,
		deadline(now), millis(now), limit)
	return int(n), fault("sweep grants", err)
}

// deadline is the stored Expires up to which a grant is dead at now.
func deadline(now time.Time) int64 { return millis(now.Add(-Skew)) }

// orElse returns otherwise when a statement touched no row.
func orElse(result sql.Result, err, otherwise error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}
