package catalogtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"deckle/catalog"

	"github.com/google/go-cmp/cmp"
)

// addKeys adds a, which is good for ever, and b, which is good for an hour.
func addKeys(t *testing.T, c *catalog.Catalog) (a, b catalog.Key) {
	t.Helper()
	add := func(id, owner string, expires time.Time) catalog.Key {
		k := catalog.Key{ID: id, Name: "of " + id, Scopes: []string{"read", "upload"}, Owner: owner, Created: epoch, Expires: expires, Hash: "hash " + id}
		must(t, c.AddKey(t.Context(), k))
		return k
	}
	return add("a", "", time.Time{}), add("b", "ann", epoch.Add(time.Hour))
}

// findKey wants the key of a hash, none where id is empty.
func findKey(t *testing.T, c *catalog.Catalog, when, hash string, now time.Time, id string) catalog.Key {
	t.Helper()
	k, err := c.KeyOf(t.Context(), hash, now)
	if k.ID != id || (id == "") != errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("%s: %q, %v, want %q", when, k.ID, err, id)
	}
	return k
}

func testKeys(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	a, b := addKeys(t, c)
	if err := c.AddKey(ctx, catalog.Key{ID: "a", Hash: "other"}); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("an id again: %v", err)
	}
	if err := c.AddKey(ctx, catalog.Key{ID: "c", Hash: "hash a"}); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a hash again: %v", err)
	}
	page, err := c.Keys(ctx, "", 10)
	must(t, err)
	if diff := cmp.Diff([]catalog.Key{a, b}, page); diff != "" {
		t.Error(diff)
	}
	if page, err := c.Keys(ctx, "a", 1); err != nil || len(page) != 1 || page[0].ID != "b" {
		t.Errorf("the page after a: %v, %v", page, err)
	}

	findKey(t, c, "a key", "hash a", epoch, "a")
	findKey(t, c, "no hash", "", epoch, "")
	findKey(t, c, "before its end", "hash b", epoch.Add(time.Hour-time.Millisecond), "b")
	findKey(t, c, "at its end", "hash b", epoch.Add(time.Hour), "")

	for _, use := range []struct{ at, want time.Duration }{{0, 0}, {59 * time.Second, 0}, {time.Minute, time.Minute}, {30 * time.Second, time.Minute}} {
		must(t, c.KeyUsed(ctx, "a", epoch.Add(use.at), time.Minute))
		if k := findKey(t, c, "used", "hash a", epoch, "a"); !k.Used.Equal(epoch.Add(use.want)) {
			t.Errorf("used at %s: %s", use.at, k.Used)
		}
	}
	must(t, c.RemoveKey(ctx, "a"))
	findKey(t, c, "a removed key", "hash a", epoch, "")
	if err := c.RemoveKey(ctx, "a"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

// testRotation: the former secret is good for as long as was said, the one before it no more.
func testRotation(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	addKeys(t, c)
	rotated, err := c.RotateKey(ctx, "b", "hash b2", epoch.Add(10*time.Minute), epoch.Add(time.Minute))
	must(t, err)
	if until := rotated.GoodUntil("hash b"); !until.Equal(epoch.Add(10 * time.Minute)) {
		t.Errorf("the former secret is good until %s", until)
	}
	if until := rotated.GoodUntil("hash b2"); !until.Equal(epoch.Add(time.Hour)) {
		t.Errorf("the secret is good until %s", until)
	}
	findKey(t, c, "the new secret", "hash b2", epoch.Add(time.Minute), "b")
	findKey(t, c, "the former one", "hash b", epoch.Add(10*time.Minute-time.Millisecond), "b")
	findKey(t, c, "the former one at its end", "hash b", epoch.Add(10*time.Minute), "")
	rotated, err = c.RotateKey(ctx, "b", "hash b3", epoch.Add(2*time.Hour), epoch.Add(2*time.Minute))
	must(t, err)
	findKey(t, c, "the one before it", "hash b", epoch.Add(2*time.Minute), "")
	if until := rotated.GoodUntil("hash b2"); !until.Equal(epoch.Add(time.Hour)) {
		t.Errorf("a former secret outlives its key: %s", until)
	}
	if _, err := c.RotateKey(ctx, "x", "hash x", epoch, epoch); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a key that is not there was rotated: %v", err)
	}
}

// owned is a record of an owner.
func owned(id, owner string, bytes int64) catalog.Record {
	r := record(id, "v", epoch)
	r.Owner, r.Bytes = owner, bytes
	return r
}

