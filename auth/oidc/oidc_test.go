package oidc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/auth"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestFaults has one token for each thing that can be wrong with one; the first is good, so that each other is wrong in one way.
func TestFaults(t *testing.T) {
	i := newIssuer(t, public("r1", rsaKey, "RS256"), public("e1", ecKey, "ES256"), public("d1", edwardsKey, "EdDSA"), public("any", rsaKey, ""))
	tokens, _ := take(t, i)
	good := claimsOf(i)
	payload, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	confused := func(secret []byte) string {
		text := encode(`{"alg":"HS256","kid":"r1"}`) + "." + encode(string(payload))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	rs := func(with ...any) string { return sign(t, jose.RS256, rsaKey, "r1", claimsOf(i, with...)) }
	fine := rs()
	parts := strings.Split(fine, ".")
	at := func(d time.Duration) int64 { return began.Add(d).Unix() }
	tests := []struct {
		name, token string
		err         error
	}{
		{"good", fine, nil},
		{"ES256", sign(t, jose.ES256, ecKey, "e1", good), nil},
		{"EdDSA", sign(t, jose.EdDSA, edwardsKey, "d1", good), nil},
		{"PS256 with a key of any algorithm", sign(t, jose.PS256, rsaKey, "any", good), nil},
		{"no key id", sign(t, jose.ES256, ecKey, "", good), nil},
		{"for several", rs("aud", []string{"other", "deckle"}), nil},

		{"expired", rs("exp", at(-Skew)), auth.ErrExpired},
		{"expired a moment ago", rs("exp", at(-Skew+time.Second)), nil},
		{"no end", rs("exp", nil), auth.ErrMalformed},
		{"an end that is text", rs("exp", "never"), auth.ErrMalformed},
		{"an end beyond all times", rs("exp", 1e300), auth.ErrMalformed},
		{"an end before all times", rs("exp", -5), auth.ErrMalformed},
		{"not yet", rs("nbf", at(Skew+time.Second)), auth.ErrNotYet},
		{"not yet by less than clocks differ", rs("nbf", at(Skew)), nil},
		{"of the future", rs("iat", at(Skew+time.Second)), auth.ErrNotYet},
		{"wrong issuer", rs("iss", "https://evil.example"), auth.ErrIssuer},
		{"the issuer with a slash", rs("iss", i.URL+"/"), auth.ErrIssuer},
		{"no issuer", rs("iss", nil), auth.ErrIssuer},
		{"wrong audience", rs("aud", "other"), auth.ErrAudience},
		{"no audience", rs("aud", nil), auth.ErrAudience},
		{"for several others", rs("aud", []string{"other", "deckle2"}), auth.ErrAudience},
		{"nobody's", rs("sub", nil), auth.ErrClaims},

		{"wrong key id", sign(t, jose.RS256, rsaKey, "r2", good), auth.ErrKeyID},
		{"another's key", sign(t, jose.RS256, otherRSAKey, "r1", good), auth.ErrSignature},
		{"a key of another kind", sign(t, jose.ES256, ecKey, "d1", good), auth.ErrKeyID},
		{"a key's other algorithm", sign(t, jose.PS256, rsaKey, "r1", good), auth.ErrKeyID},
		{"RS384", sign(t, jose.RS384, rsaKey, "any", good), auth.ErrAlgorithm},
		{"none", unsigned(`{"alg":"none"}`, string(payload), "x"), auth.ErrAlgorithm},
		{"None", unsigned(`{"alg":"None","kid":"r1"}`, string(payload), "x"), auth.ErrAlgorithm},
		{"none without a signature", encode(`{"alg":"none"}`) + "." + encode(string(payload)) + ".", auth.ErrAlgorithm},
		{"no algorithm", unsigned(`{"kid":"r1"}`, string(payload), "x"), auth.ErrAlgorithm},
		{"HS256 with the public key as its secret", confused(der), auth.ErrAlgorithm},
		{"HS256 with its PEM", confused(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), auth.ErrAlgorithm},
		{"a key in the header", jwkInHeader(t, good), auth.ErrSignature},
		{"another payload", parts[0] + "." + encode(strings.Replace(string(payload), "ann", "bob", 1)) + "." + parts[2], auth.ErrSignature},
		{"another header", encode(`{"alg":"RS256","kid":"r1","typ":"x"}`) + "." + parts[1] + "." + parts[2], auth.ErrSignature},
		{"half a signature", parts[0] + "." + parts[1] + "." + parts[2][:20], auth.ErrSignature},
		{"no signature", parts[0] + "." + parts[1] + ".", auth.ErrSignature},
		{"a critical header", unsigned(`{"alg":"RS256","kid":"r1","crit":["x"],"x":1}`, string(payload), "x"), auth.ErrSignature},
		{"garbage", "ey.ey.ey", auth.ErrMalformed},
		{"no JSON", unsigned("eyes", "e30", "x"), auth.ErrMalformed},
		{"a payload that is no object", parts[0] + "." + encode("[]") + "." + parts[2], auth.ErrSignature},
		{"huge", parts[0] + "." + strings.Repeat("A", 7<<10) + "." + parts[2], auth.ErrSignature},
		{"five parts", fine + ".a.b", auth.ErrMalformed},
		{"the JSON form", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, auth.ErrMalformed},
		{"nothing", "", auth.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := tokens.Authenticate(t.Context(), test.token)
			want := auth.Principal{}
			if test.err == nil {
				want = auth.Principal{User: "ann", Scopes: auth.Read}
			}
			if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, test.err) {
				t.Errorf("%v, want %v %s", err, test.err, diff)
			}
			if err != nil && (!errors.Is(err, auth.ErrRefused) || strings.Contains(err.Error(), "evil") || strings.Contains(err.Error(), i.URL)) {
				t.Errorf("it says %q", err)
			}
		})
	}
	if n := i.fetches(); n > 1 {
		t.Errorf("the keys were asked for %d times, want once: nothing here is worth a second time within %s", n, fetchEvery)
	}
}

