package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
	"deckle/internal/testimage"
	"deckle/origin"
)

// restored is a restoration of these bytes.
func restored(r catalog.Record, body []byte, existing Existing) Restoration {
	return Restoration{Record: r, Existing: existing, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
}

// pastRecord is what an archive says of a picture.
func pastRecord(id string, body []byte) catalog.Record {
	sum := newSums()
	_, _ = sum.Write(body) // never fails
	c := sum.content(int64(len(body)))
	past := time.Date(2020, 1, 2, 3, 4, 5, 678e6, time.UTC)
	return catalog.Record{
		ID: id, SHA256: c.sha256, MD5: c.md5, Bytes: c.bytes, Format: "png", Width: 16, Height: 8, Created: past, Updated: past.Add(time.Hour), Time: past.Add(-time.Hour),
		Placeholder: "thumb", Name: "Name", Tags: []string{"b", "a"}, Private: true, Data: `{"z":1,"a":[null,1.0]}`, File: "f/" + id + ".png", Owner: "ann",
		Labels: []catalog.Label{{Name: "Cat", Category: "object", Confidence: 99.5, Source: "eye"}},
	}
}

// TestImport: a picture comes back as it was, in everything but the store's version.
func TestImport(t *testing.T) {
	first, second := testimage.PNG(testimage.Photo(16, 8, 1)), testimage.PNG(testimage.Photo(16, 8, 2))
	b := newBench(t, func(c *Config) { c.Scrub = true })
	do := func(r Restoration, want Restored, wantErr error) {
		t.Helper()
		got, _, err := b.Import(t.Context(), r)
		if got != want || !errors.Is(err, wantErr) {
			t.Fatalf("%q %v, want %q %v", got, err, want, wantErr)
		}
	}
	check := func(want catalog.Record, body []byte) {
		t.Helper()
		got, err := b.catalog.Record(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		info, err := b.store.Stat(t.Context(), want.ID)
		if err != nil || info.Private != want.Private || info.Version != got.Version || !bytes.Equal(b.stored(want.ID), body) {
			t.Errorf("the store has %+v %v", info, err)
		}
		want.Version = got.Version
		if diff := cmp.Diff(want, got); diff != "" || !SameRecord(want, got) {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		b.checkWhole()
	}
	want := pastRecord("cat", first)
	dry := restored(want, first, KeepExisting)
	dry.Dry = true
	do(dry, RestoredNew, nil)
	if b.stored("cat") != nil {
		t.Fatal("a dry run stored bytes")
	}
	do(restored(want, first, KeepExisting), RestoredNew, nil)
	check(want, first)
	for _, existing := range []Existing{KeepExisting, ReplaceExisting, RefuseExisting} {
		do(restored(want, nil, existing), RestoredThere, nil)
	}
	next := pastRecord("cat", second)
	next.Name, next.Tags, next.Data, next.File, next.Labels, next.Private, next.Placeholder = "", nil, "", "", nil, false, ""
	do(restored(next, second, KeepExisting), RestoredKept, nil)
	do(restored(next, second, RefuseExisting), "", ErrExists)
	check(want, first)
	do(restored(next, second, ReplaceExisting), RestoredReplaced, nil)
	check(next, second)
	do(restored(want, second, ReplaceExisting), "", ErrHash)
	check(next, second)

	confined := restored(pastRecord("cat", first), first, ReplaceExisting)
	confined.Record.Owner, confined.Confined = "bob", true
	do(confined, "", ErrNotFound)

	// Bytes without a record are nobody's: they are taken over when they are the same, and a user replaces no others.
	if err := b.catalogForgets("cat"); err != nil {
		t.Fatal(err)
	}
	confined.Record.Owner = "ann"
	do(confined, "", ErrExists)
	do(restored(next, second, KeepExisting), RestoredNew, nil)
	check(next, second)

	// One that has lost its bytes gets them back, whatever else is said.
	if err := b.store.Delete(t.Context(), "cat"); err != nil {
		t.Fatal(err)
	}
	do(restored(next, second, RefuseExisting), RestoredReplaced, nil)
	check(next, second)
	if a, err := b.catalog.Account(t.Context(), "ann"); err != nil || a.Pictures != 1 || a.Bytes != int64(len(second)) {
		t.Errorf("ann's account: %+v %v", a, err)
	}
}

// catalogForgets removes a record, and leaves the bytes.
func (b *bench) catalogForgets(id string) error {
	return b.changing(b.t.Context(), id, intent{}, nil, func(ctx context.Context, change *catalog.Change) error {
		_, err := b.catalog.Settle(ctx, b.clock.Now(), catalog.Step{Change: change, Remove: true})
		return err
	})
}

// TestImportFiles: a file name is one picture's of an owner.
func TestImportFiles(t *testing.T) {
	first, second := testimage.PNG(testimage.Photo(16, 8, 1)), testimage.PNG(testimage.Photo(16, 8, 2))
	b := newBench(t)
	if _, _, err := b.Import(t.Context(), restored(pastRecord("cat", first), first, KeepExisting)); err != nil {
		t.Fatal(err)
	}
	other := pastRecord("dog", second)
	other.File = "f/cat.png"
	for existing, want := range map[Existing]Restored{KeepExisting: RestoredKept, ReplaceExisting: "", RefuseExisting: ""} {
		got, _, err := b.Import(t.Context(), restored(other, second, existing))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%d: %q %v, want %q", existing, got, err, want)
		}
	}
	if b.stored("dog") != nil {
		t.Error("bytes were stored")
	}
	// Without an id it is the picture of that file; without a time of its bytes it is changed now, and what was said stays.
	plain := catalog.Record{File: "f/cat.png", Owner: "ann", Data: `{"n":1}`}
	if got, id, err := b.Import(t.Context(), restored(plain, first, ReplaceExisting)); got != RestoredReplaced || id != "cat" || err != nil {
		t.Errorf("%q %q %v", got, id, err)
	}
	if r, err := b.catalog.Record(t.Context(), "cat"); err != nil || r.Data != `{"n":1}` || r.Name != "Name" || !r.Private || !r.Updated.Equal(b.clock.Now()) {
		t.Errorf("%+v %v", r, err)
	}
	if got, _, err := b.Import(t.Context(), restored(plain, first, ReplaceExisting)); got != RestoredThere || err != nil {
		t.Errorf("again: %q %v", got, err)
	}
	b.checkWhole()
}

// TestImportRefused: nothing is stored of what cannot be restored.
func TestImportRefused(t *testing.T) {
	picture := testimage.PNG(testimage.Photo(16, 8, 1))
	b := newBench(t, func(c *Config) { c.NoPrivate = "" })
	for name, change := range map[string]func(*catalog.Record){
		"id":         func(r *catalog.Record) { r.ID = "../x" },
		"file":       func(r *catalog.Record) { r.File = "a\x00b" },
		"owner":      func(r *catalog.Record) { r.Owner = strings.Repeat("x", maxRestoredText+1) },
		"data":       func(r *catalog.Record) { r.Data = `[1]` },
		"tags":       func(r *catalog.Record) { r.Tags = make([]string, maxRestoredTags+1) },
		"labels":     func(r *catalog.Record) { r.Labels = make([]catalog.Label, maxRestoredLabels+1) },
		"confidence": func(r *catalog.Record) { r.Labels = []catalog.Label{{Name: "x", Confidence: 101}} },
		"hash":       func(r *catalog.Record) { r.SHA256 = strings.Repeat("0", 64) },
	} {
		r := pastRecord("cat", picture)
		change(&r)
		if got, _, err := b.Import(t.Context(), restored(r, picture, KeepExisting)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	if b.stored("cat") != nil {
		t.Error("bytes were stored")
	}
	b.checkWhole()
}

// TestIndex makes records of what the store holds, and leaves alone what has one.
func TestIndex(t *testing.T) {
	picture := testimage.PNG(testimage.Photo(16, 8, 1))
	b := newBench(t, func(c *Config) { c.Store = walked{c.Store.(*faultStore)} })
	put := func(id string, body []byte, private bool) {
		t.Helper()
		staged, err := b.store.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := staged.Write(body); err != nil {
			t.Fatal(err)
		}
		staged.SetPrivate(private)
		if _, err := staged.Commit(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
	}
	put("cat", picture, false)
	put("shop/cat", picture, true)
	put("shop/cat/detail", picture, false)
	put("text", []byte("hello"), false)
	put("empty", nil, false)
	known := b.mustSend("known", b.token("known", false), picture)
	if err := b.store.Delete(t.Context(), b.mustSend("lost", b.token("lost", false), picture).ID); err != nil {
		t.Fatal(err)
	}
	index := func(dry bool, adopted int) {
		t.Helper()
		steps := 0
		found, err := b.Index(t.Context(), dry, func(Indexed) { steps++ })
		if err != nil || found.Sources != 6 || found.Adopted != adopted || found.Failed != 2 || found.Missing != 1 || steps != 6 {
			t.Errorf("%+v %v after %d steps", found, err, steps)
		}
		if len(found.Failures) != 2 || !errors.Is(found.Failures["empty"], ErrNoImage) || cmp.Diff([]string{"lost"}, found.IDs) != "" {
			t.Errorf("%+v", found)
		}
	}
	index(true, 3)
	if _, err := b.catalog.Record(t.Context(), "cat"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a dry run: %v", err)
	}
	index(false, 3)
	index(false, 0)
	r, err := b.catalog.Record(t.Context(), "shop/cat")
	info, statErr := b.store.Stat(t.Context(), "shop/cat")
	if err := errors.Join(err, statErr); err != nil {
		t.Fatal(err)
	}
	want := pastRecord("shop/cat", picture)
	want = catalog.Record{ID: want.ID, SHA256: want.SHA256, MD5: want.MD5, Bytes: want.Bytes, Format: "png", Width: 16, Height: 8, Private: true,
		Version: info.Version, Created: info.Modified, Updated: info.Modified, Time: info.Modified}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if r, err := b.catalog.Record(t.Context(), "known"); err != nil || r.Version != known.Version {
		t.Errorf("known: %+v %v", r, err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Index(stopped, false, nil); err == nil {
		t.Error("it went on")
	}
}

// walked is a store with faults that tells what it holds.
type walked struct{ *faultStore }

func (w walked) Walk(ctx context.Context, do func(id string) error) error {
	return w.Store.(origin.Walker).Walk(ctx, do)
}
