// Package oidc checks signed tokens (JWT, RFC 7519) against the keys that their issuer publishes.
package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"deckle/auth"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// Skew is by how much the issuer's clock may differ from ours.
const Skew = 60 * time.Second

// Algorithms are those that can be configured: with a public key only. With HMAC whoever can check a token can make one, and a
// public key taken for its secret would let everybody; "none" is no signature.
var Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// DefaultAlgorithms are those that are taken unless others are configured.
var DefaultAlgorithms = []string{"RS256", "ES256", "EdDSA", "PS256"}

// Config says whose tokens are taken.
type Config struct {
	Issuer     string   // as tokens name it; empty takes those of any, whose keys are at KeysURL
	Audience   string   // that tokens must be for; empty takes those for others, too
	KeysURL    string   // of the keys; empty has the issuer say where they are (OpenID Connect Discovery 1.0)
	Algorithms []string // [DefaultAlgorithms]
	Mapping    auth.Mapping

	Client *http.Client     // [one that follows no redirects]
	Now    func() time.Time // [time.Now]
}

// Tokens checks tokens of one issuer. Close it.
type Tokens struct {
	config   Config
	keys     *keySet
	verifier *oidc.IDTokenVerifier
}

var _ auth.Authenticator = (*Tokens)(nil)

// New returns a checker. The issuer is asked when the first token comes, so that a start does not wait for it.
func New(c Config) (*Tokens, error) {
	if c.Issuer == "" && c.KeysURL == "" {
		return nil, errors.New("neither an issuer nor a URL of keys")
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = DefaultAlgorithms
	}
	var algorithms []jose.SignatureAlgorithm
	for _, name := range c.Algorithms {
		if !slices.Contains(Algorithms, name) {
			return nil, fmt.Errorf("tokens signed with %q are not taken", name)
		}
		algorithms = append(algorithms, jose.SignatureAlgorithm(name))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	t := &Tokens{config: c, keys: newKeySet(c, algorithms)}
	// The times are checked here: the library allows no difference of clocks at the end, and five minutes at the beginning.
	t.verifier = oidc.NewVerifier(c.Issuer, t.keys, &oidc.Config{
		ClientID: c.Audience, SkipClientIDCheck: c.Audience == "", SkipIssuerCheck: c.Issuer == "", SkipExpiryCheck: true,
		SupportedSigningAlgs: c.Algorithms,
	})
	return t, nil
}

// Close stops asking for keys.
func (t *Tokens) Close() error { return t.keys.close() }

// Authenticate returns the user that a token names.
func (t *Tokens) Authenticate(ctx context.Context, credential string) (auth.Principal, error) {
	if !auth.IsJWT(credential) {
		return auth.Principal{}, auth.ErrMalformed
	}
	checked := &checked{}
	token, err := t.verifier.Verify(context.WithValue(ctx, checkedKey{}, checked), credential)
	if err != nil {
		return auth.Principal{}, t.explain(checked, credential)
	}
	claims := map[string]any{}
	if err := token.Claims((*exactly)(&claims)); err != nil {
		return auth.Principal{}, auth.ErrMalformed
	}
	if err := t.checkTimes(claims); err != nil {
		return auth.Principal{}, err
	}
	return t.config.Mapping.Principal(claims)
}

// exactly decodes claims without making their numbers floating-point: a user's may have more digits.
type exactly map[string]any

// UnmarshalJSON decodes claims.
func (e *exactly) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode((*map[string]any)(e))
}

// explain says why the verifier has refused a token: its own errors are text for people.
func (t *Tokens) explain(c *checked, credential string) error {
	if c.err != nil {
		return c.err
	}
	if c.payload == nil { // it was not even read
		_, err := jose.ParseSigned(credential, t.keys.algorithms)
		var other *jose.ErrUnexpectedSignatureAlgorithm
		if errors.As(err, &other) {
			return auth.ErrAlgorithm
		}
		return auth.ErrMalformed
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Audience any    `json:"aud"`
	}
	if json.Unmarshal(c.payload, &claims) != nil {
		return auth.ErrMalformed
	}
	if t.config.Issuer != "" && claims.Issuer != t.config.Issuer {
		return auth.ErrIssuer
	}
	several, _ := claims.Audience.([]any)
	if t.config.Audience != "" && claims.Audience != t.config.Audience && !slices.Contains(several, any(t.config.Audience)) {
		return auth.ErrAudience
	}
	return auth.ErrMalformed
}

// maxTime bounds a NumericDate (RFC 7519 section 2): seconds, the end of the year 9999.
const maxTime = 253402300799

// checkTimes wants exp, and nbf and iat where they are there, to suit the clock (RFC 7519 section 4.1).
func (t *Tokens) checkTimes(claims map[string]any) error {
	now := float64(t.config.Now().Unix())
	skew := Skew.Seconds()
	times := map[string]float64{}
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, found := claims[name]
		if !found {
			continue
		}
		number, ok := value.(json.Number)
		if !ok {
			return auth.ErrMalformed
		}
		seconds, err := number.Float64()
		if err != nil || !(seconds >= 0 && seconds <= maxTime) {
			return auth.ErrMalformed
		}
		times[name] = seconds
	}
	end, ends := times["exp"]
	switch {
	case !ends:
		return fmt.Errorf("%w (it has no end)", auth.ErrMalformed)
	case now >= end+skew:
		return auth.ErrExpired
	case now < times["nbf"]-skew || now < times["iat"]-skew:
		return auth.ErrNotYet
	}
	return nil
}
