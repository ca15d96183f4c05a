package auth

import (
	"encoding/json"
	"strings"
)

// Mapping says how what a token claims becomes a caller. A claim is found by its name, or by the names of members on the way to
// it, joined by dots, as in realm_access.roles.
type Mapping struct {
	User string // claim that names the user
	// Scopes is the claim that lists rights: text with spaces between (RFC 9068 section 2.2.3) or a list, of read, write and
	// upload, each also as deckle:read and so on. Empty gives every token Default. It never makes an operator: lists of roles
	// are shared among services, and "admin" of another one is none here.
	Scopes  string
	Default Scopes
	// Admin is the claim that makes an operator of the caller, when it is, or lists, AdminValue. Empty makes none.
	Admin, AdminValue string
	Shared            bool // as of Principal
}

// scopePrefix may stand before the names of rights, where an issuer serves other services too.
const scopePrefix = "deckle:"

// Principal reads claims, which are JSON with numbers as json.Number. ErrClaims when they name no user, and make no
// operator.
func (m Mapping) Principal(claims map[string]any) (Principal, error) {
	p := Principal{User: text(find(claims, m.User)), Scopes: m.Default, Shared: m.Shared}
	if m.Scopes != "" {
		p.Scopes = 0
		for _, name := range words(find(claims, m.Scopes)) {
			if scope, known := scopeNamed(strings.TrimPrefix(name, scopePrefix)); known {
				p.Scopes |= scope
			}
		}
	}
	p.Scopes &^= Admin
	if m.Admin != "" && m.AdminValue != "" {
		for _, value := range words(find(claims, m.Admin)) {
			p.Admin = p.Admin || value == m.AdminValue
		}
	}
	if p.User == "" && p.Admin {
		return p, nil
	}
	if CheckUser(p.User) != nil {
		return Principal{}, ErrClaims
	}
	return p, nil
}

// find returns a claim: the one of that very name first, because names may have dots, as URLs do.
func find(claims map[string]any, name string) any {
	if value, found := claims[name]; found {
		return value
	}
	first, rest, nested := strings.Cut(name, ".")
	if inner, ok := claims[first].(map[string]any); ok && nested {
		return find(inner, rest)
	}
	return nil
}

// text reads a claim that names something: text, or a whole number as some issuers number their users.
func text(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		if !strings.ContainsAny(value.String(), ".eE") {
			return value.String()
		}
	}
	return ""
}

// words reads a claim that lists something.
func words(value any) (list []string) {
	switch value := value.(type) {
	case string:
		return strings.Fields(value)
	case bool:
		if value {
			return []string{"true"}
		}
	case []any:
		for _, one := range value {
			if word := text(one); word != "" {
				list = append(list, word)
			}
		}
	}
	return list
}
