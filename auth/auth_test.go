package auth

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScopes(t *testing.T) {
	for set := range Scopes(16) {
		if back, err := ParseScopes(set.Names()); err != nil || back != set {
			t.Errorf("%s: %v, %v", set, back, err)
		}
	}
	for _, bad := range []string{"", "Read", "root", "read write"} {
		if set, err := ParseScopes([]string{"read", bad}); err == nil || set != 0 {
			t.Errorf("%q: %v", bad, set)
		}
	}
}

func TestPrincipal(t *testing.T) {
	tests := []struct {
		name  string
		p     Principal
		owner string
		may   Scopes
	}{
		{"nobody", Principal{}, "", 0},
		{"a user", Principal{User: "ann", Scopes: Read | Upload}, "ann", Read | Upload},
		{"a user where all is shared", Principal{User: "ann", Scopes: Read, Shared: true}, "", Read},
		{"a service", Principal{Scopes: Write, Key: "k"}, "", Write},
		{"an operator who is a user", Principal{User: "ann", Admin: true}, "", Read | Write | Upload | Admin},
	}
	for _, test := range tests {
		if got := test.p.Owner(); got != test.owner {
			t.Errorf("%s owns as %q, want %q", test.name, got, test.owner)
		}
		for _, s := range []Scopes{Read, Write, Upload, Admin} {
			if got := test.p.May(s); got != (test.may&s != 0) {
				t.Errorf("%s may %s: %v", test.name, s, got)
			}
		}
	}
	if diff := cmp.Diff(Principal{}, From(context.Background())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(tests[1].p, From(With(context.Background(), tests[1].p))); diff != "" {
		t.Error(diff)
	}
}

func TestReasons(t *testing.T) {
	for _, err := range []error{ErrMissing, ErrMalformed, ErrUnknown, ErrExpired, ErrNotYet, ErrIssuer, ErrAudience, ErrAlgorithm, ErrKeyID, ErrSignature, ErrClaims} {
		if !errors.Is(err, ErrRefused) || Reason(err) == "" || strings.ContainsAny(Reason(err), "\"\\\n") {
			t.Errorf("%v says %q", err, Reason(err))
		}
	}
	if got := Reason(ErrUnavailable); got != "" {
		t.Error(got)
	}
}

func TestCheckUser(t *testing.T) {
	for user, good := range map[string]bool{
		"ann": true, "auth0|5f7c": true, "ann@example.com": true, "Åsa Öberg": true, strings.Repeat("a", MaxUser): true,
		"": false, " ann": false, "ann ": false, "a\nb": false, "a\x00b": false, "\xff": false, strings.Repeat("a", MaxUser+1): false, "\u202eann": false,
	} {
		if err := CheckUser(user); (err == nil) != good {
			t.Errorf("%q: %v", user, err)
		}
	}
}
