// Package local is a fleet whose nodes are in one process: the lone node of the embedded default, and the nodes of tests.
package local

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"deckle/fleet"
)

// Fleet joins the nodes of one process.
type Fleet struct {
	wait  time.Duration
	count atomic.Int64

	mu     sync.Mutex
	leases map[string]*shared
	nodes  map[string]*Messages // that run
}

// shared is what the nodes know of one name.
type shared struct {
	held   *lease        // nil when nobody works
	ended  chan struct{} // closed at the next end
	result []byte
	until  time.Time // the result is given so long
}

// New returns a fleet; Take waits for another node for that long at most.
func New(wait time.Duration) *Fleet {
	return &Fleet{wait: wait, leases: make(map[string]*shared), nodes: make(map[string]*Messages)}
}

var _ fleet.Leases = (*Fleet)(nil)

// Take does what fleet.Leases says.
func (f *Fleet) Take(ctx context.Context, name string) (fleet.Lease, []byte, error) {
	patience := time.NewTimer(f.wait)
	defer patience.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		held, result, ended := f.look(name)
		if held != nil || result != nil {
			return asLease(held), result, nil
		}
		select {
		case <-ended:
		case <-patience.C:
			return &lease{fleet: f, name: name}, nil, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// asLease keeps a nil pointer from becoming an interface that is not nil.
func asLease(l *lease) fleet.Lease {
	if l == nil {
		return nil
	}
	return l
}

// look takes the lease, or returns the result, or the channel that tells when to look again.
func (f *Fleet) look(name string) (*lease, []byte, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.leases[name]
	switch {
	case s == nil:
		s = &shared{}
		f.leases[name] = s
	case s.held != nil:
		return nil, nil, s.ended
	case time.Now().Before(s.until):
		return nil, s.result, nil
	}
	s.held, s.ended, s.result = &lease{fleet: f, name: name}, make(chan struct{}), nil
	return s.held, nil, nil
}

// lease of a Fleet; one that binds nobody is held by no shared.
type lease struct {
	fleet *Fleet
	name  string
	once  sync.Once
}

// Done ends the lease with a result.
func (l *lease) Done(result []byte, keep time.Duration) {
	if len(result) > fleet.MaxResult || keep <= 0 {
		result = nil
	}
	l.once.Do(func() { l.fleet.end(l, result, keep) })
}

// Drop ends the lease without a result.
func (l *lease) Drop() { l.once.Do(func() { l.fleet.end(l, nil, 0) }) }

func (f *Fleet) end(l *lease, result []byte, keep time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.leases[l.name]
	if s == nil || s.held != l {
		return
	}
	close(s.ended)
	s.held = nil
	if len(result) == 0 {
		delete(f.leases, l.name)
		return
	}
	s.result, s.until = result, time.Now().Add(keep)
	time.AfterFunc(keep, func() { f.forget(l.name, s) })
}

// forget drops a result whose time is over.
func (f *Fleet) forget(name string, s *shared) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leases[name] == s && s.held == nil && !time.Now().Before(s.until) {
		delete(f.leases, name)
	}
}

// Join returns the messages of a new node.
func (f *Fleet) Join() *Messages {
	return &Messages{
		fleet: f, node: fmt.Sprintf("node-%03d", f.count.Add(1)),
		handlers: make(map[string]fleet.Handler), inbox: make(chan delivery, inboxSize), doubt: func() {},
	}
}
