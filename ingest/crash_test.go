package ingest

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestCrash ends the process, which is the catalog closed under it, at each step of an upload. Then it begins anew and repeats
// the upload with the same token, and another one.
func TestCrash(t *testing.T) {
	died := errors.New("the process died")
	for _, row := range []struct {
		name   string
		plan   func(b *bench, die func() error)
		orphan bool // the crash leaves bytes without a record
		done   bool // the crash comes after the record
	}{
		{"before the body", func(b *bench, die func() error) { b.store.stage = die }, false, false},
		{"in the body", func(b *bench, die func() error) { b.store.write = die }, false, false},
		{"before the bytes are stored", func(b *bench, die func() error) { b.store.beforeCommit = die }, false, false},
		{"between bytes and record", func(b *bench, die func() error) { b.store.afterCommit = die }, true, false},
		{"after the record", func(*bench, func() error) {}, false, true},
	} {
		crash := func(t *testing.T, replace bool) (*bench, string) {
			b := newBench(t)
			if replace {
				b.mustSend("cat", b.token("cat", false), photo(0))
			}
			token := b.token("cat", replace)
			row.plan(b, func() error { return errors.Join(died, b.catalog.Close()) })
			if _, err := b.send("cat", token, photo(1)); row.done != (err == nil) {
				t.Fatalf("the upload that dies: %v", err)
			}
			_ = b.catalog.Close()
			b.start()
			if _, err := b.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !row.done {
				if _, err := b.send("cat", token, photo(1)); !errors.Is(err, ErrUsed) {
					t.Errorf("while the dead process' claim lasts: %v, want ErrUsed", err)
				}
			}
			b.clock.Move(30 * time.Second)
			return b, token
		}
		t.Run(row.name+", the same again", func(t *testing.T) {
			b, token := crash(t, false)
			if orphan := !row.done && b.stored("cat") != nil; orphan != row.orphan {
				t.Errorf("an orphan is left: %v, want %v", orphan, row.orphan)
			}
			if receipt := b.mustSend("cat", token, photo(1)); receipt.SHA256 != sha(photo(1)) || receipt.SHA256 != sha(b.stored("cat")) {
				t.Errorf("receipt %+v", receipt)
			}
			// An orphan is committed again: nobody knows whether it was durable.
			if n := b.store.commits.Load(); (n == 1) == row.done {
				t.Errorf("%d commits after the crash", n)
			}
			b.checkWhole()
		})
		t.Run(row.name+", another body", func(t *testing.T) {
			b, token := crash(t, false)
			_, err := b.send("cat", token, photo(2))
			switch {
			case row.orphan && !errors.Is(err, ErrUsed):
				t.Errorf("over bytes whose upload is finished in passing: %v, want ErrUsed", err)
			case row.done && !errors.Is(err, ErrUsed):
				t.Errorf("over an upload that was done: %v, want ErrUsed", err)
			case !row.orphan && !row.done && err != nil:
				t.Error(err)
			}
			if (row.orphan || row.done) != bytes.Equal(b.stored("cat"), photo(1)) {
				t.Error("the store holds the wrong upload")
			}
			b.checkWhole()
		})
		t.Run(row.name+", replacing", func(t *testing.T) {
			b, token := crash(t, true)
			b.mustSend("cat", token, photo(1))
			record, err := b.catalog.Record(t.Context(), "cat")
			if err != nil || record.SHA256 != sha(photo(1)) || !bytes.Equal(b.stored("cat"), photo(1)) {
				t.Errorf("record %+v, error %v", record, err)
			}
			b.checkWhole()
		})
	}
}

// TestVersionsAreToldOfADoubtfulStore loses the catalog between bytes and record.
func TestVersionsAreToldOfADoubtfulStore(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	b.store.afterCommit = b.catalog.Close
	if _, err := b.send("cat", token, photo(1)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("%v, want ErrUnavailable", err)
	}
	if len(b.versions.set) != 0 || len(b.versions.invalidated) != 1 {
		t.Errorf("told of %v and of doubts about %v, want only the doubt", b.versions.set, b.versions.invalidated)
	}
}

// TestTakenOver lets an upload's claim run out while its body is read, as in a process that was stopped: another upload takes
// the token, and the first one, going on, changes nothing.
func TestTakenOver(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", true)
	takeOver := readFunc(func([]byte) (int, error) {
		b.clock.Move(31 * time.Second)
		b.mustSend("cat", token, photo(2))
		return 0, io.EOF
	})
	body := io.MultiReader(bytes.NewReader(photo(1)), takeOver)
	if _, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: body}); !errors.Is(err, ErrUsed) {
		t.Fatalf("the upload that was taken over: %v, want ErrUsed", err)
	}
	record, err := b.catalog.Record(t.Context(), "cat")
	if err != nil || record.SHA256 != sha(photo(2)) || !bytes.Equal(b.stored("cat"), photo(2)) {
		t.Errorf("record %+v, error %v: not the upload that took over", record, err)
	}
	b.checkWhole()
}

// TestSlowBodyKeepsItsClaim takes ten leases to send a body, in the bubble's time.
func TestSlowBodyKeepsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Now = time.Now })
		defer func() { _ = b.catalog.Close() }()
		token := b.token("cat", false)
		slow := readFunc(func([]byte) (int, error) {
			time.Sleep(5 * time.Minute)
			return 0, io.EOF
		})
		var sender sync.WaitGroup
		sender.Go(func() {
			body := io.MultiReader(slow, bytes.NewReader(photo(1)))
			if _, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: body}); err != nil {
				t.Error(err)
			}
		})
		for range 9 {
			time.Sleep(30*time.Second + time.Millisecond)
			if _, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: unread{t}}); !errors.Is(err, ErrUsed) {
				t.Errorf("beside the slow upload: %v, want ErrUsed", err)
			}
		}
		sender.Wait()
	})
}

// TestLostClaimEndsTheBody notices within a third of a lease that another upload has the token, in the bubble's time.
func TestLostClaimEndsTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		var mu sync.Mutex
		b := newBench(t, func(c *Config) {
			c.Now = func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return time.Now().Add(ahead)
			}
		})
		defer func() { _ = b.catalog.Close() }()
		token := b.token("cat", true)
		reads := 0
		endless := readFunc(func(p []byte) (int, error) {
			if reads++; reads == 2 {
				mu.Lock()
				ahead = 31 * time.Second
				mu.Unlock()
				b.mustSend("cat", token, photo(2))
			}
			time.Sleep(time.Second)
			return copy(p, "x"), nil
		})
		begun := time.Now()
		_, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: endless})
		if took := time.Since(begun); !errors.Is(err, ErrUsed) || errors.Is(err, ErrAborted) || took > 12*time.Second {
			t.Fatalf("%v after %v, want ErrUsed alone within 12s", err, took)
		}
	})
}
