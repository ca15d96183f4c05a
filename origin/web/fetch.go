package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"deckle/origin"
)

// maxURL bounds the URL of a fetch, bytes.
const maxURL = 2048

// Fetcher reads what lies at URLs that clients name: any host that Config.Guard allows, and up to three redirects, each of which
// is looked at as the first URL is. Config.Hosts and Config.Redirects are not looked at.
type Fetcher struct{ store *Store }

// NewFetcher returns a fetcher. Nothing is connected to yet. Close it.
func NewFetcher(config Config) *Fetcher {
	config = config.withDefaults()
	anywhere := func(string) bool { return true }
	return &Fetcher{&Store{config: config, client: newClient(config.Guard, redirects(maxRedirects, anywhere))}}
}

// Close drops idle connections. Opened bodies stay readable.
func (f *Fetcher) Close() error { return f.store.Close() }

// Fetch opens the body at an http or https URL without a user; whoever called closes it. ErrForbidden for another URL and for an
// address that the guard refuses; ErrNotFound; ErrTooLarge and ErrUnavailable as of Store.Open, also in the middle of the body.
func (f *Fetcher) Fetch(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil || len(rawURL) > maxURL || u.Hostname() == "":
		return nil, fmt.Errorf("fetch: %w: not a URL", origin.ErrForbidden)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("fetch: %w: neither http nor https", origin.ErrForbidden)
	case u.User != nil:
		return nil, fmt.Errorf("fetch: %w: a user in the URL", origin.ErrForbidden)
	}
	u.Fragment = ""
	a, err := f.store.askAt(ctx, http.MethodGet, u.String(), origin.Range{})
	if err != nil {
		return nil, err
	}
	object, err := f.store.object(a, origin.Range{})
	if err != nil {
		a.end()
		return nil, err
	}
	return object.Body, nil
}
