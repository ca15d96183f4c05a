package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// GrantFor returns the live grant of an id: the unused one, or else the one that was used last. ErrToken when there is none.
func (c *Catalog) GrantFor(ctx context.Context, id string, now time.Time) (Grant, error) {
	var hash string
	err := c.look(ctx, func(ctx context.Context, conn *sql.Conn) error {
		// Of the ids with many grants each is of one that was replaced often; the unused one has an index of its own.
		err := conn.QueryRowContext(ctx, `SELECT token_hash FROM grants WHERE id = $1 AND used = 0 AND expires > $2`, id, deadline(now)).Scan(&hash)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return conn.QueryRowContext(ctx, `SELECT token_hash FROM grants WHERE id = $1 AND expires > $2 ORDER BY used DESC LIMIT 1`,
			id, deadline(now)).Scan(&hash)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Grant{}, ErrToken
	}
	if err != nil {
		return Grant{}, fault("find grant", err)
	}
	return c.Grant(ctx, hash, id, now)
}
