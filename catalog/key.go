package catalog

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// Key is a key of the API. Its secret is not here: only what SHA-256 makes of it.
type Key struct {
	ID      string
	Name    string // for people
	Scopes  []string
	Owner   string    // user whom it acts for; empty for none
	Created time.Time // milliseconds, UTC, as the others
	Expires time.Time // zero for never
	Used    time.Time // last, about; zero for never
	Rotated time.Time // zero for never

	Hash        string // lower-case hexadecimal SHA-256 of the secret
	Former      string // likewise, of the secret before it; empty for none
	FormerUntil time.Time
}

// GoodUntil returns when the secret with the hash ceases to be good; zero for never.
func (k Key) GoodUntil(hash string) time.Time {
	if hash == k.Hash || k.Former != hash {
		return k.Expires
	}
	if !k.Expires.IsZero() && k.Expires.Before(k.FormerUntil) {
		return k.Expires
	}
	return k.FormerUntil
}

const keyColumns = `id, name, scopes, owner, created, expires, used, rotated, hash, former, former_until`

// AddKey adds a key, of which Used, Rotated and Former are not read. ErrExists when its id or hash is taken.
func (c *Catalog) AddKey(ctx context.Context, k Key) error {
	n, err := c.change(ctx, `INSERT INTO api_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7, '', 0) ON CONFLICT DO NOTHING`,
		k.ID, k.Name, strings.Join(k.Scopes, " "), k.Owner, millis(k.Created), orNever(k.Expires), k.Hash)
	if err == nil && n == 0 {
		err = ErrExists
	}
	return fault("add key", err)
}

// KeyOf returns the key whose secret, or former secret as long as that is good, has the hash. ErrNotFound when none has or the
// key has expired.
func (c *Catalog) KeyOf(ctx context.Context, hash string, now time.Time) (Key, error) {
	if hash == "" {
		return Key{}, ErrNotFound
	}
	var k Key
	err := c.look(ctx, func(ctx context.Context, conn *sql.Conn) (err error) {
		k, err = scanKey(conn.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM api_keys
			WHERE (hash = $1 OR (former = $1 AND former <> '' AND former_until > $2)) AND (expires = 0 OR expires > $2)`, hash, millis(now)))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return k, fault("read key", err)
}

// KeyUsed notes that a key was used, unless one was noted less than every before.
func (c *Catalog) KeyUsed(ctx context.Context, id string, now time.Time, every time.Duration) error {
	_, err := c.change(ctx, `UPDATE api_keys SET used = $1 WHERE id = $2 AND used <= $3`, millis(now), id, millis(now.Add(-every)))
	return fault("note use of key", err)
}

// Keys returns up to limit keys of ids after the one given, in the order of ids.
func (c *Catalog) Keys(ctx context.Context, after string, limit int) (page []Key, err error) {
	err = c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		page = nil
		return eachRow(ctx, conn, `SELECT `+keyColumns+` FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2`, []any{after, limit}, func(rows *sql.Rows) error {
			k, err := scanKey(rows)
			page = append(page, k)
			return err
		})
	})
	return page, fault("list keys", err)
}

// RotateKey gives a key another secret, by its hash. The one that it has now stays good until formerUntil, the one before that
// ceases to be. ErrNotFound when there is no such key.
func (c *Catalog) RotateKey(ctx context.Context, id, hash string, formerUntil, now time.Time) (Key, error) {
	var k Key
	err := c.transact(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		k, err = scanKey(tx.QueryRowContext(ctx, `UPDATE api_keys SET former = hash, former_until = $1, hash = $2, rotated = $3
			WHERE id = $4 RETURNING `+keyColumns, millis(formerUntil), hash, millis(now), id))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return k, fault("rotate key", err)
}

// RemoveKey removes a key; ErrNotFound when there is none of that id.
func (c *Catalog) RemoveKey(ctx context.Context, id string) error {
	n, err := c.change(ctx, `DELETE FROM api_keys WHERE id = $1`, id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return fault("remove key", err)
}

func scanKey(row interface{ Scan(...any) error }) (Key, error) {
	var (
		k                                            Key
		scopes                                       string
		created, expires, used, rotated, formerUntil int64
	)
	err := row.Scan(&k.ID, &k.Name, &scopes, &k.Owner, &created, &expires, &used, &rotated, &k.Hash, &k.Former, &formerUntil)
	if err != nil {
		return Key{}, err
	}
	k.Scopes = strings.Fields(scopes)
	k.Created, k.Expires, k.Used = fromMillis(created), fromNever(expires), fromNever(used)
	k.Rotated, k.FormerUntil = fromNever(rotated), fromNever(formerUntil)
	return k, nil
}

// orNever is millis, and 0 for the zero time.
func orNever(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return millis(t)
}

func fromNever(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return fromMillis(ms)
}
