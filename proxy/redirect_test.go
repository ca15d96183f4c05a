package proxy

import (
	"context"
	"testing"

	"deckle/cache"
)

// shelf holds the copies that a test puts on it.
type shelf map[cache.Key]string

func (s shelf) Find(_ context.Context, k cache.Key) (string, bool) {
	path, ok := s[k]
	return path, ok
}

// TestRedirectToCopy: only what is on the shelf is redirected to, for a bounded time, and neither preconditions nor ranges are
// weighed for an answer that is no picture; all else is bytes.
func TestRedirectToCopy(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	copies := shelf{}
	e.proxy.Public, e.proxy.PublicURL = copies, "https://images.example.com/v/"
	tag := e.do("GET", "/cat_30_20.webp").Header.Get("Etag")
	info, err := e.proxy.Versions.Stat(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	copies[cache.Key{Source: "cat", Version: info.Version, Variant: "_30_20.webp"}] = "cat/1"
	const there = "https://images.example.com/v/cat/1"
	for _, headers := range [][]string{nil, {"If-None-Match", tag}, {"If-Match", `"x"`}, {"Range", "bytes=0-1"}} {
		got := e.do("GET", "/cat_30_20.webp", headers...)
		got.want(t, 303, "Location", there, "Cache-Control", "public, max-age=60", "Etag", "", "Vary", "", "Cache-Status", "")
	}
	e.do("HEAD", "/cat_15_10_2x.webp?v=2").want(t, 303, "Location", there, "Cache-Control", "public, max-age=60")
	e.do("GET", "/cat_30_20.auto", "Accept", "image/webp").want(t, 303, "Location", there, "Vary", "Accept")
	e.do("GET", "/cat_30_20.auto", "Accept", "image/png").want(t, 200, "Location", "", "Vary", "Accept")
	e.do("GET", "/cat_30_20.webp?proxy=true").want(t, 200, "Etag", tag)
	e.do("GET", "/cat_30_20.webp?proxy=true", "If-None-Match", tag).want(t, 304)
	e.do("GET", "/cat_30_20.webp?download=cat.webp").want(t, 200, "Location", "")
	e.do("GET", "/cat_31_20.webp").want(t, 200, "Location", "")
	e.do("GET", "/cat.jpg").want(t, 200, "Location", "")
	e.proxy.AutoRedirect = true
	e.do("GET", "/cat_30_20.auto", "Accept", "image/webp").want(t, 302, "Location", "/cat_30_20.webp")
}

// TestRedirectEncodedDot: a dot before the extension that is percent-encoded is a dot to every redirect, and none before it is taken
// for it.
func TestRedirectEncodedDot(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.keep("a.b/cat", cat())
	e.proxy.AutoRedirect = true
	for target, want := range map[string]string{
		"/cat_9999_10%2epng?v=1":   "/cat_4096_10%2epng?v=1",
		"/a.b/cat_9999_10%2Epng":   "/a.b/cat_4096_10%2Epng",
		"/a%2eb/cat_9999_10.%70ng": "/a.b/cat_4096_10.%70ng",
		"/cat_30_20%2eauto":        "/cat_30_20.webp",
		"/a.b/cat%2Eauto?v=1":      "/a.b/cat.webp?v=1",
		"/a%2eb/cat.%61uto":        "/a%2eb/cat.webp",
	} {
		if got := e.do("GET", target, "Accept", "image/webp"); got.Header.Get("Location") != want {
			t.Errorf("%s: %d, to %q, want %q", target, got.StatusCode, got.Header.Get("Location"), want)
		}
	}
}
