// Package auth owns who is calling: it tells from a key or a token which user that is and what it may do, and says so to the
// code behind it through the context. The folders below check the tokens of others: signed ones (oidc), and ones that only
// their issuer can read (introspect).
package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrUnavailable says that nobody can tell at this moment whether the credential is good: the records or the issuer are away.
var ErrUnavailable = errors.New("auth: cannot be told now")

// ErrRefused is wrapped by every error that says why a credential is not taken. What follows it in the text may be shown to
// the caller: it names no key, no user and no configuration.
var ErrRefused = errors.New("auth: refused")

// Why a credential is refused. Each wraps ErrRefused.
var (
	ErrMissing   = refusal("a key or a token is needed, as Authorization: Bearer KEY")
	ErrMalformed = refusal("what was sent is no key and no token")
	ErrUnknown   = refusal("the key or token is not known here, or has been revoked")
	ErrExpired   = refusal("the token has expired")
	ErrNotYet    = refusal("the token is not good yet")
	ErrIssuer    = refusal("the token is of another issuer")
	ErrAudience  = refusal("the token is for another service")
	ErrAlgorithm = refusal("the token is signed in a way that is not taken")
	ErrKeyID     = refusal("the token is signed with a key that its issuer does not publish")
	ErrSignature = refusal("the token's signature is wrong")
	ErrClaims    = refusal("the token does not say who its user is")
)

func refusal(text string) error { return fmt.Errorf("%w: %s", ErrRefused, text) }

// Reason returns the part of a refusal that may be shown to the caller.
func Reason(err error) string {
	_, said, found := strings.Cut(err.Error(), ErrRefused.Error()+": ")
	if !found {
		return ""
	}
	return said
}

// Scopes is a set of rights.
type Scopes uint8

// The rights that a key or a token has. Admin includes all others.
const (
	Read   Scopes = 1 << iota // look at records and pictures
	Write                     // change and delete them
	Upload                    // bring pictures in
	Admin                     // do what operators do, for every user
)

// scopeNames are in the order of the bits.
var scopeNames = []string{"read", "write", "upload", "admin"}

// ParseScopes reads names of rights; the error names one that is unknown.
func ParseScopes(names []string) (Scopes, error) {
	var set Scopes
	for _, name := range names {
		scope, known := scopeNamed(name)
		if !known {
			return 0, fmt.Errorf("%q is none of %s", name, strings.Join(scopeNames, ", "))
		}
		set |= scope
	}
	return set, nil
}

func scopeNamed(name string) (Scopes, bool) {
	for i, known := range scopeNames {
		if name == known {
			return 1 << i, true
		}
	}
	return 0, false
}

// Names returns the names of the rights in the set: ParseScopes reads them back.
func (s Scopes) Names() []string {
	names := []string{}
	for i, name := range scopeNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String joins the names by spaces, as RFC 6749 section 3.3 writes scopes.
func (s Scopes) String() string { return strings.Join(s.Names(), " ") }

// Principal is a caller. The zero Principal is nobody, who may do nothing.
type Principal struct {
	User   string // whom the caller acts for; empty for operators and for services of theirs
	Scopes Scopes // what it may do
	Admin  bool   // it may do everything, to everything
	Key    string // id of the API key it came with; empty for other credentials
	// Shared says that the pictures of all users are everybody's, so that User confines nothing.
	Shared bool
}

// May tells whether the caller has all the rights asked for.
func (p Principal) May(s Scopes) bool { return p.Admin || p.Scopes&s == s }

// Owner returns whose pictures the caller is confined to, and whose those become that it brings in; empty when it is not
// confined.
func (p Principal) Owner() string {
	if p.Admin || p.Shared {
		return ""
	}
	return p.User
}

// MaxUser bounds the name of a user, bytes.
const MaxUser = 255

// CheckUser tells whether a name may be that of a user: 1 to MaxUser bytes of UTF-8 that can be printed, none of it at either
// end a space.
func CheckUser(user string) error {
	switch {
	case user == "" || len(user) > MaxUser:
		return fmt.Errorf("a user's name has 1 to %d bytes", MaxUser)
	case !utf8.ValidString(user) || strings.ContainsFunc(user, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(user) != user:
		return errors.New("a user's name is text that can be printed, without spaces around it")
	}
	return nil
}

// principalKey is the context's key.
type principalKey struct{}

// With returns a context that says who is calling.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns who is calling: nobody where the context does not say.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