// jwkInHeader signs with a key of the attacker's, and sends that along.
func jwkInHeader(t *testing.T, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: otherRSAKey}, (&jose.SignerOptions{EmbedJWK: true}).WithHeader("kid", "r1"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed(t, signer, claims)
}

// TestFetches: strangers who send tokens with key ids of their own making cost the issuer one question every ten seconds.
func TestFetches(t *testing.T) {
	i := newIssuer(t, public("k1", ecKey, ""))
	tokens, clock := take(t, i)
	flood := func(n int) {
		var all sync.WaitGroup
		for k := range n {
			all.Go(func() {
				token := sign(t, jose.ES256, ecKey, fmt.Sprint("made up ", k), claimsOf(i))
				if _, err := tokens.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrKeyID) {
					t.Errorf("a key id made up: %v", err)
				}
			})
		}
		all.Wait()
	}
	flood(100)
	if n := i.fetches(); n != 1 {
		t.Errorf("%d fetches for 100 tokens at once, want 1", n)
	}
	for range 20 {
		clock.Move(time.Second)
		flood(5)
	}
	if n := i.fetches(); n != 3 {
		t.Errorf("%d fetches within 20 s, want 3", n)
	}
	for range 100 {
		bad := sign(t, jose.ES256, ecKey, "k1", claimsOf(i))
		clock.Move(fetchEvery)
		if _, err := tokens.Authenticate(t.Context(), bad[:len(bad)-8]+"AAAAAAAA"); !errors.Is(err, auth.ErrSignature) {
			t.Errorf("a bad signature: %v", err)
		}
	}
	eventually(t, func() bool { return i.fetches() >= 4 }) // behind the token
	if n := i.fetches(); n != 4 {
		t.Errorf("%d fetches, want 4: bad signatures of a known key ask for nothing, age does, once in %s", n, keysFresh)
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for late := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("not in time")
		}
	}
}

