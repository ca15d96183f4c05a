package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
)

func TestLibrary(t *testing.T) {
	catalogtest.RunLibrary(t, func(t *testing.T) *catalog.Catalog {
		return open(t, filepath.Join(t.TempDir(), "catalog.db"))
	})
}

// TestIndexesFormerRecords: records of before there was an index are found once it has been made, in the background.
func TestIndexesFormerRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	write, read, err := handles(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		_, err := write.Exec(`INSERT INTO records (id, version, sha256, bytes, format, width, height, created, updated, name, tags, data)
			VALUES ($1, 'v', '', 1, 'png', 1, 1, 5, 5, 'Former Lighthouse', '["Old"]', '{"a": "x"}')`, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(write.Close(), read.Close()); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	begin := time.Now()
	for _, q := range []catalog.Query{{Search: "lightho"}, {Tag: "old"}, {Data: map[string]string{"a": "x"}}, {Search: "thous"}} {
		for n := int64(0); n != 120; {
			if n, err = c.Count(t.Context(), q); err != nil || time.Since(begin) > 5*time.Minute {
				t.Fatalf("%+v: %d of 120 are found, %v", q, n, err)
			}
		}
	}
}
