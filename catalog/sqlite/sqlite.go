// Package sqlite keeps the catalog in one SQLite file: the embedded default, for one node.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	_ "embed" // the schema of the index
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // registers the driver "sqlite", too

	"deckle/catalog"
	"deckle/filter"
)

// readers is how many connections read at once. Reads are looked up by key and take microseconds; more would only hold memory.
const readers = 4

//go:embed index.sql
var index string

var dialect = catalog.Dialect{Filter: filter.SQLite, Goose: goose.DialectSQLite3, Index: index, Contains: "instr", Merge: true, Full: full}

// openTimeout bounds the opening: the creation of the schema, and the wait for another process that is creating it.
const openTimeout = 30 * time.Second

// pragmas hold for every connection. WAL lets readers go on beside the writer, and synchronous=FULL flushes it at each commit:
// with NORMAL a power cut may take back commits that were acknowledged (https://www.sqlite.org/pragma.html#pragma_synchronous).
var pragmas = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "temp_store(MEMORY)"}

// readerCache is how much of the file each reader keeps: 32 MiB, in KiB. With the 2 MB that are usual, a search of a million
// records reads most pages of the index anew.
const readerCache = "cache_size(-32768)"

func init() {
	for _, f := range filter.Functions() {
		sqlite.MustRegisterDeterministicScalarFunction(f.Name, f.Args, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			values := make([]any, len(args))
			for i, arg := range args {
				values[i] = arg
			}
			return f.Do(values)
		})
	}
}

// Open opens the catalog in the file at path, and makes the file, its directory and its schema where they are missing. Both are
// readable by their owner only. Several processes may have the file open; it must not be on a network file system.
func Open(path string) (*catalog.Catalog, error) {
	path, err := prepare(path)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	write, read, err := handles(path)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	c, err := catalog.New(ctx, catalog.Database{Write: write, Read: read, Dialect: dialect})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog: %w", err), write.Close(), read.Close())
	}
	return c, nil
}

// full tells that the disk has no room for a write, or for the memory that connections share
// (https://www.sqlite.org/rescode.html).
func full(err error) bool {
	const noRoom, noSharedRoom = 13, 4874 // SQLITE_FULL, SQLITE_IOERR_SHMSIZE
	var fault *sqlite.Error
	return errors.As(err, &fault) && (fault.Code() == noRoom || fault.Code() == noSharedRoom)
}

// prepare makes the file before SQLite does, which would give it the permissions of the umask; the files that SQLite puts beside
// it take over those of the file. A file that is there is left unopened: closing it would drop the locks that this process
// holds on it (https://www.sqlite.org/howtocorrupt.html section 2.2).
func prepare(path string) (string, error) {
	preparing.Lock()
	defer preparing.Unlock()
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	return path, file.Close()
}

// preparing lets nobody open the file between its making and its closing.
var preparing sync.Mutex

// handles returns one connection that writes, since SQLite has one writer at a time and a queue in the process is fair where its
// lock is not, and a pool that reads.
func handles(path string) (write, read *sql.DB, err error) {
	if write, err = sql.Open("sqlite", source(path, "_txlock=immediate")); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if read, err = sql.Open("sqlite", source(path, "_pragma=query_only(ON)&_pragma="+readerCache)); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

// source names the database as a URI, so that a path may hold "?" or "%" (https://www.sqlite.org/uri.html).
func source(path, option string) string {
	query := option + "&_pragma=" + strings.Join(pragmas, "&_pragma=")
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query}).String()
}
