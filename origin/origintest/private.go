package origintest

import (
	"errors"
	"io"
	"sync"
	"testing"

	"deckle/origin"
)

// privateStep is something that is done to a source, and whether it is private then.
type privateStep struct {
	name string
	do   func() (origin.Info, error)
	want bool
}

// commitPrivate stores a source that is private or not.
func commitPrivate(t *testing.T, s origin.Store, id, body string, private, replace bool) origin.Info {
	t.Helper()
	staged := stage(t, s, []byte(body))
	staged.SetPrivate(private)
	info, err := staged.Commit(t.Context(), id, replace)
	if err != nil {
		t.Fatalf("Commit(%q): %v", id, err)
	}
	return info
}

// privateSteps are done one after the other to a/cat.
func privateSteps(t *testing.T, s origin.Store) []privateStep {
	commit := func(id, body string, private, replace bool) origin.Info {
		return commitPrivate(t, s, id, body, private, replace)
	}
	return []privateStep{
		{"a private upload", func() (origin.Info, error) { return commit("a/cat", "1", true, false), nil }, true},
		{"made public", func() (origin.Info, error) { return s.SetPrivate(t.Context(), "a/cat", false) }, false},
		{"made public again", func() (origin.Info, error) { return s.SetPrivate(t.Context(), "a/cat", false) }, false},
		{"made private", func() (origin.Info, error) { return s.SetPrivate(t.Context(), "a/cat", true) }, true},
		{"made private again", func() (origin.Info, error) { return s.SetPrivate(t.Context(), "a/cat", true) }, true},
		{"copied onto itself", func() (origin.Info, error) {
			return origin.Copy(t.Context(), s, "a/cat", s, "a/cat", true, nil)
		}, true},
		{"replaced by a public one", func() (origin.Info, error) { return commit("a/cat", "2", false, true), nil }, false},
		{"replaced by a private one", func() (origin.Info, error) { return commit("a/cat", "3", true, true), nil }, true},
		{"deleted, and anew", func() (origin.Info, error) {
			if err := s.Delete(t.Context(), "a/cat"); err != nil {
				return origin.Info{}, err
			}
			return commit("a/cat", "4", false, false), nil
		}, false},
		{"after a private upload that was refused", func() (origin.Info, error) {
			staged := stage(t, s, []byte("5"))
			staged.SetPrivate(true)
			if _, err := staged.Commit(t.Context(), "a/cat", false); !errors.Is(err, origin.ErrExists) {
				t.Errorf("Commit over another: %v, want ErrExists", err)
			}
			return s.Stat(t.Context(), "a/cat")
		}, false},
	}
}

// privateLaw: what is private stays so until somebody says otherwise, and what is not does not become it by accident.
func privateLaw(t *testing.T, s origin.Store) {
	for _, step := range privateSteps(t, s) {
		said, err := step.do()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if info, err := s.Stat(t.Context(), "a/cat"); err != nil || info != said || info.Private != step.want {
			t.Errorf("%s: Stat = %+v, %v; said %+v, want private %v", step.name, info, err, said, step.want)
		}
		if info, _ := read(t, s, "a/cat", origin.Range{}); info.Private != step.want {
			t.Errorf("%s: Open says private %v", step.name, info.Private)
		}
		if info, _ := read(t, s, "a/cat", origin.Range{Offset: 0, Length: 1}); info.Private != step.want {
			t.Errorf("%s: Open of a part says private %v", step.name, info.Private)
		}
	}
	commitPrivate(t, s, "a/dog", "dog", true, false)
	if info, err := s.Stat(t.Context(), "a/cat"); err != nil || info.Private {
		t.Errorf("the neighbour of a private source: %+v, %v", info, err)
	}
	for _, private := range []bool{true, false} {
		if _, err := s.SetPrivate(t.Context(), "none", private); !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("SetPrivate(%v) of nothing: %v, want ErrNotFound", private, err)
		}
		if _, err := s.SetPrivate(t.Context(), "../none", private); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("SetPrivate(%v) of no id: %v, want ErrBadID", private, err)
		}
	}
	if info := commitPrivate(t, s, "none", "public", false, false); info.Private {
		t.Error("a source is private because of a SetPrivate before there was one")
	}
}

// privateRaceLaw: while private and public bytes take each other's place, nobody gets private bytes that are said to be public.
func privateRaceLaw(t *testing.T, s origin.Store) {
	const replacements = 60
	put(t, s, "cat", []byte("public"), false)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				object, err := s.Open(t.Context(), "cat", origin.Range{})
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				body, err := io.ReadAll(object.Body)
				_ = object.Body.Close()
				if err == nil && string(body) == "secret" && !object.Private {
					t.Error("private bytes, and the Info says that they are public")
					return
				}
			}
		})
	}
	for i := range replacements {
		body, private := "public", i%2 == 0
		if private {
			body = "secret"
		}
		staged := stage(t, s, []byte(body))
		staged.SetPrivate(private)
		if _, err := staged.Commit(t.Context(), "cat", true); err != nil {
			t.Errorf("replacement %d: %v", i, err)
			break
		}
	}
	close(done)
	readers.Wait()
}
