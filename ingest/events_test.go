package ingest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/catalog"
	"deckle/event"
)

// TestUploadIsAnnounced: one event with each record, none without, and none for a repetition.
func TestUploadIsAnnounced(t *testing.T) {
	b := newBench(t)
	b.catalog.Subscribe([]catalog.Subscriber{{Name: "shop"}}, func() {})
	b.store.beforeCommit = func() error { return errors.New("no room") }
	token := b.token("cat", false)
	if _, err := b.send("cat", token, photo(1)); err == nil {
		t.Fatal("the store is full")
	}
	b.store.beforeCommit = nil
	first := b.mustSend("cat", token, photo(1))
	b.mustSend("cat", token, photo(1)) // answered with the same receipt
	b.clock.Move(time.Second)
	second := b.mustSend("cat", b.token("cat", true), photo(2))
	b.mustSend("dog", b.token("dog", true), photo(3)) // nothing was there to replace

	list, err := b.catalog.Outbox().Events(t.Context(), 1<<62, false, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Kind+" "+e.Source)
	}
	if diff := cmp.Diff([]string{"uploaded dog", "replaced cat", "uploaded cat"}, got); diff != "" {
		t.Fatalf("events, the latest first (-want +got):\n%s", diff)
	}
	for i, receipt := range map[int]Receipt{2: first, 1: second} {
		var said event.Source
		if err := json.Unmarshal(list[i].Data, &said); err != nil {
			t.Fatal(err)
		}
		want := event.Source{
			Width: receipt.Width, Height: receipt.Height, ContentType: receipt.Format.MediaType(), Source: "cat",
			Version: receipt.Version, SHA256: receipt.SHA256, Bytes: receipt.Bytes, Format: receipt.Format.String(),
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("event %d (-receipt +got):\n%s", i, diff)
		}
	}
}