// bring does what an upload does to the catalog: the change holds what it needs, then the record is put, or it is given up.
func bring(t *testing.T, c *catalog.Catalog, r catalog.Record, put bool) error {
	t.Helper()
	ctx := t.Context()
	change, err := c.Begin(ctx, r.ID, "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	if _, err := c.Settle(ctx, epoch, catalog.Step{Change: &change, Next: "put", Hold: &r}); err != nil {
		_, ended := c.Settle(ctx, epoch, catalog.Step{Change: &change})
		must(t, ended)
		return err
	}
	step := catalog.Step{Change: &change}
	if put {
		step.Put, step.Replace = &r, true
	}
	_, err = c.Settle(ctx, epoch, step)
	return err
}

// has wants an account to have so much.
func has(t *testing.T, c *catalog.Catalog, when, owner string, pictures, bytes int64) {
	t.Helper()
	a, err := c.Account(t.Context(), owner)
	if err != nil || a.Pictures != pictures || a.Bytes != bytes {
		t.Errorf("%s: %s has %d pictures of %d bytes (%v), want %d of %d", when, owner, a.Pictures, a.Bytes, err, pictures, bytes)
	}
}

// verdict wants an error; nil is none.
func verdict(t *testing.T, when string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", when, err, want)
	}
}

func testAccounts(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	must(t, c.SetLimits(ctx, catalog.Limits{Pictures: 3, Bytes: 100}))
	must(t, c.AddAccount(ctx, "ann", epoch))
	verdict(t, "again", c.AddAccount(ctx, "ann", epoch), catalog.ErrExists)
	_, err := c.Account(ctx, "nobody")
	verdict(t, "no account", err, catalog.ErrNotFound)

	must(t, bring(t, c, owned("a1", "ann", 40), true))
	must(t, bring(t, c, owned("b1", "bob", 40), true)) // has one from now on
	must(t, bring(t, c, owned("free", "", 1<<40), true))
	has(t, c, "one picture", "ann", 1, 40)
	has(t, c, "an account by itself", "bob", 1, 40)
	must(t, bring(t, c, owned("a2", "ann", 60), false))
	has(t, c, "an upload that was given up", "ann", 1, 40)
	verdict(t, "too many bytes", bring(t, c, owned("a2", "ann", 61), true), catalog.ErrQuota)
	has(t, c, "a refused one", "ann", 1, 40)
	must(t, bring(t, c, owned("a1", "ann", 100), true))
	has(t, c, "a larger one in its place", "ann", 1, 100)
	must(t, bring(t, c, owned("a1", "", 10), true))
	has(t, c, "a smaller one that an operator puts in its place", "ann", 1, 10)
	must(t, bring(t, c, owned("a2", "ann", 1), true))
	must(t, bring(t, c, owned("a3", "ann", 1), true))
	verdict(t, "too many pictures", bring(t, c, owned("a4", "ann", 1), true), catalog.ErrQuota)
	verdict(t, "nothing new is asked for", bring(t, c, owned("a3", "ann", 89), true), nil)
	has(t, c, "all that it may have", "ann", 3, 100)

	// A removed record is counted, and a change that is lost gives back nothing of another's.
	change, err := c.Begin(ctx, "a3", "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &change, Remove: true})
	must(t, err)
	has(t, c, "one removed", "ann", 2, 11)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &change})
	verdict(t, "an end that came before", err, catalog.ErrChanging)
	has(t, c, "still", "ann", 2, 11)

	page, err := c.Accounts(ctx, "ann", 10)
	if err != nil || len(page) != 1 || page[0].Owner != "bob" {
		t.Errorf("page %v, %v", page, err)
	}
}

