// Package redis is the cache tier in a Redis server, Sentinel group or cluster, shared by all nodes.
package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"deckle/cache"
)

// Defaults of Options.
const (
	DefaultMaxEntry = 1 << 20 // bytes
	DefaultTTL      = 24 * time.Hour
)

// Deadlines of one call each, the wait for a connection included.
const (
	DefaultTimeout = 50 * time.Millisecond
	setTimeout     = setFactor * DefaultTimeout
	purgeTimeout   = 2 * time.Second

	// setFactor is how much longer a Set may take: it carries up to MaxEntry bytes and waits for two round trips on a new
	// connection.
	setFactor = 5
)

const (
	// breakerWindow is the time within which five failures make the tier be left alone.
	breakerWindow = time.Second
	// purgeBatch is how many entries are deleted by one command, which blocks the server meanwhile.
	purgeBatch = 512
	// indexSlack is how far the clocks of nodes may differ before one of them takes a living entry off the index.
	indexSlack = time.Hour
)

// Options bound what the tier takes. Zero values stand for the defaults.
type Options struct {
	MaxEntry int64         // bytes of an entry's stored form; a larger one is ErrTooLarge
	TTL      time.Duration // how long an entry is kept
	Timeout  time.Duration // of a Get; a Set may take five times that
}

// Tier stores each entry under a key of its own, and for each source a sorted set of its entries' names, scored by when they
// expire: both are written in one transaction and one round trip, and Purge deletes by that set. The set forgets expired
// entries with each write, and expires with the last one. When the server evicts a set before its entries, a Purge misses
// those; they expire, and a source that changed has another version by then. All keys of a source share a hash tag, hence a
// slot of a cluster.
//
// Calls have deadlines of 50 ms to 2 s and are not repeated. After five failures within a second the tier answers
// cache.ErrOpen at once and probes the server once a second. A server that is full, or a replica, answers writes with
// cache.ErrRefused and is read all the same.
type Tier struct {
	*cache.Breaker
	client goredis.UniversalClient
}

var _ cache.Tier = (*Tier)(nil)

// Every failure reaches the caller as an error; the client's own log would repeat it on stderr in another form.
func init() { logging.Disable() }

// New returns a tier on the server that url names: redis://user:password@host:port/database, rediss:// for TLS,
// redis+sentinel://host:port/database?master_name=NAME&addr=HOST:PORT, redis+cluster://host:port?addr=HOST:PORT. It connects
// when it is first used, so that a server that is away at the start is no error.
func New(url string, options Options) (*Tier, error) {
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	client, err := connect(url, setFactor*options.Timeout)
	if err != nil {
		return nil, err
	}
	if options.MaxEntry <= 0 {
		options.MaxEntry = DefaultMaxEntry
	}
	if options.TTL <= 0 {
		options.TTL = DefaultTTL
	}
	return &Tier{
		Breaker: cache.NewBreaker(&store{client: client, Options: options}, breakerWindow),
		client:  client,
	}, nil
}

// Close closes the connections.
func (t *Tier) Close() error { return t.client.Close() }

// store is the tier without its breaker.
type store struct {
	Options
	client goredis.UniversalClient
}

// A key begins with these and cache.SourcePath between them, so that it tells whose it is.
const (
	keyBegin = "deckle:{"
	keyEnd   = "}"
)

func indexKey(source string) string { return keyBegin + cache.SourcePath(source) + keyEnd }

func entryKey(index, variant string) string { return index + ":" + variant }

func (s *store) Get(ctx context.Context, k cache.Key) (*cache.Entry, error) {
	name := entryKey(indexKey(k.Source), cache.VariantName(k))
	data, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	e, err := cache.Decode(k, data)
	if err != nil {
		return nil, errors.Join(err, s.remove(ctx, name))
	}
	return e, nil
}

func (s *store) read(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	data, err := s.client.Get(ctx, name).Bytes()
	if errors.Is(err, goredis.Nil) {
		return nil, cache.ErrMiss
	}
	if err != nil {
		return nil, fmt.Errorf("get from redis: %w", err)
	}
	return data, nil
}

func (s *store) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if err := s.client.Unlink(ctx, name).Err(); err != nil {
		return fmt.Errorf("remove corrupt entry from redis: %w", err)
	}
	return nil
}

func (s *store) Set(ctx context.Context, k cache.Key, e *cache.Entry) error {
	if int64(len(e.Body)) > s.MaxEntry { // before it is copied
		return cache.ErrTooLarge
	}
	data := cache.Encode(k, e)
	if int64(len(data)) > s.MaxEntry {
		return cache.ErrTooLarge
	}
	ctx, cancel := context.WithTimeout(ctx, setFactor*s.Timeout)
	defer cancel()
	index, variant, now := indexKey(k.Source), cache.VariantName(k), time.Now()
	_, err := s.client.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
		tx.Set(ctx, entryKey(index, variant), data, s.TTL)
		tx.ZAdd(ctx, index, goredis.Z{Score: float64(now.Add(s.TTL).Unix()), Member: variant})
		tx.ZRemRangeByScore(ctx, index, "-inf", strconv.FormatInt(now.Add(-indexSlack).Unix(), 10))
		tx.PExpire(ctx, index, s.TTL)
		return nil
	})
	switch {
	case err == nil:
		return nil
	case goredis.IsOOMError(err), goredis.IsReadOnlyError(err), goredis.IsExecAbortError(err):
		return fmt.Errorf("set in redis: %w: %w", cache.ErrRefused, err)
	}
	return fmt.Errorf("set in redis: %w", err)
}
