package testserver

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
)

// PostgresServer is a PostgreSQL server of its own. What it holds outlasts a Stop, which is a crash to it, except for what it
// was told not to flush.
type PostgresServer struct {
	Server
	databases int
}

// Postgres starts a PostgreSQL server for one test. Its default order of texts is that of English, not that of their bytes, so
// that whoever relies on bytes has to say so. The server refuses to run as root: then it runs as the user postgres.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	programs := postgresPrograms(t)
	account := postgresUser(t)
	// Its user must be able to walk there, which t.TempDir does not let him.
	dir, err := os.MkdirTemp("", "deckle-postgres-")
	if err != nil {
		t.Fatalf("make a directory for PostgreSQL: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if account != nil {
		if err := os.Chown(dir, int(account.Uid), int(account.Gid)); err != nil {
			t.Fatalf("make a directory for PostgreSQL: %v", err)
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(programs, "initdb"), "--pgdata", data, "--username", "deckle", "--auth", "trust", "--no-sync",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US")
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: account}
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	addr := freeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	s := &PostgresServer{Server: Server{
		Addr: addr,
		path: filepath.Join(programs, "postgres"),
		args: []string{
			"-D", data, "-c", "listen_addresses=" + host, "-c", "port=" + port, "-c", "unix_socket_directories=", "-c", "fsync=off",
			"-c", "shared_buffers=256MB", "-c", "max_connections=200", "-c", "shared_memory_type=mmap", "-c", "dynamic_shared_memory_type=mmap",
		},
		ready: askPostgres, dir: dir, credential: account, quit: syscall.SIGQUIT,
	}}
	launch(t, &s.Server)
	return s
}

// Database makes an empty database and returns its address.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	db, err := sql.Open("pgx", postgresURL(s.Addr, "postgres"))
	if err != nil {
		t.Fatalf("make a database: %v", err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	return postgresURL(s.Addr, name)
}

func postgresURL(addr, database string) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword("deckle", "secret"), Host: addr, Path: database, RawQuery: "sslmode=disable"}).String()
}

func askPostgres(addr string) error {
	db, err := sql.Open("pgx", postgresURL(addr, "postgres")+"&connect_timeout=1")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetConnMaxLifetime(time.Second)
	return db.Ping()
}

// postgresPrograms returns the folder of the newest installed server: Debian keeps them out of the PATH.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		return filepath.Dir(slices.Max(found))
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		t.Fatalf("find PostgreSQL: %v; run `make test`, which installs it", err)
	}
	return filepath.Dir(path)
}

// postgresUser returns as whom the server runs; nil when that is the user of the test.
func postgresUser(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root: %v", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
