package pool

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sys/unix"

	"deckle/transform"
)

// pyramids are the decoded levels of sources that are asked for in several sizes: in shared memory that belongs to this
// process, so that any child can render from them and none takes them along when it dies. They are bounded in bytes, and go
// when nobody has used them for a while.
//
// A source's first rendering decodes what it needs and keeps nothing, because most never see a second. When a second comes, of
// another size, while the first runs or within recently of it, it decodes for all that are waiting by then and keeps the
// levels; the others wait for that, and decode nothing.
type pyramids struct {
	most int64         // bytes
	idle time.Duration // how long levels are kept that nobody uses
	seed maphash.Seed
	now  func() time.Time

	mu      sync.Mutex
	sources *lru.LRU[sourceKey, *interest]
	bytes   int64       // of what is kept
	raised  int64       // pyramids since the start
	used    int64       // renderings from them since the start
	sweep   *time.Timer // nil while nothing is kept
	closed  bool
}

// maxInterests bounds the sources that are remembered; those that were rendered longest ago are forgotten first.
const maxInterests = 1024

// recently is how long after a rendering another one of the same source counts as the second.
const recently = 10 * time.Second

// usualLevel is kept where coarser ones would do: what a decoder that shrinks spares beyond a half is little, as it has to read
// all of the file anyway, and larger sizes of the same picture are likely to come.
const usualLevel = 1

// sourceKey names a source by its bytes. The hash is seeded at random, so that nobody can make a source that is taken for
// another.
type sourceKey struct {
	hash          uint64
	size          int
	width, height int
}

// interest is what is known of one source.
type interest struct {
	waiting map[*errand]struct{} // renderings that are under way or wait for their turn
	last    time.Time            // when one was last asked for
	raising *raising             // nil when none is under way
	kept    *levels              // nil when there are none
	refused bool                 // keeping did not work, and is not tried again
}

// serves tells whether what is kept holds a level, or a finer one.
func (in *interest) serves(level int) bool { return in.kept != nil && in.kept.first <= level }

// errand is one rendering, from before it has a slot to its end.
type errand struct {
	source sourceKey
	level  int // that it needs, or a finer one
}

// raising is a rendering that keeps levels for others.
type raising struct {
	first int
	fd    int           // of the memory that it keeps them in; -1 until there is any
	done  chan struct{} // closed at its end, however it ends
}

// levels are what one rendering has kept.
type levels struct {
	first, fd int
	size      int // bytes
	users     int // renderings that are sending fd; it is closed when there are none and it is listed no more
	listed    bool
	used      time.Time
}

func newPyramids(most int64, idle time.Duration) *pyramids {
	y := &pyramids{most: most, idle: idle, seed: maphash.MakeSeed(), now: time.Now}
	sources, err := lru.NewLRU(maxInterests, func(_ sourceKey, in *interest) { y.unlist(in) })
	if err != nil {
		panic(err) // the size is a positive constant
	}
	y.sources = sources
	return y
}

// expect notes that a rendering is about to be asked for. It is nil for one that has no use for a pyramid; forget takes both.
func (y *pyramids) expect(source []byte, h transform.Header, s transform.Spec, l transform.Limits) *errand {
	level, ok := transform.LevelOf(h, s, l)
	if !ok || y.most <= 0 || int64(transform.KeptSize(h, level)) > y.most {
		return nil
	}
	e := &errand{level: level, source: sourceKey{maphash.Bytes(y.seed, source), len(source), h.Width, h.Height}}
	y.mu.Lock()
	defer y.mu.Unlock()
	in, ok := y.sources.Get(e.source)
	if !ok {
		in = &interest{waiting: map[*errand]struct{}{}}
		y.sources.Add(e.source, in)
	}
	in.waiting[e] = struct{}{}
	return e
}

// forget ends an errand.
func (y *pyramids) forget(e *errand) {
	if e == nil {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if in, ok := y.sources.Peek(e.source); ok {
		delete(in.waiting, e)
		in.last = y.now()
	}
}

// ready tells whether levels are there that an errand can start from.
func (y *pyramids) ready(e *errand) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	in, ok := y.sources.Peek(e.source)
	return ok && in.serves(e.level)
}

