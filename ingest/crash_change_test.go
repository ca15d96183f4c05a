package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/origin"
	"deckle/transform"
)

// stepwise has do called at each step of the store and of the purge, before it and after it.
func (b *bench) stepwise(do func() error) {
	s := b.store
	s.stage, s.write, s.beforeCommit, s.afterCommit, s.beforeDelete, s.afterDelete = do, do, do, do, do, do
	s.beforePrivate, s.afterPrivate = do, do
	b.config.Purge = func(context.Context, string) error { return do() }
}

// picture says what the store serves under an id: the shape of it, or "" for nothing. It fails the test when that is not what the
// record says.
func (b *bench) picture(id string) string {
	b.t.Helper()
	data := b.stored(id)
	r, err := b.catalog.Record(b.t.Context(), id)
	switch {
	case data == nil && errors.Is(err, ErrNotFound):
		return ""
	case data == nil || err != nil:
		b.t.Fatalf("%s: %d bytes are served, and the record is %+v, %v", id, len(data), r, err)
	case r.SHA256 != sha(data):
		b.t.Fatalf("%s: the record is of other bytes than are served", id)
	}
	if info, err := b.store.Stat(b.t.Context(), id); err != nil || info.Version != r.Version {
		b.t.Fatalf("%s: the record has version %s, the store %+v, %v", id, r.Version, info, err)
	}
	if info, err := b.store.Stat(b.t.Context(), id); err != nil || info.Private != r.Private {
		b.t.Fatalf("%s: the record says private %v, the store %+v, %v", id, r.Private, info, err)
	}
	for i := range uint64(4) {
		if bytes.Equal(data, photo(i)) {
			return fmt.Sprint("photo ", i)
		}
	}
	return fmt.Sprintf("%dx%d", r.Width, r.Height)
}

// change is an operation that dies at each of its steps in turn.
type changeRow struct {
	name  string
	setUp func(b *bench)
	do    func(b *bench) error
	// before and after say what is served under "cat" and "new" when it was not done, and when it was.
	before, after [2]string
	// again is what the repetition answers where the first one was done after all.
	again error
}

var changeRows = []changeRow{
	{"publish", func(b *bench) { b.pend("cat", Policy{}, photo(1)) }, func(b *bench) error {
		_, err := b.Publish(b.t.Context(), "cat", PublishCheck{SHA256: sha(photo(1))})
		return err
	}, [2]string{}, [2]string{"photo 1"}, nil},
	{"publish over another", func(b *bench) {
		b.mustSend("cat", b.token("cat", false), photo(1))
		b.pend("cat", Policy{Replace: true}, photo(2))
	}, func(b *bench) error {
		_, err := b.Publish(b.t.Context(), "cat", PublishCheck{SHA256: sha(photo(2))})
		return err
	}, [2]string{"photo 1"}, [2]string{"photo 2"}, nil},
	{"publish a private one", func(b *bench) { b.pend("cat", Policy{Private: true}, photo(1)) }, func(b *bench) error {
		_, err := b.Publish(b.t.Context(), "cat", PublishCheck{})
		return err
	}, [2]string{}, [2]string{"photo 1"}, nil},
	{"replace a private one", func(b *bench) { b.mustSend("cat", b.grant("cat", Policy{Private: true}), photo(1)) }, func(b *bench) error {
		_, err := b.Replace(b.t.Context(), "cat", bytes.NewReader(photo(2)))
		return err
	}, [2]string{"photo 1"}, [2]string{"photo 2"}, nil},
	{"make private", func(b *bench) { b.mustSend("cat", b.token("cat", false), photo(1)) }, func(b *bench) error {
		return b.SetPrivate(b.t.Context(), "cat", true)
	}, [2]string{"photo 1"}, [2]string{"photo 1"}, nil},
	{"make public", func(b *bench) { b.mustSend("cat", b.grant("cat", Policy{Private: true}), photo(1)) }, func(b *bench) error {
		return b.SetPrivate(b.t.Context(), "cat", false)
	}, [2]string{"photo 1"}, [2]string{"photo 1"}, nil},
	{"unpublish", func(b *bench) { b.mustSend("cat", b.token("cat", false), photo(1)) }, func(b *bench) error {
		_, err := b.Unpublish(b.t.Context(), "cat")
		return err
	}, [2]string{"photo 1"}, [2]string{}, nil},
	{"rotate", func(b *bench) { b.mustSend("cat", b.token("cat", false), photo(1)) }, func(b *bench) error {
		if r, err := b.catalog.Record(b.t.Context(), "cat"); err == nil && r.Width == 48 {
			return nil // once is enough
		}
		_, err := b.Rotate(b.t.Context(), "cat", TurnRight, Target{})
		return err
	}, [2]string{"photo 1"}, [2]string{"48x64"}, nil},
	{"rotate to a new id", func(b *bench) { b.mustSend("cat", b.token("cat", false), photo(1)) }, func(b *bench) error {
		_, err := b.Rotate(b.t.Context(), "cat", TurnRight, Target{NewID: "new", Move: true})
		return err
	}, [2]string{"photo 1"}, [2]string{"", "48x64"}, ErrNotFound},
	{"crop to a new id", func(b *bench) { b.mustSend("cat", b.token("cat", false), photo(1)) }, func(b *bench) error {
		_, err := b.Crop(b.t.Context(), "cat", transform.Crop{W: 20, H: 10}, Target{NewID: "new"})
		return err
	}, [2]string{"photo 1"}, [2]string{"photo 1", "20x10"}, ErrExists},
	{"delete", func(b *bench) { b.mustSend("cat", b.token("cat", false), photo(1)) }, deleteCat, [2]string{"photo 1"}, [2]string{}, nil},
	{"delete to the trash", func(b *bench) {
		b.config.Undelete = time.Hour
		b.mustSend("cat", b.token("cat", false), photo(1))
	}, deleteCat, [2]string{"photo 1"}, [2]string{}, nil},
	{"restore", func(b *bench) {
		b.config.Undelete = time.Hour
		b.mustSend("cat", b.token("cat", false), photo(1))
		if err := deleteCat(b); err != nil {
			b.t.Fatal(err)
		}
	}, func(b *bench) error {
		_, err := b.Restore(b.t.Context(), "cat")
		return err
	}, [2]string{}, [2]string{"photo 1"}, ErrNotFound},
}

