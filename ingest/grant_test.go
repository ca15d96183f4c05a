package ingest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/origin"
	"deckle/transform"
)

func TestGrant(t *testing.T) {
	b := newBench(t)
	put(t, b, "by-hand", photo(1))
	b.mustSend("uploaded", b.token("uploaded", false), photo(1))
	b.token("held", false)
	for _, row := range []struct {
		name, id string
		replace  bool
		want     error
	}{
		{"free", "free", false, nil},
		{"free, replacing", "free2", true, nil},
		{"bad id", "../free", false, origin.ErrBadID},
		{"no id", "", false, origin.ErrBadID},
		{"held", "held", false, ErrHeld},
		{"held, replacing", "held", true, ErrHeld},
		{"uploaded", "uploaded", false, ErrExists},
		{"uploaded, replacing", "uploaded", true, nil},
		{"in the store only", "by-hand", false, ErrExists},
		{"in the store only, replacing", "by-hand", true, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			grant, err := b.Grant(t.Context(), GrantRequest{ID: row.id, Replace: row.replace})
			if !errors.Is(err, row.want) {
				t.Fatalf("%v, want %v", err, row.want)
			}
			if errors.Is(err, ErrExists) && !strings.Contains(err.Error(), `"replace": true`) {
				t.Errorf("the error does not name the remedy: %v", err)
			}
			want := Grant{}
			if err == nil {
				want = Grant{ID: row.id, Token: grant.Token, Expires: b.clock.Now().Add(15 * time.Minute)}
			}
			if diff := cmp.Diff(want, grant); diff != "" {
				t.Errorf("grant (-want +got):\n%s", diff)
			}
			if secret, err := base64.RawURLEncoding.DecodeString(grant.Token); err != nil || row.want == nil && len(secret)*8 < 128 {
				t.Errorf("token %q: %d bits, error %v", grant.Token, len(secret)*8, err)
			}
		})
	}
}

// put stores a source that nobody uploaded.
func put(t *testing.T, b *bench, id string, body []byte) {
	t.Helper()
	staged, err := b.store.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := staged.Write(body); err != nil {
		t.Fatal(err)
	}
	if _, err := staged.Commit(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
}

func TestTokensDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		seen[newToken()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different tokens of 1000", len(seen))
	}
}

// TestPutBesideTheGrant has a source appear while the token is out: it is not overwritten.
func TestPutBesideTheGrant(t *testing.T) {
	b := newBench(t)
	token := b.token("cat", false)
	put(t, b, "cat", photo(1))
	if _, err := b.send("cat", token, photo(2)); !errors.Is(err, ErrExists) {
		t.Fatalf("%v, want ErrExists", err)
	}
	if !bytes.Equal(b.stored("cat"), photo(1)) {
		t.Error("the source was overwritten")
	}
	b.checkWhole()
}

func TestGrantWhenTheStoreIsAway(t *testing.T) {
	b := newBench(t)
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := b.Grant(ended, GrantRequest{ID: "cat"}); err == nil {
		t.Error("a grant without an answer of the store")
	}
	if err := b.catalog.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Grant(t.Context(), GrantRequest{ID: "cat"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}

// TestSweep leaves tokens to expire and asks for more.
func TestSweep(t *testing.T) {
	b := newBench(t)
	for i := range 2 * sweepEvery {
		b.token(fmt.Sprint("old", i), false)
	}
	b.clock.Move(time.Hour)
	for i := range sweepEvery {
		b.token(fmt.Sprint("new", i), false)
	}
	if left, err := b.catalog.Sweep(t.Context(), b.clock.Now(), 1000); left != 0 || err != nil {
		t.Errorf("%d expired grants were left, error %v", left, err)
	}
}

func TestCheck(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		id := fmt.Sprint("cat", i)
		b.mustSend(id, b.token(id, false), photo(1))
	}
	for _, id := range []string{"cat3", "cat1"} {
		if err := b.store.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	missing, err := b.Check(t.Context())
	if diff := cmp.Diff([]string{"cat1", "cat3"}, missing); diff != "" || err != nil {
		t.Errorf("error %v, missing (-want +got):\n%s", err, diff)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := b.Check(ended); err == nil {
		t.Error("a clean answer from a check that could not be made")
	}
}

func TestFormatNames(t *testing.T) {
	for _, f := range append(transform.OutputFormats(), transform.BMP, transform.SVG) {
		if got, err := formatByName(f.String()); got != f || err != nil {
			t.Errorf("%s read back as %v, error %v", f, got, err)
		}
	}
	for _, name := range []string{"", "source", "auto", "JPEG", "doc"} {
		if f, err := formatByName(name); err == nil {
			t.Errorf("%q read as %s", name, f)
		}
	}
}

func FuzzToken(f *testing.F) {
	b := newBench(f)
	good := b.token("cat", false)
	for _, seed := range []string{"", good[1:], good + "=", good[:31] + "\x00", strings.ToLower(good), `' OR 1=1 --`, strings.Repeat("-", 32)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if token == good {
			return
		}
		_, err := b.Receive(t.Context(), Upload{ID: "cat", Token: token, Body: unread{t}})
		if !errors.Is(err, ErrToken) {
			t.Fatalf("%q: %v, want ErrToken", token, err)
		}
	})
}
