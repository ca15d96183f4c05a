package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMapping(t *testing.T) {
	plain := Mapping{User: "sub", Default: Read | Write | Upload}
	scoped := Mapping{User: "sub", Scopes: "scope", Default: Read}
	roles := Mapping{User: "sub", Scopes: "realm_access.roles", Admin: "realm_access.roles", AdminValue: "deckle-admin"}
	tests := []struct {
		name   string
		by     Mapping
		claims string
		want   Principal
		err    error
	}{
		{"the user", plain, `{"sub": "ann"}`, Principal{User: "ann", Scopes: Read | Write | Upload}, nil},
		{"shared", Mapping{User: "sub", Shared: true}, `{"sub": "ann"}`, Principal{User: "ann", Shared: true}, nil},
		{"a number", plain, `{"sub": 12345678901234567890}`, Principal{User: "12345678901234567890", Scopes: Read | Write | Upload}, nil},
		{"no user", plain, `{"email": "ann"}`, Principal{}, ErrClaims},
		{"an empty user", plain, `{"sub": ""}`, Principal{}, ErrClaims},
		{"a fraction", plain, `{"sub": 1.5}`, Principal{}, ErrClaims},
		{"a list of users", plain, `{"sub": ["ann", "bob"]}`, Principal{}, ErrClaims},
		{"a user with a line break", plain, `{"sub": "ann\nadmin"}`, Principal{}, ErrClaims},
		{"a user too long", plain, `{"sub": "` + strings.Repeat("a", 256) + `"}`, Principal{}, ErrClaims},
		{"scopes as text", scoped, `{"sub": "ann", "scope": "openid write deckle:upload"}`, Principal{User: "ann", Scopes: Write | Upload}, nil},
		{"scopes as a list", scoped, `{"sub": "ann", "scope": ["read", 7, "x"]}`, Principal{User: "ann", Scopes: Read}, nil},
		{"none of ours", scoped, `{"sub": "ann", "scope": "openid"}`, Principal{User: "ann"}, nil},
		{"no such claim", scoped, `{"sub": "ann"}`, Principal{User: "ann"}, nil},
		{"admin is no scope", scoped, `{"sub": "ann", "scope": "read admin deckle:admin"}`, Principal{User: "ann", Scopes: Read}, nil},
		{"nested", roles, `{"sub": "ann", "realm_access": {"roles": ["read", "deckle-admin"]}}`, Principal{User: "ann", Scopes: Read, Admin: true}, nil},
		{"another admin", roles, `{"sub": "ann", "realm_access": {"roles": ["admin"]}}`, Principal{User: "ann"}, nil},
		{"an operator who is nobody", roles, `{"realm_access": {"roles": ["deckle-admin"]}}`, Principal{Admin: true}, nil},
		{"a name with dots", Mapping{User: "https://x.example/u"}, `{"https://x.example/u": "ann"}`, Principal{User: "ann"}, nil},
		{"a flag", Mapping{User: "sub", Admin: "op", AdminValue: "true"}, `{"sub": "ann", "op": true}`, Principal{User: "ann", Admin: true}, nil},
		{"no value of admins", Mapping{User: "sub", Admin: "op"}, `{"sub": "ann", "op": ""}`, Principal{User: "ann"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			decoder := json.NewDecoder(strings.NewReader(test.claims))
			decoder.UseNumber()
			var claims map[string]any
			if err := decoder.Decode(&claims); err != nil {
				t.Fatal(err)
			}
			got, err := test.by.Principal(claims)
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
