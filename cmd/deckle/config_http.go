package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"deckle/cache"
	cachedS3 "deckle/cache/s3"
	"deckle/proxy"
)

// httpSettings are the flags that say what caches in front are told, and what an answer may depend on.
type httpSettings struct {
	SharedMaxAge         string `default:"0s" help:"How long shared caches keep pictures (s-maxage); 0s for as long as viewers."`
	StaleWhileRevalidate string `default:"1h" help:"How long caches may use a picture beyond that while they ask again behind the answer."`
	StaleIfError         string `default:"24h" help:"How long they may use it while Deckle fails."`
	ErrorMaxAge          string `default:"10s" help:"How long they keep an error that lies in the URL or the source (400, 404, 413, 415, 422); 0s for not at all. Other errors are never kept."`
	CDNCacheControl      string `name:"cdn-cache-control" help:"CDN-Cache-Control of pictures (RFC 9213), for caches that obey it instead of Cache-Control: max-age=86400." placeholder:"DIRECTIVES"`
	CacheTags            bool   `help:"Name the source and its folders in Surrogate-Key and Cache-Tag, so that a CDN can purge by them."`

	AutoRedirect   bool   `help:"Answer .auto with a redirect to the URL that names the format, for CDNs that pass over Vary."`
	ClientHints    bool   `help:"Let DPR, Width and Save-Data choose what an .auto URL leaves open."`
	Redirect       string `help:"Public URL of the folder !public in --store, an s3:// one: variants are copied there and viewers redirected to the copies (303); proxy=true in a URL asks for bytes." placeholder:"URL"`
	RedirectMaxAge string `default:"1m" help:"How long these redirects are kept."`
}

// httpPolicy is httpSettings, read.
type httpPolicy struct {
	policy proxy.Policy
	public string // URL of the public copies, ending in a slash; empty for none
}

// resolve reads the settings; faults are kept in r.
func (s *httpSettings) resolve(r *reader, maxAge time.Duration, store string) httpPolicy {
	age := func(name, value string) time.Duration {
		if value == "" {
			return 0
		}
		return r.duration(name, value, 0)
	}
	p := proxy.Policy{
		MaxAge: maxAge, SharedMaxAge: age("shared-max-age", s.SharedMaxAge),
		StaleWhileRevalidate: age("stale-while-revalidate", s.StaleWhileRevalidate), StaleIfError: age("stale-if-error", s.StaleIfError),
		ErrorMaxAge: age("error-max-age", s.ErrorMaxAge), CDN: s.CDNCacheControl, Tags: s.CacheTags,
		AutoRedirect: s.AutoRedirect, RedirectMaxAge: age("redirect-max-age", s.RedirectMaxAge), ClientHints: s.ClientHints,
	}
	if err := proxy.CheckCDN(s.CDNCacheControl); err != nil {
		r.fault("cdn-cache-control", s.CDNCacheControl, err.Error())
	}
	const mostRedirect = time.Hour
	if p.RedirectMaxAge > mostRedirect {
		r.fault("redirect-max-age", s.RedirectMaxAge, fmt.Sprintf("at most %s: a copy that was deleted is missing for that long", mostRedirect))
	}
	public := httpPolicy{policy: p}
	if s.Redirect != "" {
		u := r.url("redirect", s.Redirect, "https", "http")
		if u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			r.fault("redirect", redacted(s.Redirect), "a URL as in https://images.example.com/variants/")
		}
		if !strings.HasPrefix(store, "s3://") {
			r.fault("redirect", redacted(s.Redirect), "--store s3://... beside it")
		}
		public.public = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/") + "/"}).String()
	}
	return public
}

// withPublic adds the layer of public copies, where it is asked for, behind memory and before the tiers that outlive the process.
func withPublic(layers []cache.Layer, c *configuration) ([]cache.Layer, error) {
	if c.http.public == "" {
		return layers, nil
	}
	for _, layer := range layers {
		durable, ok := layer.Tier.(*cachedS3.Tier)
		if !ok {
			continue
		}
		copies, err := durable.Public(fmt.Sprintf("public, max-age=%d", int(c.maxAge.Seconds())))
		return slices.Insert(layers, 1, cache.Layer{Name: "public", Tier: copies, Shared: true}), err
	}
	return nil, errors.New("public copies need a store in S3")
}

// publicCopies finds the layer that withPublic added; nil without one.
func publicCopies(layers []cache.Layer) proxy.Shelf {
	for _, layer := range layers {
		if copies, ok := layer.Tier.(*cachedS3.Public); ok {
			return copies
		}
	}
	return nil
}
