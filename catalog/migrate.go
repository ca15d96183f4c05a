package catalog

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// migrations are the schema's steps, numbered and never edited once released.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the steps that are missing. Of two processes that start together one loses a step, which is rolled back, and
// finds it done when it looks again; there are as many to lose as there are steps, and the table that counts them.
func migrate(ctx context.Context, dialect Dialect, db *sql.DB) error {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := append([]goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithGoMigrations(dialect.indexMigration()),
	}, dialect.Options...)
	provider, err := goose.NewProvider(dialect.Goose, db, steps, options...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	for range len(provider.ListSources()) + 1 {
		if err == nil || ctx.Err() != nil {
			break
		}
		_, err = provider.Up(ctx)
	}
	return err
}
