package disk

import (
	"context"
	"io/fs"
	"math"
	"path"
	"slices"
	"time"

	"deckle/cache"
)

// A sweep begins when the tier is fuller than the first and ends when it is no fuller than the second, percent of the limit.
// The largest entry (maxShare) fits above the first, so that ErrFull means that a sweep is due.
const (
	sweepFrom = 90
	sweepTo   = 80
)

// ageStep is how finely a sweep tells ages apart. It walks the tree twice, adding up sizes by age and then removing what is
// too old, so that it needs memory for the ages and not for the files. Among entries of the same step it removes any.
const ageStep = time.Minute

func (t *Tier) sweepAbove() int64 { return t.limit / 100 * sweepFrom }

// askSweep has a sweep begin after the one that runs, if any.
func (t *Tier) askSweep() {
	select {
	case t.full <- struct{}{}:
	default: // one is pending
	}
}

func (t *Tier) sweepOnDemand(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.full:
			t.sweep(ctx)
			t.sweeps.Add(1)
		}
	}
}

// sweep counts the tier and removes the oldest entries if it is too full. What it cannot read it leaves alone: the next
// sweep meets it again.
func (t *Tier) sweep(ctx context.Context) {
	t.used.beginCount()
	var total int64
	sizes := make(map[int64]int64) // by age step
	t.walk(ctx, func(_ string, info fs.FileInfo) {
		size := onDisk(info.Size())
		total += size
		sizes[step(info)] += size
	})
	if ctx.Err() != nil {
		t.used.cancelCount()
		return
	}
	t.used.endCount(total)
	taken := t.used.taken()
	if taken <= t.sweepAbove() {
		return
	}
	excess := taken - t.limit/100*sweepTo
	newest := newestToGo(sizes, excess)
	t.walk(ctx, func(name string, info fs.FileInfo) {
		at := step(info)
		if at > newest || at == newest && excess <= 0 {
			return
		}
		if t.remove(name) == nil {
			excess -= onDisk(info.Size())
		}
	})
}

func step(info fs.FileInfo) int64 { return info.ModTime().UnixNano() / int64(ageStep) }

// newestToGo returns the step up to which sizes add up to excess, or the last one if they do not.
func newestToGo(sizes map[int64]int64, excess int64) int64 {
	steps := make([]int64, 0, len(sizes))
	for at := range sizes {
		steps = append(steps, at)
	}
	slices.Sort(steps)
	newest := int64(math.MinInt64)
	for _, newest = range steps {
		if excess -= sizes[newest]; excess <= 0 {
			break
		}
	}
	return newest
}

// walk calls visit with every file that has the name of an entry, and removes folders of sources that turn out empty. One
// folder is in memory at a time.
func (t *Tier) walk(ctx context.Context, visit func(name string, info fs.FileInfo)) {
	for i := range 256 {
		if ctx.Err() != nil {
			return
		}
		top := hexByte(i)
		sources, err := fs.ReadDir(t.root.FS(), top)
		if err != nil {
			continue
		}
		for _, source := range sources {
			if cache.IsName(source.Name()) && source.Name()[:2] == top && source.IsDir() && ctx.Err() == nil {
				t.walkSource(path.Join(top, source.Name()), visit)
			}
		}
	}
}

func hexByte(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>4], digits[i&15]})
}

func (t *Tier) walkSource(dir string, visit func(name string, info fs.FileInfo)) {
	entries, err := fs.ReadDir(t.root.FS(), dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !cache.IsName(entry.Name()) || !entry.Type().IsRegular() {
			continue
		}
		if info, err := entry.Info(); err == nil {
			visit(path.Join(dir, entry.Name()), info)
		}
	}
	// Fails unless the folder is empty, which it is after its last entry went.
	_ = t.root.Remove(dir)
}
