package origintest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"deckle/origin"
)

// RunAreas tries the laws of areas on a store that has them, empty, which ends by t.Cleanup.
func RunAreas(t *testing.T, s origin.Store) {
	areas, ok := s.(origin.Areas)
	if !ok {
		t.Fatalf("%T has no areas", s)
	}
	put(t, s, "cat", []byte("served"), false)
	incoming := room(t, areas, origin.Incoming)
	trash := room(t, areas, origin.Trash)
	const n = 7
	var want []string
	for i := range n {
		id := fmt.Sprint("object-", i)
		want = append(want, id)
		put(t, incoming, id, []byte(id), false)
	}
	put(t, trash, "cat", []byte("deleted"), false)
	if _, got := read(t, s, "cat", origin.Range{}); string(got) != "served" {
		t.Errorf("the source is %q", got)
	}
	for _, id := range append(want, origin.Incoming.Dir()+"/object-1", origin.Trash.Dir()+"/cat") {
		if _, err := s.Stat(t.Context(), id); !errors.Is(err, origin.ErrNotFound) && !errors.Is(err, origin.ErrBadID) {
			t.Errorf("%s is reached by an id: %v", id, err)
		}
	}
	for _, limit := range []int{1, 3, n, 100} {
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			page, err := incoming.List(t.Context(), after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("a page of %d: %d, %v", limit, len(page), err)
			}
			if len(page) == 0 {
				break
			}
			for _, listed := range page {
				got = append(got, listed.ID)
				if listed.Modified.IsZero() {
					t.Errorf("%s has no time", listed.ID)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	if info, err := origin.Copy(t.Context(), incoming, "object-3", s, "a/dog", false, nil); err != nil || info.Size != 8 {
		t.Errorf("copied: %+v, %v", info, err)
	}
	if _, got := read(t, s, "a/dog", origin.Range{}); string(got) != "object-3" {
		t.Errorf("the copy is %q", got)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := incoming.List(ended, "", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("List with an ended context: %v", err)
	}
}

func room(t *testing.T, areas origin.Areas, area origin.Area) origin.Room {
	t.Helper()
	one, err := areas.Room(area, "cat")
	if err != nil {
		t.Fatal(err)
	}
	all, err := areas.Rooms(area)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d rooms, %v", len(all), err)
	}
	return one
}
