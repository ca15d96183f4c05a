package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"deckle/catalog"
	"deckle/event"
	"deckle/origin"
	"deckle/transform"
)

// grant gives out a token by a policy.
func (b *bench) grant(id string, policy Policy) string {
	b.t.Helper()
	results, err := b.Grants(b.t.Context(), []GrantRequest{{ID: id, Policy: policy}})
	if err != nil || results[0].Err != nil {
		b.t.Fatal(err, results)
	}
	return results[0].Token
}

// pend uploads without publishing.
func (b *bench) pend(id string, policy Policy, body []byte) Receipt {
	b.t.Helper()
	policy.Later = true
	return b.mustSend(id, b.grant(id, policy), body)
}

// listen has the outbox keep all events.
func (b *bench) listen() { b.catalog.Subscribe([]catalog.Subscriber{{Name: "all"}}, nil) }

// heard returns the kinds of events of an id, in their order.
func (b *bench) heard(id string) (kinds []string) {
	b.t.Helper()
	list, err := b.catalog.Outbox().Events(b.t.Context(), 1<<40, false, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range list {
		if e.Source == id {
			kinds = append(kinds, e.Kind)
		}
	}
	slices.Reverse(kinds)
	return kinds
}

func (b *bench) mustHear(id string, kinds ...event.Kind) {
	b.t.Helper()
	var want []string
	for _, k := range kinds {
		want = append(want, string(k))
	}
	if diff := cmp.Diff(want, b.heard(id)); diff != "" {
		b.t.Errorf("events of %s (-want +got):\n%s", id, diff)
	}
}

// asideFiles returns how many files an area holds.
func (b *bench) asideFiles(area origin.Area) int {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "originals", area.Dir(), "[^.]*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(files)
}

func TestGrants(t *testing.T) {
	b := newBench(t)
	b.mustSend("taken", b.token("taken", false), photo(1))
	results, err := b.Grants(t.Context(), []GrantRequest{
		{ID: "cat"}, {}, {}, {ID: "taken"}, {ID: "taken", Policy: Policy{Replace: true}}, {ID: "../x"}, {ID: "cat"},
		{ID: "dog", Policy: Policy{TTL: 25 * time.Hour}}, {ID: "dog", Policy: Policy{Data: json.RawMessage(`[1]`)}},
		{ID: "dog", Policy: Policy{TTL: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, nil, nil, ErrExists, nil, origin.ErrBadID, ErrHeld, ErrPolicy, ErrPolicy, nil} {
		if got := results[i]; !errors.Is(got.Err, want) || (got.Err == nil) != (got.Token != "") {
			t.Errorf("grant %d: %+v, want %v", i, got, want)
		}
	}
	if a, c := results[1].ID, results[2].ID; a == c || len(a) != 26 || origin.CheckID(a) != nil {
		t.Errorf("minted %q and %q", a, c)
	}
	if got := results[9].Expires.Sub(b.clock.Now()); got != time.Hour {
		t.Errorf("the token is good for %v, want 1h", got)
	}
	for _, n := range []int{0, MaxGrants + 1} {
		if _, err := b.Grants(t.Context(), make([]GrantRequest, n)); !errors.Is(err, ErrPolicy) {
			t.Errorf("%d grants at once: %v, want ErrPolicy", n, err)
		}
	}
	all, err := b.Grants(t.Context(), make([]GrantRequest, MaxGrants))
	if err != nil || slices.ContainsFunc(all, func(r GrantResult) bool { return r.Err != nil }) {
		t.Errorf("%d grants at once: %v", MaxGrants, err)
	}
}

func TestPolicy(t *testing.T) {
	body := photo(1) // 64x48
	for _, row := range []struct {
		name   string
		policy Policy
		want   error
	}{
		{"bytes", Policy{MaxBytes: int64(len(body))}, nil},
		{"too many bytes", Policy{MaxBytes: int64(len(body)) - 1}, ErrTooLarge},
		{"pixels", Policy{MaxPixels: 64 * 48}, nil},
		{"too many pixels", Policy{MaxPixels: 64*48 - 1}, transform.ErrLimit},
		{"format", Policy{Formats: []transform.Format{transform.PNG, transform.JPEG}}, nil},
		{"another format", Policy{Formats: []transform.Format{transform.PNG}}, ErrPolicy},
		{"whole", Policy{Whole: true}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			token := b.grant("cat", row.policy)
			if _, err := b.Receive(t.Context(), Upload{Token: token, Body: bytes.NewReader(body)}); !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
			b.checkWhole()
		})
	}
	t.Run("crop and labels", func(t *testing.T) {
		b := newBench(t)
		policy := Policy{
			Crop: transform.Crop{W: 10, H: 20}, Private: true, Name: "Cat", Tags: []string{"a", "b"}, Data: json.RawMessage(`{"n":1}`),
		}
		got := b.mustSend("cat", b.grant("cat", policy), body)
		r, err := b.catalog.Record(t.Context(), "cat")
		if err != nil || got.Width != 10 || got.Height != 20 || !r.Private || r.Name != "Cat" || len(r.Tags) != 2 || r.Data != `{"n":1}` {
			t.Errorf("receipt %+v, record %+v, error %v", got, r, err)
		}
	})
}

func TestPublish(t *testing.T) {
	b := newBench(t)
	b.listen()
	pending := b.pend("cat", Policy{Name: "Cat"}, photo(1))
	if !pending.Pending || b.stored("cat") != nil || len(b.versions.set) > 0 {
		t.Fatalf("a pending upload is served: %+v, %v", pending, b.versions.set)
	}
	if _, err := b.Grant(t.Context(), GrantRequest{ID: "cat"}); !errors.Is(err, ErrExists) {
		t.Errorf("another grant beside a pending upload: %v, want ErrExists", err)
	}
	if _, err := b.Publish(t.Context(), "cat", PublishCheck{SHA256: sha(photo(2))}); !errors.Is(err, ErrHash) {
		t.Errorf("published as another picture: %v, want ErrHash", err)
	}
	if _, err := b.Publish(t.Context(), "dog", PublishCheck{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("published what is not there: %v, want ErrNotFound", err)
	}
	want := PublishCheck{SHA256: sha(photo(1)), MD5: md5sum(photo(1)), Tags: []string{"x"}, Private: true}
	for i := range 3 { // idempotent
		got, err := b.Publish(t.Context(), "cat", want)
		if err != nil || got.SHA256 != sha(photo(1)) || got.Pending || !bytes.Equal(b.stored("cat"), photo(1)) {
			t.Fatalf("publish %d: %+v, %v", i, got, err)
		}
	}
	r, err := b.catalog.Record(t.Context(), "cat")
	if err != nil || r.Name != "Cat" || !r.Private || r.Version != b.versions.set["cat"].Version {
		t.Errorf("record %+v, %v", r, err)
	}
	if n := b.asideFiles(origin.Incoming); n != 0 {
		t.Errorf("%d files are left in the incoming area", n)
	}
	for range 2 {
		if got, err := b.Unpublish(t.Context(), "cat"); err != nil || !got.Pending || b.stored("cat") != nil {
			t.Fatalf("unpublished: %+v, %v", got, err)
		}
	}
	list, err := b.Pending(t.Context(), "", 10)
	if err != nil || len(list) != 1 || list[0].ID != "cat" {
		t.Errorf("pending %+v, %v", list, err)
	}
	b.clock.Move(100 * time.Hour)
	if _, err := b.SweepIncoming(t.Context()); err != nil {
		t.Error(err)
	}
	if got, err := b.Publish(t.Context(), "cat", PublishCheck{}); err != nil || got.SHA256 != sha(photo(1)) {
		t.Errorf("published again: %+v, %v", got, err)
	}
	b.mustHear("cat", event.Uploaded, event.Published, event.Unpublished, event.Published)
	b.checkWhole()
}

func TestPublishReplaces(t *testing.T) {
	b := newBench(t)
	b.mustSend("cat", b.token("cat", false), photo(1))
	b.pend("cat", Policy{Replace: true}, photo(2))
	if _, err := b.Unpublish(t.Context(), "cat"); !errors.Is(err, ErrExists) {
		t.Errorf("unpublished over a pending upload: %v, want ErrExists", err)
	}
	b.pend("cat", Policy{Replace: true}, photo(3))
	if n := b.asideFiles(origin.Incoming); n != 1 {
		t.Errorf("%d pending uploads are kept, want the latest", n)
	}
	if _, err := b.Publish(t.Context(), "cat", PublishCheck{SHA256: sha(photo(3))}); err != nil || !bytes.Equal(b.stored("cat"), photo(3)) {
		t.Error(err)
	}
	b.checkWhole()
}

func TestSweepIncoming(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Undelete = time.Hour })
	b.clock.Set(time.Now()) // files have the system's time
	b.pend("old", Policy{}, photo(1))
	b.mustSend("gone", b.token("gone", false), photo(2))
	if _, err := b.Delete(t.Context(), []string{"gone"}); err != nil {
		t.Fatal(err)
	}
	orphan := filepath.Join(b.dir, "originals", origin.Incoming.Dir(), "orphan")
	if err := os.WriteFile(orphan, photo(3), 0o600); err != nil {
		t.Fatal(err)
	}
	if swept, err := b.SweepIncoming(t.Context()); err != nil || swept != (Swept{}) {
		t.Errorf("swept too early: %+v, %v", swept, err)
	}
	b.clock.Move(2*time.Hour + time.Minute)
	b.pend("young", Policy{}, photo(4))
	if swept, err := b.SweepIncoming(t.Context()); err != nil || swept != (Swept{Expired: 2, Orphans: 1}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	if a, c := b.asideFiles(origin.Incoming), b.asideFiles(origin.Trash); a != 1 || c != 0 {
		t.Errorf("%d files are pending and %d in the trash", a, c)
	}
	if _, err := b.Publish(t.Context(), "young", PublishCheck{}); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"old", "gone"} {
		if _, err := b.Publish(t.Context(), id, PublishCheck{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s after the sweep: %v", id, err)
		}
	}
}

func TestDelete(t *testing.T) {
	for _, undelete := range []time.Duration{0, time.Hour} {
		t.Run(undelete.String(), func(t *testing.T) {
			b := newBench(t, func(c *Config) { c.Undelete = undelete })
			b.listen()
			b.mustSend("cat", b.token("cat", false), photo(1))
			b.pend("dog", Policy{}, photo(2))
			byHand := filepath.Join(b.dir, "originals", "hand")
			if err := os.WriteFile(byHand, photo(3), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := b.Delete(t.Context(), []string{"cat", "cow", "dog", "hand", "../x"})
			want := []Deletion{{"cat", true, nil}, {"cow", false, nil}, {"dog", true, nil}, {"hand", true, nil}, {"../x", false, origin.ErrBadID}}
			if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" || err != nil {
				t.Fatalf("error %v, deletions (-want +got):\n%s", err, diff)
			}
			for _, id := range []string{"cat", "dog", "hand"} {
				if _, err := b.catalog.Record(t.Context(), id); !errors.Is(err, ErrNotFound) || b.stored(id) != nil {
					t.Errorf("%s is still there: %v", id, err)
				}
			}
			slices.Sort(b.purged)
			if diff := cmp.Diff([]string{"cat", "hand"}, b.purged); diff != "" {
				t.Errorf("purged (-want +got):\n%s", diff)
			}
			b.mustHear("cat", event.Uploaded, event.Deleted)
			b.mustHear("dog", event.Uploaded, event.Deleted)
			restored, err := b.Restore(t.Context(), "cat")
			if undelete == 0 {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("restored: %v, want ErrNotFound", err)
				}
				return
			}
			if err != nil || restored.SHA256 != sha(photo(1)) || !bytes.Equal(b.stored("cat"), photo(1)) {
				t.Errorf("restored %+v, %v", restored, err)
			}
			if hand, err := b.Restore(t.Context(), "hand"); err != nil || hand.Width != 64 {
				t.Errorf("restored %+v, %v", hand, err)
			}
			b.mustHear("cat", event.Uploaded, event.Deleted, event.Restored)
			b.checkWhole()
		})
	}
}

// TestPurgeFails leaves variants behind: the deletion is not acknowledged, and finished later.
func TestPurgeFails(t *testing.T) {
	b := newBench(t)
	b.mustSend("cat", b.token("cat", false), photo(1))
	b.purgeErr = errors.New("a tier is away")
	got, err := b.Delete(t.Context(), []string{"cat"})
	if err != nil || !errors.Is(got[0].Err, origin.ErrUnavailable) || b.stored("cat") != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	b.purgeErr = nil
	if n, err := b.Recover(t.Context()); n != 1 || err != nil || len(b.purged) != 2 {
		t.Errorf("recovered %d, %v; purged %v", n, err, b.purged)
	}
}

func TestHashed(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MaxConcurrent, c.Patience = 8, 20*time.Second })
	hash := md5sum(photo(1))
	var senders sync.WaitGroup
	var stored atomic.Int64
	for range 8 {
		senders.Go(func() {
			send := func() (Hashed, error) {
				return b.ReceiveHashed(t.Context(), HashedUpload{Namespace: "products", Body: bytes.NewReader(photo(1))})
			}
			got, err := send()
			for errors.Is(err, ErrUnavailable) && t.Context().Err() == nil { // its turn did not come in time, on a busy machine
				got, err = send()
			}
			if err != nil || got.Hash != hash || got.ID != HashedID("products", hash) || got.Width != 64 {
				t.Errorf("%+v, %v", got, err)
			}
			if err == nil && !got.Same {
				stored.Add(1)
			}
		})
	}
	senders.Wait()
	if n := b.store.commits.Load(); n != 1 || stored.Load() > 1 {
		t.Errorf("identical bytes were stored %d times, and %d uploads said so", n, stored.Load())
	}
	if want := "products/" + hash[:3] + "/" + hash[3:6] + "/" + hash[6:9] + "/" + hash[9:]; !bytes.Equal(b.stored(want), photo(1)) {
		t.Error("the store lacks the bytes")
	}
	// Another content under this very hash, as a made collision is.
	other := catalog.Record{ID: HashedID("evil", hash), SHA256: sha(photo(2)), Format: "jpeg", Updated: b.clock.Now()}
	if _, err := b.catalog.Settle(t.Context(), b.clock.Now(), catalog.Step{Put: &other}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ReceiveHashed(t.Context(), HashedUpload{Namespace: "evil", Body: bytes.NewReader(photo(1))}); !errors.Is(err, ErrCollision) {
		t.Errorf("%v, want ErrCollision", err)
	}
	if _, err := b.ReceiveHashed(t.Context(), HashedUpload{Namespace: ".", Body: bytes.NewReader(photo(1))}); !errors.Is(err, origin.ErrBadID) {
		t.Errorf("%v, want ErrBadID", err)
	}
}

// TestOneUseOfMany uses one token many times at once, with different bodies. DECKLE_TOKEN_USES says how often.
func TestOneUseOfMany(t *testing.T) {
	uses := 200
	if n, err := strconv.Atoi(os.Getenv("DECKLE_TOKEN_USES")); err == nil {
		uses = n
	}
	b := newBench(t, func(c *Config) { c.MaxConcurrent = uses })
	token := b.token("cat", false)
	var users sync.WaitGroup
	var won atomic.Int64
	start := make(chan struct{})
	for i := range uses {
		body := append(photo(1), fmt.Sprint("after its end ", i)...)
		users.Go(func() {
			<-start
			_, err := b.send("cat", token, body)
			for errors.Is(err, ErrUnavailable) && t.Context().Err() == nil { // its turn did not come in time, on a busy machine
				_, err = b.send("cat", token, body)
			}
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrUsed):
				t.Errorf("use %d: %v, want ErrUsed", i, err)
			}
		})
	}
	close(start)
	users.Wait()
	if n := b.store.commits.Load(); won.Load() != 1 || n != 1 {
		t.Errorf("%d of %d uses succeeded, with %d commits", won.Load(), uses, n)
	}
	b.checkWhole()
}

