package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	keyPrefix = "dk_" // so that people, and scanners for leaked secrets, know what it is
	keyBytes  = 32    // of randomness in a key
)

// NewKey makes a secret: "dk_" and 256 random bits in base64url.
func NewKey() string {
	var secret [keyBytes]byte
	_, _ = rand.Read(secret[:]) // never fails; the runtime stops the program when the system has no randomness
	return keyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
}

// isKey tells whether a credential has the shape of what NewKey makes. Others are not looked for.
func isKey(credential string) bool {
	rest, found := strings.CutPrefix(credential, keyPrefix)
	if !found || len(rest) != base64.RawURLEncoding.EncodedLen(keyBytes) {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil
}

// HashKey returns what a key is kept as: the hexadecimal SHA-256 of its secret. A slow hash, as passwords need, would protect
// nothing here: those make it dear to try what people choose, and 256 random bits cannot be tried at any speed. It would cost
// every request its time. Looking a hash up in an index tells nothing by its timing either, since nobody can choose a hash.
func HashKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Key is what the records say of a key that is good.
type Key struct {
	ID     string
	User   string // whom it acts for; empty for none
	Scopes Scopes
	Until  time.Time // when it, or the secret that was shown, ceases to be good; zero for never
}

// Keys is the records of keys.
type Keys interface {
	// KeyOf returns the key whose secret has the hash, or ErrUnknown when none has, it has expired or was replaced for good.
	// Other errors mean that nobody can tell.
	KeyOf(ctx context.Context, hash string, now time.Time) (Key, error)
	// KeyUsed notes that a key was used.
	KeyUsed(ctx context.Context, id string, now time.Time) error
}

const (
	// KeyLife is how long an answer of the records is believed: a key that is revoked is good on other nodes for that much
	// longer at most, and on the node that revoked it not at all.
	KeyLife = 5 * time.Second
	// UsedEvery is how exact the time of a key's last use is.
	UsedEvery = time.Minute

	keyEntries  = 4096             // that are remembered, of keys that are good and of others
	usedWaiting = 64               // uses that wait to be noted; more at one time are noted at their next
	usedTimeout = 10 * time.Second // to note one
)

// KeyringConfig is what a Keyring works with.
type KeyringConfig struct {
	Bootstrap []string // keys of the configuration, with every right
	Keys      Keys     // optional
	Log       *slog.Logger
	Now       func() time.Time // [time.Now]
}

// Keyring tells who has which key. Close it.
type Keyring struct {
	config    KeyringConfig
	bootstrap [][sha256.Size]byte
	known     *lru.Cache[string, knownKey] // by hash
	forgotten atomic.Uint64                // times that known was dropped
	noted     *lru.Cache[string, time.Time]
	used      chan string
	stop      context.CancelFunc
	noting    sync.WaitGroup
}

// knownKey is an answer of the records, ErrUnknown included.
type knownKey struct {
	key   Key
	err   error
	until time.Time
}

var _ Authenticator = (*Keyring)(nil)

// NewKeyring returns a keyring.
func NewKeyring(c KeyringConfig) *Keyring {
	if c.Now == nil {
		c.Now = time.Now
	}
	k := &Keyring{config: c, used: make(chan string, usedWaiting)}
	for _, key := range c.Bootstrap {
		k.bootstrap = append(k.bootstrap, sha256.Sum256([]byte(key)))
	}
	k.known, _ = lru.New[string, knownKey](keyEntries)  // fails for a size below 1
	k.noted, _ = lru.New[string, time.Time](keyEntries) // likewise
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	if c.Keys != nil {
		k.noting.Go(func() { k.note(ctx) })
	}
	return k
}

// Close waits for what is being noted.
func (k *Keyring) Close() error {
	k.stop()
	k.noting.Wait()
	return nil
}

// Holds tells whether a credential is a key's by its form, so that nobody else needs to be asked for it.
func (k *Keyring) Holds(credential string) bool {
	return k.isBootstrap(credential) || k.config.Keys != nil && isKey(credential)
}

// isBootstrap compares digests, every one of them, so that the time taken says nothing about the keys or their lengths.
func (k *Keyring) isBootstrap(credential string) bool {
	digest := sha256.Sum256([]byte(credential))
	found := 0
	for _, known := range k.bootstrap {
		found |= subtle.ConstantTimeCompare(digest[:], known[:])
	}
	return found == 1
}

// Authenticate returns whose key it is.
func (k *Keyring) Authenticate(ctx context.Context, credential string) (Principal, error) {
	if k.isBootstrap(credential) {
		return Principal{Admin: true, Scopes: Read | Write | Upload | Admin, Key: "bootstrap"}, nil
	}
	if k.config.Keys == nil || !isKey(credential) {
		return Principal{}, ErrUnknown
	}
	key, err := k.find(ctx, HashKey(credential))
	if err != nil {
		return Principal{}, err
	}
	k.use(key.ID)
	return Principal{User: key.User, Scopes: key.Scopes, Admin: key.Scopes&Admin != 0, Key: key.ID}, nil
}

// find looks in what is remembered, then in the records.
func (k *Keyring) find(ctx context.Context, hash string) (Key, error) {
	now := k.config.Now()
	if known, ok := k.known.Get(hash); ok && now.Before(known.until) && known.key.goodAt(now) {
		return known.key, known.err
	}
	forgotten := k.forgotten.Load()
	key, err := k.config.Keys.KeyOf(ctx, hash, now)
	switch {
	case err != nil && !errors.Is(err, ErrUnknown):
		return Key{}, errors.Join(ErrUnavailable, err)
	case err == nil && !key.goodAt(now):
		key, err = Key{}, ErrUnknown
	}
	k.known.Add(hash, knownKey{key, err, now.Add(KeyLife)})
	if k.forgotten.Load() != forgotten { // what was read may be from before a key was revoked
		k.known.Remove(hash)
	}
	return key, err
}

func (k Key) goodAt(now time.Time) bool { return k.Until.IsZero() || now.Before(k.Until) }

// Forget drops what is remembered of all keys: one has been revoked or rotated.
func (k *Keyring) Forget() {
	k.forgotten.Add(1)
	k.known.Purge()
}

// use has the use of a key noted behind the request, at most once every UsedEvery.
func (k *Keyring) use(id string) {
	now := k.config.Now()
	if last, ok := k.noted.Get(id); ok && now.Sub(last) < UsedEvery {
		return
	}
	select {
	case k.used <- id:
		k.noted.Add(id, now)
	default: // the records are slow; the next use is noted
	}
}

// note writes uses down until ctx ends.
func (k *Keyring) note(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-k.used:
			within, cancel := context.WithTimeout(ctx, usedTimeout)
			if err := k.config.Keys.KeyUsed(within, id, k.config.Now()); err != nil && ctx.Err() == nil {
				k.config.Log.Warn("the use of a key was not noted", slog.String("key", id), slog.Any("cause", err))
			}
			cancel()
		}
	}
}
