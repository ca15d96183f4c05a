package main

import (
	"net/url"
	"strings"
	"time"

	"deckle/admin"
	"deckle/proxy"
)

// apiSettings are the flags about clients that upload.
type apiSettings struct {
	AllowedOrigins string `default:"*" help:"Sites whose pages may upload from a browser, separated by commas, as in https://example.com; * for all."`
	EdgeURL        string `name:"edge-url" help:"URL under which clients reach the edge, put before the paths that grants name." placeholder:"URL"`
}

// apiAccess is apiSettings, read.
type apiAccess struct {
	origins proxy.Origins
	edge    admin.EdgeURLs
}

// resolve reads the settings; faults are kept in r. signatureMaxAge was read with the signatures.
func (s *apiSettings) resolve(r *reader, signed proxy.Signed, signatureMaxAge string) apiAccess {
	access := apiAccess{origins: list(s.AllowedOrigins)}
	for _, origin := range access.origins {
		if err := proxy.CheckOrigin(origin); err != nil {
			r.fault("allowed-origins", origin, "* or origins: "+err.Error())
		}
	}
	if s.EdgeURL != "" {
		u := r.url("edge-url", s.EdgeURL, "https", "http")
		if u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			r.fault("edge-url", redacted(s.EdgeURL), "a URL without a path, as in https://images.example.com")
		}
		access.edge.Base = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
	if signed.Verifier != nil && signed.Uploads {
		access.edge.Sign = signed.Verifier.Query
		access.edge.MaxAge, _ = time.ParseDuration(signatureMaxAge) // a fault of it is known
	}
	return access
}
