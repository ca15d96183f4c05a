package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
)

// upload makes a record by the only way there is.
func upload(t *testing.T, c *catalog.Catalog, r catalog.Record, replace bool) catalog.Record {
	t.Helper()
	g := grant("token of "+r.ID+r.Version, r.ID, replace, r.Updated)
	must(t, c.Issue(t.Context(), g, r.Updated))
	g, err := c.Claim(t.Context(), g, r.Updated, r.Updated.Add(Lease))
	must(t, err)
	r, err = c.Finish(t.Context(), g, r, "upload")
	must(t, err)
	return r
}

func testRecords(t *testing.T, c *catalog.Catalog) {
	if _, err := c.Record(t.Context(), "cat"); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("absent: %v, want ErrNotFound", err)
	}
	first := record("cat", "v1", epoch.Add(123*time.Millisecond))
	want := first
	want.Created, want.Time = first.Updated, first.Updated
	check := func(finished catalog.Record) {
		t.Helper()
		stored, err := c.Record(t.Context(), "cat")
		must(t, err)
		if diff := cmp.Diff(want, stored); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(stored, finished); diff != "" {
			t.Errorf("as finished (-stored +finished):\n%s", diff)
		}
	}
	check(upload(t, c, first, false))

	want = catalog.Record{
		ID: "cat", Version: "v2", SHA256: "other", Bytes: 7, Format: "png", Width: 1, Height: 2,
		MD5: "md5", Placeholder: "thumb", Name: "Cat", Tags: []string{"a", "b"}, Private: true, Data: `{"n":1}`,
		Created: want.Created, Updated: epoch.Add(time.Hour),
		File: "pets/cat.png", Time: epoch.Add(-time.Hour), Owner: "ann",
		Labels: []catalog.Label{{Name: "Cat", Category: "object", Confidence: 99.5, Source: "eye"}, {Name: "Box", Confidence: 80, Source: "eye"}},
	}
	check(upload(t, c, want, true))

	// What people said of it stays, and it stays private; what machines said of the former bytes goes.
	next := record("cat", "v3", epoch.Add(2*time.Hour))
	former := want
	want = next
	want.File, want.Time, want.Owner = former.File, former.Time, former.Owner
	want.Created, want.Name, want.Tags, want.Private, want.Data = first.Updated, "Cat", []string{"a", "b"}, true, `{"n":1}`
	check(upload(t, c, next, true))
}

func testPages(t *testing.T, c *catalog.Catalog) {
	var want []string
	for i := range 7 {
		id := fmt.Sprintf("a/%c", 'a'+i)
		want = append(want, id)
		upload(t, c, record(id, "v", epoch), false)
	}
	for _, limit := range []int{1, 3, 7, 100} {
		var got []string
		for after, more := "", true; more; {
			page, err := c.Records(t.Context(), after, limit)
			must(t, err)
			if len(page) > limit {
				t.Fatalf("a page of %d records, want at most %d", len(page), limit)
			}
			for _, r := range page {
				after = r.ID
				got = append(got, r.ID)
			}
			more = len(page) > 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
}

// testText stores and finds ids and tokens that would do harm if they were ever read as SQL, or folded by a collation.
func testText(t *testing.T, c *catalog.Catalog) {
	texts := []string{
		`'; DROP TABLE records; --`, `" OR 1=1`, `$1`, `?1`, `%`, `_`, `Cat`, `cat`, `c\at`, "caf\u00e9", `कुत्ता`, strings.Repeat("x", 255),
	}
	for i, text := range texts {
		upload(t, c, record(text, fmt.Sprint("v", i), epoch), false)
	}
	for i, text := range texts {
		r, err := c.Record(t.Context(), text)
		if err != nil || r.ID != text || r.Version != fmt.Sprint("v", i) {
			t.Errorf("%q: found %+v, %v", text, r, err)
		}
		if g, err := c.Grant(t.Context(), "token of "+text+fmt.Sprint("v", i), text, epoch); err != nil || !g.Used() {
			t.Errorf("%q: its grant: %+v, %v", text, g, err)
		}
	}
}

func testFaults(t *testing.T, c *catalog.Catalog) {
	g := grant("token", "cat", false, epoch)
	ended, end := context.WithCancel(t.Context())
	end()
	check := func(state string, ctx context.Context) {
		t.Helper()
		_, claimErr := c.Claim(ctx, g, epoch, epoch)
		_, grantErr := c.Grant(ctx, "token", "cat", epoch)
		_, finishErr := c.Finish(ctx, g, record("cat", "v", epoch), "upload")
		_, recordErr := c.Record(ctx, "cat")
		_, recordsErr := c.Records(ctx, "", 1)
		_, sweepErr := c.Sweep(ctx, epoch, 1)
		for op, err := range map[string]error{
			"Issue": c.Issue(ctx, g, epoch), "Claim": claimErr, "Grant": grantErr, "Renew": c.Renew(ctx, g, epoch),
			"Release": c.Release(ctx, g), "Finish": finishErr, "Record": recordErr, "Records": recordsErr, "Sweep": sweepErr,
			"Ping": c.Ping(ctx),
		} {
			if !errors.Is(err, catalog.ErrUnavailable) {
				t.Errorf("%s, %s: %v, want ErrUnavailable", state, op, err)
			}
		}
	}
	check("context ended", ended)
	must(t, c.Ping(t.Context()))
	must(t, c.Close())
	check("closed", t.Context())
}
