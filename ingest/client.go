package ingest

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// maxClients is how many clients are remembered, those that have not come for longest forgotten first.
const maxClients = 10_000

// clients bounds how many uploads each client begins.
type clients struct {
	aMinute int

	mu    sync.Mutex
	known *simplelru.LRU[string, *rate.Limiter]
}

func newClients(aMinute int) *clients {
	known, _ := simplelru.NewLRU[string, *rate.Limiter](maxClients, nil) // fails for a size below 1 only
	return &clients{aMinute: aMinute, known: known}
}

// admit takes one upload off what the client may begin at now.
func (c *clients) admit(client string, now time.Time) error {
	if c.aMinute <= 0 || client == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	limiter, found := c.known.Get(client)
	if !found {
		limiter = rate.NewLimiter(rate.Every(time.Minute/time.Duration(c.aMinute)), c.aMinute)
		c.known.Add(client, limiter)
	}
	if !limiter.AllowN(now, 1) {
		return ErrClient
	}
	return nil
}
