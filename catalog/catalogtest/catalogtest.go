// Package catalogtest holds the laws that a catalog obeys on every database.
package catalogtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"deckle/catalog"
)

// Lease and TTL are the times that the laws are checked with.
const (
	Lease = 30 * time.Second
	TTL   = 15 * time.Minute
)

// epoch is when each test begins; nothing here reads the clock.
var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// Run checks every law on catalogs that open returns, each empty and closed by whoever opened it.
func Run(t *testing.T, open func(t *testing.T) *catalog.Catalog) {
	t.Run("states", func(t *testing.T) { testStates(t, open) })
	t.Run("one claim of a thousand", func(t *testing.T) { testOneClaim(t, open(t)) })
	t.Run("one grant of a hundred", func(t *testing.T) { testOneIssue(t, open(t)) })
	t.Run("one finish of many attempts", func(t *testing.T) { testOneFinish(t, open(t)) })
	t.Run("sweep", func(t *testing.T) { testSweep(t, open(t)) })
	t.Run("records", func(t *testing.T) { testRecords(t, open(t)) })
	t.Run("pages", func(t *testing.T) { testPages(t, open(t)) })
	t.Run("text is never SQL", func(t *testing.T) { testText(t, open(t)) })
	t.Run("changes", func(t *testing.T) { testChanges(t, open(t)) })
	t.Run("steps", func(t *testing.T) { testSteps(t, open(t)) })
	t.Run("kept aside", func(t *testing.T) { testAsides(t, open(t)) })
	t.Run("keys", func(t *testing.T) { testKeys(t, open(t)) })
	t.Run("rotation of keys", func(t *testing.T) { testRotation(t, open(t)) })
	t.Run("accounts", func(t *testing.T) { testAccounts(t, open(t)) })
	t.Run("limits of accounts", func(t *testing.T) { testLimits(t, open(t)) })
	t.Run("a quota at once", func(t *testing.T) { testQuotaAtOnce(t, open(t)) })
	t.Run("first uploads at once", func(t *testing.T) { testFirstAtOnce(t, open(t)) })
	t.Run("a quota of what waits", func(t *testing.T) { testQuotaWaiting(t, open(t)) })
	t.Run("deletions of accounts", func(t *testing.T) { testDeletions(t, open(t)) })
	t.Run("deletions that are forgotten", func(t *testing.T) { testForgottenDeletion(t, open(t)) })
	t.Run("faults", func(t *testing.T) { testFaults(t, open(t)) })
}

func grant(token, id string, replace bool, now time.Time) catalog.Grant {
	return catalog.Grant{TokenHash: token, ID: id, Replace: replace, Expires: now.Add(TTL)}
}

func record(id, version string, now time.Time) catalog.Record {
	return catalog.Record{
		ID: id, Version: version, SHA256: "sha of " + version, Bytes: 1 << 33, Format: "jpeg", Width: 4000, Height: 3000, Updated: now,
	}
}

// contend runs do n times at once and counts the results; every error that is not want fails the test. Whoever did not get his
// turn in time, on a busy machine, asks again: the law is about the answers.
func contend(t *testing.T, n int, want error, do func(i int) error) (won int) {
	t.Helper()
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range n {
		group.Go(func() {
			<-start
			err := do(i)
			for errors.Is(err, catalog.ErrUnavailable) && t.Context().Err() == nil {
				err = do(i)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, want):
				t.Errorf("contender %d: %v, want %v", i, err, want)
			}
		})
	}
	close(start)
	group.Wait()
	return won
}

func testOneClaim(t *testing.T, c *catalog.Catalog) {
	g := grant("token", "cat", false, epoch)
	must(t, c.Issue(t.Context(), g, epoch))
	won := contend(t, 1000, catalog.ErrUsed, func(int) error {
		_, err := c.Claim(t.Context(), g, epoch, epoch.Add(Lease))
		return err
	})
	if won != 1 {
		t.Fatalf("%d of 1000 claims succeeded, want 1", won)
	}
}

func testOneIssue(t *testing.T, c *catalog.Catalog) {
	won := contend(t, 100, catalog.ErrHeld, func(i int) error {
		return c.Issue(t.Context(), grant(fmt.Sprint("token", i), "cat", false, epoch), epoch)
	})
	if won != 1 {
		t.Fatalf("%d of 100 grants for one id were issued, want 1", won)
	}
}

// testOneFinish has every attempt's claim run out but the last one's: only that one may write the record.
func testOneFinish(t *testing.T, c *catalog.Catalog) {
	const attempts = 50
	now := epoch
	g := grant("token", "cat", true, now)
	must(t, c.Issue(t.Context(), g, now))
	var claims []catalog.Grant
	for range attempts {
		claim, err := c.Claim(t.Context(), g, now, now.Add(time.Second))
		must(t, err)
		claims = append(claims, claim)
		now = now.Add(time.Second)
	}
	won := contend(t, attempts, catalog.ErrUsed, func(i int) error {
		_, err := c.Finish(t.Context(), claims[i], record("cat", fmt.Sprint("v", i), now), "upload")
		return err
	})
	r, err := c.Record(t.Context(), "cat")
	must(t, err)
	if want := fmt.Sprint("v", attempts-1); won != 1 || r.Version != want {
		t.Fatalf("%d attempts finished and the record says %s, want 1 and %s", won, r.Version, want)
	}
}

func testSweep(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	for i := range 10 {
		must(t, c.Issue(ctx, grant(fmt.Sprint("old", i), fmt.Sprint("old", i), false, epoch), epoch))
	}
	used, err := c.Claim(ctx, grant("old0", "old0", false, epoch), epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Finish(ctx, used, record("old0", "v", epoch), "upload")
	must(t, err)
	later := epoch.Add(TTL + catalog.Skew)
	_, err = c.Claim(ctx, grant("old1", "old1", false, epoch), later.Add(-time.Millisecond), later.Add(Lease))
	must(t, err)
	must(t, c.Issue(ctx, grant("young", "young", false, later), later))

	for _, step := range []struct {
		name       string
		now        time.Time
		limit, out int
	}{
		{"a moment early", later.Add(-time.Millisecond), 100, 0},
		{"a batch", later, 4, 4},
		{"the rest but the claimed one", later, 100, 5},
		{"nothing", later, 100, 0},
		{"the claimed one when its claim has run out", later.Add(Lease), 100, 1},
	} {
		if n, err := c.Sweep(ctx, step.now, step.limit); n != step.out || err != nil {
			t.Errorf("%s: %d grants swept, error %v; want %d", step.name, n, err, step.out)
		}
	}
	if _, err := c.Grant(ctx, "young", "young", later); err != nil {
		t.Errorf("a live grant after the sweeps: %v", err)
	}
	if _, err := c.Record(ctx, "old0"); err != nil {
		t.Errorf("the record whose grant was swept: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
