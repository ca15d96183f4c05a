package sqlite

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, path string) *catalog.Catalog {
	t.Helper()
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // some tests close it themselves
	return c
}

func TestLaws(t *testing.T) {
	catalogtest.Run(t, func(t *testing.T) *catalog.Catalog {
		return open(t, filepath.Join(t.TempDir(), "catalog.db"))
	})
}

func FuzzGrants(f *testing.F) {
	catalogtest.Fuzz(f, open(f, filepath.Join(f.TempDir(), "catalog.db")))
}

// TestSettings reads the settings back from the database: a misspelt pragma is no error to SQLite.
func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	open(t, path)
	write, read, err := handles(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]*sql.DB{"write": write, "read": read} {
		wantQueryOnly := map[string]string{"write": "0", "read": "1"}[name]
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": wantQueryOnly,
		} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s handle: %s is %q (%v), want %q", name, pragma, got, err, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenOddPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "a ?b#c%20d&_pragma=synchronous(OFF)", "catalog.db")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %d bytes and mode %v, want the schema in it and -rw-------", info.Size(), info.Mode())
	}
}

func TestOpenNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := os.WriteFile(path, []byte("this is a letter, not a database; it is long enough to be read as a header, too"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Open(path); !errors.Is(err, catalog.ErrUnavailable) {
		t.Fatalf("opened %v, error %v, want ErrUnavailable", c, err)
	}
	if c, err := Open(filepath.Join(path, "catalog.db")); err == nil {
		t.Fatalf("opened %v inside a file", c)
	}
}

// TestOpenTogether opens a new file from several places at once, as a server and a command do when both start.
func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			c, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestReopen closes and opens the file between every two steps of an upload.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	now := time.Now()
	g := catalog.Grant{TokenHash: "hash", ID: "cat", Expires: now.Add(time.Minute)}
	var err error
	for _, step := range []func(*catalog.Catalog) error{
		func(c *catalog.Catalog) error { return c.Issue(t.Context(), g, now) },
		func(c *catalog.Catalog) error {
			g, err = c.Claim(t.Context(), g, now, now.Add(time.Second))
			return err
		},
		func(c *catalog.Catalog) error { return c.Renew(t.Context(), g, now.Add(time.Minute)) },
		func(c *catalog.Catalog) error {
			_, err := c.Finish(t.Context(), g, catalog.Record{ID: "cat", Version: "v1", Updated: now}, "upload")
			return err
		},
		func(c *catalog.Catalog) error {
			if r, err := c.Record(t.Context(), "cat"); err != nil || r.Version != "v1" {
				t.Errorf("record after all: %+v, %v", r, err)
			}
			return nil
		},
	} {
		c := open(t, path)
		if err := step(c); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
