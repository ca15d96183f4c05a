package origin

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// VersionsConfig sets how long a version is believed. Zero fields take the value in brackets.
type VersionsConfig struct {
	Fresh   time.Duration    // answered from memory without asking; absence too [1 s]
	Stale   time.Duration    // answered from memory while a refresh runs behind; at least Fresh [5 s]
	IfError time.Duration    // answered from memory while the store is unavailable [24 h]
	Timeout time.Duration    // longest question to the store [5 s]
	Max     int              // sources remembered, the least recently asked for forgotten first [100,000]
	Asks    int              // questions to the store at one time; a quarter of them may be refreshes [1,024]
	Now     func() time.Time // the clock [time.Now]
}

func (c VersionsConfig) withDefaults() VersionsConfig {
	setDefault(&c.Fresh, time.Second)
	setDefault(&c.Stale, 5*time.Second)
	setDefault(&c.IfError, 24*time.Hour)
	setDefault(&c.Timeout, 5*time.Second)
	setDefault(&c.Max, 100_000)
	setDefault(&c.Asks, 1024)
	c.Stale = max(c.Stale, c.Fresh)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func setDefault[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// Versions is a Reader that remembers what Stat said, so that a request for a finished picture need not ask the store.
//
// The bound: a source replaced elsewhere is seen here within Stale (5 s), on the node that took the upload at once (Set), and
// on one that is told so at once (Invalidate). While the store is unavailable what is remembered goes on being answered for
// IfError, with at most one question per source and Stale; after its return a replaced source is seen within twice Stale.
// An absent source is ErrNotFound from memory for Fresh only, and a private one answered for as long, so that nobody can tell them
// apart by the time. Open is not remembered.
type Versions struct {
	reader Reader
	config VersionsConfig
	seed   maphash.Seed
	shards [versionShards]versionShard

	stop context.CancelFunc
	base context.Context // ends with Close

	mu      sync.Mutex
	closed  bool
	running int // questions under way
	asks    sync.WaitGroup
}

// versionShards divides the lock that every request takes; a power of two well above the cores of one machine.
const versionShards = 64

type versionShard struct {
	mu    sync.Mutex
	known *simplelru.LRU[string, remembered]
	asked map[string]*ask
}

// remembered is what one answer left behind.
type remembered struct {
	info    Info
	missing bool
	at      time.Time // when the question began, so that the bound holds however slow the answer was
	failed  time.Time // when the last question that got no answer began; zero when the last one did get one
}

var _ Reader = (*Versions)(nil)

// NewVersions returns a memory in front of r. Close it.
func NewVersions(r Reader, config VersionsConfig) *Versions {
	v := &Versions{reader: r, config: config.withDefaults(), seed: maphash.MakeSeed()}
	v.base, v.stop = context.WithCancel(context.Background())
	perShard := max(1, (v.config.Max+versionShards-1)/versionShards)
	for i := range v.shards {
		known, err := simplelru.NewLRU[string, remembered](perShard, nil)
		if err != nil {
			panic(err) // only a size below one is refused
		}
		v.shards[i].known = known
		v.shards[i].asked = make(map[string]*ask)
	}
	return v
}

// Close ends the questions under way and waits for them. What is remembered is answered still; the rest is ErrUnavailable.
func (v *Versions) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.asks.Wait()
}

// Open asks the store.
func (v *Versions) Open(ctx context.Context, id string, r Range) (*Object, error) {
	return v.reader.Open(ctx, id, r)
}

// Set remembers what an upload knows. Questions that began before do not overwrite it.
func (v *Versions) Set(id string, info Info) {
	s := v.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, id)
	s.known.Add(id, remembered{info: info, at: v.config.Now()})
}

// Invalidate forgets a source. Questions that began before are answered to those who wait for them, and not remembered.
func (v *Versions) Invalidate(id string) {
	s := v.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, id)
	s.known.Remove(id)
}

// Stat answers from memory where it may, else from the store; many who ask for one id at a time share one question, which
// goes on when some of them leave. ErrUnavailable also when too many questions are under way.
func (v *Versions) Stat(ctx context.Context, id string) (Info, error) {
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	s := v.shard(id)
	now := v.config.Now()
	s.mu.Lock()
	known, ok := s.known.Get(id)
	verdict := v.judge(known, ok, now)
	if verdict == believe {
		s.mu.Unlock()
		return known.answer()
	}
	question, err := v.join(s, id, now, verdict == refresh)
	s.mu.Unlock()
	if verdict == refresh {
		// Whether the refresh could start is the next request's matter.
		return known.answer()
	}
	if err != nil {
		return v.fallback(known, ok, now, err)
	}
	select {
	case <-question.done:
	case <-ctx.Done():
		return Info{}, ctx.Err()
	}
	if question.err != nil {
		return v.fallback(known, ok, now, question.err)
	}
	return question.info, nil
}

func (v *Versions) shard(id string) *versionShard {
	return &v.shards[maphash.String(v.seed, id)%versionShards]
}

func (r remembered) answer() (Info, error) {
	if r.missing {
		return Info{}, ErrNotFound
	}
	r.info.Stale = !r.failed.IsZero()
	return r.info, nil
}

type verdict int

const (
	askNow  verdict = iota // wait for the store
	refresh                // answer from memory and ask the store behind
	believe                // answer from memory
)

// judge decides what a remembered answer is worth.
func (v *Versions) judge(known remembered, ok bool, now time.Time) verdict {
	if !ok {
		return askNow
	}
	age := now.Sub(known.at)
	switch {
	case age < v.config.Fresh:
		return believe
	case known.missing, known.info.Private && known.failed.IsZero():
		return askNow // both alike, so that the time of an answer does not tell which of them it was
	case age < v.config.Stale && known.failed.IsZero():
		return refresh
	case known.failed.IsZero() || age >= v.config.IfError:
		return askNow
	}
	// The store did not answer the last time: nobody waits for it, and it is not asked more than once per Stale.
	switch failing := now.Sub(known.failed); {
	case failing < v.config.Stale:
		return believe
	case failing < 2*v.config.Stale:
		return refresh
	}
	return askNow
}

// fallback answers from memory when the store could not be asked.
func (v *Versions) fallback(known remembered, ok bool, now time.Time, err error) (Info, error) {
	if ok && !known.missing && unanswered(err) && now.Sub(known.at) < v.config.IfError {
		known.info.Stale = true
		return known.info, nil
	}
	return Info{}, err
}

// unanswered tells a store that could not be asked from one that gave an answer.
func unanswered(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
