package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Keeper is a Tier that keeps one short text for the chain beside its entries, for as long as it lasts.
type Keeper interface {
	// Keep stores text in place of what was kept before.
	Keep(ctx context.Context, text []byte) error
	// Kept returns what was kept; nothing and no error when that is nothing.
	Kept(ctx context.Context) ([]byte, error)
}

// Keep passes on; a tier that is no Keeper keeps nothing.
func (b *Breaker) Keep(ctx context.Context, text []byte) error {
	if keeper, ok := b.tier.(Keeper); ok {
		return keeper.Keep(ctx, text)
	}
	return nil
}

// Kept passes on.
func (b *Breaker) Kept(ctx context.Context) ([]byte, error) {
	if keeper, ok := b.tier.(Keeper); ok {
		return keeper.Kept(ctx)
	}
	return nil, nil
}

// maxMarks bounds how many marks are remembered.
const maxMarks = 1024

// MaxKept bounds the text of a Keeper, bytes: maxMarks of them, each about an id that is percent-encoded by JSON.
const MaxKept = 2 << 20

// allMark is the key of the mark for every source. No id is a slash.
const allMark = "/"

// marks say up to when what was stored of a source is out of date. It is immutable. A key is an id, or ends in a slash and
// stands for all sources below it.
type marks struct {
	newest time.Time
	before map[string]time.Time
}

// newMarks drops marks that the one for everything makes idle, and folds the older half of too many into that: what is
// folded has more refreshed than was asked for, and never less.
func newMarks(before map[string]time.Time) *marks {
	if len(before) > maxMarks {
		keys := slices.SortedFunc(maps.Keys(before), func(a, b string) int { return before[a].Compare(before[b]) })
		before[allMark] = latest(before[allMark], before[keys[len(keys)-maxMarks/2]])
	}
	m := &marks{before: before}
	all := before[allMark]
	for key, at := range before {
		if key != allMark && !at.After(all) {
			delete(before, key)
		}
		m.newest = latest(m.newest, at)
	}
	return m
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// of returns the moment before which a source's entries are out of date; zero when they are not.
func (m *marks) of(source string) time.Time {
	at := latest(m.before[allMark], m.before[source])
	for i := range len(source) {
		if source[i] == '/' {
			at = latest(at, m.before[source[:i+1]])
		}
	}
	return at
}

// markKeys are the keys that stand for a scope.
func markKeys(s Scope) []string {
	switch s = s.settled(); {
	case s.All:
		return []string{allMark}
	case s.Source != "":
		return []string{s.Source}
	case strings.HasSuffix(s.Prefix, "/"):
		return []string{s.Prefix}
	}
	return []string{s.Prefix, s.Prefix + "/"}
}

// Outdate marks what was stored within s before a moment as out of date: Outdated tells so from then on. What is being made
// now is not stored any more. The mark is kept in every layer that is a Keeper, which outlasts this process and tells others
// that share the layer when they LoadMarks; the error says where that failed, the mark holds here nevertheless. Marks are kept
// to the millisecond, as times of entries are, and cover all of the one they are in.
func (c *Chain) Outdate(ctx context.Context, s Scope, before time.Time) error {
	c.Mark(s, before)
	return c.LoadMarks(ctx)
}

// Mark is Outdate on this chain alone, until it ends.
func (c *Chain) Mark(s Scope, before time.Time) {
	before = before.Truncate(time.Millisecond).Add(time.Millisecond).UTC()
	added := map[string]time.Time{}
	for _, key := range markKeys(s) {
		added[key] = before
	}
	c.addMarks(added)
	h := &held{s.Covers}
	c.startPurge(h) // a write under way is of an entry older than the mark: there is nothing to wait for
	c.endPurge(h)
}

// addMarks joins marks to those that are known. Of two about the same the later one counts, so that the order is no matter. One
// that lies ahead, by the clock of another node, counts as of now: else what is made from now on would be out of date at once.
func (c *Chain) addMarks(added map[string]time.Time) {
	now := time.Now().Add(time.Millisecond)
	for {
		known := c.marks.Load()
		joined := map[string]time.Time{}
		if known != nil {
			maps.Copy(joined, known.before)
		}
		for key, at := range added {
			if at.After(now) {
				at = now
			}
			joined[key] = latest(joined[key], at)
		}
		if len(joined) == 0 || c.marks.CompareAndSwap(known, newMarks(joined)) {
			return
		}
	}
}

// LoadMarks joins the marks that layers keep to those that this chain knows, and the other way round. A layer that two chains
// write at the same moment keeps those of one; the other's come back with its next LoadMarks.
func (c *Chain) LoadMarks(ctx context.Context) error {
	c.keeping.Lock() // one after the other, so that of two marks set here none is lost
	defer c.keeping.Unlock()
	var failed []error
	kept := make([]map[string]time.Time, len(c.layers))
	for i, layer := range c.layers {
		keeper, ok := layer.Tier.(Keeper)
		if !ok {
			continue
		}
		text, err := keeper.Kept(ctx)
		kept[i] = map[string]time.Time{}
		if err == nil && len(text) > 0 {
			if err := json.Unmarshal(text, &kept[i]); err != nil {
				kept[i] = map[string]time.Time{} // damaged: it is written anew
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("load marks from %s: %w", layer.Name, err))
			kept[i] = nil
		}
		c.addMarks(kept[i])
	}
	return errors.Join(append(failed, c.keepMarks(ctx, kept)...)...)
}

// keepMarks writes the marks to each layer that was read and keeps others.
func (c *Chain) keepMarks(ctx context.Context, kept []map[string]time.Time) (failed []error) {
	known := c.marks.Load()
	if known == nil {
		return nil
	}
	text, err := json.Marshal(known.before)
	if err != nil {
		return []error{err}
	}
	for i, layer := range c.layers {
		keeper, ok := layer.Tier.(Keeper)
		if !ok || kept[i] == nil || maps.EqualFunc(kept[i], known.before, time.Time.Equal) {
			continue
		}
		if err := keeper.Keep(ctx, text); err != nil {
			failed = append(failed, fmt.Errorf("keep marks in %s: %w", layer.Name, err))
		}
	}
	return failed
}

// FollowMarks loads the marks every so often until ctx ends, for the case that nobody tells of new ones. What fails is tried
// again the next time.
func (c *Chain) FollowMarks(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = c.LoadMarks(ctx)
		}
	}
}

// Outdated tells whether an entry of a source is marked as out of date. It may be answered with once more, and should be
// refreshed.
func (c *Chain) Outdated(source string, e *Entry) bool {
	m := c.marks.Load()
	return m != nil && e.Stored.Before(m.newest) && e.Stored.Before(m.of(source))
}
