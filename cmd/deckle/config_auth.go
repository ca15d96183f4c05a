package main

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"deckle/auth"
	"deckle/auth/introspect"
	"deckle/auth/oidc"
	"deckle/catalog"

	"github.com/dustin/go-humanize"
)

// authSettings are the flags about who may call the operator's listener, and about users.
type authSettings struct {
	OIDCIssuer     string `name:"oidc-issuer" help:"Take tokens (JWT) of this issuer, as their iss names it; * takes those of any whose keys are at --oidc-jwks-url." placeholder:"URL"`
	OIDCAudience   string `name:"oidc-audience" help:"Whom tokens have to be for, as their aud names it; * takes those for others too." placeholder:"NAME"`
	OIDCKeysURL    string `name:"oidc-jwks-url" help:"Where the issuer's keys are, when it does not say so itself." placeholder:"URL"`
	OIDCAlgorithms string `name:"oidc-algorithms" default:"RS256,ES256,EdDSA,PS256" help:"How tokens may be signed, separated by commas."`

	IntrospectionURL    string `help:"Ask this service about tokens that are no JWT, or about all where no issuer is set." placeholder:"URL"`
	IntrospectionForm   string `default:"rfc7662" help:"How it is asked: rfc7662, or cas as bit-image asks."`
	IntrospectionClient string `help:"Id under which it knows this server." placeholder:"ID"`
	IntrospectionSecret string `help:"Secret that belongs to the id." placeholder:"SECRET"`

	UserClaim     string `help:"What in a token names its user. Default: sub, and user_id for cas." placeholder:"CLAIM"`
	ScopeClaim    string `help:"What in a token lists its rights (read, write, upload; deckle:read and so on), as in scope, scp or realm_access.roles. Without it every token has --token-scopes." placeholder:"CLAIM"`
	TokenScopes   string `default:"read,write,upload" help:"Rights of every token, to its user's own pictures, separated by commas."`
	AdminClaim    string `help:"What in a token makes an operator of its user, and the value that does, as in roles=deckle-admin." placeholder:"CLAIM=VALUE"`
	SharedLibrary bool   `help:"Let users see and change each other's pictures; what they upload is nobody's."`

	UserPictures int64  `default:"0" help:"Most pictures of one user; 0 is any number."`
	UserBytes    string `default:"0" help:"Most bytes of one user's pictures; 0 is any number."`
}

// authorising is authSettings, read.
type authorising struct {
	oidc          *oidc.Config       // nil when tokens are not taken
	introspection *introspect.Config // likewise
	limits        catalog.Limits
}

// tokens tells whether callers have to show who they are even without API keys.
func (a authorising) tokens() bool { return a.oidc != nil || a.introspection != nil }

// resolveAccess reads who may call the operator's listener, and holds against it where that listens.
func (s *settings) resolveAccess(r *reader, c *configuration) {
	c.auth = s.Auth.resolve(r)
	if len(c.apiKeys) == 0 && !c.auth.tokens() && !loopback(s.AdminListen) {
		r.fault("admin-listen", s.AdminListen, "an address on loopback, as long as neither --api-keys nor --oidc-issuer, --oidc-jwks-url or --introspection-url is set")
	}
}

// resolve reads the settings; faults are kept in r.
func (s *authSettings) resolve(r *reader) authorising {
	a := authorising{limits: s.limits(r)}
	mapping := s.mapping(r)
	if s.OIDCIssuer != "" || s.OIDCKeysURL != "" {
		a.oidc = s.issuer(r, mapping)
	} else if s.OIDCAudience != "" && s.IntrospectionURL == "" {
		r.fault("oidc-audience", s.OIDCAudience, "--oidc-issuer or --introspection-url beside it")
	}
	if s.IntrospectionURL != "" {
		a.introspection = s.service(r, mapping)
	} else if s.IntrospectionClient != "" || s.IntrospectionSecret != "" {
		r.fault("introspection-client", s.IntrospectionClient, "--introspection-url beside it")
	}
	if !a.tokens() && (s.UserClaim != "" || s.ScopeClaim != "" || s.AdminClaim != "") {
		r.fault("user-claim", s.UserClaim, "--oidc-issuer or --introspection-url beside it, as with --scope-claim and --admin-claim")
	}
	return a
}

