package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrQuota says that an owner would have more pictures, or bytes, than the account allows; which is behind it.
	ErrQuota = errors.New("catalog: beyond the account's limit")
	// ErrAccount says that the owner's account is being deleted, or was and has not been made anew.
	ErrAccount = errors.New("catalog: the account is deleted")
)

// Account is what one owner has, and may have. It comes to be with the first picture, or before by AddAccount.
//
// What is counted is never less than the records have: before bytes go to the store the change that brings them holds what they
// will need, by one conditional statement, and whoever comes too late is ErrQuota with nothing stored. The transaction that ends
// the change gives back what it held, and the one that writes or removes a record counts it; that is the same one. So a crash
// costs nothing: a change that is left is finished or undone, and gives back what it holds either way.
type Account struct {
	Owner         string
	Created       time.Time // milliseconds, UTC
	Pictures      int64
	Bytes         int64
	LimitPictures int64 // 0 for none
	LimitBytes    int64 // likewise
	Own           Limits
	Deleting      bool
}

// Limits of an account; 0 is none, CommonLimit what SetLimits says for all.
type Limits struct{ Pictures, Bytes int64 }

// CommonLimit stands for the limit of those who have none of their own.
const CommonLimit = -1

// SetLimits sets what accounts may have that have no limits of their own, on all nodes; 0 is no limit.
func (c *Catalog) SetLimits(ctx context.Context, l Limits) error {
	_, err := c.change(ctx, `UPDATE account_limits SET pictures = $1, bytes = $2 WHERE pictures <> $1 OR bytes <> $2`, l.Pictures, l.Bytes)
	return fault("set limits", err)
}

// limitOf is SQL for a limit of the account a.
func limitOf(what string) string {
	return `(SELECT CASE WHEN a.limit_` + what + ` < 0 THEN l.` + what + ` ELSE a.limit_` + what + ` END FROM account_limits l)`
}

// accountColumns is what scanAccount reads of the table a.
var accountColumns = `a.owner, a.created, a.pictures, a.bytes, a.limit_pictures, a.limit_bytes, a.deleting, ` + limitOf("pictures") + `, ` + limitOf("bytes")

func scanAccount(row interface{ Scan(...any) error }) (a Account, err error) {
	var created int64
	err = row.Scan(&a.Owner, &created, &a.Pictures, &a.Bytes, &a.Own.Pictures, &a.Own.Bytes, &a.Deleting, &a.LimitPictures, &a.LimitBytes)
	a.Created = fromMillis(created)
	return a, err
}

// Account returns the account of an owner, or ErrNotFound.
func (c *Catalog) Account(ctx context.Context, owner string) (a Account, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		a, err = scanAccount(conn.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts a WHERE a.owner = $1`, owner))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return a, fault("read account", err)
}

// Accounts returns up to limit accounts of owners after the one given, in their order.
func (c *Catalog) Accounts(ctx context.Context, after string, limit int) (page []Account, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		page = nil
		return eachRow(ctx, conn, `SELECT `+accountColumns+` FROM accounts a WHERE a.owner > $1 ORDER BY a.owner LIMIT $2`, []any{after, limit}, func(rows *sql.Rows) error {
			a, err := scanAccount(rows)
			page = append(page, a)
			return err
		})
	})
	return page, fault("list accounts", err)
}

// AddAccount makes an account with the limits of all; ErrExists when there is one, or while it is being deleted.
func (c *Catalog) AddAccount(ctx context.Context, owner string, now time.Time) error {
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := addAccount(ctx, tx, owner, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM account_deletions WHERE owner = $1 AND done > 0`, owner)
		return err
	})
	return fault("add account", err)
}

func addAccount(ctx context.Context, tx *sql.Tx, owner string, now time.Time) error {
	result, err := tx.ExecContext(ctx, `INSERT INTO accounts (owner, created, limit_pictures, limit_bytes, pictures, bytes, deleting)
		VALUES ($1, $2, -1, -1, 0, 0, FALSE) ON CONFLICT (owner) DO NOTHING`, owner, millis(now))
	return orElse(result, err, ErrExists)
}

// LimitAccount gives an account limits of its own; CommonLimit takes one back. ErrNotFound when there is no account.
func (c *Catalog) LimitAccount(ctx context.Context, owner string, l Limits) error {
	n, err := c.change(ctx, `UPDATE accounts SET limit_pictures = $1, limit_bytes = $2 WHERE owner = $3`, l.Pictures, l.Bytes, owner)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return fault("limit account", err)
}

