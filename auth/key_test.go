package auth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/internal/testclock"
)

// records keeps keys by hash, and counts what it is asked.
type records struct {
	mu    sync.Mutex
	keys  map[string]Key
	err   error
	asked int
	used  chan string
	hold  chan struct{} // when set, an answer waits for it
}

func (r *records) KeyOf(_ context.Context, hash string, _ time.Time) (Key, error) {
	r.mu.Lock()
	r.asked++
	key, found := r.keys[hash]
	err, hold := r.err, r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if err == nil && !found {
		err = ErrUnknown
	}
	return key, err
}

func (r *records) KeyUsed(_ context.Context, id string, _ time.Time) error {
	r.used <- id
	return nil
}

func (r *records) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func newKeyring(t *testing.T, r *records) (*Keyring, *testclock.Clock) {
	t.Helper()
	c := testclock.At(time.Unix(1e9, 0))
	r.used = make(chan string, 100)
	k := NewKeyring(KeyringConfig{Bootstrap: []string{"boot"}, Keys: r, Log: slog.New(slog.DiscardHandler), Now: c.Now})
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, c
}

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key := NewKey()
		if !isKey(key) || seen[key] || CheckForm(key) != nil {
			t.Fatalf("%q", key)
		}
		seen[key] = true
	}
	for _, bad := range []string{"", "dk_", "dk_x", NewKey() + "A", NewKey()[1:], "dk_" + "!234567890123456789012345678901234567890123"} {
		if isKey(bad) {
			t.Errorf("%q is a key", bad)
		}
	}
}

func TestKeyring(t *testing.T) {
	secret := NewKey()
	r := &records{keys: map[string]Key{HashKey(secret): {ID: "k", User: "ann", Scopes: Read}}}
	k, clock := newKeyring(t, r)
	for range 3 {
		got, err := k.Authenticate(t.Context(), secret)
		if diff := cmp.Diff(Principal{User: "ann", Scopes: Read, Key: "k"}, got); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	}
	if r.asked != 1 {
		t.Errorf("the records were asked %d times for one key, want once", r.asked)
	}
	if got, err := k.Authenticate(t.Context(), "boot"); err != nil || !got.Admin {
		t.Errorf("a configured key: %+v, %v", got, err)
	}
	for _, bad := range []string{"boot2", "boo", secret + "A", NewKey()} {
		if _, err := k.Authenticate(t.Context(), bad); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", bad, err)
		}
	}

	// Revoked elsewhere: seen when what is remembered has run out, and not before.
	r.set(func() { clear(r.keys) })
	clock.Move(KeyLife - time.Nanosecond)
	if _, err := k.Authenticate(t.Context(), secret); err != nil {
		t.Errorf("within %s: %v", KeyLife, err)
	}
	clock.Move(time.Nanosecond)
	if _, err := k.Authenticate(t.Context(), secret); !errors.Is(err, ErrUnknown) {
		t.Errorf("after %s: %v", KeyLife, err)
	}
	// And no answer stands for the key while the records are away.
	r.set(func() { r.err = errors.New("away") })
	clock.Move(KeyLife)
	if _, err := k.Authenticate(t.Context(), secret); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRefused) {
		t.Errorf("without records: %v", err)
	}
	if got, err := k.Authenticate(t.Context(), "boot"); err != nil || !got.Admin {
		t.Errorf("a configured key without records: %+v, %v", got, err)
	}
}

func TestKeyRevokedHere(t *testing.T) {
	secret := NewKey()
	r := &records{keys: map[string]Key{HashKey(secret): {ID: "k"}}, hold: make(chan struct{})}
	k, _ := newKeyring(t, r)
	answered := make(chan error)
	go func() {
		_, err := k.Authenticate(t.Context(), secret)
		answered <- err
	}()
	for asked := 0; asked == 0; { // until the question is under way
		r.set(func() { asked = r.asked })
	}
	r.set(func() { clear(r.keys) })
	k.Forget() // overtakes the answer that is under way
	close(r.hold)
	if err := <-answered; err != nil {
		t.Errorf("what began before the revocation: %v", err)
	}
	if _, err := k.Authenticate(t.Context(), secret); !errors.Is(err, ErrUnknown) {
		t.Errorf("after the revocation: %v", err)
	}
}

func TestKeyUntil(t *testing.T) {
	secret := NewKey()
	r := &records{keys: map[string]Key{HashKey(secret): {ID: "k", Until: time.Unix(1e9+2, 0)}}}
	k, clock := newKeyring(t, r)
	if _, err := k.Authenticate(t.Context(), secret); err != nil {
		t.Error(err)
	}
	clock.Move(2 * time.Second) // less than what is remembered
	if _, err := k.Authenticate(t.Context(), secret); !errors.Is(err, ErrUnknown) {
		t.Errorf("a key at its end: %v", err)
	}
}

func TestKeyUsed(t *testing.T) {
	secret := NewKey()
	r := &records{keys: map[string]Key{HashKey(secret): {ID: "k"}}}
	k, clock := newKeyring(t, r)
	for _, step := range []struct {
		after time.Duration
		noted bool
	}{{0, true}, {time.Second, false}, {UsedEvery - 2*time.Second, false}, {time.Second, true}} {
		clock.Move(step.after)
		if _, err := k.Authenticate(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if step.noted {
			if id := <-r.used; id != "k" {
				t.Errorf("noted %q", id)
			}
		} else if len(k.used)+len(r.used) != 0 {
			t.Errorf("noted again after %s", step.after)
		}
	}
}