// testLimits: an account's own limits, and those of all.
func testLimits(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	must(t, c.SetLimits(ctx, catalog.Limits{Pictures: 1, Bytes: 1}))
	must(t, c.AddAccount(ctx, "ann", epoch))
	must(t, c.LimitAccount(ctx, "ann", catalog.Limits{Pictures: 4, Bytes: 0}))
	must(t, bring(t, c, owned("a1", "ann", 1<<40), true))
	must(t, c.LimitAccount(ctx, "ann", catalog.Limits{Pictures: catalog.CommonLimit, Bytes: catalog.CommonLimit}))
	must(t, c.SetLimits(ctx, catalog.Limits{}))
	must(t, bring(t, c, owned("a2", "ann", 1), true))
	if a, err := c.Account(ctx, "ann"); err != nil || a.LimitPictures != 0 || a.LimitBytes != 0 || a.Own.Pictures != catalog.CommonLimit {
		t.Errorf("limits %+v, %v", a, err)
	}
	verdict(t, "limits of nobody", c.LimitAccount(ctx, "nobody", catalog.Limits{}), catalog.ErrNotFound)

	// Without a change the record itself is charged: Finish writes no more than there is room for.
	must(t, c.SetLimits(ctx, catalog.Limits{Pictures: 2}))
	must(t, c.Issue(ctx, grant("token", "a6", false, epoch), epoch))
	claimed, err := c.Claim(ctx, grant("token", "a6", false, epoch), epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Finish(ctx, claimed, owned("a6", "ann", 1), "upload")
	verdict(t, "finish", err, catalog.ErrQuota)
	if _, err := c.Record(ctx, "a6"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a record beyond the limit: %v", err)
	}
}

// testQuotaAtOnce has many uploads at once go for the last places.
func testQuotaAtOnce(t *testing.T, c *catalog.Catalog) {
	must(t, c.SetLimits(t.Context(), catalog.Limits{Pictures: 7, Bytes: 75}))
	won := contend(t, 20, catalog.ErrQuota, func(i int) error {
		id := fmt.Sprint("p", i)
		r := owned(id, "ann", 10)
		change, err := c.Begin(t.Context(), id, "", nil, epoch, epoch.Add(Lease))
		if err != nil {
			return err
		}
		_, err = c.Settle(t.Context(), epoch, catalog.Step{Change: &change, Next: "put", Hold: &r})
		if err == nil {
			_, err = c.Settle(t.Context(), epoch, catalog.Step{Change: &change, Put: &r})
		}
		return err
	})
	a, err := c.Account(t.Context(), "ann")
	must(t, err)
	if won != 7 || a.Pictures != 7 || a.Bytes != 70 {
		t.Errorf("%d uploads came in, the account has %d of %d bytes; want 7 of 70", won, a.Pictures, a.Bytes)
	}
}

// testFirstAtOnce has the first uploads of owners who have no account yet come at once: none is refused, as there is no limit.
func testFirstAtOnce(t *testing.T, c *catalog.Catalog) {
	for n := range 10 {
		owner := fmt.Sprint("new", n)
		won := contend(t, 8, catalog.ErrQuota, func(i int) error { return await(t, c, owned(fmt.Sprint(owner, "/", i), owner, 10)) })
		if won != 8 {
			t.Errorf("%d of 8 first uploads were taken", won)
		}
	}
}

// await keeps an upload that waits to be published.
func await(t *testing.T, c *catalog.Catalog, r catalog.Record) error {
	_, err := c.Settle(t.Context(), epoch, catalog.Step{Replace: true, Keep: &catalog.Aside{
		Area: catalog.Incoming, ID: r.ID, Object: "o", Record: r, Expires: epoch.Add(time.Hour)}})
	return err
}

// testQuotaWaiting: uploads that wait to be published find room beside each other, and are not counted as had.
func testQuotaWaiting(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	must(t, c.SetLimits(ctx, catalog.Limits{Pictures: 4, Bytes: 100}))
	must(t, bring(t, c, owned("a1", "ann", 40), true))
	must(t, await(t, c, owned("a2", "ann", 50)))
	verdict(t, "more bytes than there is room for", await(t, c, owned("a3", "ann", 11)), catalog.ErrQuota)
	must(t, await(t, c, owned("a3", "ann", 5)))
	must(t, await(t, c, owned("a2", "ann", 1))) // in place of the other one
	must(t, await(t, c, owned("a3", "ann", 59)))
	has(t, c, "while they wait", "ann", 1, 40)
	verdict(t, "a larger one in place of a picture", await(t, c, owned("a1", "ann", 41)), catalog.ErrQuota)
	must(t, await(t, c, owned("a3", "ann", 5)))
	must(t, await(t, c, owned("a1", "ann", 94))) // 54 more than it has
	verdict(t, "where another would be larger", await(t, c, owned("a4", "ann", 1)), catalog.ErrQuota)
	dropOwned(t, c, "a1", catalog.Incoming)
	must(t, await(t, c, owned("a4", "ann", 1)))
	verdict(t, "one picture too many", await(t, c, owned("a5", "ann", 1)), catalog.ErrQuota)
	if _, err := c.Aside(ctx, catalog.Incoming, "a5"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("one that was refused: %v", err)
	}
	must(t, await(t, c, owned("free", "", 1<<40)))
	must(t, bring(t, c, owned("a9", "ann", 60), true)) // what waits keeps nothing from those who publish at once
	has(t, c, "in the end", "ann", 2, 100)

	won := contend(t, 20, catalog.ErrQuota, func(i int) error { return await(t, c, owned(fmt.Sprint("b", i), "bob", 30)) })
	if won != 3 {
		t.Errorf("%d of 20 at once may wait, want 3", won)
	}
	has(t, c, "of those at once", "bob", 0, 0)
}

// dropOwned removes a record, or what an area keeps.
func dropOwned(t *testing.T, c *catalog.Catalog, id, area string) {
	t.Helper()
	change, err := c.Begin(t.Context(), id, "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Settle(t.Context(), epoch, catalog.Step{Change: &change, Remove: area == "", Drop: area})
	must(t, err)
}

// ownEverything has ann own pictures, one that waits, a key, and one that an upload under way is bringing; bob has a picture.
func ownEverything(t *testing.T, c *catalog.Catalog) (late catalog.Record, under catalog.Change) {
	t.Helper()
	ctx := t.Context()
	for i := range 5 {
		must(t, bring(t, c, owned(fmt.Sprint("a", i), "ann", 10), true))
	}
	must(t, bring(t, c, owned("b", "bob", 10), true))
	must(t, c.AddKey(ctx, catalog.Key{ID: "k", Owner: "ann", Hash: "hash"}))
	aside := owned("waits", "ann", 1)
	change, err := c.Begin(ctx, "waits", "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &change, Keep: &catalog.Aside{Area: catalog.Incoming, ID: "waits", Object: "o", Record: aside}})
	must(t, err)
	late = owned("late", "ann", 5)
	under, err = c.Begin(ctx, "late", "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &under, Next: "put", Hold: &late})
	must(t, err)
	return late, under
}

func testDeletions(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	late, under := ownEverything(t, c)
	verdict(t, "nobody's", c.DeleteAccount(ctx, "nobody", epoch), catalog.ErrNotFound)
	_, err := c.LeaseDeletion(ctx, epoch, epoch.Add(Lease))
	verdict(t, "nothing to do", err, catalog.ErrNotFound)

	must(t, c.DeleteAccount(ctx, "ann", epoch))
	must(t, c.DeleteAccount(ctx, "ann", epoch))
	verdict(t, "a new picture", bring(t, c, owned("new", "ann", 1), true), catalog.ErrAccount)
	verdict(t, "an account in its place", c.AddAccount(ctx, "ann", epoch), catalog.ErrExists)
	_, err = c.KeyOf(ctx, "hash", epoch)
	verdict(t, "a key of the account", err, catalog.ErrNotFound)

	d, err := c.LeaseDeletion(ctx, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.LeaseDeletion(ctx, epoch.Add(Lease-1), epoch.Add(2*Lease))
	verdict(t, "leased", err, catalog.ErrNotFound)
	ids, err := c.OwnedIDs(ctx, "ann", "a1", 3)
	if diff := cmp.Diff([]string{"a2", "a3", "a4"}, ids); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for i := range 5 {
		dropOwned(t, c, fmt.Sprint("a", i), "")
	}
	verdict(t, "something waits", c.FinishDeletion(ctx, d, epoch), catalog.ErrChanging)
	dropOwned(t, c, "waits", catalog.Incoming)
	verdict(t, "something is under way", c.FinishDeletion(ctx, d, epoch), catalog.ErrChanging)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &under, Put: &late})
	verdict(t, "what was under way comes to its end", err, nil)
	verdict(t, "it is there", c.FinishDeletion(ctx, d, epoch), catalog.ErrChanging)
	must(t, c.RenewDeletion(ctx, d, 6, epoch.Add(Lease)))

	// Its holder dies: another goes on.
	next, err := c.LeaseDeletion(ctx, epoch.Add(Lease), epoch.Add(2*Lease))
	if err != nil || next.Owner != "ann" || next.Removed != 6 {
		t.Fatalf("%+v, %v", next, err)
	}
	verdict(t, "the former holder", c.RenewDeletion(ctx, d, 1, epoch), catalog.ErrLease)
	verdict(t, "the former holder at the end", c.FinishDeletion(ctx, d, epoch), catalog.ErrLease)
	dropOwned(t, c, "late", "")
	must(t, c.FinishDeletion(ctx, next, epoch))
	_, err = c.Account(ctx, "ann")
	verdict(t, "the account", err, catalog.ErrNotFound)
	if a, err := c.Account(ctx, "bob"); err != nil || a.Pictures != 1 {
		t.Errorf("another account: %+v, %v", a, err)
	}
	verdict(t, "an upload that was allowed before", bring(t, c, owned("new", "ann", 1), true), catalog.ErrAccount)
	must(t, c.AddAccount(ctx, "ann", epoch))
	must(t, bring(t, c, owned("new", "ann", 1), true))
}

// testForgottenDeletion: when a deletion is forgotten, an upload makes the account, as any other.
func testForgottenDeletion(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	must(t, bring(t, c, owned("b", "bob", 10), true))
	must(t, c.DeleteAccount(ctx, "bob", epoch))
	d, err := c.LeaseDeletion(ctx, epoch, epoch.Add(Lease))
	must(t, err)
	dropOwned(t, c, "b", "")
	must(t, c.FinishDeletion(ctx, d, epoch))
	must(t, c.SweepDeletions(ctx, epoch))
	must(t, bring(t, c, owned("b", "bob", 1), true))
}
