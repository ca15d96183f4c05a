// Package cachetest holds the laws that every cache tier obeys, as a test that each implementation runs.
package cachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/cache"
)

// Waiter is a tier whose Set is asynchronous. Wait returns when all that was set before is visible.
type Waiter interface{ Wait() }

// Damager is a tier, wrapped for its test, whose stored bytes can be changed behind its back. A tier in memory that shares
// entries has none.
type Damager interface {
	// Damage replaces the bytes stored under k by what change makes of them.
	Damage(t testing.TB, k cache.Key, change func([]byte) []byte)
}

// Run checks the tiers that open returns against the laws of cache.Tier. Each call of open returns one that is empty, and
// has it closed when the test it was given ends. Capabilities of a tier are found by assertion.
func Run(t *testing.T, open func(t *testing.T) cache.Tier) {
	laws := []struct {
		name string
		hold func(s suite, t *testing.T)
	}{
		{"an absent entry is a miss", suite.miss},
		{"what was set is got", suite.roundTrip},
		{"the later of two entries stays", suite.overwrite},
		{"versions and variants are apart", suite.apart},
		{"purge removes a source and nothing else", suite.purge},
		{"purge of nothing is no fault", suite.purgeNothing},
		{"a purged source can be set again", suite.setAgain},
		{"a large entry is kept or refused", suite.large},
		{"calls never mix entries", suite.concurrent},
		{"a sweep removes what its scope covers and nothing else", suite.sweep},
		{"a sweep finds entries however many there are", suite.sweepMany},
		{"a sweep removes damaged entries", suite.sweepDamaged},
		{"a text is kept", suite.keep},
		{"an ended context ends calls", suite.cancelled},
		{"damage is noticed and removed", suite.damage},
	}
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) { law.hold(suite{tier: open(t)}, t) })
	}
}

// Entry returns an entry with every field set and a body of n bytes, different for each mark.
func Entry(mark string, n int) *cache.Entry {
	body := bytes.Repeat([]byte(mark+"|"), n/(len(mark)+1)+1)[:n]
	return cache.NewEntry(cache.Entry{
		Body:        body,
		ContentType: "image/webp",
		Width:       n%4096 + 1,
		Height:      3,
		Modified:    time.Unix(1_700_000_000, 0).UTC(),
		Cost:        12345 * time.Microsecond,
	})
}

// Equal fails the test unless got is want, times being compared as instants.
func Equal(t testing.TB, got, want *cache.Entry) {
	t.Helper()
	if got == nil || !bytes.Equal(got.Body, want.Body) {
		t.Fatalf("got another body than was set (want %d bytes)", len(want.Body))
	}
	g, w := *got, *want
	g.Body, w.Body = nil, nil
	if diff := cmp.Diff(w, g); diff != "" {
		t.Fatalf("entry differs (-set +got):\n%s", diff)
	}
}

type suite struct{ tier cache.Tier }

func (s suite) set(t testing.TB, k cache.Key, e *cache.Entry) {
	t.Helper()
	if err := s.tier.Set(t.Context(), k, e); err != nil {
		t.Fatalf("Set(%v): %v", k, err)
	}
	s.settle()
}

func (s suite) settle() {
	if w, ok := s.tier.(Waiter); ok {
		w.Wait()
	}
}

func (s suite) want(t testing.TB, k cache.Key, want *cache.Entry) {
	t.Helper()
	got, err := s.tier.Get(t.Context(), k)
	if err != nil {
		t.Fatalf("Get(%v): %v", k, err)
	}
	Equal(t, got, want)
}

func (s suite) wantMiss(t testing.TB, k cache.Key) {
	t.Helper()
	if e, err := s.tier.Get(t.Context(), k); !errors.Is(err, cache.ErrMiss) || e != nil {
		t.Fatalf("Get(%v) = %v, %v; want ErrMiss and no entry", k, e, err)
	}
}

func (s suite) wantPurge(t testing.TB, source string) {
	t.Helper()
	if err := s.tier.Purge(t.Context(), source); err != nil {
		t.Fatalf("Purge(%q): %v", source, err)
	}
}

var key = cache.Key{Source: "products/6e0/cat", Version: "v1", Variant: "300x200;f=webp"}

func (s suite) miss(t *testing.T) { s.wantMiss(t, key) }

func (s suite) roundTrip(t *testing.T) {
	bare := cache.NewEntry(cache.Entry{Body: []byte{}})
	keys := []cache.Key{key, {}, {Source: "猫/ñ~._-", Version: "_", Variant: "a/../b?c#d %00\x00\\"}}
	for i, k := range keys {
		for _, e := range []*cache.Entry{Entry(fmt.Sprint(i), 1000), Entry("", 0), Entry("x", 1), bare} {
			s.set(t, k, e)
			s.want(t, k, e)
		}
	}
}

func (s suite) overwrite(t *testing.T) {
	for i := range 5 {
		e := Entry(fmt.Sprint("round ", i), 5000-900*i)
		s.set(t, key, e)
		s.want(t, key, e)
	}
}

func (s suite) apart(t *testing.T) {
	// The second and third would be one if version and variant were merely joined.
	keys := []cache.Key{
		{Source: "a", Version: "1", Variant: "23"}, {Source: "a", Version: "12", Variant: "3"},
		{Source: "a", Version: "", Variant: "123"}, {Source: "a", Version: "123", Variant: ""},
		{Source: "a1", Version: "2", Variant: "3"}, {Source: "b", Version: "1", Variant: "23"},
	}
	for i, k := range keys {
		s.set(t, k, Entry(fmt.Sprint(i), 100))
	}
	for i, k := range keys {
		got, err := s.tier.Get(t.Context(), k)
		if err != nil {
			t.Fatalf("Get(%v): %v", k, err)
		}
		if want := Entry(fmt.Sprint(i), 100); !bytes.Equal(got.Body, want.Body) {
			t.Errorf("Get(%v) = %.10q, want %.10q", k, got.Body, want.Body)
		}
	}
}