func deleteCat(b *bench) error {
	got, err := b.Delete(b.t.Context(), []string{"cat"})
	if err == nil {
		err = got[0].Err
	}
	return err
}

// TestCrashOfChanges ends the process, which is the catalog closed under it, at each step of each change; then another process
// recovers. What is served is the one or the other state, whole; nothing is left unfinished or lying about; and the change can be
// made again.
func TestCrashOfChanges(t *testing.T) {
	for _, row := range changeRows {
		t.Run(row.name, func(t *testing.T) {
			steps, finished := 0, false
			for ; !finished; steps++ {
				if steps > 100 {
					t.Fatal("it has no end")
				}
				finished = crashAt(t, row, steps)
			}
			if steps < 3 {
				t.Errorf("it died at %d steps only", steps)
			}
			t.Logf("died at each of %d steps", steps-1)
		})
	}
}

// crashAt dies at the step of that number; true when the change has fewer.
func crashAt(t *testing.T, row changeRow, at int) (finished bool) {
	b := newBench(t)
	b.clock.Set(time.Now()) // files have the system's time
	row.setUp(b)
	step, died := 0, errors.New("the process died")
	b.stepwise(func() error {
		if step++; step <= at {
			return nil
		}
		return errors.Join(died, b.catalog.Close())
	})
	acknowledged := row.do(b) == nil
	if finished = step <= at; finished && !acknowledged {
		t.Fatalf("step %d: it fails although nothing was in its way", at)
	}
	_ = b.catalog.Close()
	b.start()
	b.clock.Move(31 * time.Second)
	if _, err := b.Recover(t.Context()); err != nil {
		t.Fatalf("step %d: recover: %v", at, err)
	}
	if left, err := b.catalog.Unfinished(t.Context(), b.clock.Now(), 10); err != nil || len(left) > 0 {
		t.Errorf("step %d: unfinished %v, %v", at, left, err)
	}
	served := [2]string{b.picture("cat"), b.picture("new")}
	if served != row.before && served != row.after || acknowledged && served != row.after {
		t.Errorf("step %d: served are %q, want %q or %q", at, served, row.before, row.after)
	}
	err := row.do(b)
	if served == row.after && !errors.Is(err, row.again) || served != row.after && err != nil {
		t.Errorf("step %d: again: %v", at, err)
	}
	if again := [2]string{b.picture("cat"), b.picture("new")}; again != row.after {
		t.Errorf("step %d: served are %q after the repetition, want %q", at, again, row.after)
	}
	b.checkAreas(at)
	return finished
}

// checkAreas sweeps a day later, when the catalog refers to nothing any more that expires.
func (b *bench) checkAreas(at int) {
	b.t.Helper()
	b.clock.Move(24 * time.Hour)
	if _, err := b.SweepIncoming(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	for _, area := range []string{catalog.Incoming, catalog.Trash} {
		kept, err := b.catalog.Asides(b.t.Context(), area, "", 10)
		if n := b.asideFiles(origin.Area(area)); err != nil || n != len(kept) {
			b.t.Errorf("step %d: %d files in %s for %d entries, %v", at, n, area, len(kept), err)
		}
	}
}
