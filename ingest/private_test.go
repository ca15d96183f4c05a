package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"deckle/origin"
)

// TestPrivate: privacy is with the bytes and in the record, on every way in, and stays until somebody says otherwise.
func TestPrivate(t *testing.T) {
	undelete := func(c *Config) { c.Undelete = time.Hour }
	secret := Policy{Private: true}
	upload := func(b *bench) { b.mustSend("cat", b.grant("cat", secret), photo(1)) }
	rows := []struct {
		name string
		do   func(b *bench) error
		id   string
		want bool
	}{
		{"upload", func(b *bench) error { upload(b); return nil }, "cat", true},
		{"upload in public", func(b *bench) error { b.mustSend("cat", b.token("cat", false), photo(1)); return nil }, "cat", false},
		{"publish by policy", func(b *bench) error {
			b.pend("cat", secret, photo(1))
			_, err := b.Publish(t.Context(), "cat", PublishCheck{})
			return err
		}, "cat", true},
		{"publish by the publisher", func(b *bench) error {
			b.pend("cat", Policy{}, photo(1))
			_, err := b.Publish(t.Context(), "cat", PublishCheck{Private: true})
			return err
		}, "cat", true},
		{"made private before it is published", func(b *bench) error {
			b.pend("cat", Policy{}, photo(1))
			if err := b.SetPrivate(t.Context(), "cat", true); err != nil {
				return err
			}
			_, err := b.Publish(t.Context(), "cat", PublishCheck{})
			return err
		}, "cat", true},
		{"replaced with a token", func(b *bench) error {
			upload(b)
			b.mustSend("cat", b.token("cat", true), photo(2))
			return nil
		}, "cat", true},
		{"replaced without one", func(b *bench) error {
			upload(b)
			_, err := b.Replace(t.Context(), "cat", bytes.NewReader(photo(2)))
			return err
		}, "cat", true},
		{"replaced by what was pending", func(b *bench) error {
			upload(b)
			b.pend("cat", Policy{Replace: true}, photo(2))
			_, err := b.Publish(t.Context(), "cat", PublishCheck{})
			return err
		}, "cat", true},
		{"rotated", func(b *bench) error {
			upload(b)
			_, err := b.Rotate(t.Context(), "cat", TurnRight, Target{})
			return err
		}, "cat", true},
		{"rotated under a new id", func(b *bench) error {
			upload(b)
			_, err := b.Rotate(t.Context(), "cat", TurnRight, Target{NewID: "new", Move: true})
			return err
		}, "new", true},
		{"deleted and restored", func(b *bench) error {
			upload(b)
			if _, err := b.Delete(t.Context(), []string{"cat"}); err != nil {
				return err
			}
			_, err := b.Restore(t.Context(), "cat")
			return err
		}, "cat", true},
		{"unpublished and published", func(b *bench) error {
			upload(b)
			if _, err := b.Unpublish(t.Context(), "cat"); err != nil {
				return err
			}
			_, err := b.Publish(t.Context(), "cat", PublishCheck{})
			return err
		}, "cat", true},
		{"deleted, and uploaded anew", func(b *bench) error {
			upload(b)
			if _, err := b.Delete(t.Context(), []string{"cat"}); err != nil {
				return err
			}
			b.mustSend("cat", b.token("cat", false), photo(2))
			return nil
		}, "cat", false},
		{"made public", func(b *bench) error { upload(b); return b.SetPrivate(t.Context(), "cat", false) }, "cat", false},
		{"made private", func(b *bench) error {
			b.mustSend("cat", b.token("cat", false), photo(1))
			return b.SetPrivate(t.Context(), "cat", true)
		}, "cat", true},
		{"named by its bytes", func(b *bench) error {
			h, err := b.ReceiveHashed(t.Context(), HashedUpload{Namespace: "ns", Body: bytes.NewReader(photo(1)), Policy: secret})
			if err == nil {
				_, err = b.Rotate(t.Context(), h.ID, TurnRight, Target{NewID: "new"})
			}
			return err
		}, "new", true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, undelete)
			// At every moment at which a reader can find the bytes.
			b.store.afterCommit = func() error {
				if info, err := b.store.Stat(t.Context(), row.id); err == nil && row.want && row.name != "made private" && !info.Private {
					t.Errorf("%s is served in public for a moment", row.id)
				}
				return nil
			}
			if err := row.do(b); err != nil {
				t.Fatal(err)
			}
			info, err := b.store.Stat(t.Context(), row.id)
			if err != nil || info.Private != row.want {
				t.Errorf("the store: %+v, %v", info, err)
			}
			r, err := b.catalog.Record(t.Context(), row.id)
			if err != nil || r.Private != row.want || r.Version != info.Version {
				t.Errorf("the record: private %v of %s, %v; the store has %s", r.Private, r.Version, err, info.Version)
			}
			if told := b.versions.set[row.id]; told != info {
				t.Errorf("this node was told %+v, the store has %+v", told, info)
			}
		})
	}
}

func TestSetPrivateRefused(t *testing.T) {
	b := newBench(t)
	if err := b.SetPrivate(t.Context(), "cat", true); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
	if err := b.SetPrivate(t.Context(), "../cat", true); !errors.Is(err, origin.ErrBadID) {
		t.Errorf("of no id: %v", err)
	}
	b.mustSend("cat", b.token("cat", false), photo(1))
	// What the store did and nobody heard of is found out.
	b.store.afterPrivate = func() error { return fmt.Errorf("%w: fault, on purpose", origin.ErrUnavailable) }
	if err := b.SetPrivate(t.Context(), "cat", true); !errors.Is(err, origin.ErrUnavailable) {
		t.Errorf("while the store does not answer: %v", err)
	}
	if len(b.versions.invalidated) != 1 {
		t.Error("and this node may go on serving it in public")
	}
	b.store.afterPrivate = nil
	if n, err := b.Recover(t.Context()); n != 1 || err != nil {
		t.Errorf("recovered %d, %v", n, err)
	}
	if r, err := b.catalog.Record(t.Context(), "cat"); err != nil || !r.Private {
		t.Errorf("the record: %+v, %v", r, err)
	}
	// Where nothing can be private nothing becomes it.
	b.config.NoPrivate = "for a reason"
	b.mustSend("dog", b.token("dog", false), photo(1))
	if err := b.SetPrivate(t.Context(), "dog", true); !errors.Is(err, ErrPolicy) {
		t.Errorf("where nothing can be private: %v", err)
	}
	if _, err := b.Publish(t.Context(), "dog", PublishCheck{Private: true}); !errors.Is(err, ErrPolicy) {
		t.Errorf("publish where nothing can be private: %v", err)
	}
	results, err := b.Grants(t.Context(), []GrantRequest{{ID: "fox", Policy: Policy{Private: true}}, {Policy: Policy{Private: true}}})
	if err != nil || !errors.Is(results[0].Err, ErrPolicy) || !errors.Is(results[1].Err, ErrPolicy) {
		t.Errorf("grants where nothing can be private: %+v, %v", results, err)
	}
}
