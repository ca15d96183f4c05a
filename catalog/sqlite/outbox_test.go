package sqlite

import (
	"path/filepath"
	"testing"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
)

func TestOutbox(t *testing.T) {
	catalogtest.RunOutbox(t, func(t *testing.T) *catalog.Catalog {
		return open(t, filepath.Join(t.TempDir(), "catalog.db"))
	})
}
