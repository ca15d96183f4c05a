package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"deckle/cache"
)

var (
	_ cache.Sweeper = (*store)(nil)
	_ cache.Keeper  = (*store)(nil)
)

// scanBatch is how many keys the server looks at for one command, which blocks it meanwhile: well below a millisecond.
const scanBatch = 1000

// sweepTimeout bounds one of the round trips of a Sweep, of which there are three for scanBatch keys.
const sweepTimeout = 2 * time.Second

// marksKey holds what Keep was given. It is in no source's slot and does not expire.
const marksKey = "deckle:marks"

func (s *store) Purge(ctx context.Context, source string) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	index := indexKey(source)
	for {
		variants, err := s.client.ZRange(ctx, index, 0, purgeBatch-1).Result()
		if err != nil {
			return fmt.Errorf("list in redis: %w", err)
		}
		if len(variants) == 0 {
			return nil
		}
		if _, err := s.purge(ctx, names{index: variants}); err != nil {
			return fmt.Errorf("delete from redis: %w", err)
		}
	}
}

// names are the names of entries, by the key of their index.
type names map[string][]string

// purge deletes entries and returns how many there were. It takes the names off an index one by one rather than deleting the
// index, which may have gained names since it was read. Each key is deleted by a command of its own, because in a cluster a
// command may not reach over slots.
func (s *store) purge(ctx context.Context, all names) (removed int, err error) {
	var deleted []*goredis.IntCmd
	_, err = s.client.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for index, variants := range all {
			members := make([]any, len(variants))
			for i, variant := range variants {
				deleted = append(deleted, pipe.Unlink(ctx, entryKey(index, variant)))
				members[i] = variant
			}
			pipe.ZRem(ctx, index, members...)
		}
		return nil
	})
	for _, one := range deleted {
		removed += int(one.Val())
	}
	return removed, err
}

// Sweep looks at every key of the server, or of each master of a cluster: the names of entries tell whose they are, so that
// entries are found which their index has lost.
func (s *store) Sweep(ctx context.Context, scope cache.Scope) (removed int, err error) {
	cluster, ok := s.client.(*goredis.ClusterClient)
	if !ok {
		return s.sweep(ctx, s.client, scope)
	}
	var sum atomic.Int64
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
		n, err := s.sweep(ctx, master, scope)
		sum.Add(int64(n))
		return err
	})
	return int(sum.Load()), err
}

func (s *store) sweep(ctx context.Context, server goredis.Cmdable, scope cache.Scope) (removed int, err error) {
	match := keyBegin + scope.Path() + "*" // a SourcePath holds nothing that a pattern gives a meaning to
	for cursor := uint64(0); ; {
		var keys []string
		err := within(ctx, func(ctx context.Context) (err error) {
			keys, cursor, err = server.Scan(ctx, cursor, match, scanBatch).Result()
			return err
		})
		if err != nil {
			return removed, fmt.Errorf("scan redis: %w", err)
		}
		n, err := s.sweepKeys(ctx, keys, scope)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("sweep redis: %w", err)
		}
		if cursor == 0 {
			return removed, nil
		}
	}
}

func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return do(ctx)
}

// sweepKeys removes what is within scope among keys, and what the indexes among them name.
func (s *store) sweepKeys(ctx context.Context, keys []string, scope cache.Scope) (removed int, err error) {
	all, indexes := names{}, []string{}
	for _, key := range keys {
		index, variant, ok := splitKey(key)
		if source, known := sourceOf(index); !ok || !known || !scope.Covers(source) {
			continue
		}
		if variant == "" {
			indexes = append(indexes, index)
		} else {
			all[index] = append(all[index], variant)
		}
	}
	if err := within(ctx, func(ctx context.Context) error { return s.expand(ctx, indexes, all) }); err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, nil
	}
	err = within(ctx, func(ctx context.Context) (err error) {
		removed, err = s.purge(ctx, all)
		return err
	})
	return removed, err
}

// expand adds what indexes name.
func (s *store) expand(ctx context.Context, indexes []string, all names) error {
	if len(indexes) == 0 {
		return nil
	}
	listed := make([]*goredis.StringSliceCmd, len(indexes))
	_, err := s.client.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, index := range indexes {
			listed[i] = pipe.ZRange(ctx, index, 0, -1)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, index := range indexes {
		if variants := listed[i].Val(); len(variants) > 0 {
			all[index] = append(all[index], variants...)
		}
	}
	return nil
}

// splitKey takes a key apart; variant is empty for that of an index. False for keys that are no tier's.
func splitKey(key string) (index, variant string, ok bool) {
	end := strings.LastIndex(key, keyEnd)
	if end < 0 || !strings.HasPrefix(key, keyBegin) {
		return "", "", false
	}
	index, rest := key[:end+len(keyEnd)], key[end+len(keyEnd):]
	if rest == "" {
		return index, "", true
	}
	variant, found := strings.CutPrefix(rest, ":")
	return index, variant, found && cache.IsName(variant)
}

func sourceOf(index string) (source string, ok bool) {
	path := strings.TrimSuffix(strings.TrimPrefix(index, keyBegin), keyEnd)
	return cache.SourceOf(path)
}

// Keep stores text under a key of its own.
func (s *store) Keep(ctx context.Context, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, setFactor*s.Timeout)
	defer cancel()
	return s.client.Set(ctx, marksKey, text, 0).Err()
}

// Kept returns what Keep stored, until the server evicts it.
func (s *store) Kept(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, setFactor*s.Timeout)
	defer cancel()
	text, err := s.client.Get(ctx, marksKey).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	return text, err
}
