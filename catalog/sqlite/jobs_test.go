package sqlite

import (
	"path/filepath"
	"testing"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
)

func TestJobs(t *testing.T) {
	catalogtest.RunJobs(t, func(t *testing.T) *catalog.Catalog {
		return open(t, filepath.Join(t.TempDir(), "catalog.db"))
	})
}
