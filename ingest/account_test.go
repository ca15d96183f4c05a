package ingest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/origin"
)

// ownedToken is a token for a picture of ann's.
func (b *bench) ownedToken(id string, p Policy) string {
	b.t.Helper()
	p.Owner = "ann"
	results, err := b.Grants(b.t.Context(), []GrantRequest{{ID: id, Policy: p, Replace: p.Replace}})
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return results[0].Token
}

// ann is what the account has.
func (b *bench) ann() (pictures, bytes int64) {
	b.t.Helper()
	a, err := b.catalog.Account(b.t.Context(), "ann")
	if err != nil {
		b.t.Fatal(err)
	}
	return a.Pictures, a.Bytes
}

// TestQuota: an upload beyond what the account allows stores nothing, takes no one's place, and leaves its token good.
func TestQuota(t *testing.T) {
	b := newBench(t)
	size := int64(len(photo(1)))
	if err := b.catalog.SetLimits(t.Context(), catalog.Limits{Pictures: 2, Bytes: 10 * size}); err != nil {
		t.Fatal(err)
	}
	b.mustSend("a", b.ownedToken("a", Policy{}), photo(1))
	b.mustSend("b", b.ownedToken("b", Policy{}), photo(1))
	token := b.ownedToken("c", Policy{})
	for range 2 {
		if _, err := b.send("c", token, photo(1)); !errors.Is(err, ErrQuota) || b.stored("c") != nil {
			t.Errorf("beyond the limit: %v, stored %v", err, b.stored("c") != nil)
		}
	}
	if _, err := b.Rotate(t.Context(), "a", TurnOver, Target{NewID: "d"}); !errors.Is(err, ErrQuota) || b.stored("d") != nil {
		t.Errorf("a copy beyond the limit: %v", err)
	}
	b.mustSend("a", b.ownedToken("a", Policy{Replace: true}), photo(2))
	if n, bytes := b.ann(); n != 2 || bytes != size+int64(len(photo(2))) {
		t.Errorf("after a replacement: %d, %d", n, bytes)
	}
	if _, err := b.Delete(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	b.mustSend("c", token, photo(1))
	if _, err := b.Unpublish(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if n, bytes := b.ann(); n != 1 || bytes != size {
		t.Errorf("after an unpublished one: %d, %d", n, bytes)
	}
	b.mustSend("e", b.ownedToken("e", Policy{}), photo(1))
	if _, err := b.Publish(t.Context(), "c", PublishCheck{}); !errors.Is(err, ErrQuota) {
		t.Errorf("published beyond the limit: %v", err)
	}
	if _, err := b.Recover(t.Context()); err != nil {
		t.Errorf("what was refused is left unfinished: %v", err)
	}
	b.checkWhole()
}

// TestQuotaWaiting: uploads that wait to be published find room beside each other; one that does not leaves no bytes, and its token
// good.
func TestQuotaWaiting(t *testing.T) {
	b := newBench(t)
	if err := b.catalog.SetLimits(t.Context(), catalog.Limits{Pictures: 1}); err != nil {
		t.Fatal(err)
	}
	b.mustSend("a", b.ownedToken("a", Policy{Later: true}), photo(1))
	token := b.ownedToken("b", Policy{Later: true})
	if _, err := b.send("b", token, photo(1)); !errors.Is(err, ErrQuota) {
		t.Errorf("a second one that waits: %v", err)
	}
	if n := b.asideFiles(origin.Incoming); n != 1 {
		t.Errorf("%d uploads are kept, want the one that waits", n)
	}
	b.clock.Move(3 * time.Hour)
	if swept, err := b.SweepIncoming(t.Context()); err != nil || swept.Expired != 1 {
		t.Errorf("swept %+v, %v; want the one that waited", swept, err)
	}
	token = b.ownedToken("b", Policy{Later: true})
	b.mustSend("b", token, photo(1))
	if _, err := b.Publish(t.Context(), "b", PublishCheck{}); err != nil {
		t.Errorf("published: %v", err)
	}
	b.checkWhole()
}

// TestQuotaAfterCrash: what an upload that died has held is given back, or becomes its picture's.
func TestQuotaAfterCrash(t *testing.T) {
	died := errors.New("the process died")
	for name, plan := range map[string]func(b *bench, die func() error){
		"before the bytes": func(b *bench, die func() error) { b.store.beforeCommit = die },
		"behind the bytes": func(b *bench, die func() error) { b.store.afterCommit = die },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			token := b.ownedToken("cat", Policy{})
			plan(b, func() error { return errors.Join(died, b.catalog.Close()) })
			if _, err := b.send("cat", token, photo(1)); err == nil {
				t.Fatal("it lives")
			}
			b.start()
			if n, bytes := b.ann(); n != 1 || bytes != int64(len(photo(1))) {
				t.Errorf("held: %d, %d", n, bytes)
			}
			b.clock.Move(time.Minute)
			if _, err := b.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := int64(0)
			if b.stored("cat") != nil {
				want = 1
			}
			if n, bytes := b.ann(); n != want || bytes != want*int64(len(photo(1))) {
				t.Errorf("after the recovery: %d, %d, want %d pictures", n, bytes, want)
			}
		})
	}
}

// TestDeleteAccount: everything of the owner goes, whatever it waits for, and nothing of others.
func TestDeleteAccount(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Undelete = time.Hour })
	for i := range 20 {
		b.mustSend(fmt.Sprint("a", i), b.ownedToken(fmt.Sprint("a", i), Policy{}), photo(1))
	}
	b.mustSend("waits", b.ownedToken("waits", Policy{Later: true}), photo(2))
	b.mustSend("other", b.token("other", false), photo(3))
	if _, err := b.Delete(t.Context(), []string{"a3"}); err != nil { // to the trash
		t.Fatal(err)
	}
	late := b.ownedToken("late", Policy{})
	accounts := b.Accounts()
	if err := accounts.Delete(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := accounts.Delete(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}

	// It fails half-way, and the process dies; another goes on when the lease has run out.
	left := 7
	b.store.beforeDelete = func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if left--; left < 0 {
			return errors.New("the store is away")
		}
		return nil
	}
	if err := accounts.Erase(t.Context()); err == nil {
		t.Error("the store was away, and nobody noticed")
	}
	if _, err := b.catalog.Account(t.Context(), "ann"); err != nil {
		t.Errorf("the account before all is gone: %v", err)
	}
	_ = b.catalog.Close()
	b.start(func(c *Config) { c.Undelete = time.Hour })
	b.clock.Move(5 * time.Minute)
	if err := b.Accounts().Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.catalog.Account(t.Context(), "ann"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the account: %v", err)
	}
	if ids, err := b.catalog.OwnedIDs(t.Context(), "ann", "", 100); err != nil || len(ids) != 0 {
		t.Errorf("left: %v, %v", ids, err)
	}
	for i := range 20 {
		if b.stored(fmt.Sprint("a", i)) != nil {
			t.Errorf("the bytes of a%d are left", i)
		}
	}
	if a, c := b.asideFiles(origin.Incoming), b.asideFiles(origin.Trash); a != 0 || c != 0 {
		t.Errorf("%d files wait and %d are in the trash", a, c)
	}
	if b.stored("other") == nil {
		t.Error("nobody's picture is gone")
	}
	if _, err := b.send("late", late, photo(1)); !errors.Is(err, ErrAccount) && !errors.Is(err, ErrToken) || b.stored("late") != nil {
		t.Errorf("an upload that was allowed before: %v", err)
	}
	b.checkWhole()
}
