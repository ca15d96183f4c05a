package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/auth"
	"deckle/internal/testclock"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Keys of the tests: making RSA keys takes long under the race detector.
var (
	rsaKey, _        = rsa.GenerateKey(rand.Reader, 2048)
	otherRSAKey, _   = rsa.GenerateKey(rand.Reader, 2048)
	ecKey, _         = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edwardsKey, _ = ed25519.GenerateKey(rand.Reader)
)

// issuer publishes keys, and counts how often it is asked for them.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	raw     string // published in place of keys
	claimed string // issuer that the discovery document names, its own when empty
	status  int    // of its answers, when it fails
	fetched int    // times the keys were asked for
	hold    chan struct{}
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	i := &issuer{keys: keys}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) fetches() (n int) {
	i.set(func() { n = i.fetched })
	return n
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	hold, status, raw, claimed := i.hold, i.status, i.raw, i.claimed
	keys := jose.JSONWebKeySet{Keys: i.keys}
	if r.URL.Path == "/keys" {
		i.fetched++
	}
	i.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if claimed == "" {
		claimed = i.URL
	}
	switch {
	case status != 0:
		w.WriteHeader(status)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": claimed, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys" && raw != "":
		_, _ = w.Write([]byte(raw))
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(keys)
	default:
		http.NotFound(w, r)
	}
}

// public is a key as issuers publish it.
func public(id string, private crypto.Signer, algorithm jose.SignatureAlgorithm) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: id, Key: private.Public(), Algorithm: string(algorithm), Use: "sig"}
}

// sign makes a token.
func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if id != "" {
		options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	return sealed(t, signer, claims)
}

// sealed is a token of claims, signed.
func sealed(t *testing.T, signer jose.Signer, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// began is the time of the tests.
var began = time.Unix(1_800_000_000, 0)

func claimsOf(i *issuer, with ...any) map[string]any {
	claims := map[string]any{"iss": i.URL, "aud": "deckle", "sub": "ann", "exp": began.Add(time.Hour).Unix(), "iat": began.Unix()}
	for n := 0; n < len(with); n += 2 {
		if with[n+1] == nil {
			delete(claims, with[n].(string))
		} else {
			claims[with[n].(string)] = with[n+1]
		}
	}
	return claims
}

func take(t *testing.T, i *issuer, change ...func(*Config)) (*Tokens, *testclock.Clock) {
	t.Helper()
	c := testclock.At(began)
	config := Config{Issuer: i.URL, Audience: "deckle", Mapping: auth.Mapping{User: "sub", Default: auth.Read}, Now: c.Now}
	for _, do := range change {
		do(&config)
	}
	tokens, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tokens.Close(); err != nil {
			t.Error(err)
		}
	})
	return tokens, c
}

// unsigned spells a token by hand.
func unsigned(header, payload, signature string) string {
	return strings.Join([]string{encode(header), encode(payload), encode(signature)}, ".")
}
