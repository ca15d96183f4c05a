package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"deckle/auth"

	"github.com/go-jose/go-jose/v4"
)

const (
	// fetchEvery is how often keys are asked for at most, whatever keys strangers' tokens name.
	fetchEvery = 10 * time.Second
	// fetchTimeout bounds one asking, discovery included.
	fetchTimeout = 5 * time.Second
	// keysFresh is how long keys are good without being asked for again: a key that the issuer has withdrawn is taken for that
	// much longer. While the issuer is away those that are known stay good.
	keysFresh = 10 * time.Minute

	maxDocument = 1 << 20 // bytes of what an issuer answers
	maxKeys     = 128     // that an issuer publishes; the rest is passed over
	minRSA      = 2048    // bits of an RSA key (RFC 7518 section 3.3)
)

// checked is what became of one token in the key set, for whoever asked the verifier.
type checked struct {
	payload []byte // once the signature is found good
	err     error
}

type checkedKey struct{}

// keySet holds the keys of an issuer. Unlike the library's own it asks for them when a token names one that is not known, and not
// for every bad signature, and no oftener than every fetchEvery.
type keySet struct {
	config     Config
	algorithms []jose.SignatureAlgorithm
	ctx        context.Context // of the fetches
	stop       context.CancelFunc
	fetching   sync.WaitGroup

	mu      sync.Mutex
	keys    []jose.JSONWebKey // replaced, never changed; nil until they were got
	got     time.Time         // when keys were got
	began   time.Time         // when they were last asked for
	failed  error             // why that brought nothing
	pending chan struct{}     // closed when the fetch under way has ended; nil when none is
}

func newKeySet(c Config, algorithms []jose.SignatureAlgorithm) *keySet {
	ctx, stop := context.WithCancel(context.Background())
	return &keySet{config: c, algorithms: algorithms, ctx: ctx, stop: stop}
}

func (s *keySet) close() error {
	s.stop()
	s.mu.Lock()
	s.began = s.config.Now() // no other begins
	s.mu.Unlock()
	s.fetching.Wait()
	s.config.Client.CloseIdleConnections()
	return nil
}

// VerifySignature returns the payload of a token whose signature is good.
func (s *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := s.verify(ctx, jwt)
	if c, ok := ctx.Value(checkedKey{}).(*checked); ok {
		c.payload, c.err = payload, err
	}
	return payload, err
}

func (s *keySet) verify(ctx context.Context, jwt string) ([]byte, error) {
	token, err := jose.ParseSigned(jwt, s.algorithms)
	if err != nil || len(token.Signatures) != 1 {
		return nil, auth.ErrMalformed
	}
	header := token.Signatures[0].Header
	fitting, err := s.find(ctx, header)
	if err != nil {
		return nil, err
	}
	for i := range fitting {
		if payload, err := token.Verify(&fitting[i]); err == nil {
			return payload, nil
		}
	}
	return nil, auth.ErrSignature
}

// find returns the keys that a token may be signed with, and asks for new ones when there is none.
func (s *keySet) find(ctx context.Context, header jose.Header) ([]jose.JSONWebKey, error) {
	keys, pending, err := s.known(false)
	if found := fit(keys, header); len(found) > 0 {
		return found, nil // what is being asked for is for others
	}
	if pending == nil {
		_, pending, _ = s.known(true)
	}
	if pending != nil {
		select {
		case <-pending:
		case <-ctx.Done():
			return nil, errors.Join(auth.ErrUnavailable, ctx.Err())
		}
		keys, _, err = s.known(false)
	}
	if found := fit(keys, header); len(found) > 0 {
		return found, nil
	}
	if keys == nil {
		return nil, errors.Join(auth.ErrUnavailable, err)
	}
	return nil, auth.ErrKeyID
}

// fit returns the keys that a token's header names; all of the algorithm's kind when it names none.
func fit(keys []jose.JSONWebKey, header jose.Header) (found []jose.JSONWebKey) {
	for _, key := range keys {
		if (header.KeyID == "" || key.KeyID == header.KeyID) && (key.Algorithm == "" || key.Algorithm == header.Algorithm) {
			found = append(found, key)
		}
	}
	return found
}

// known returns the keys as they are, and begins to ask for new ones when they are old, or wanted, unless that was done just now.
// pending is closed when that has ended; nil when nothing is being asked.
func (s *keySet) known(wanted bool) (keys []jose.JSONWebKey, pending <-chan struct{}, failed error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	old := s.keys == nil || now.Sub(s.got) >= keysFresh
	if s.pending == nil && (wanted || old) && (s.began.IsZero() || now.Sub(s.began) >= fetchEvery) && s.ctx.Err() == nil {
		s.began, s.pending = now, make(chan struct{})
		s.fetching.Go(s.renew)
	}
	if s.pending != nil {
		return s.keys, s.pending, s.failed
	}
	return s.keys, nil, s.failed
}

// renew asks the issuer, and keeps what there is when it does not answer.
func (s *keySet) renew() {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed = err; err == nil {
		s.keys, s.got = keys, s.config.Now()
	}
	close(s.pending)
	s.pending = nil
}

func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	at := s.config.KeysURL
	if at == "" {
		var said struct {
			Issuer  string `json:"issuer"`
			KeysURL string `json:"jwks_uri"`
		}
		if err := s.get(ctx, strings.TrimSuffix(s.config.Issuer, "/")+"/.well-known/openid-configuration", &said); err != nil {
			return nil, err
		}
		if said.Issuer != s.config.Issuer || said.KeysURL == "" {
			return nil, errors.New("discover keys: the document is of another issuer, or names no jwks_uri")
		}
		if strings.HasPrefix(s.config.Issuer, "https://") && !strings.HasPrefix(said.KeysURL, "https://") {
			return nil, errors.New("discover keys: jwks_uri is not https, as the issuer is")
		}
		at = said.KeysURL
	}
	// Each by itself: one of a kind that is not known here must not cost the others.
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, at, &document); err != nil {
		return nil, err
	}
	keys := make([]jose.JSONWebKey, 0, len(document.Keys))
	for _, text := range document.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(text, &key) == nil && usable(key) && len(keys) < maxKeys {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("get keys: the issuer publishes none that can be used")
	}
	return keys, nil
}

// usable tells public keys for signatures.
func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	if public, ok := key.Key.(*rsa.PublicKey); ok {
		return public.N.BitLen() >= minRSA
	}
	return true
}

func (s *keySet) get(ctx context.Context, url string, into any) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.config.Client.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return err
	}
	if len(body) > maxDocument {
		return fmt.Errorf("get %s: more than %d bytes", url, maxDocument)
	}
	return json.Unmarshal(body, into)
}
