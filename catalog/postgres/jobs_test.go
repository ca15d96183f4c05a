package postgres

import (
	"testing"

	"deckle/catalog"
	"deckle/catalog/catalogtest"
	"deckle/internal/testserver"
)

func TestJobs(t *testing.T) {
	server := testserver.Postgres(t)
	catalogtest.RunJobs(t, func(t *testing.T) *catalog.Catalog { return opened(t, server.Database(t)) })
}
