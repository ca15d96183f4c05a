package catalog

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"

	"deckle/filter"
)

// Database is an open database and what is particular to its kind.
type Database struct {
	// Write must begin its transactions as writers and Read must see what Write has committed; they may be the same handle.
	Write, Read *sql.DB
	Dialect     Dialect
}

// Dialect is what one kind of database says otherwise than the other.
type Dialect struct {
	Filter filter.Dialect
	Goose  goose.Dialect
	// Index is the SQL that makes the tables record_keys, terms, record_terms and grams, and lets texts be sorted by their bytes.
	Index string
	// Options are more of goose.
	Options []goose.ProviderOption
	// Contains is the function that returns the place of its second argument in its first, or 0.
	Contains string
	// Merge says that INTERSECT is the way to what several statements have in common: it is done in the order that the indexes have.
	Merge bool
	// ForUpdate locks rows that a transaction selects.
	ForUpdate string
	// Again tells errors of a transaction that lost against another one and may win when it is tried again; nil for none.
	Again func(error) bool
	// Full tells errors of a write that there was no room for; nil for none.
	Full func(error) bool
}

func (c *Catalog) forUpdate() string { return c.dialect.ForUpdate }

// indexVersion is the number of the migration that makes the tables of the index.
const indexVersion = 21

// indexMigration makes the tables of the index as the database likes them.
func (d Dialect) indexMigration() *goose.Migration {
	run := func(text string) *goose.GoFunc {
		return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, text)
			return err
		}}
	}
	return goose.NewGoMigration(indexVersion, run(d.Index),
		run(`DROP TABLE record_terms; DROP TABLE grams; DROP TABLE terms; DROP TABLE record_keys; UPDATE records SET indexed = 0`))
}
