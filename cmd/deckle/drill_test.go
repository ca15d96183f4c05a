package main

import (
	"database/sql"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"deckle/internal/testserver"

	"github.com/google/go-cmp/cmp"
)

// TestDrill is the drill of docs/backup.md on one node: backup while it serves, lose everything, restore. Every picture and every
// record is back.
func TestDrill(t *testing.T) {
	data, backup := filepath.Join(t.TempDir(), "data"), t.TempDir()
	c := caller{daemon: start(t, "--data", data)}
	c.fill(30)
	want := c.everything()
	// Records first: what comes meanwhile has its bytes in the backup and is indexed; a record without bytes could not be helped.
	vacuumInto(t, filepath.Join(data, "deckle.db"), filepath.Join(backup, "deckle.db"))
	c.upload("meanwhile", smallPicture(1<<21), false)
	copyTree(t, filepath.Join(data, "originals"), filepath.Join(backup, "originals"))
	copyTree(t, filepath.Join(data, "secret"), filepath.Join(backup, "secret"))
	for id, r := range c.everything() {
		want[id] = r
	}
	c.kill()
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	copyTree(t, backup, data)
	c.launch()
	c.mustRun("32 sources: 1 records made, 0 failed; 0 records without bytes", "index")
	got := c.everything()
	for _, name := range []string{"created", "updated", "time"} { // of the one that was indexed they are those of its file
		delete(got["meanwhile"], name)
		delete(want["meanwhile"], name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-before +after):\n%.3000s", diff)
	}
	c.wantFiles(want)
	for id, r := range want {
		if shown := c.get("/" + id + ".png").status; (shown == 200) == (r["private"] == true) {
			t.Errorf("%s, private %v: %d", id, r["private"], shown)
		}
	}
}

// TestDrillFleet is the drill on PostgreSQL and S3: pg_dump and a copy of the bucket.
func TestDrillFleet(t *testing.T) {
	s3, postgres := testserver.S3(t), testserver.Postgres(t)
	s3.SetCredentials(t)
	bucket, database := s3.Bucket(t), postgres.Database(t)
	c := caller{daemon: start(t, "--data", t.TempDir(), "--origin", s3.URL(bucket), "--database", database)}
	c.fill(30)
	want := c.everything()
	dump := filepath.Join(t.TempDir(), "deckle.dump")
	program(t, "pg_dump", "--format=custom", "--no-owner", "--file="+dump, database)
	other := s3.Bucket(t)
	// As a server's replication does, with the metadata, which here are attributes of files.
	program(t, "cp", "--archive", s3.Path(bucket, "")+"/.", s3.Path(other, ""))
	c.kill()
	if err := os.RemoveAll(s3.Path(bucket, "prefix")); err != nil {
		t.Fatal(err)
	}
	restored := postgres.Database(t)
	program(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+restored, dump)
	c = caller{daemon: start(t, "--data", t.TempDir(), "--origin", s3.URL(other), "--database", restored)}
	c.mustRun("31 sources: 0 records made, 0 failed; 0 records without bytes", "index")
	if diff := cmp.Diff(want, c.everything()); diff != "" {
		t.Errorf("records (-before +after):\n%.3000s", diff)
	}
	c.wantFiles(want)
	for id, r := range want {
		if shown := c.get("/" + id + ".png").status; (shown == 200) == (r["private"] == true) {
			t.Errorf("%s, private %v: %d", id, r["private"], shown)
		}
	}
}

// program runs one that is part of the drill.
func program(t *testing.T, name string, args ...string) {
	t.Helper()
	if said, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, said)
	}
}

// vacuumInto copies a database that is in use, as sqlite3's "VACUUM INTO" does.
func vacuumInto(t *testing.T, from, to string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it was only read
	if _, err := db.Exec("VACUUM INTO $1", to); err != nil {
		t.Fatal(err)
	}
}

// copyTree copies a file, or a directory with all that is in it, hidden files included.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
