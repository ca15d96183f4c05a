package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"deckle/catalog"
	"deckle/catalog/postgres"
	"deckle/catalog/sqlite"
)

// databaseSettings is the flag that says where records are kept.
type databaseSettings struct {
	Database string `help:"Records: sqlite:///path, or postgres://user:password@host/name, which several nodes share. Default: a file under the data directory." placeholder:"URL"`
}

// records is where records are kept.
type recordsAt struct {
	file    string // of SQLite; empty where address is set
	address string // of PostgreSQL
}

// resolve reads the flag; faults are kept in r.
func (s *databaseSettings) resolve(r *reader, data string) recordsAt {
	if s.Database == "" {
		return recordsAt{file: filepath.Join(data, "deckle.db")}
	}
	u := r.url("database", s.Database, "sqlite", "postgres", "postgresql")
	if u.Scheme != "sqlite" {
		if u.Scheme != "" && (u.Host == "" || len(u.Path) < 2) {
			r.fault("database", redacted(s.Database), "the host and the name of a database, as in postgres://user:password@host/deckle")
		}
		if u.Query().Has("password") {
			r.fault("database", "postgres://...", "the password before the host, where it is masked")
		}
		return recordsAt{address: s.Database}
	}
	return s.sqliteFile(r, u)
}

func (s *databaseSettings) sqliteFile(r *reader, u *url.URL) recordsAt {
	path := u.Path
	if u.Opaque != "" {
		path = u.Opaque // sqlite:PATH
	}
	if path == "" || u.Host != "" {
		r.fault("database", s.Database, "a file, as in sqlite:///var/lib/deckle/deckle.db")
	}
	return recordsAt{file: filepath.Clean(path)}
}

// openDatabaseTimeout bounds the wait for a database that does not answer, or that another node is bringing up to date.
const openDatabaseTimeout = time.Minute

// open opens the records.
func (at recordsAt) open() (*catalog.Catalog, error) {
	var (
		records *catalog.Catalog
		err     error
	)
	if at.address != "" {
		ctx, cancel := context.WithTimeout(context.Background(), openDatabaseTimeout)
		defer cancel()
		records, err = postgres.Open(ctx, at.address)
	} else {
		records, err = sqlite.Open(at.file)
	}
	if err != nil {
		return nil, fmt.Errorf("open records: %w", err)
	}
	return records, nil
}
