package cache

import "context"

// FromStale is what an answer says of itself that was given from an outdated entry. A layer cannot have this name.
const FromStale = "stale"

// maxRefreshes bounds how many outdated entries are made anew at one time: they wait while others want pictures that are not
// there at all.
const maxRefreshes = 2

// Refresh makes the entry for k anew, behind an answer that was given from an outdated one, and stores it in all layers. It
// returns at once. False says that this is under way already, or that too many others are: then a later request for k is to
// try again. fill runs on a context that keeps the values of ctx but ends after FillTimeout; what becomes of it is told to
// nobody.
func (c *Chain) Refresh(ctx context.Context, k Key, fill Fill) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, running := c.refreshing[k]; running || c.closed || len(c.refreshing) >= maxRefreshes {
		return false
	}
	f := c.begin(ctx, k)
	f.anew = true
	c.refreshing[k] = struct{}{}
	go c.fly(f, fill)
	return true
}

// adopt ends a refresh, with mu held. Those that come soon join it rather than what was found before it began.
func (c *Chain) adopt(f *flight) {
	delete(c.refreshing, f.key)
	if former := c.flights[f.key]; f.err == nil && !f.purged && (former == nil || former.over) {
		c.flights[f.key] = f
	}
}