// await waits, before an errand takes a slot, for levels that another rendering is keeping: be they too coarse, this one keeps
// finer ones then, alone, instead of decoding beside others that do. It returns when there is nothing to wait for.
func (y *pyramids) await(ctx context.Context, e *errand) error {
	for {
		y.mu.Lock()
		var under *raising
		if in, ok := y.sources.Peek(e.source); ok && !in.serves(e.level) {
			under = in.raising
		}
		y.mu.Unlock()
		if under == nil {
			return nil
		}
		select {
		case <-under.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// choice is how an errand is to be run: from kept levels, keeping levels for others, or plainly when both are nil.
type choice struct {
	kept    *levels
	raising *raising
}

// choose decides that when a child is at hand. What is chosen is given back by release or finish. busy says that another
// rendering has begun to keep levels meanwhile, and is to be waited for.
func (y *pyramids) choose(e *errand) (c choice, busy bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	in, ok := y.sources.Get(e.source)
	if !ok || y.closed {
		return choice{}, false
	}
	if in.serves(e.level) {
		in.kept.users++
		in.kept.used = y.now()
		y.used++
		return choice{kept: in.kept}, false
	}
	second := len(in.waiting) > 1 || !in.last.IsZero() && y.now().Sub(in.last) < recently
	if !second || in.refused || in.raising != nil {
		return choice{}, in.raising != nil
	}
	in.raising = &raising{first: y.firstFor(e, in), fd: -1, done: make(chan struct{})}
	return choice{raising: in.raising}, false
}

// firstFor returns the first level to keep for an errand and all that wait with it, with mu held.
func (y *pyramids) firstFor(e *errand, in *interest) int {
	first := min(e.level, usualLevel)
	for other := range in.waiting {
		first = min(first, other.level)
	}
	if in.kept != nil { // they were too coarse; these replace them
		first = min(first, in.kept.first)
	}
	if int64(keptSize(e.source, first)) > y.most {
		first = e.level // which fits: expect has looked
	}
	return first
}

func keptSize(k sourceKey, first int) int {
	return transform.KeptSize(transform.Header{Width: k.width, Height: k.height}, first)
}

// release ends the use of kept levels.
func (y *pyramids) release(k *levels) {
	y.mu.Lock()
	defer y.mu.Unlock()
	k.users--
	k.used = y.now()
	k.closeUnused()
}

// finish ends a raising, which has kept size bytes. With 0 it did not work, and is not tried again unless it was given up.
func (y *pyramids) finish(e *errand, r *raising, size int, givenUp bool) {
	if size > 0 && fix(r.fd, size) != nil {
		size = 0
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	defer close(r.done)
	in, ok := y.sources.Get(e.source)
	if ok && in.raising == r { // the source may have been forgotten meanwhile, and come again
		in.raising = nil
		in.refused = in.refused || size == 0 && !givenUp
	}
	if size == 0 || !ok || y.closed {
		if r.fd >= 0 {
			_ = unix.Close(r.fd) // nobody has it
		}
		return
	}
	y.unlist(in)
	in.kept = &levels{first: r.first, fd: r.fd, size: size, listed: true, used: y.now()}
	y.bytes += int64(size)
	y.raised++
	y.makeRoom(in)
	if y.sweep == nil {
		y.sweep = time.AfterFunc(y.idle, y.sweepIdle)
	}
}

// makeRoom drops levels that were used longest ago until the rest fits, with mu held. The newest stay.
func (y *pyramids) makeRoom(newest *interest) {
	for y.bytes > y.most {
		var oldest *interest
		for _, in := range y.sources.Values() {
			if in.kept != nil && in != newest && (oldest == nil || in.kept.used.Before(oldest.kept.used)) {
				oldest = in
			}
		}
		if oldest == nil {
			oldest = newest
		}
		y.unlist(oldest)
	}
}

// sweepIdle drops what nobody uses any more, and comes again while anything is left.
func (y *pyramids) sweepIdle() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sweep = nil
	if y.closed {
		return
	}
	left, now := false, y.now()
	for _, in := range y.sources.Values() {
		if in.kept != nil && now.Sub(in.kept.used) >= y.idle {
			y.unlist(in)
		}
		left = left || in.kept != nil
	}
	if left {
		y.sweep = time.AfterFunc(y.idle, y.sweepIdle)
	}
}

// unlist takes the levels of a source out, with mu held.
func (y *pyramids) unlist(in *interest) {
	k := in.kept
	if k == nil {
		return
	}
	in.kept, k.listed = nil, false
	y.bytes -= int64(k.size)
	k.closeUnused()
}

// closeUnused gives the memory back when nobody can get at it any more, with the mutex held. A child that has mapped it keeps
// its mapping.
func (k *levels) closeUnused() {
	if !k.listed && k.users == 0 && k.fd >= 0 {
		_ = unix.Close(k.fd) // it was only handed on
		k.fd = -1
	}
}

// facts returns counts, and the bytes that are kept now.
func (y *pyramids) facts() (raised, used, bytes int64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.raised, y.used, y.bytes
}

// close drops everything.
func (y *pyramids) close() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.closed = true
	if y.sweep != nil {
		y.sweep.Stop()
	}
	for _, in := range y.sources.Values() {
		y.unlist(in)
	}
}
