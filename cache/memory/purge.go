package memory

import (
	"context"

	"deckle/cache"
)

var _ cache.Sweeper = (*Tier)(nil)

// Purge removes the entries of a source, those included that were set before and are not visible yet.
func (t *Tier) Purge(ctx context.Context, source string) error {
	_, err := t.delete(ctx, t.index.of(source))
	return err
}

// Sweep removes the entries within s, those included that were set before and are not visible yet.
func (t *Tier) Sweep(ctx context.Context, s cache.Scope) (removed int, err error) {
	return t.delete(ctx, t.index.within(s))
}

func (t *Tier) delete(ctx context.Context, hashes []uint64) (removed int, err error) {
	for _, hash := range hashes {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		t.items.Del(hash)
		removed++
	}
	if removed > 0 {
		t.items.Wait() // an entry that was set just before may become visible before its deletion is worked off
	}
	return removed, nil
}

func (x *index) of(source string) []uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.appendOf(make([]uint64, 0, len(x.hashes[source])), source)
}

// within looks at every source, with the lock held: some 50 ns each, while entries that come and go wait.
func (x *index) within(s cache.Scope) []uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	var list []uint64
	for source := range x.hashes {
		if s.Covers(source) {
			list = x.appendOf(list, source)
		}
	}
	return list
}

func (x *index) appendOf(list []uint64, source string) []uint64 {
	for hash := range x.hashes[source] {
		list = append(list, hash)
	}
	return list
}