func TestClientUploads(t *testing.T) {
	b := newBench(t, func(c *Config) { c.ClientUploads = 2 })
	try := func(client string) error {
		_, err := b.Receive(t.Context(), Upload{ID: "cat", Token: "none", Client: client})
		return err
	}
	for _, row := range []struct {
		client string
		want   error
	}{{"a", ErrToken}, {"a", ErrToken}, {"a", ErrClient}, {"b", ErrToken}, {"", ErrToken}} {
		if err := try(row.client); !errors.Is(err, row.want) {
			t.Errorf("%q: %v, want %v", row.client, err, row.want)
		}
	}
	// Confirming what was put into the store counts likewise.
	for i, want := range []error{ErrToken, ErrToken, ErrClient} {
		if _, err := b.Confirm(t.Context(), "none", "c"); !errors.Is(err, want) {
			t.Errorf("confirmed %d: %v, want %v", i, err, want)
		}
	}
	b.clock.Move(30 * time.Second)
	if err := try("a"); !errors.Is(err, ErrToken) {
		t.Errorf("half a minute later: %v", err)
	}
}

// TestFullDisk fails at each write: nothing half-done is left, and the token is good again.
func TestFullDisk(t *testing.T) {
	for _, fault := range []string{"stage", "write", "commit"} {
		t.Run(fault, func(t *testing.T) {
			b := newBench(t)
			token := b.token("cat", false)
			full := func() error { return origin.StoreFault("write", errFull) }
			map[string]func(){
				"stage": func() { b.store.stage = full }, "write": func() { b.store.write = full }, "commit": func() { b.store.beforeCommit = full },
			}[fault]()
			if _, err := b.send("cat", token, photo(1)); !errors.Is(err, origin.ErrFull) {
				t.Fatalf("%v, want ErrFull", err)
			}
			b.store.stage, b.store.write, b.store.beforeCommit = nil, nil, nil
			b.checkWhole()
			if files, _ := filepath.Glob(filepath.Join(b.dir, "originals", ".tmp", "*")); len(files) > 1 || strings.Contains(fmt.Sprint(files), "cat") {
				t.Errorf("left over: %v", files) // the lock stays
			}
			b.mustSend("cat", token, photo(1))
		})
	}
}