// charge adds to what an owner has, if the account allows that: ErrQuota, ErrAccount. Nobody's pictures are not counted. An owner
// without an account gets one, but not after a deletion that is remembered: an upload that was allowed before it must not bring
// the account back.
func charge(ctx context.Context, tx *sql.Tx, owner string, pictures, bytes int64) error {
	if owner == "" || pictures == 0 && bytes == 0 {
		return nil
	}
	err := tryCharge(ctx, tx, owner, pictures, bytes)
	if !errors.Is(err, ErrQuota) {
		return err
	}
	a, err := scanAccount(tx.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM accounts a WHERE a.owner = $1`, owner))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return chargeNew(ctx, tx, owner, pictures, bytes)
	case err != nil:
		return err
	case a.Deleting:
		return ErrAccount
	case a.LimitPictures > 0 && a.Pictures+pictures > a.LimitPictures:
		return fmt.Errorf("%w: the account may have %d pictures, and has %d", ErrQuota, a.LimitPictures, a.Pictures)
	case a.LimitBytes > 0 && a.Bytes+bytes > a.LimitBytes:
		return fmt.Errorf("%w: the account may have %d bytes, has %d, and this needs %d more", ErrQuota, a.LimitBytes, a.Bytes, bytes)
	}
	return tryCharge(ctx, tx, owner, pictures, bytes) // it was made, or given room, between the two statements
}

func tryCharge(ctx context.Context, tx *sql.Tx, owner string, pictures, bytes int64) error {
	result, err := tx.ExecContext(ctx, `UPDATE accounts AS a SET pictures = pictures + $1, bytes = bytes + $2
		WHERE owner = $3 AND deleting = FALSE
		AND (CAST($1 AS BIGINT) <= 0 OR `+limitOf("pictures")+` = 0 OR pictures + $1 <= `+limitOf("pictures")+`)
		AND (CAST($2 AS BIGINT) <= 0 OR `+limitOf("bytes")+` = 0 OR bytes + $2 <= `+limitOf("bytes")+`)`, pictures, bytes, owner)
	return orElse(result, err, ErrQuota)
}

func chargeNew(ctx context.Context, tx *sql.Tx, owner string, pictures, bytes int64) error {
	var deleted bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM account_deletions WHERE owner = $1)`, owner).Scan(&deleted); err != nil {
		return err
	}
	if deleted {
		return ErrAccount
	}
	if err := addAccount(ctx, tx, owner, time.Now()); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	err := tryCharge(ctx, tx, owner, pictures, bytes)
	if errors.Is(err, ErrQuota) {
		return fmt.Errorf("%w: the picture alone is more than an account may have", err)
	}
	return err
}

