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
	Upload    string    // names what was uploaded, as given to Finish; empty while unused
	Record    Record    // what the upload made; zero while unused
}

// Used tells whether the grant has been used.
func (g Grant) Used() bool { return g.Upload != "" }

// Issue adds a grant, unused. It answers ErrHeld when the id has another that is live and unused, and ErrExists when the id has
// a record and g does not replace. Of g, Attempt, Upload and Record are not read.
func (c *Catalog) Issue(ctx context.Context, g Grant, now time.Time) error {
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := mayIssue(ctx, tx, g); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM grants WHERE id = $1 AND used = 0 AND expires <= $2 AND claimed_until <= $3`,
			g.ID, deadline(now), millis(now))
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO grants
			(token_hash, id, replaces, expires, claimed_until, attempt, used, upload, receipt)
			VALUES ($1, $2, $3, $4, 0, 0, 0, '', '') ON CONFLICT DO NOTHING`,
			g.TokenHash, g.ID, g.Replace, millis(g.Expires))
		return orElse(result, err, ErrHeld)
	})
	return fault("issue grant", err)
}

func mayIssue(ctx context.Context, tx *sql.Tx, g Grant) error {
	if g.Replace {
		return nil
	}
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM records WHERE id = $1)`, g.ID).Scan(&taken)
	if err == nil && taken {
		return ErrExists
	}
	return err
}

// Grant returns the live grant of a token, used or not, or ErrToken when the token has none for that id.
func (c *Catalog) Grant(ctx context.Context, tokenHash, id string, now time.Time) (Grant, error) {
	g := Grant{TokenHash: tokenHash, ID: id}
	var (
		expires int64
		receipt string
	)
	err := c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		return conn.QueryRowContext(ctx, `SELECT replaces, expires, attempt, upload, receipt FROM grants
			WHERE token_hash = $1 AND id = $2 AND expires > $3`, tokenHash, id, deadline(now)).
			Scan(&g.Replace, &expires, &g.Attempt, &g.Upload, &receipt)
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
	return g, fault("claim grant", err)
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
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if r, err = put(ctx, tx, r, g.Replace); err != nil {
			return err
		}
		receipt, err := json.Marshal(r)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `UPDATE grants SET claimed_until = 0, used = $1, upload = $2, receipt = $3
			WHERE token_hash = $4 AND attempt = $5 AND used = 0`,
			millis(r.Updated), upload, string(receipt), g.TokenHash, g.Attempt)
		if err := orElse(result, err, fmt.Errorf("%w: the claim ran out", ErrUsed)); err != nil {
			return err
		}
		for _, events := range announce {
			if err := c.appendEvents(ctx, tx, events(r)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Record{}, fault("finish upload", err)
	}
	return r, nil
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
