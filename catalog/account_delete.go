package catalog

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"
)

// Deletion is an account that is being deleted, leased to one caller at a time.
type Deletion struct {
	Owner   string
	Lease   string // drawn by LeaseDeletion
	Removed int64  // pictures, so far
}

// DeleteAccount decides that an account is deleted with all that it owns: from here on nothing is added to it, and its keys are
// gone. Whoever leases the deletion removes the rest. It may be repeated; ErrNotFound when there is no account.
func (c *Catalog) DeleteAccount(ctx context.Context, owner string, now time.Time) error {
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE accounts SET deleting = TRUE WHERE owner = $1`, owner)
		if err := orElse(result, err, ErrNotFound); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM api_keys WHERE owner = $1`, owner); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO account_deletions (owner, asked, lease, until, removed, done) VALUES ($1, $2, '', 0, 0, 0)
			ON CONFLICT (owner) DO UPDATE SET done = 0, removed = CASE WHEN account_deletions.done = 0 THEN account_deletions.removed ELSE 0 END`,
			owner, millis(now))
		return err
	})
	return fault("delete account", err)
}

// LeaseDeletion takes the deletion that was asked for first and that nobody is at, until the time given. ErrNotFound when there
// is none.
func (c *Catalog) LeaseDeletion(ctx context.Context, now, until time.Time) (Deletion, error) {
	d := Deletion{Lease: rand.Text()}
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE account_deletions SET lease = $1, until = $2 WHERE done = 0 AND until <= $3 AND owner =
			(SELECT owner FROM account_deletions WHERE done = 0 AND until <= $3 ORDER BY asked, owner LIMIT 1) RETURNING owner, removed`,
			d.Lease, millis(until), millis(now)).Scan(&d.Owner, &d.Removed)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return d, fault("lease deletion", err)
}

// RenewDeletion makes the lease last until the time given, and notes how many more pictures were removed. ErrLease when it is
// another's.
func (c *Catalog) RenewDeletion(ctx context.Context, d Deletion, removed int64, until time.Time) error {
	n, err := c.change(ctx, `UPDATE account_deletions SET until = $1, removed = removed + $2 WHERE owner = $3 AND lease = $4 AND done = 0`,
		millis(until), removed, d.Owner, d.Lease)
	if err == nil && n == 0 {
		err = ErrLease
	}
	return fault("renew deletion", err)
}

// OwnedIDs returns up to limit ids, after the one given and in their order, under which an owner has anything: a picture that is
// served, waits to be published, can be restored, or is coming or going.
func (c *Catalog) OwnedIDs(ctx context.Context, owner, after string, limit int) (ids []string, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, `SELECT id FROM (SELECT id FROM records WHERE owner = $1 AND id > $2
			UNION SELECT id FROM asides WHERE owner = $1 AND owner <> '' AND id > $2
			UNION SELECT id FROM changes WHERE held_by = $1 AND held_by <> '' AND id > $2) AS owned ORDER BY id LIMIT $3`, owner, after, limit)
		if err != nil {
			return err
		}
		ids, err = scanIDs(rows)
		return err
	})
	return ids, fault("list what is owned", err)
}

// FinishDeletion removes the account when nothing of it is left: no record, nothing that is kept aside, no change under way that
// may bring something; else it is ErrChanging, and the deletion goes on. ErrLease when it is another's.
func (c *Catalog) FinishDeletion(ctx context.Context, d Deletion, now time.Time) error {
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE account_deletions SET done = $1, lease = '', until = 0 WHERE owner = $2 AND lease = $3 AND done = 0`,
			millis(now), d.Owner, d.Lease)
		if err := orElse(result, err, ErrLease); err != nil {
			return err
		}
		// The account's row is locked first: whoever holds something of it has it locked, or waits and then finds it gone.
		if _, err := tx.ExecContext(ctx, `UPDATE accounts SET deleting = TRUE WHERE owner = $1`, d.Owner); err != nil {
			return err
		}
		var left bool
		err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM records WHERE owner = $1)
			OR EXISTS (SELECT 1 FROM asides WHERE owner = $1 AND owner <> '') OR EXISTS (SELECT 1 FROM changes WHERE held_by = $1 AND held_by <> '')`,
			d.Owner).Scan(&left)
		if err != nil {
			return err
		}
		if left {
			return ErrChanging
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM accounts WHERE owner = $1`, d.Owner)
		return err
	})
	return fault("finish deletion", err)
}

// SweepDeletions forgets deletions that were done before the time given, which is longer ago than any grant is good.
func (c *Catalog) SweepDeletions(ctx context.Context, before time.Time) error {
	_, err := c.change(ctx, `DELETE FROM account_deletions WHERE done > 0 AND done <= $1`, millis(before))
	return fault("sweep deletions", err)
}
