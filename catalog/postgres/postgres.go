// Package postgres keeps the catalog in a PostgreSQL database, which any number of nodes share.
package postgres

import (
	"context"
	"database/sql"
	_ "embed" // the schema of the index
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"deckle/catalog"
	"deckle/filter"
)

const (
	// connections is how many a node has for writing, and how many for reading, at most: a flood of one kind leaves the other alone.
	connections = 8
	// connectTimeout bounds one attempt to connect, where the address says nothing else.
	connectTimeout = 5 * time.Second
	// idleFor is how long a connection that nobody uses is kept.
	idleFor = 5 * time.Minute
)

// settings hold for every connection unless the address says otherwise. Each query is planned for its own arguments: a plan for
// any tag is wrong for the rare and for the common one. Compiling a query costs more than a page of records does.
var settings = map[string]string{
	"application_name": "deckle", "plan_cache_mode": "force_custom_plan", "jit": "off",
	"max_parallel_workers_per_gather": "0", "random_page_cost": "1.1", "synchronize_seqscans": "off",
	"statement_timeout": "65s", "idle_in_transaction_session_timeout": "65s",
}

//go:embed index.sql
var index string

// Open opens the catalog in the database that a postgres:// address names, and brings its schema up to date; of nodes that start
// together one does that, and the others wait for it until ctx ends.
func Open(ctx context.Context, address string) (*catalog.Catalog, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err) // pgx leaves the password out
	}
	for name, value := range settings {
		if _, said := config.RuntimeParams[name]; !said {
			config.RuntimeParams[name] = value
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	write, read := pool(config), pool(config)
	c, err := catalog.New(ctx, catalog.Database{Write: write, Read: read, Dialect: catalog.Dialect{
		Filter: filter.Postgres, Goose: goose.DialectPostgres, Index: index, Options: []goose.ProviderOption{goose.WithSessionLocker(locker)},
		Contains: "strpos", ForUpdate: " FOR UPDATE", Again: again, Full: full,
	}})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog: %w", err), write.Close(), read.Close())
	}
	return c, nil
}

func pool(config *pgx.ConnConfig) *sql.DB {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(idleFor)
	return db
}

// full tells that a disk of the server has no room left.
func full(err error) bool {
	var fault *pgconn.PgError
	return errors.As(err, &fault) && fault.Code == "53100"
}

// again tells transactions that were given up for the sake of another one: deadlocks, failed serializations, and words that one
// record lost while another one got them (https://www.postgresql.org/docs/15/errcodes-appendix.html).
func again(err error) bool {
	var fault *pgconn.PgError
	if !errors.As(err, &fault) {
		return false
	}
	switch fault.Code {
	case "40001", "40P01":
		return true
	case "23503":
		return fault.TableName == "record_terms" || fault.TableName == "terms"
	}
	return false
}
