package ingest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlot: one that finds no slot gets the next that is given back, unless that takes too long or nobody waits any more.
func TestSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{config: Config{SlotWait: 2 * time.Second}, slots: make(chan struct{}, 1)}
		free, err := s.slot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := s.slot(t.Context()); !errors.Is(err, ErrBusy) || time.Since(begin) != 2*time.Second {
			t.Errorf("%v after %s, want ErrBusy after 2s", err, time.Since(begin))
		}
		leaves, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		if _, err := s.slot(leaves); !errors.Is(err, ErrAborted) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want ErrAborted", err)
		}
		time.AfterFunc(1900*time.Millisecond, free)
		begin = time.Now()
		next, err := s.slot(t.Context())
		if err != nil || time.Since(begin) != 1900*time.Millisecond {
			t.Fatalf("%v after %s, want the slot", err, time.Since(begin))
		}
		next()
		if len(s.slots) != 0 {
			t.Errorf("%d slots are taken", len(s.slots))
		}
	})
}
