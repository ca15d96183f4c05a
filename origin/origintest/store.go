package origintest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"deckle/origin"
)

// Weakness is what a server is known to do against the laws.
type Weakness int

// LateInfo is that of a server which, while a source is replaced, may give its bytes with the Info of the one before or after.
const LateInfo Weakness = iota

// RunStore tries the laws of reading and writing on the stores that open returns, each empty, but for what their server is known
// to do. Stores end by t.Cleanup.
func RunStore(t *testing.T, open func(t *testing.T) origin.Store, known ...Weakness) {
	t.Run("reader", func(t *testing.T) {
		RunReader(t, func(t *testing.T, sources map[string][]byte) origin.Reader {
			s := open(t)
			for id, body := range sources {
				put(t, s, id, body, false)
			}
			return s
		})
	})
	laws := []struct {
		name string
		try  func(*testing.T, origin.Store)
	}{
		{"commit", commitLaw},
		{"replace", replaceLaw},
		{"exists", existsLaw},
		{"abort", abortLaw},
		{"delete", deleteLaw},
		{"hostile", hostileWriteLaw},
		{"cancelled", cancelledWriteLaw},
		{"one winner", oneWinnerLaw},
		{"old or new", func(t *testing.T, s origin.Store) { oldOrNewLaw(t, s, slices.Contains(known, LateInfo)) }},
		{"private", privateLaw},
		{"private race", privateRaceLaw},
	}
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) { law.try(t, open(t)) })
	}
}

// commitLaw: nothing before Commit; after it, what Commit said.
func commitLaw(t *testing.T, s origin.Store) {
	for id, body := range pictures() {
		staged := stage(t, s, body)
		local, err := os.ReadFile(staged.Path())
		if err != nil || !bytes.Equal(local, body) {
			t.Fatalf("the file at Path before Commit(%q): %d bytes, %v; want %d", id, len(local), err, len(body))
		}
		if _, err := s.Stat(t.Context(), id); !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Stat(%q) before Commit: %v, want ErrNotFound", id, err)
		}
		committed, err := staged.Commit(t.Context(), id, false)
		if err != nil {
			t.Fatalf("Commit(%q): %v", id, err)
		}
		if err := staged.Abort(); err != nil {
			t.Errorf("Abort after Commit(%q): %v", id, err)
		}
		if info, err := s.Stat(t.Context(), id); err != nil || info != committed {
			t.Errorf("Stat(%q) = %+v, %v; Commit said %+v", id, info, err, committed)
		}
		info, got := read(t, s, id, origin.Range{})
		if info != committed || !bytes.Equal(got, body) {
			t.Errorf("Open(%q) = %+v, %d bytes; Commit said %+v", id, info, len(got), committed)
		}
		if _, err := os.Stat(staged.Path()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file at Path after Commit(%q): %v, want it gone", id, err)
		}
	}
}

// replaceLaw: other bytes have another version, however alike they are.
func replaceLaw(t *testing.T, s origin.Store) {
	versions := make(map[string]int)
	for i := range 30 {
		body := content(1000, uint64(i))
		committed := put(t, s, "a/cat", body, true)
		if before, taken := versions[committed.Version]; taken {
			t.Fatalf("replacements %d and %d have one version", before, i)
		}
		versions[committed.Version] = i
		info, got := read(t, s, "a/cat", origin.Range{})
		if info != committed || !bytes.Equal(got, body) {
			t.Fatalf("after replacement %d: %+v, want %+v with its bytes", i, info, committed)
		}
	}
}

func existsLaw(t *testing.T, s origin.Store) {
	first := put(t, s, "cat", []byte("first"), false)
	for _, body := range []string{"second", "first", ""} {
		staged := stage(t, s, []byte(body))
		if _, err := staged.Commit(t.Context(), "cat", false); !errors.Is(err, origin.ErrExists) {
			t.Errorf("Commit over another: %v, want ErrExists", err)
		}
		abort(t, staged)
	}
	if info, got := read(t, s, "cat", origin.Range{}); info != first || string(got) != "first" {
		t.Errorf("after refused commits: %+v %q, want %+v", info, got, first)
	}
	// A refused upload may still be committed elsewhere.
	staged := stage(t, s, []byte("third"))
	if _, err := staged.Commit(t.Context(), "cat", false); !errors.Is(err, origin.ErrExists) {
		t.Errorf("Commit over another: %v, want ErrExists", err)
	}
	if _, err := staged.Commit(t.Context(), "dog", false); err != nil {
		t.Errorf("Commit under a free id after a refusal: %v", err)
	}
	if _, got := read(t, s, "dog", origin.Range{}); string(got) != "third" {
		t.Errorf("dog = %q, want third", got)
	}
}

