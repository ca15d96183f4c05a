package cachetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"deckle/cache"
)

// shelf is what the laws of sweeping put into a tier: ids whose beginnings are alike, and some that need encoding.
var shelf = []string{
	"a", "a/b", "a/b/c", "a/b/c/d", "a/bc", "a/bc/d", "ab", "b", "b/a", "A/b", "猫/ñ", "猫", "a-b", "a.b/c", "a*", "{a}/b", "100%/x", "!/a", "a/!",
}

// sweep sweeps by each kind of scope in turn; the tier is filled again before each.
func (s suite) sweep(t *testing.T) {
	sweeper, ok := s.tier.(cache.Sweeper)
	if !ok {
		t.Fatal("the tier is no cache.Sweeper")
	}
	const variants = 3
	for _, test := range []struct {
		scope cache.Scope
		gone  []string
	}{
		{cache.Scope{Source: "a/b"}, []string{"a/b"}},
		{cache.Scope{Source: "a*"}, []string{"a*"}},
		{cache.Scope{Source: "a/"}, nil},
		{cache.Scope{Source: "never seen"}, nil},
		{cache.Scope{Prefix: "a/b"}, []string{"a/b", "a/b/c", "a/b/c/d"}},
		{cache.Scope{Prefix: "a/b/"}, []string{"a/b/c", "a/b/c/d"}},
		{cache.Scope{Prefix: "a"}, []string{"a", "a/b", "a/b/c", "a/b/c/d", "a/bc", "a/bc/d", "a/!"}},
		{cache.Scope{Prefix: "猫/"}, []string{"猫/ñ"}},
		{cache.Scope{Prefix: "never/"}, nil},
		{cache.Scope{Tag: "a/bc"}, []string{"a/bc"}},
		{cache.Scope{Tag: "a/bc/"}, []string{"a/bc/d"}},
		{cache.Scope{Tag: "%E7%8C%AB/"}, []string{"猫/ñ"}},
		{cache.Scope{Tag: "%E7%8C%AB"}, []string{"猫"}},
		{cache.Scope{}, nil},
		{cache.Scope{All: true}, shelf},
	} {
		held := s.fill(t, variants)
		gone := map[string]bool{}
		for _, source := range test.gone {
			gone[source] = true
		}
		removed, err := sweeper.Sweep(t.Context(), test.scope)
		if want := variants * len(test.gone); err != nil || removed != want {
			t.Fatalf("Sweep(%v) = %d, %v; want %d", test.scope, removed, err, want)
		}
		for k, e := range held {
			if gone[k.Source] {
				s.wantMiss(t, k)
			} else {
				s.want(t, k, e)
			}
		}
		if removed, err := sweeper.Sweep(t.Context(), test.scope); err != nil || removed != 0 {
			t.Errorf("a second Sweep(%v) = %d, %v; want nothing", test.scope, removed, err)
		}
	}
}

// fill puts variants of every source of the shelf in.
func (s suite) fill(t *testing.T, variants int) map[cache.Key]*cache.Entry {
	t.Helper()
	held := map[cache.Key]*cache.Entry{}
	for _, source := range shelf {
		for i := range variants {
			k := cache.Key{Source: source, Version: fmt.Sprint(i % 2), Variant: fmt.Sprint(i)}
			held[k] = Entry(fmt.Sprint(k), 200)
			if err := s.tier.Set(t.Context(), k, held[k]); err != nil {
				t.Fatalf("Set(%v): %v", k, err)
			}
		}
	}
	s.settle()
	return held
}

// sweepMany has many entries of one source and one entry each of many.
func (s suite) sweepMany(t *testing.T) {
	const each = 300
	for i := range each {
		for _, k := range []cache.Key{{Source: "one", Variant: fmt.Sprint(i)}, {Source: fmt.Sprint("many/", i)}} {
			if err := s.tier.Set(t.Context(), k, Entry("x", 10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.settle()
	for _, scope := range []cache.Scope{{Source: "one"}, {Prefix: "many/"}} {
		if removed, err := s.tier.(cache.Sweeper).Sweep(t.Context(), scope); err != nil || removed != each {
			t.Errorf("Sweep(%v) = %d, %v; want %d", scope, removed, err, each)
		}
	}
}

// sweepDamaged has an entry whose first bytes, which may say whose it is, cannot be read.
func (s suite) sweepDamaged(t *testing.T) {
	damager, ok := s.tier.(Damager)
	if !ok {
		return
	}
	other := cache.Key{Source: "b"}
	kept := Entry("y", 100)
	s.set(t, key, Entry("x", 100))
	s.set(t, other, kept)
	damager.Damage(t, key, func([]byte) []byte { return []byte("rubbish") })
	removed, err := s.tier.(cache.Sweeper).Sweep(t.Context(), cache.Scope{Prefix: "products/"})
	if err != nil || removed != 1 {
		t.Errorf("Sweep = %d, %v; want the damaged entry", removed, err)
	}
	s.wantMiss(t, key)
	s.want(t, other, kept)
}

func (s suite) keep(t *testing.T) {
	keeper, ok := s.tier.(cache.Keeper)
	if !ok {
		return
	}
	if text, err := keeper.Kept(t.Context()); err != nil || len(text) > 0 {
		t.Fatalf("Kept = %q, %v before anything was kept", text, err)
	}
	for _, text := range []string{"first", "a longer second one", "3"} {
		if err := keeper.Keep(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := keeper.Kept(t.Context()); err != nil || string(got) != text {
			t.Errorf("Kept = %q, %v; want %q", got, err, text)
		}
	}
	if removed, err := s.tier.(cache.Sweeper).Sweep(t.Context(), cache.Scope{All: true}); err != nil || removed != 0 {
		t.Errorf("a sweep counted what is kept: %d, %v", removed, err)
	}
	if got, err := keeper.Kept(t.Context()); err != nil || string(got) != "3" {
		t.Errorf("after a sweep Kept = %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := keeper.Keep(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Keep with an ended context = %v", err)
	}
}
