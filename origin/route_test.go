package origin_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"deckle/origin"
	"deckle/origin/file"
	"deckle/origin/origintest"
)

func openFiles(t *testing.T) *file.Store {
	t.Helper()
	s, err := file.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func route(t *testing.T, rules ...origin.Rule) *origin.Route {
	t.Helper()
	r, err := origin.NewRoute(rules...)
	if err != nil {
		t.Fatalf("NewRoute: %v", err)
	}
	return r
}

// TestRouteLaws runs the laws over two stores; most ids of the laws begin with "a" or "products".
func TestRouteLaws(t *testing.T) {
	open := func(t *testing.T) origin.Store {
		return route(t, origin.Rule{Store: openFiles(t)}, origin.Rule{Prefix: "a/b", Store: openFiles(t)}, origin.Rule{Prefix: "products", Store: openFiles(t)})
	}
	origintest.RunStore(t, open)
	origintest.RunNesting(t, open)
}

func TestRouteChooses(t *testing.T) {
	named := func(name string) *store {
		s := &store{}
		s.answers(name, nil)
		return s
	}
	r := route(t, origin.Rule{Prefix: "a", Store: named("a")}, origin.Rule{Prefix: "a/b", Store: named("a/b")}, origin.Rule{Prefix: "a/b/c/d", Store: named("a/b/c/d")})
	tests := map[string]string{
		"a": "a", "a/x": "a", "a/bc": "a", "a/b": "a/b", "a/b/c": "a/b", "a/b/c/dd": "a/b", "a/b/c/d": "a/b/c/d", "a/b/c/d/e": "a/b/c/d",
		"ab": "", "b": "", "b/a": "",
	}
	for id, want := range tests {
		info, err := r.Stat(t.Context(), id)
		if info.Version != want || (want == "") != errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Stat(%q) asked %q, %v; want %q", id, info.Version, err, want)
		}
		object, err := r.Open(t.Context(), id, origin.Range{})
		if err == nil && object.Version != want || (want == "") != errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Open(%q): %v; want %q", id, err, want)
		}
	}
}

func TestRouteReadOnly(t *testing.T) {
	upstream := &store{}
	upstream.answers("1", nil)
	r := route(t, origin.Rule{Prefix: "web", Store: upstream})
	if _, err := r.Stage(t.Context()); !errors.Is(err, origin.ErrReadOnly) {
		t.Errorf("Stage without a writable store: %v, want ErrReadOnly", err)
	}
	if err := r.Delete(t.Context(), "web/cat"); !errors.Is(err, origin.ErrReadOnly) {
		t.Errorf("Delete: %v, want ErrReadOnly", err)
	}
	r = route(t, origin.Rule{Prefix: "web", Store: upstream}, origin.Rule{Prefix: "own", Store: openFiles(t)})
	staged, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"web/cat", "elsewhere"} {
		if _, err := staged.Commit(t.Context(), id, true); !errors.Is(err, origin.ErrReadOnly) {
			t.Errorf("Commit(%q): %v, want ErrReadOnly", id, err)
		}
	}
	if _, err := staged.Commit(t.Context(), "own/cat", false); err != nil {
		t.Errorf("Commit: %v", err)
	}
}

// brokenWriter fails when an upload that waited elsewhere is brought to it.
type brokenWriter struct{ origin.Store }

func (brokenWriter) Stage(context.Context) (origin.Staged, error) {
	return nil, origin.ErrUnavailable
}

func TestRouteKeepsUploadOnFailure(t *testing.T) {
	good := openFiles(t)
	r := route(t, origin.Rule{Store: good}, origin.Rule{Prefix: "broken", Store: &brokenWriter{openFiles(t)}})
	staged, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(staged, "cat"); err != nil {
		t.Fatal(err)
	}
	if _, err := staged.Commit(t.Context(), "broken/cat", false); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("Commit to a broken store: %v, want ErrUnavailable", err)
	}
	if info, err := staged.Commit(t.Context(), "cat", false); err != nil || info.Size != 3 {
		t.Errorf("Commit elsewhere after the failure: %+v, %v", info, err)
	}
	if litter, err := filepath.Glob(filepath.Join(filepath.Dir(staged.Path()), "[A-Z]*")); err != nil || len(litter) > 0 {
		t.Errorf("left behind: %v, %v", litter, err)
	}
}

func TestRouteRules(t *testing.T) {
	for _, rules := range [][]origin.Rule{
		{{Prefix: "a/"}}, {{Prefix: "/a"}}, {{Prefix: ".."}}, {{Prefix: "a"}, {Prefix: "a"}}, {{}, {}},
	} {
		if _, err := origin.NewRoute(rules...); err == nil {
			t.Errorf("NewRoute(%+v): no error", rules)
		}
	}
}
