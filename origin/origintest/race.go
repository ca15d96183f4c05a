package origintest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"deckle/origin"
)

// oneWinnerLaw: of many uploads to one free id, one is stored, and it is the one that was told so.
func oneWinnerLaw(t *testing.T, s origin.Store) {
	const uploads = 32
	bodies := make([][]byte, uploads)
	staged := make([]origin.Staged, uploads)
	for i := range uploads {
		bodies[i] = content(2000, uint64(i))
		staged[i] = stage(t, s, bodies[i])
	}
	infos, errs := make([]origin.Info, uploads), make([]error, uploads)
	start := make(chan struct{})
	var committing sync.WaitGroup
	for i := range uploads {
		committing.Go(func() {
			<-start
			infos[i], errs[i] = staged[i].Commit(t.Context(), "products/cat", false)
		})
	}
	close(start)
	committing.Wait()

	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("uploads %d and %d were both told that they won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, origin.ErrExists):
			t.Errorf("upload %d: %v, want ErrExists", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	info, got := read(t, s, "products/cat", origin.Range{})
	if info != infos[winner] || !bytes.Equal(got, bodies[winner]) {
		t.Errorf("stored: %+v, want the winner's %+v and its bytes", info, infos[winner])
	}
}

// oldOrNewLaw: whoever reads while a source is replaced gets the bytes of one upload, whole, with that upload's Info; or with that
// of the upload before or after, where the server is known to tell it late.
func oldOrNewLaw(t *testing.T, s origin.Store, late bool) {
	const replacements = 25
	body := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 100_000+i) }
	infos := make([]origin.Info, replacements+1)
	infos[0] = put(t, s, "cat", body(0), false)
	seen := watch(t, s, "cat")
	for i := 1; i <= replacements; i++ {
		infos[i] = put(t, s, "cat", body(i), true)
	}
	for _, look := range seen() {
		i := int(look.body[0])
		if !bytes.Equal(look.body, body(i)) {
			t.Fatalf("read %d bytes of more than one upload", len(look.body))
		}
		version := look.info.Version
		neighbour := late && (version == infos[max(i-1, 0)].Version || version == infos[min(i+1, replacements)].Version)
		if look.info != infos[i] && !neighbour {
			t.Errorf("read upload %d with %+v, want %+v", i, look.info, infos[i])
		}
	}
	if _, got := read(t, s, "cat", origin.Range{}); !bytes.Equal(got, body(replacements)) {
		t.Error("the last upload is not what is stored")
	}
}

type look struct {
	info origin.Info
	body []byte
}

// watch reads a source over and over in the background, and fails the test when it is missed. The function that it returns
// ends that, after at least one look by each watcher, and returns what was seen.
func watch(t *testing.T, s origin.Reader, id string) func() []look {
	var stopped atomic.Bool
	var watchers sync.WaitGroup
	var mu sync.Mutex
	var seen []look
	started := make(chan struct{}, 4) // one for each watcher
	for range cap(started) {
		watchers.Go(func() {
			for first := true; first || !stopped.Load(); first = false {
				info, body, err := tryRead(t.Context(), s, id, origin.Range{})
				if err == nil && len(body) == 0 {
					err = errors.New("no bytes")
				}
				if err != nil {
					t.Errorf("read %q: %v", id, err)
					stopped.Store(true)
				} else {
					mu.Lock()
					seen = append(seen, look{info, body})
					mu.Unlock()
				}
				if first {
					started <- struct{}{}
				}
			}
		})
	}
	for range cap(started) {
		<-started
	}
	return func() []look {
		stopped.Store(true)
		watchers.Wait()
		return seen
	}
}

// RunNesting tries the laws of an id that is also the prefix of others. They are apart from RunStore because some
// S3-compatible servers keep objects as files and refuse them.
func RunNesting(t *testing.T, open func(t *testing.T) origin.Store) {
	ids := []string{"a", "a/b", "a/b/c"}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
		t.Run(fmt.Sprintf("order %v", order), func(t *testing.T) { nestingLaw(t, open(t), ids, order) })
	}
	t.Run("never missed", func(t *testing.T) {
		s := open(t)
		for round := range 20 {
			id := fmt.Sprintf("r%d", round)
			put(t, s, id, []byte(id), false)
			seen := watch(t, s, id)
			put(t, s, id+"/below", []byte("below"), false)
			for _, look := range seen() {
				if string(look.body) != id {
					t.Fatalf("%s = %q", id, look.body)
				}
			}
		}
	})
	t.Run("concurrent", func(t *testing.T) { nestedRaceLaw(t, open(t)) })
}

// nestingLaw commits and removes nested ids in an order; each keeps its own bytes throughout.
func nestingLaw(t *testing.T, s origin.Store, ids []string, order []int) {
	stored := make(map[string]string)
	check := func(step string) {
		t.Helper()
		for _, id := range ids {
			want, ok := stored[id]
			info, got, err := tryRead(t.Context(), s, id, origin.Range{})
			switch {
			case !ok && !errors.Is(err, origin.ErrNotFound):
				t.Errorf("after %s: %s = %q, %v; want ErrNotFound", step, id, got, err)
			case ok && (err != nil || string(got) != want || info.Size != int64(len(want))):
				t.Errorf("after %s: %s = %q, %v; want %q", step, id, got, err, want)
			}
		}
	}
	for _, i := range order {
		stored[ids[i]] = "bytes of " + ids[i]
		put(t, s, ids[i], []byte(stored[ids[i]]), false)
		check("commit of " + ids[i])
	}
	for _, i := range order {
		staged := stage(t, s, []byte("other"))
		if _, err := staged.Commit(t.Context(), ids[i], false); !errors.Is(err, origin.ErrExists) {
			t.Errorf("Commit(%q) over another: %v, want ErrExists", ids[i], err)
		}
		stored[ids[i]] = "replaced " + ids[i]
		put(t, s, ids[i], []byte(stored[ids[i]]), true)
		check("replacement of " + ids[i])
	}
	for _, i := range order {
		if err := s.Delete(t.Context(), ids[i]); err != nil {
			t.Errorf("Delete(%q): %v", ids[i], err)
		}
		delete(stored, ids[i])
		check("deletion of " + ids[i])
	}
}

// nestedRaceLaw commits and removes nested ids from many sides: no call fails, and what is left is what was kept.
func nestedRaceLaw(t *testing.T, s origin.Store) {
	var writers sync.WaitGroup
	for _, id := range []string{"a", "a/b", "a/b/c", "a/d", "a/d/e/f"} {
		writers.Go(func() {
			for round := range 10 {
				staged, err := s.Stage(t.Context())
				if err != nil {
					t.Errorf("Stage: %v", err)
					return
				}
				body := fmt.Sprintf("%s %d", id, round)
				_, err = staged.Write([]byte(body))
				if err == nil {
					_, err = staged.Commit(t.Context(), id, false)
				}
				if err != nil {
					t.Errorf("commit %s: %v", id, errors.Join(err, staged.Abort()))
					return
				}
				if _, got, err := tryRead(t.Context(), s, id, origin.Range{}); err != nil || string(got) != body {
					t.Errorf("%s = %q, %v; want %q", id, got, err, body)
				}
				if err := s.Delete(t.Context(), id); round < 9 && err != nil {
					t.Errorf("delete %s: %v", id, err)
				}
			}
		})
	}
	writers.Wait()
}