func (s suite) purge(t *testing.T) {
	sources := []string{"a", "a/b", "ab", "b/a", "A", "a*", "?"}
	for _, gone := range sources {
		held := make(map[cache.Key]*cache.Entry)
		for _, source := range sources {
			for i := range 6 {
				k := cache.Key{Source: source, Version: fmt.Sprint(i % 2), Variant: fmt.Sprint(i)}
				held[k] = Entry(fmt.Sprint(k), 200)
				s.set(t, k, held[k])
			}
		}
		s.wantPurge(t, gone)
		s.settle()
		for k, e := range held {
			if k.Source == gone {
				s.wantMiss(t, k)
			} else {
				s.want(t, k, e)
			}
		}
	}
}

func (s suite) purgeNothing(t *testing.T) {
	s.wantPurge(t, "never seen")
	s.set(t, key, Entry("x", 10))
	s.wantPurge(t, key.Source)
	s.wantPurge(t, key.Source)
	s.wantMiss(t, key)
}

func (s suite) setAgain(t *testing.T) {
	for i := range 3 {
		e := Entry(fmt.Sprint(i), 100)
		s.set(t, key, e)
		s.want(t, key, e)
		s.wantPurge(t, key.Source)
		s.wantMiss(t, key)
	}
}

func (s suite) large(t *testing.T) {
	e := Entry("large", 5<<20)
	err := s.tier.Set(t.Context(), key, e)
	s.settle()
	switch {
	case err == nil:
		s.want(t, key, e)
	case errors.Is(err, cache.ErrTooLarge):
		s.wantMiss(t, key)
	default:
		t.Fatalf("Set of %d bytes: %v", len(e.Body), err)
	}
}

// concurrent has writers, readers and purges meet on few keys. Whatever is read must be an entry that was set under its key.
func (s suite) concurrent(t *testing.T) {
	const workers, rounds, keys = 8, 25, 3
	nth := func(i int) cache.Key { return cache.Key{Source: fmt.Sprint("source", i%2), Variant: fmt.Sprint(i)} }
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for round := range rounds {
				k := nth((worker + round) % keys)
				var err error
				switch {
				case worker%2 == 0:
					err = s.tier.Set(t.Context(), k, Entry(k.Variant+"/"+fmt.Sprint(worker, round), 3000+round))
				case worker == 1 && round%8 == 0:
					err = s.tier.Purge(t.Context(), k.Source)
				default:
					err = s.readWhole(t.Context(), k)
				}
				if err != nil && !errors.Is(err, cache.ErrMiss) {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
				}
			}
		})
	}
	wg.Wait()
	s.settle()
	for i := range keys {
		s.wantPurge(t, nth(i).Source)
	}
	for i := range keys {
		s.wantMiss(t, nth(i))
	}
}

func (s suite) readWhole(ctx context.Context, k cache.Key) error {
	e, err := s.tier.Get(ctx, k)
	if err != nil {
		return err
	}
	again := cache.NewEntry(cache.Entry{Body: e.Body})
	if again.Checksum != e.Checksum || again.ETag != e.ETag || !bytes.HasPrefix(e.Body, []byte(k.Variant+"/")) {
		return fmt.Errorf("read a mixed entry under %v", k)
	}
	return nil
}

// cancelled allows calls that do not wait to do their work nevertheless, but not to answer wrongly.
func (s suite) cancelled(t *testing.T) {
	e := Entry("kept", 1000)
	s.set(t, key, e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := s.tier.Get(ctx, key); err == nil {
		Equal(t, got, e)
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want the entry or context.Canceled", err)
	}
	if err := s.tier.Set(ctx, key, e); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Set = %v, want nil or context.Canceled", err)
	}
	s.settle()
	s.want(t, key, e)
	if err := s.tier.Purge(ctx, key.Source); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Purge = %v, want nil or context.Canceled", err)
	}
}

func (s suite) damage(t *testing.T) {
	damager, ok := s.tier.(Damager)
	if !ok {
		return
	}
	other := key
	other.Version = "v2"
	damages := []struct {
		name   string
		change func([]byte) []byte
	}{
		{"one bit in the middle", func(data []byte) []byte { data[len(data)/2] ^= 1; return data }},
		{"first byte", func(data []byte) []byte { data[0]++; return data }},
		{"last byte", func(data []byte) []byte { data[len(data)-1]++; return data }},
		{"cut", func(data []byte) []byte { return data[:len(data)/2] }},
		{"emptied", func([]byte) []byte { return nil }},
		{"longer", func(data []byte) []byte { return append(data, 0) }},
		{"another key's entry", func([]byte) []byte { return cache.Encode(other, Entry("other", 1000)) }},
	}
	for _, damage := range damages {
		e := Entry(damage.name, 1000)
		s.set(t, key, e)
		damager.Damage(t, key, damage.change)
		if got, err := s.tier.Get(t.Context(), key); !errors.Is(err, cache.ErrCorrupt) || got != nil {
			t.Errorf("%s: Get = %v, %v; want ErrCorrupt and no entry", damage.name, got, err)
		}
		s.wantMiss(t, key)
		s.set(t, key, e)
		s.want(t, key, e)
	}
}
