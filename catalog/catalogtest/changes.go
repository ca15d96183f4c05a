package catalogtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
)

// testChanges holds that one at a time has the right to change a source, and that a right that ran out is worth nothing.
func testChanges(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	until := epoch.Add(Lease)
	won := contend(t, 100, catalog.ErrChanging, func(i int) error {
		_, err := c.Begin(ctx, "cat", fmt.Sprint("intent ", i), nil, epoch, until)
		return err
	})
	if won != 1 {
		t.Fatalf("%d of 100 have the right, want 1", won)
	}
	_, err := c.Begin(ctx, "cat", "", nil, until.Add(-time.Millisecond), until)
	wants(t, "before it runs out", err, catalog.ErrChanging)
	if ids, err := c.Unfinished(ctx, until, 10); err != nil || len(ids) != 1 {
		t.Errorf("unfinished %q, %v", ids, err)
	}
	first, err := c.Begin(ctx, "cat", "mine", nil, until, until.Add(Lease))
	must(t, err)
	if !first.Unfinished || first.Intent == "mine" {
		t.Errorf("taken over: %+v, want the former intent", first)
	}
	must(t, c.Leave(ctx, first))
	second, err := c.Begin(ctx, "cat", "", nil, until, until.Add(Lease))
	must(t, err)
	r := record("cat", "v1", until)
	_, err = c.Settle(ctx, until, catalog.Step{Change: &first, Put: &r})
	wants(t, "settled by who lost it", err, catalog.ErrChanging)
	_, err = c.Record(ctx, "cat")
	wants(t, "the record of that", err, catalog.ErrNotFound)
	_, err = c.Settle(ctx, until, catalog.Step{Change: &second, Put: &r, Next: "more"})
	must(t, err)
	_, err = c.Settle(ctx, until, catalog.Step{Change: &second, Remove: true})
	must(t, err)
	_, err = c.Record(ctx, "cat")
	wants(t, "the removed record", err, catalog.ErrNotFound)
	third, err := c.Begin(ctx, "cat", "new", nil, until, until.Add(Lease))
	if err != nil || third.Unfinished || third.Intent != "new" {
		t.Errorf("begun anew: %+v, %v", third, err)
	}
}

// testSteps holds that steps are done together or not at all.
func testSteps(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	upload(t, c, record("dog", "v1", epoch), false)
	cat, err := c.Begin(ctx, "cat", "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	lost := catalog.Change{ID: "dog", Owner: "nobody"}
	r := record("cat", "v1", epoch)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &cat, Put: &r}, catalog.Step{Change: &lost, Remove: true})
	wants(t, "with a step that is refused", err, catalog.ErrChanging)
	_, err = c.Record(ctx, "cat")
	wants(t, "the record of the other step", err, catalog.ErrNotFound)

	g := grant("token", "cow", false, epoch)
	must(t, c.Issue(ctx, g, epoch))
	g, err = c.Claim(ctx, g, epoch, epoch.Add(Lease))
	must(t, err)
	stale := g
	stale.Attempt--
	_, err = c.Begin(ctx, "cow", "", &stale, epoch, epoch.Add(Lease))
	wants(t, "with a claim that was lost", err, catalog.ErrUsed)
	_, err = c.Begin(ctx, "cow", "", &g, epoch, epoch.Add(Lease))
	must(t, err)
}

// testAsides keeps sources aside, lists them, and takes them out.
func testAsides(t *testing.T, c *catalog.Catalog) {
	ctx := t.Context()
	put := func(id, object string, expires time.Time, replace bool) error {
		a := catalog.Aside{
			Area: catalog.Incoming, ID: id, Object: object, Replaces: replace, Outputs: []string{"x9.webp"}, Record: record(id, object, epoch), Expires: expires,
		}
		_, err := c.Settle(ctx, epoch, catalog.Step{Keep: &a, Replace: replace})
		if err != nil {
			return err
		}
		got, err := c.Aside(ctx, catalog.Incoming, id)
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		return err
	}
	must(t, put("cat", "one", epoch.Add(time.Hour), true))
	wants(t, "without replacing", put("cat", "two", epoch, false), catalog.ErrExists)
	must(t, put("cat", "two", epoch.Add(2*time.Hour), true))
	must(t, put("dog", "three", time.Time{}, true))
	wants(t, "a grant beside it", c.Issue(ctx, grant("token", "cat", false, epoch), epoch), catalog.ErrExists)
	for object, want := range map[string]bool{"one": false, "two": true, "three": true} {
		if got, err := c.Refers(ctx, catalog.Incoming, object); got != want || err != nil {
			t.Errorf("%s is referred to: %v, %v", object, got, err)
		}
	}
	page, err := c.Asides(ctx, catalog.Incoming, "cat", 10)
	if err != nil || len(page) != 1 || page[0].ID != "dog" {
		t.Errorf("after cat: %+v, %v", page, err)
	}
	expired, err := c.ExpiredAsides(ctx, catalog.Incoming, epoch.Add(100*time.Hour), 10)
	if err != nil || len(expired) != 1 || expired[0].ID != "cat" {
		t.Errorf("expired: %+v, %v", expired, err)
	}
	change, err := c.Begin(ctx, "cat", "", nil, epoch, epoch.Add(Lease))
	must(t, err)
	_, err = c.Settle(ctx, epoch, catalog.Step{Change: &change, Drop: catalog.Incoming})
	must(t, err)
	_, err = c.Aside(ctx, catalog.Incoming, "cat")
	wants(t, "taken out", err, catalog.ErrNotFound)
}

func wants(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
