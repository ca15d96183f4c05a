package auth

import (
	"context"
	"net/http"
	"strings"
)

// MaxCredential bounds what is looked at, bytes: a token with many groups in it has 4 KiB.
const MaxCredential = 8 << 10

// Authenticator tells who shows a credential. Methods are safe for concurrent use.
type Authenticator interface {
	// Authenticate returns the caller, an error that wraps ErrRefused, or one that wraps ErrUnavailable. The credential is
	// kept and logged nowhere.
	Authenticate(ctx context.Context, credential string) (Principal, error)
}

// Shown returns the credential that a request shows: of Authorization: Bearer (RFC 6750 section 2.1; the scheme's case does not
// matter), else X-API-Key. Empty when it shows none.
func Shown(header http.Header) string {
	scheme, rest, found := strings.Cut(strings.TrimLeft(header.Get("Authorization"), " "), " ")
	if found && strings.EqualFold(scheme, "Bearer") {
		return strings.Trim(rest, " ")
	}
	return header.Get("X-API-Key")
}

// CheckForm tells whether a text can be a credential at all: 1 to MaxCredential bytes, visible ASCII.
func CheckForm(credential string) error {
	if credential == "" {
		return ErrMissing
	}
	if len(credential) > MaxCredential || strings.ContainsFunc(credential, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ErrMalformed
	}
	return nil
}

// IsJWT tells whether a credential has the shape of a signed token (RFC 7515 section 3.1): three parts of base64url, the first of
// which begins a JSON object.
func IsJWT(credential string) bool {
	parts := strings.Split(credential, ".")
	if len(parts) != 3 || !strings.HasPrefix(parts[0], "ey") {
		return false
	}
	return !strings.ContainsFunc(strings.Join(parts, ""), func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// Chain asks the one that a credential belongs to: keys first, then Signed for what has the shape of a signed token, and Opaque
// for the rest, and for signed ones where there is no Signed. Those that are nil are not there.
type Chain struct {
	Keys   *Keyring
	Signed Authenticator
	Opaque Authenticator
}

var _ Authenticator = Chain{}

// Authenticate asks one of them.
func (c Chain) Authenticate(ctx context.Context, credential string) (Principal, error) {
	if err := CheckForm(credential); err != nil {
		return Principal{}, err
	}
	switch {
	case c.Keys != nil && c.Keys.Holds(credential):
		return c.Keys.Authenticate(ctx, credential)
	case c.Signed != nil && IsJWT(credential):
		return c.Signed.Authenticate(ctx, credential)
	case c.Opaque != nil:
		return c.Opaque.Authenticate(ctx, credential)
	}
	return Principal{}, ErrUnknown
}