// count adds to what an owner has, whatever the account allows: what was held is being used, or something goes.
func count(ctx context.Context, tx *sql.Tx, owner string, pictures, bytes int64) error {
	if owner == "" || pictures == 0 && bytes == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE accounts SET pictures = pictures + $1, bytes = bytes + $2 WHERE owner = $3`, pictures, bytes, owner)
	return err
}

// countPut counts a record that has been written; former is the one whose place it took, nil for none. Behind a change it is
// counted whatever the account allows: its bytes are in the store by then, and what the account allows was asked before they were,
// or the picture is replaced by somebody else than its owner. Without one it is charged.
func countPut(ctx context.Context, tx *sql.Tx, former *Record, stored Record, change *Change) error {
	add := charge
	if change != nil {
		add = count
	}
	if former == nil {
		return add(ctx, tx, stored.Owner, 1, stored.Bytes)
	}
	if former.Owner == stored.Owner {
		return add(ctx, tx, stored.Owner, 0, stored.Bytes-former.Bytes)
	}
	if err := count(ctx, tx, former.Owner, -1, -former.Bytes); err != nil {
		return err
	}
	return add(ctx, tx, stored.Owner, 1, stored.Bytes)
}

// putCounted does the Put of a step, and counts it.
func (c *Catalog) putCounted(ctx context.Context, tx *sql.Tx, s Step) (Record, error) {
	former, err := accounted(ctx, tx, s.Put.ID)
	if err != nil {
		return Record{}, err
	}
	stored, err := c.put(ctx, tx, *s.Put, s.Replace)
	if err != nil {
		return Record{}, err
	}
	return stored, countPut(ctx, tx, former, stored, s.Change)
}

// removeCounted does the Remove of a step, and counts it. A change that goes on, to erase the bytes, is the owner's until it ends:
// an account is not gone before.
func removeCounted(ctx context.Context, tx *sql.Tx, s Step) (Record, error) {
	r, err := remove(ctx, tx, s.Change.ID)
	if err != nil || r.Owner == "" {
		return r, err
	}
	if s.Next != "" {
		_, err := tx.ExecContext(ctx, `UPDATE changes SET held_by = $1 WHERE id = $2 AND owner = $3 AND held_by = ''`, r.Owner, s.Change.ID, s.Change.Owner)
		if err != nil {
			return Record{}, err
		}
	}
	return r, count(ctx, tx, r.Owner, -1, -r.Bytes)
}

// hold has a change hold what its account needs for the record that is to come, in place of what it holds. ErrQuota, ErrAccount.
func hold(ctx context.Context, tx *sql.Tx, change *Change, r Record) error {
	owner, pictures, bytes, err := needs(ctx, tx, r)
	if err != nil || owner == "" {
		return err
	}
	if err := letGo(ctx, tx, change); err != nil {
		return err
	}
	if err := charge(ctx, tx, owner, pictures, bytes); err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `UPDATE changes SET held_by = $1, held_pictures = $2, held_bytes = $3 WHERE id = $4 AND owner = $5`,
		owner, pictures, bytes, change.ID, change.Owner)
	return orElse(result, err, ErrChanging)
}

// needs is whose account will need room for a record that is to come, and how much more than it has; nobody's is "".
func needs(ctx context.Context, tx *sql.Tx, r Record) (owner string, pictures, bytes int64, err error) {
	former, err := accounted(ctx, tx, r.ID)
	if err != nil {
		return "", 0, 0, err
	}
	if former != nil && (r.Owner == "" || r.Owner == former.Owner) { // it stays the owner's
		return former.Owner, 0, max(0, r.Bytes-former.Bytes), nil
	}
	return r.Owner, 1, r.Bytes, nil
}

// mayWait tells whether an upload may wait to be published: the account must have room for it beside all others of the owner that
// wait. ErrQuota, ErrAccount. What waits is not counted as had; the account's row is locked meanwhile, so that of two uploads at once the
// later one sees the other.
func mayWait(ctx context.Context, tx *sql.Tx, r Record) error {
	if r.Owner == "" {
		return nil
	}
	_, pictures, bytes, err := needs(ctx, tx, r)
	if err != nil {
		return err
	}
	if err := charge(ctx, tx, r.Owner, pictures, bytes); err != nil {
		return err
	}
	var others, more int64
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) - COUNT(r.id), COALESCE(SUM(CASE WHEN r.id IS NULL THEN a.bytes WHEN a.bytes > r.bytes THEN a.bytes - r.bytes ELSE 0 END), 0)
		FROM asides a LEFT JOIN records r ON r.id = a.id AND r.owner = a.owner
		WHERE a.owner = $1 AND a.area = $2 AND a.expires > 0 AND a.id <> $3`, r.Owner, Incoming, r.ID).Scan(&others, &more)
	if err != nil {
		return err
	}
	if err := charge(ctx, tx, r.Owner, others, more); err != nil {
		return fmt.Errorf("%w; %d uploads wait to be published", err, others)
	}
	return count(ctx, tx, r.Owner, -pictures-others, -bytes-more)
}

// letGo gives back what a change holds.
func letGo(ctx context.Context, tx *sql.Tx, change *Change) error {
	return takeBack(ctx, tx, `SELECT held_by, held_pictures, held_bytes FROM changes WHERE id = $1 AND owner = $2`, change)
}

// endHold ends a change, and gives back what it held.
func endHold(ctx context.Context, tx *sql.Tx, change *Change) error {
	return takeBack(ctx, tx, `DELETE FROM changes WHERE id = $1 AND owner = $2 RETURNING held_by, held_pictures, held_bytes`, change)
}

// takeBack gives back what a statement tells of a change.
func takeBack(ctx context.Context, tx *sql.Tx, query string, change *Change) error {
	var (
		held            string
		pictures, bytes int64
	)
	err := tx.QueryRowContext(ctx, query, change.ID, change.Owner).Scan(&held, &pictures, &bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrChanging
	}
	if err != nil {
		return err
	}
	return count(ctx, tx, held, -pictures, -bytes)
}

// accounted is what accounts know of a record: nil when there is none.
func accounted(ctx context.Context, tx *sql.Tx, id string) (*Record, error) {
	var r Record
	err := tx.QueryRowContext(ctx, `SELECT owner, bytes FROM records WHERE id = $1`, id).Scan(&r.Owner, &r.Bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &r, err
}