func TestRotation(t *testing.T) {
	i := newIssuer(t, public("k1", ecKey, ""))
	tokens, clock := take(t, i)
	old, young := sign(t, jose.ES256, ecKey, "k1", claimsOf(i)), sign(t, jose.EdDSA, edwardsKey, "k2", claimsOf(i))
	ask := func(name, token string, want error) {
		t.Helper()
		if _, err := tokens.Authenticate(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	ask("the first key", old, nil)
	ask("a key to come", young, auth.ErrKeyID)
	i.set(func() { i.keys = append(i.keys, public("k2", edwardsKey, "")) })
	ask("a new key just after a fetch", young, auth.ErrKeyID)
	clock.Move(fetchEvery)
	ask("a new key", young, nil)
	ask("both are good", old, nil)
	i.set(func() { i.keys = i.keys[1:] })
	clock.Move(keysFresh)
	ask("a withdrawn key, while new ones are asked for", old, nil)
	eventually(t, func() bool {
		_, err := tokens.Authenticate(t.Context(), old)
		return errors.Is(err, auth.ErrKeyID)
	})
	ask("the key that is left", young, nil)
}

func TestOutage(t *testing.T) {
	i := newIssuer(t, public("k1", ecKey, ""))
	i.set(func() { i.status = 503 })
	tokens, clock := take(t, i)
	token := sign(t, jose.ES256, ecKey, "k1", claimsOf(i, "exp", began.Add(24*time.Hour).Unix()))
	unknown := sign(t, jose.ES256, ecKey, "k2", claimsOf(i, "exp", began.Add(24*time.Hour).Unix()))
	for range 3 {
		if _, err := tokens.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrRefused) {
			t.Errorf("before the issuer was ever there: %v", err)
		}
	}
	i.set(func() { i.status = 0 })
	clock.Move(fetchEvery)
	if _, err := tokens.Authenticate(t.Context(), token); err != nil {
		t.Errorf("when it is there: %v", err)
	}
	for _, fail := range []func(){
		func() { i.status = 500 }, func() { i.status, i.raw = 0, "<html>" }, func() { i.raw = `{"keys":[]}` },
		func() { i.raw = `{"keys":[` + strings.Repeat(" ", maxDocument) + `]}` }, func() { i.raw, i.claimed = "", "https://evil.example" },
		func() { i.claimed, i.status = "", 302 },
	} {
		i.set(fail)
		for range 3 {
			clock.Move(keysFresh)
			if _, err := tokens.Authenticate(t.Context(), token); err != nil {
				t.Errorf("a known key while the issuer is away: %v", err)
			}
			if _, err := tokens.Authenticate(t.Context(), unknown); !errors.Is(err, auth.ErrKeyID) {
				t.Errorf("an unknown one: %v", err)
			}
		}
	}
	i.Close()
	clock.Move(keysFresh)
	if _, err := tokens.Authenticate(t.Context(), token); err != nil {
		t.Errorf("a known key when nobody listens: %v", err)
	}
}

// TestHanging: who waits for keys leaves when its own time is over, and those whose keys are known do not wait at all.
func TestHanging(t *testing.T) {
	i := newIssuer(t, public("k1", ecKey, ""))
	tokens, clock := take(t, i)
	token := sign(t, jose.ES256, ecKey, "k1", claimsOf(i))
	if _, err := tokens.Authenticate(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	i.set(func() { i.hold = hold })
	defer close(hold)
	clock.Move(keysFresh)
	if _, err := tokens.Authenticate(t.Context(), token); err != nil {
		t.Errorf("a known key while keys are asked for: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tokens.Authenticate(ctx, sign(t, jose.ES256, ecKey, "k2", claimsOf(i))); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("an unknown key while keys are asked for: %v", err)
	}
}

// TestKeysThatAreNotTaken: what an issuer publishes by mistake makes nothing good, and costs the good keys nothing.
func TestKeysThatAreNotTaken(t *testing.T) {
	fine, err := json.Marshal(public("k1", ecKey, ""))
	if err != nil {
		t.Fatal(err)
	}
	secret := encode(strings.Repeat("s", 32))
	weak := encode(strings.Repeat("\xff", 128))
	i := newIssuer(t)
	i.raw = `{"keys":[{"kty":"oct","kid":"o","k":"` + secret + `"},{"kty":"RSA","kid":"w","n":"` + weak + `","e":"AQAB"},
		{"kty":"XXX","kid":"x"},7,{"kty":"EC","kid":"enc","use":"enc"},` + string(fine) + `]}`
	tokens, _ := take(t, i)
	if _, err := tokens.Authenticate(t.Context(), sign(t, jose.ES256, ecKey, "k1", claimsOf(i))); err != nil {
		t.Error(err)
	}
	if keys, _, _ := tokens.keys.known(false); len(keys) != 1 || keys[0].KeyID != "k1" {
		t.Errorf("taken: %v", keys)
	}
}

func TestKeysURL(t *testing.T) {
	i := newIssuer(t, public("k1", ecKey, ""))
	tokens, _ := take(t, i, func(c *Config) { c.KeysURL, c.Issuer, c.Audience = i.URL+"/keys", "", "" })
	for _, with := range [][]any{{}, {"iss", "https://another.example"}, {"aud", nil}} {
		if _, err := tokens.Authenticate(t.Context(), sign(t, jose.ES256, ecKey, "k1", claimsOf(i, with...))); err != nil {
			t.Errorf("%v: %v", with, err)
		}
	}
}

func TestNew(t *testing.T) {
	for name, c := range map[string]Config{
		"nothing": {}, "none": {Issuer: "https://x.example", Algorithms: []string{"none"}}, "HS256": {Issuer: "https://x.example", Algorithms: []string{"RS256", "HS256"}},
	} {
		if tokens, err := New(c); err == nil {
			_ = tokens.Close()
			t.Errorf("%s is taken", name)
		}
	}
}

// FuzzTokens: nothing that is not signed by the issuer's key is a token, and no text makes it fall over.
func FuzzTokens(f *testing.F) {
	i := &issuer{keys: []jose.JSONWebKey{public("k1", ecKey, "")}}
	keys := newKeySet(Config{Client: http.DefaultClient, Now: func() time.Time { return began }}, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	keys.keys, keys.got, keys.began = i.keys, began, began
	f.Add("ey.ey.ey")
	f.Add(unsigned(`{"alg":"ES256","kid":"k1"}`, `{"sub":"ann"}`, strings.Repeat("s", 64)))
	f.Add(unsigned(`{"alg":"none"}`, `{}`, ""))
	f.Fuzz(func(t *testing.T, token string) {
		if payload, err := keys.verify(t.Context(), token); err == nil || payload != nil {
			t.Fatalf("%q is good: %s", token, payload)
		}
	})
}
