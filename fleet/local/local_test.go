package local

import (
	"testing"
	"time"

	"deckle/fleet"
	"deckle/fleet/fleettest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLeases(t *testing.T) {
	fleettest.Leases(t, func(*testing.T) [3]fleet.Leases {
		f := New(time.Minute)
		return [3]fleet.Leases{f, f, f}
	})
}

func TestMessages(t *testing.T) {
	fleettest.Messages(t, func(*testing.T) func() fleet.Messages {
		f := New(0)
		return func() fleet.Messages { return f.Join() }
	})
}

// TestSlowHolder: nobody waits longer than the bound, and what the slow one makes is still given to others.
func TestSlowHolder(t *testing.T) {
	f := New(10 * time.Millisecond)
	slow := fleettest.MustTake(t, f, "x")
	fleettest.MustTake(t, f, "x").Drop() // binds nobody, and ends nobody's
	slow.Done([]byte("picture"), time.Minute)
	if lease, result, err := f.Take(t.Context(), "x"); lease != nil || string(result) != "picture" {
		t.Errorf("Take = %v, %q, %v", lease, result, err)
	}
}
