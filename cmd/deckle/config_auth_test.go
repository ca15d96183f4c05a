package main

import (
	"strings"
	"testing"

	"deckle/auth"
	"deckle/auth/introspect"
	"deckle/catalog"

	"github.com/google/go-cmp/cmp"
)

// TestAuthFaults: what is dangerous, or means nothing, is refused with its remedy.
func TestAuthFaults(t *testing.T) {
	issuer := authSettings{OIDCIssuer: "https://id.example", OIDCAudience: "deckle"}
	with := func(change func(*authSettings)) authSettings {
		s := issuer
		change(&s)
		return s
	}
	tests := []struct {
		name string
		s    authSettings
		says []string // nothing when it is good
	}{
		{"an issuer", issuer, nil},
		{"an issuer on loopback", with(func(s *authSettings) { s.OIDCIssuer = "http://127.0.0.1:8090/realms/x" }), nil},
		{"any whose keys are there", authSettings{OIDCIssuer: "*", OIDCAudience: "*", OIDCKeysURL: "https://id.example/keys"}, nil},
		{"introspection", authSettings{IntrospectionURL: "https://id.example/i", OIDCAudience: "deckle"}, nil},
		{"no audience", with(func(s *authSettings) { s.OIDCAudience = "" }), []string{"--oidc-audience (DECKLE_OIDC_AUDIENCE)", "or *"}},
		{"an audience alone", authSettings{OIDCAudience: "deckle"}, []string{"--oidc-audience", "--oidc-issuer"}},
		{"keys alone", authSettings{OIDCKeysURL: "https://id.example/keys", OIDCAudience: "deckle"}, []string{"--oidc-issuer", "or * for any"}},
		{"any issuer without keys", with(func(s *authSettings) { s.OIDCIssuer = "*" }), []string{"--oidc-jwks-url"}},
		{"keys over plain HTTP", with(func(s *authSettings) { s.OIDCKeysURL = "http://id.example/keys" }), []string{"--oidc-jwks-url", "https://"}},
		{"an issuer over plain HTTP", with(func(s *authSettings) { s.OIDCIssuer = "http://id.example" }), []string{"--oidc-issuer", "https://"}},
		{"no signature", with(func(s *authSettings) { s.OIDCAlgorithms = "RS256,none" }), []string{"--oidc-algorithms", `"none"`}},
		{"HMAC", with(func(s *authSettings) { s.OIDCAlgorithms = "HS256" }), []string{"--oidc-algorithms", `"HS256"`}},
		{"no algorithm", with(func(s *authSettings) { s.OIDCAlgorithms = " " }), []string{"--oidc-algorithms", "at least one"}},
		{"a password in a URL", authSettings{IntrospectionURL: "http://me:hunter2@id.example/i"}, []string{"me:xxxxx@id.example"}},
		{"another form", authSettings{IntrospectionURL: "https://id.example/i", IntrospectionForm: "soap"}, []string{"rfc7662 or cas"}},
		{"a secret for nobody", authSettings{IntrospectionSecret: "hunter2"}, []string{"--introspection-url"}},
		{"a claim of nothing", authSettings{AdminClaim: "roles=x"}, []string{"--oidc-issuer"}},
		{"a claim without a value", with(func(s *authSettings) { s.AdminClaim = "roles" }), []string{"--admin-claim", "roles=deckle-admin"}},
		{"every token an administrator", with(func(s *authSettings) { s.TokenScopes = "read,admin" }), []string{"--token-scopes", "--admin-claim"}},
		{"fewer than no pictures", authSettings{UserPictures: -1}, []string{"--user-pictures"}},
		{"bytes", authSettings{UserBytes: "lots"}, []string{"--user-bytes", "5GiB"}},
	}
	standard := defaults(t).Auth
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			overlay(&standard.OIDCAlgorithms, &test.s.OIDCAlgorithms)
			overlay(&standard.IntrospectionForm, &test.s.IntrospectionForm)
			overlay(&standard.TokenScopes, &test.s.TokenScopes)
			overlay(&standard.UserBytes, &test.s.UserBytes)
			var r reader
			test.s.resolve(&r)
			if (len(r.faults) == 0) != (test.says == nil) {
				t.Fatalf("faults %v", r.faults)
			}
			said := joinLines(r.faults).Error()
			for _, text := range test.says {
				if !strings.Contains(said, text) {
					t.Errorf("%q is not said in %s", text, said)
				}
			}
			if strings.Contains(said, "hunter2") {
				t.Errorf("a secret is told: %s", said)
			}
		})
	}
}

// overlay fills in what a test leaves to the default.
func overlay(standard, value *string) {
	if *value == "" {
		*value = *standard
	}
}

func TestAuthSettings(t *testing.T) {
	s := defaults(t)
	s.AdminListen = "0.0.0.0:8081" // which tokens make good
	s.Auth.OIDCIssuer, s.Auth.OIDCAudience, s.Auth.AdminClaim, s.Auth.TokenScopes = "https://id.example", "*", "https://x.example/a=b=ops", "read"
	s.Auth.IntrospectionURL, s.Auth.IntrospectionForm = "https://id.example/i", "cas"
	s.Auth.UserPictures, s.Auth.UserBytes = 7, "5GiB"
	c, err := s.resolve()
	if err != nil {
		t.Fatal(err)
	}
	mapping := auth.Mapping{User: "sub", Default: auth.Read, Admin: "https://x.example/a=b", AdminValue: "ops"}
	if diff := cmp.Diff(mapping, c.auth.oidc.Mapping); diff != "" || c.auth.oidc.Audience != "" || len(c.auth.oidc.Algorithms) != 4 {
		t.Errorf("%+v %s", c.auth.oidc, diff)
	}
	if i := c.auth.introspection; i.Form != introspect.CAS || i.Mapping.User != "user_id" {
		t.Errorf("%+v", i)
	}
	if c.auth.limits != (catalog.Limits{Pictures: 7, Bytes: 5 << 30}) {
		t.Errorf("%+v", c.auth.limits)
	}
	if code, stdout, stderr := command("config", "--introspection-url", "https://id.example/i", "--introspection-secret", "hunter2"); code != 0 || strings.Contains(stdout, "hunter2") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
}
