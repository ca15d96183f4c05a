package catalog

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// tending is the work that a catalog does by itself.
type tending struct {
	stop    context.CancelFunc
	running sync.WaitGroup
}

func (t *tending) end() {
	t.stop()
	t.running.Wait()
}

const (
	// indexedAtOnce is how many records one transaction indexes, while uploads wait.
	indexedAtOnce = 50
	// indexAgain is how long the indexing waits when the database does not answer.
	indexAgain = 5 * time.Second
)

// tend indexes the records that were made before there was an index, a few at a time, until there are none. Until then they are
// served and listed, and not found by what the index has: tag, label, name, file, data and search.
func (c *Catalog) tend() {
	ctx, stop := context.WithCancel(context.Background())
	c.tending.stop = stop
	c.tending.running.Go(func() {
		for {
			n, err := c.indexSome(ctx)
			if err == nil && n < indexedAtOnce {
				return
			}
			wait := time.Duration(0)
			if err != nil {
				wait = indexAgain
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	})
}

// indexSome indexes some records that are not, and returns how many.
func (c *Catalog) indexSome(ctx context.Context) (n int, err error) {
	err = c.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		page, err := queryRecords(ctx, tx, `SELECT `+recordColumns+` FROM records WHERE indexed = 0 ORDER BY id LIMIT $1`+c.forUpdate(), indexedAtOnce)
		if n = len(page); err != nil {
			return err
		}
		for _, r := range page {
			// Data that no filter reads stays as it is, and is not searched.
			data, err := storableData(r.Data)
			if err == nil {
				r.Data = data
			}
			if _, err := tx.ExecContext(ctx, `UPDATE records SET indexed = 1, data = $1 WHERE id = $2`, r.Data, r.ID); err != nil {
				return err
			}
			if err := index(ctx, tx, nil, r); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