// anything is what a setting says that takes everything.
const anything = "*"

// orAny returns a setting, empty where it takes everything.
func orAny(value string) string {
	if value == anything {
		return ""
	}
	return value
}

func (s *authSettings) issuer(r *reader, mapping auth.Mapping) *oidc.Config {
	c := &oidc.Config{
		Issuer: orAny(s.OIDCIssuer), Audience: orAny(s.OIDCAudience), KeysURL: s.OIDCKeysURL, Algorithms: list(s.OIDCAlgorithms), Mapping: mapping,
	}
	if c.Issuer != "" {
		secureURL(r, "oidc-issuer", c.Issuer)
	}
	if c.KeysURL != "" {
		secureURL(r, "oidc-jwks-url", c.KeysURL)
	}
	switch {
	case s.OIDCIssuer == "":
		r.fault("oidc-issuer", "", "the issuer that tokens name beside --oidc-jwks-url, or * for any")
	case s.OIDCIssuer == anything && c.KeysURL == "":
		r.fault("oidc-issuer", anything, "--oidc-jwks-url beside it, or the URL of an issuer")
	}
	if s.OIDCAudience == "" {
		r.fault("oidc-audience", "", "whom tokens are for, or * to take those that the issuer gave out for other services too")
	}
	if len(c.Algorithms) == 0 {
		r.fault("oidc-algorithms", s.OIDCAlgorithms, "at least one of "+strings.Join(oidc.Algorithms, ", "))
	}
	for _, name := range c.Algorithms {
		if !slices.Contains(oidc.Algorithms, name) {
			r.fault("oidc-algorithms", name, "of "+strings.Join(oidc.Algorithms, ", ")+": no others are safe with public keys")
		}
	}
	return c
}

func (s *authSettings) service(r *reader, mapping auth.Mapping) *introspect.Config {
	secureURL(r, "introspection-url", s.IntrospectionURL)
	c := &introspect.Config{
		URL: s.IntrospectionURL, Form: introspect.Form(s.IntrospectionForm), Client: s.IntrospectionClient, Secret: s.IntrospectionSecret,
		Issuer: orAny(s.OIDCIssuer), Audience: orAny(s.OIDCAudience), Mapping: mapping,
	}
	switch {
	case c.Form != introspect.RFC7662 && c.Form != introspect.CAS:
		r.fault("introspection-form", s.IntrospectionForm, "rfc7662 or cas")
	case c.Form == introspect.CAS && s.UserClaim == "":
		c.Mapping.User = "user_id"
	}
	return c
}

// secureURL wants https, but on loopback: keys and tokens on the way could be changed and read.
func secureURL(r *reader, name, value string) {
	u, err := url.Parse(value)
	safe := err == nil && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
	if !safe || u.Host == "" || u.Fragment != "" {
		r.fault(name, redacted(value), "a URL that begins with https://, or http:// on loopback")
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (s *authSettings) mapping(r *reader) auth.Mapping {
	m := auth.Mapping{User: fallback(s.UserClaim, "sub"), Scopes: s.ScopeClaim, Shared: s.SharedLibrary}
	var err error
	if m.Default, err = auth.ParseScopes(list(s.TokenScopes)); err != nil || m.Default&auth.Admin != 0 {
		r.fault("token-scopes", s.TokenScopes, "rights of read, write and upload; --admin-claim makes operators")
	}
	if s.AdminClaim != "" {
		equals := strings.LastIndexByte(s.AdminClaim, '=')
		if equals < 1 || equals == len(s.AdminClaim)-1 {
			r.fault("admin-claim", s.AdminClaim, "a claim and its value, as in roles=deckle-admin")
			return m
		}
		m.Admin, m.AdminValue = s.AdminClaim[:equals], s.AdminClaim[equals+1:]
	}
	return m
}

func (s *authSettings) limits(r *reader) catalog.Limits {
	limits := catalog.Limits{Pictures: s.UserPictures}
	if s.UserPictures < 0 {
		r.fault("user-pictures", "less than 0", "0 or more pictures")
	}
	n, err := humanize.ParseBytes(s.UserBytes)
	if err != nil || n > 1<<60 {
		r.fault("user-bytes", s.UserBytes, "a size as in 5GiB, or 0")
		return limits
	}
	limits.Bytes = int64(n)
	return limits
}
