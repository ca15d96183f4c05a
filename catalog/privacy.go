package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Privacy is what a record says of who may see the source.
type Privacy struct {
	Private bool
	Version string // of the source, which some stores change with its privacy
}

// set writes it and returns the record as it now stands. A source that has no record is none of the catalog's.
func (p Privacy) set(ctx context.Context, tx *sql.Tx, id string) (Record, error) {
	r, err := scanRecord(tx.QueryRowContext(ctx, `UPDATE records SET private = $1, version = $2 WHERE id = $3 RETURNING `+recordColumns,
		p.Private, p.Version, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Record{ID: id}, nil
	}
	return r, err
}
