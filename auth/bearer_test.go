package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestShown(t *testing.T) {
	tests := []struct {
		name, authorization, key, want string
	}{
		{"nothing", "", "", ""},
		{"bearer", "Bearer abc", "other", "abc"},
		{"the scheme in any case", "bEARER abc", "", "abc"},
		{"spaces", "  Bearer   abc ", "", "abc"},
		{"another scheme", "Basic abc", "key", "key"},
		{"no scheme", "abc", "", ""},
		{"two words", "Bearer a b", "", "a b"},
		{"a key", "", "key", "key"},
		{"a scheme alone", "Bearer", "", ""},
	}
	for _, test := range tests {
		header := http.Header{}
		header.Set("Authorization", test.authorization)
		header.Set("X-API-Key", test.key)
		if got := Shown(header); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// answers is an Authenticator that says its own name.
type answers string

func (a answers) Authenticate(context.Context, string) (Principal, error) {
	return Principal{User: string(a)}, nil
}

func TestChain(t *testing.T) {
	keys := NewKeyring(KeyringConfig{Bootstrap: []string{"boot", "a.b.c"}, Keys: &records{}})
	t.Cleanup(func() { _ = keys.Close() })
	const jwt = "eyJhbGciOiJub25lIn0.e30.c2ln"
	all := Chain{keys, answers("signed"), answers("opaque")}
	tests := []struct {
		name       string
		chain      Chain
		credential string
		user       string
		err        error
	}{
		{"nothing", all, "", "", ErrMissing},
		{"spaces", all, "a b", "", ErrMalformed},
		{"control characters", all, "a\x00", "", ErrMalformed},
		{"beyond ASCII", all, "ä", "", ErrMalformed},
		{"huge", all, strings.Repeat("a", MaxCredential+1), "", ErrMalformed},
		{"as large as may be", all, strings.Repeat("a", MaxCredential), "opaque", nil},
		{"a token", all, jwt, "signed", nil},
		{"something else", all, "opaque", "opaque", nil},
		{"a key that nobody has goes to nobody else", all, NewKey(), "", ErrUnknown},
		{"a token where none are taken", Chain{keys, nil, answers("opaque")}, jwt, "opaque", nil},
		{"something where nothing is asked", Chain{keys, answers("signed"), nil}, "opaque", "", ErrUnknown},
		{"an empty chain", Chain{}, "opaque", "", ErrUnknown},
	}
	for _, test := range tests {
		got, err := test.chain.Authenticate(t.Context(), test.credential)
		if got.User != test.user || !errors.Is(err, test.err) {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
	if got, err := all.Authenticate(t.Context(), "a.b.c"); err != nil || !got.Admin {
		t.Errorf("a configured key that looks like a token: %+v, %v", got, err)
	}
}

// FuzzShown: whatever comes in a header, what is passed on is part of it, and is refused unless it is visible ASCII and short.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  x ", "Bearer", "", "Basic Og==", "Bearer eyJ.e30.x", "Bearer \x00", "Bearer " + strings.Repeat("x", 9000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		shown := Shown(http.Header{"Authorization": {authorization}})
		if !strings.Contains(authorization, shown) || strings.Trim(shown, " ") != shown {
			t.Fatalf("%q shows %q", authorization, shown)
		}
		good := CheckForm(shown) == nil
		if good && (shown == "" || len(shown) > MaxCredential || strings.ContainsAny(shown, " \r\n\t\x00")) {
			t.Fatalf("%q is let through", shown)
		}
		if IsJWT(shown) && strings.Count(shown, ".") != 2 {
			t.Fatalf("%q is no token", shown)
		}
		got, err := Chain{Opaque: answers("opaque")}.Authenticate(t.Context(), shown)
		if (err == nil) != good || (got.User == "opaque") != good {
			t.Fatalf("%q: %+v, %v", shown, got, err)
		}
	})
}
