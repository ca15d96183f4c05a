package file_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"deckle/origin"
)

// marks lists what is marked as private in a directory.
func marks(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, ".private"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, ".private", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(text))
	}
	return ids
}

// TestPrivateSurvives: privacy is there for the next process, and in a plain copy of the directory.
func TestPrivateSurvives(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	staged, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	staged.SetPrivate(true)
	if _, err := staged.Commit(t.Context(), "a/cat", false); err != nil {
		t.Fatal(err)
	}
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{dir, backup} {
		if info, err := openStore(t, where).Stat(t.Context(), "a/cat"); err != nil || !info.Private {
			t.Errorf("Stat in %s = %+v, %v; want it private", where, info, err)
		}
	}
	// A source that becomes a directory, since others lie below it, stays private, and they are not.
	below, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := below.Commit(t.Context(), "a/cat/kitten", false); err != nil || info.Private {
		t.Errorf("a source below a private one: %+v, %v", info, err)
	}
	if info, err := s.Stat(t.Context(), "a/cat"); err != nil || !info.Private {
		t.Errorf("a source that others lie below: %+v, %v", info, err)
	}
}

// TestMarkWithoutSource: what a crash leaves of a private upload goes with the next look at it, and says nothing of what comes
// after.
func TestMarkWithoutSource(t *testing.T) {
	for name, look := range map[string]func(*testing.T, origin.Store) error{
		"delete":      func(t *testing.T, s origin.Store) error { return s.Delete(t.Context(), "cat") },
		"set private": func(t *testing.T, s origin.Store) error { _, err := s.SetPrivate(t.Context(), "cat", true); return err },
		"set public": func(t *testing.T, s origin.Store) error {
			_, err := s.SetPrivate(t.Context(), "cat", false)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir)
			staged, err := s.Stage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			staged.SetPrivate(true)
			if _, err := staged.Commit(t.Context(), "cat", false); err != nil {
				t.Fatal(err)
			}
			if got := marks(t, dir); len(got) != 1 || got[0] != "cat\n" {
				t.Errorf("marks %q, want that of cat", got)
			}
			if err := os.Remove(filepath.Join(dir, "cat")); err != nil {
				t.Fatal(err)
			}
			if err := look(t, s); !errors.Is(err, origin.ErrNotFound) {
				t.Errorf("%v, want ErrNotFound", err)
			}
			if got := marks(t, dir); len(got) != 0 {
				t.Errorf("marks left: %q", got)
			}
		})
	}
}

// TestUnreadableMarks: when nobody can tell whether a source is private it is not served.
func TestUnreadableMarks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cat"), []byte("cat"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".private"), nil, 0o600); err != nil { // no directory
		t.Fatal(err)
	}
	if info, err := openStore(t, dir).Stat(t.Context(), "cat"); err == nil {
		t.Errorf("Stat = %+v, want an error", info)
	}
}
