package sqlite

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deckle/catalog"
)

// TestFull: a database without room says so, keeps what it has and can be read, and goes on when there is room again.
func TestFull(t *testing.T) {
	path, err := prepare(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	write, read, err := handles(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.New(t.Context(), catalog.Database{Write: write, Read: read, Dialect: dialect})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	limit := func(pages string) {
		t.Helper()
		if _, err := write.Exec("PRAGMA max_page_count = " + pages); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	grant := func(id string) error {
		return c.Issue(t.Context(), catalog.Grant{ID: id, TokenHash: "hash of " + id, Expires: now.Add(time.Hour), Policy: strings.Repeat("p", 8<<10)}, now)
	}
	if err := grant("cat"); err != nil {
		t.Fatal(err)
	}
	limit("1") // as few as it has
	if err := grant("dog"); !errors.Is(err, catalog.ErrFull) || !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("%v, want ErrFull", err)
	}
	if _, err := c.Grant(t.Context(), "hash of cat", "cat", now); err != nil {
		t.Errorf("what there was: %v", err)
	}
	limit("1000000")
	if err := grant("dog"); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
