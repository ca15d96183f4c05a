package cache

// Remembered returns how much the chain knows of: flights that requests can join, sources with work under way, purges.
func (c *Chain) Remembered() (flights, live, purging int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights), len(c.live), len(c.purging)
}

// Bounds that tests count up to.
const (
	KeepFor   = keepFor
	KeepCount = keepCount
	KeepBytes = keepBytes
)