func abortLaw(t *testing.T, s origin.Store) {
	staged := stage(t, s, content(100_000, 1))
	path := staged.Path()
	abort(t, staged)
	abort(t, staged)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file at Path after Abort: %v, want it gone", err)
	}
	if _, err := staged.Commit(t.Context(), "cat", false); err == nil {
		t.Error("Commit after Abort: no error")
	}
	if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("Stat after Abort: %v, want ErrNotFound", err)
	}
}

func deleteLaw(t *testing.T, s origin.Store) {
	for _, id := range []string{"cat", "a", "a/b/cat"} {
		if err := s.Delete(t.Context(), id); !errors.Is(err, origin.ErrNotFound) {
			t.Errorf("Delete(%q) of nothing: %v, want ErrNotFound", id, err)
		}
	}
	put(t, s, "a/b/cat", []byte("cat"), false)
	put(t, s, "a/b/dog", []byte("dog"), false)
	if err := s.Delete(t.Context(), "a/b"); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("Delete of a prefix: %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), "a/b/cat"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := s.Stat(t.Context(), "a/b/cat"); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("Stat after Delete: %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), "a/b/cat"); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("second Delete: %v, want ErrNotFound", err)
	}
	if _, got := read(t, s, "a/b/dog", origin.Range{}); string(got) != "dog" {
		t.Errorf("the neighbour of a deleted source = %q", got)
	}
	if err := s.Delete(t.Context(), "a/b/dog"); err != nil {
		t.Errorf("Delete of the last one: %v", err)
	}
	// The id and the prefixes are free again.
	put(t, s, "a/b/cat", []byte("cat 2"), false)
	if _, got := read(t, s, "a/b/cat", origin.Range{}); string(got) != "cat 2" {
		t.Errorf("a source committed after its deletion = %q", got)
	}
}

func hostileWriteLaw(t *testing.T, s origin.Store) {
	staged := stage(t, s, []byte("hostile"))
	for _, id := range HostileIDs() {
		for _, replace := range []bool{false, true} {
			if _, err := staged.Commit(t.Context(), id, replace); !errors.Is(err, origin.ErrBadID) {
				t.Errorf("Commit(%q, %v): %v, want ErrBadID", id, replace, err)
			}
		}
		if err := s.Delete(t.Context(), id); !errors.Is(err, origin.ErrBadID) {
			t.Errorf("Delete(%q): %v, want ErrBadID", id, err)
		}
	}
	if _, err := staged.Commit(t.Context(), "cat", false); err != nil {
		t.Errorf("Commit under a good id after the bad ones: %v", err)
	}
}

func cancelledWriteLaw(t *testing.T, s origin.Store) {
	kept := put(t, s, "kept", []byte("kept"), false)
	staged := stage(t, s, []byte("cat"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if other, err := s.Stage(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stage with an ended context: %v, %v", other, err)
	}
	for _, id := range []string{"cat", "kept"} {
		if _, err := staged.Commit(ctx, id, true); !errors.Is(err, context.Canceled) {
			t.Errorf("Commit(%q) with an ended context: %v", id, err)
		}
	}
	if err := s.Delete(ctx, "kept"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete with an ended context: %v", err)
	}
	abort(t, staged)
	if _, err := s.Stat(t.Context(), "cat"); !errors.Is(err, origin.ErrNotFound) {
		t.Errorf("Stat after a cancelled Commit: %v, want ErrNotFound", err)
	}
	if info, err := s.Stat(t.Context(), "kept"); err != nil || info != kept {
		t.Errorf("Stat after a cancelled Commit and Delete = %+v, %v; want %+v", info, err, kept)
	}
}

// put stores a source and ends the test when it cannot.
func put(t *testing.T, s origin.Store, id string, body []byte, replace bool) origin.Info {
	t.Helper()
	staged := stage(t, s, body)
	info, err := staged.Commit(t.Context(), id, replace)
	if err != nil {
		t.Fatalf("Commit(%q): %v", id, err)
	}
	return info
}

// stage writes an upload in uneven pieces, and gives it up with the test unless it is committed.
func stage(t *testing.T, s origin.Store, body []byte) origin.Staged {
	t.Helper()
	staged, err := s.Stage(t.Context())
	if err != nil {
		t.Fatalf("Stage: %v", err)
	}
	t.Cleanup(func() { _ = staged.Abort() })
	for len(body) > 0 {
		n := min(len(body), 100_003)
		if wrote, err := staged.Write(body[:n]); wrote != n || err != nil {
			t.Fatalf("Write of %d bytes = %d, %v", n, wrote, err)
		}
		body = body[n:]
	}
	return staged
}

func abort(t *testing.T, staged origin.Staged) {
	t.Helper()
	if err := staged.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
}
