// Package fleettest holds the laws of leases and messages, for every implementation's tests.
package fleettest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deckle/fleet"
)

// keep is how long results are kept where the law is not about that.
const keep = time.Minute

// Leases runs the laws. open returns the leases of three nodes of a new fleet, whose Take waits for at least ten seconds.
func Leases(t *testing.T, open func(t *testing.T) [3]fleet.Leases) {
	laws := map[string]func(*testing.T, [3]fleet.Leases){
		"one works and the others get its result":    oneWorks,
		"a result is given until its time is over":   resultIsKept,
		"without a result one of the others goes on": dropped,
		"a result that is no good is none":           refusedResults,
		"ending twice is ending once":                endedTwice,
		"names do not touch each other":              names,
		"waiting ends with the context":              canceled,
		"a crowd does the work once":                 crowd,
	}
	for name, law := range laws {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
}

// MustTake takes a lease, or fails the test.
func MustTake(t *testing.T, l fleet.Leases, name string) fleet.Lease {
	t.Helper()
	lease, result, err := l.Take(t.Context(), name)
	if err != nil || result != nil || lease == nil {
		t.Fatalf("Take(%s) = %v, %q, %v; want a lease", name, lease, result, err)
	}
	return lease
}

// mustGet wants a result.
func mustGet(t *testing.T, l fleet.Leases, name, want string) {
	t.Helper()
	lease, result, err := l.Take(t.Context(), name)
	if err != nil || lease != nil || string(result) != want {
		t.Errorf("Take(%s) = %v, %q, %v; want the result %q", name, lease, result, err, want)
	}
}

func oneWorks(t *testing.T, nodes [3]fleet.Leases) {
	lease := MustTake(t, nodes[0], "x")
	var waiters sync.WaitGroup
	for _, node := range nodes[1:] {
		waiters.Go(func() { mustGet(t, node, "x", "picture") })
	}
	lease.Done([]byte("picture"), keep)
	waiters.Wait()
	for _, node := range nodes {
		mustGet(t, node, "x", "picture")
	}
}

func resultIsKept(t *testing.T, nodes [3]fleet.Leases) {
	MustTake(t, nodes[0], "x").Done([]byte("picture"), 200*time.Millisecond)
	mustGet(t, nodes[1], "x", "picture")
	for begin := time.Now(); ; {
		lease, _, err := nodes[2].Take(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		if lease != nil {
			lease.Drop()
			return
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the result is given for ever")
		}
	}
}

func dropped(t *testing.T, nodes [3]fleet.Leases) {
	lease := MustTake(t, nodes[0], "x")
	var working, given atomic.Int64
	var waiters sync.WaitGroup
	for _, node := range nodes[1:] {
		waiters.Go(func() {
			lease, result, err := node.Take(t.Context(), "x")
			switch {
			case err != nil:
				t.Error(err)
			case lease != nil:
				working.Add(1)
				lease.Done([]byte("second"), keep)
			case string(result) == "second":
				given.Add(1)
			}
		})
	}
	lease.Drop()
	waiters.Wait()
	if working.Load() != 1 || given.Load() != 1 {
		t.Errorf("%d went on and %d got the result, want 1 and 1", working.Load(), given.Load())
	}
}

func refusedResults(t *testing.T, nodes [3]fleet.Leases) {
	for _, result := range [][]byte{nil, {}, make([]byte, fleet.MaxResult+1)} {
		MustTake(t, nodes[0], "x").Done(result, keep)
		MustTake(t, nodes[1], "x").Drop()
	}
	largest := strings.Repeat("x", fleet.MaxResult)
	MustTake(t, nodes[0], "y").Done([]byte(largest), keep)
	lease, result, err := nodes[1].Take(t.Context(), "y")
	if err != nil || lease != nil || string(result) != largest {
		t.Errorf("the largest result came as %v, %d bytes, %v", lease, len(result), err)
	}
}

func endedTwice(t *testing.T, nodes [3]fleet.Leases) {
	lease := MustTake(t, nodes[0], "x")
	lease.Drop()
	second := MustTake(t, nodes[1], "x")
	lease.Drop()
	lease.Done([]byte("late"), keep)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if lease, result, err := nodes[2].Take(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the second holds it, Take = %v, %q, %v", lease, result, err)
	}
	second.Done([]byte("picture"), keep)
	mustGet(t, nodes[0], "x", "picture")
}

func names(t *testing.T, nodes [3]fleet.Leases) {
	var leases []fleet.Lease
	list := []string{"x", "y", "xy", "", "{x}", "x}y", "é", strings.Repeat("long", 100)}
	for i, name := range list {
		leases = append(leases, MustTake(t, nodes[i%3], name))
	}
	for i, lease := range leases {
		lease.Done([]byte("of "+strconv.Itoa(i)), keep)
	}
	for i, name := range list {
		mustGet(t, nodes[(i+1)%3], name, "of "+strconv.Itoa(i))
	}
}

func canceled(t *testing.T, nodes [3]fleet.Leases) {
	lease := MustTake(t, nodes[0], "x")
	defer lease.Drop()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, _, err := nodes[1].Take(ctx, "x")
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Take with a canceled context = %v", err)
	}
	if _, _, err := nodes[2].Take(ctx, "y"); !errors.Is(err, context.Canceled) {
		t.Errorf("Take with a context that was canceled before = %v", err)
	}
	MustTake(t, nodes[0], "y").Drop() // nobody was left holding it
}

// crowd: whoever comes, and whenever, one of them works.
func crowd(t *testing.T, nodes [3]fleet.Leases) {
	for round := range 20 {
		name := strconv.Itoa(round)
		var works atomic.Int64
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				lease, result, err := nodes[i%3].Take(t.Context(), name)
				switch {
				case err != nil:
					t.Error(err)
				case lease != nil:
					works.Add(1)
					lease.Done([]byte("picture"), keep)
				case string(result) != "picture":
					t.Errorf("result %q", result)
				}
			})
		}
		all.Wait()
		if works.Load() != 1 {
			t.Fatalf("round %d: the work was done %d times", round, works.Load())
		}
	}
}
