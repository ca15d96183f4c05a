package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"deckle/transform"
)

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]Budget{
		"600/m": {600, time.Minute}, "1/s": {1, time.Second}, "10/h": {10, time.Hour}, "off": {}, "0": {},
	} {
		if got, err := ParseBudget(text); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", "600", "600/", "600/d", "-1/m", "0/m", "x/m", "1/m/s", "1.5/s", "99999999999/s", "OFF"} {
		if got, err := ParseBudget(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func asClient(t *testing.T, address string) context.Context {
	return context.WithValue(t.Context(), payer{}, network(netip.MustParseAddr(address)))
}

// TestBudgets: a client's and a source's renders are bounded apart from each other, a refusal costs neither, and time gives
// them back.
func TestBudgets(t *testing.T) {
	b := newBudgets(Budgets{Client: Budget{3, time.Minute}, Source: Budget{5, time.Hour}})
	now := time.Now()
	ann, bob := asClient(t, "203.0.113.1"), asClient(t, "2001:db8::1")
	for i := range 3 {
		if err := b.charge(ann, "cat", now); err != nil {
			t.Fatalf("render %d: %v", i, err)
		}
	}
	refused := func(ctx context.Context, source string, now time.Time, want error, after time.Duration) {
		t.Helper()
		err := b.charge(ctx, source, now)
		var later *transform.Later
		if !errors.Is(err, want) || !errors.As(err, &later) || later.After <= 0 || later.After > after {
			t.Fatalf("%v, want %v within %s", err, want, after)
		}
		if status, _ := StatusOf(err); status != 429 {
			t.Errorf("%v is answered %d", err, status)
		}
	}
	for range 10 {
		refused(ann, "dog", now, errClientBudget, 20*time.Second)
	}
	// Ann's refusals have cost the source nothing, and another address of Bob's network is Bob.
	if err := errors.Join(b.charge(bob, "cat", now), b.charge(asClient(t, "2001:db8::ffff"), "cat", now)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		refused(bob, "cat", now, errSourceBudget, 12*time.Minute)
	}
	if err := b.charge(bob, "dog", now); err != nil {
		t.Errorf("refusals for the source have cost the client: %v", err)
	}
	if err := b.charge(t.Context(), "dog", now); err != nil {
		t.Errorf("one who is counted for nobody: %v", err)
	}
	if err := b.charge(ann, "dog", now.Add(21*time.Second)); err != nil {
		t.Errorf("a third of the time later: %v", err)
	}
	refused(ann, "dog", now.Add(21*time.Second), errClientBudget, 20*time.Second)
	if b.clients.refusals() != 11 || b.sources.refusals() != 10 {
		t.Errorf("%d and %d refusals are counted, want 11 and 10", b.clients.refusals(), b.sources.refusals())
	}
}

// TestBudgetsOff: without budgets nothing is refused, and nothing is remembered.
func TestBudgetsOff(t *testing.T) {
	b := newBudgets(Budgets{})
	for range 1000 {
		if err := b.charge(asClient(t, "203.0.113.1"), "cat", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBucketsAreBounded: a stream of new names does not grow what is remembered.
func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets[string](Budget{1, time.Hour})
	for i := range maxBuckets + 1000 {
		b.take(fmt.Sprint(i), time.Now())
	}
	if b.list.Len() != maxBuckets {
		t.Errorf("%d are remembered, want %d", b.list.Len(), maxBuckets)
	}
}
