package redis

import (
	"context"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// endedChannel tells the names of leases that have ended. One subscription a node is enough for all its waiters, where a
// blocking command for each would hold a connection for each; a message that is lost is made up for by polling.
const endedChannel = "deckle:ended"

// wakes tells the waiters of this node that a lease has ended.
type wakes struct {
	subscription *goredis.PubSub
	ended        sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]map[chan struct{}]struct{} // by name
}

func newWakes(client goredis.UniversalClient) *wakes {
	w := &wakes{
		subscription: client.Subscribe(context.Background(), endedChannel),
		waiting:      make(map[string]map[chan struct{}]struct{}),
	}
	messages := w.subscription.Channel()
	w.ended.Go(func() {
		for m := range messages {
			w.wake(m.Payload)
		}
	})
	return w
}

func (w *wakes) close() error {
	err := w.subscription.Close()
	w.ended.Wait()
	return err
}

// listen returns a channel that gets a value when the lease of that name ends, until forget is called.
func (w *wakes) listen(name string) (woken <-chan struct{}, forget func()) {
	c := make(chan struct{}, 1) // one wake-up says all there is to say
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting[name] == nil {
		w.waiting[name] = make(map[chan struct{}]struct{})
	}
	w.waiting[name][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting[name], c)
		if len(w.waiting[name]) == 0 {
			delete(w.waiting, name)
		}
	}
}

func (w *wakes) wake(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.waiting[name] {
		select {
		case c <- struct{}{}:
		default: // it has been woken and has not looked yet
		}
	}
}
