package main

import (
	"context"
	"runtime/debug"
	"time"
)

// idleAfter is how long nothing must have been rendered before memory is given back.
const idleAfter = 10 * time.Second

// giveBack returns memory to the system once when a burst of renders is over: Go's collector alone would keep what held their
// sources until something else is allocated. It takes a few milliseconds of one core.
func (n *node) giveBack(rendered func() int64) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(idleAfter)
		defer tick.Stop()
		busy, before := false, rendered()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := rendered()
			if busy && now == before {
				debug.FreeOSMemory()
			}
			busy, before = now != before, now
		}
	}()
	n.ends.add(func() error { stop(); <-ended; return nil })
}
