package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deckle/cache"
	"deckle/cache/memory"
	"deckle/origin"
	"deckle/signature"

	"github.com/google/go-cmp/cmp"
)

const (
	edgeSecret  = "what the edge's URLs are signed with"
	otherSecret = "what another edge's are signed with."
)

// counted counts what is asked of the parts behind the edge.
type counted struct{ versions, reads, tiers atomic.Int64 }

type countedVersions struct {
	Versions
	c *counted
}

type countedReader struct {
	origin.Reader
	c *counted
}

type countedTier struct {
	cache.Tier
	c *counted
}

func (v countedVersions) Stat(ctx context.Context, id string) (origin.Info, error) {
	v.c.versions.Add(1)
	return v.Versions.Stat(ctx, id)
}

func (r countedReader) Open(ctx context.Context, id string, part origin.Range) (*origin.Object, error) {
	r.c.reads.Add(1)
	return r.Reader.Open(ctx, id, part)
}

func (t countedTier) Get(ctx context.Context, k cache.Key) (*cache.Entry, error) {
	t.c.tiers.Add(1)
	return t.Tier.Get(ctx, k)
}

func (c *counted) now() [3]int64 { return [3]int64{c.versions.Load(), c.reads.Load(), c.tiers.Load()} }

// newSignedEdge is an edge that asks for signatures, at a time that the test sets.
func newSignedEdge(t testing.TB, signed Signed) (*edge, *atomic.Int64) {
	t.Helper()
	e, now := newEdge(t), &atomic.Int64{}
	now.Store(time.Now().Unix())
	var err error
	signed.Verifier, err = signature.New(signature.Config{
		Secrets: []string{edgeSecret}, MaxAge: 2 * time.Hour, Now: func() time.Time { return time.Unix(now.Load(), 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	e.proxy.Signed = signed
	return e, now
}

// count puts counters before the parts behind an edge.
func count(t testing.TB, e *edge) *counted {
	t.Helper()
	tier, err := memory.New(16 << 20)
	if err != nil {
		t.Fatal(err)
	}
	c := &counted{}
	chain := cache.NewChain(cache.Config{Layers: []cache.Layer{{Name: "memory", Tier: countedTier{tier, c}}}})
	t.Cleanup(func() {
		if err := chain.Close(context.Background()); err != nil {
			t.Error(err)
		}
		tier.Close()
	})
	e.proxy.Versions, e.proxy.Sources, e.proxy.Chain = countedVersions{e.proxy.Versions, c}, countedReader{e.proxy.Sources, c}, chain
	return c
}

// sign returns a target with the parameters that sign it; scope may be empty.
func sign(method, target, scope string, now *atomic.Int64, ttl time.Duration) string {
	path, query := splitTarget(target)
	signed := signature.Query(edgeSecret, method, path, scope, time.Unix(now.Load(), 0).Add(ttl))
	if query != "" {
		signed = query + "&" + signed
	}
	return path + "?" + signed
}

// TestUnsignedCostsNothing: a request that is refused is refused before anything is asked for it, whether or not the picture is
// in memory and its target remembered, whatever the method and the validators.
func TestUnsignedCostsNothing(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	c := count(t, e)
	e.keep("cat", cat())
	good := sign("GET", "/cat_30_20.webp", "/cat", now, time.Minute)
	for range 2 {
		e.do("GET", good).want(t, 200)
	}
	before := c.now()
	late := strings.Replace(good, fmt.Sprint(now.Load()+60), fmt.Sprint(now.Load()-1), 1)
	tests := []struct{ name, target, code string }{
		{"no signature", "/cat_30_20.webp", "MissingSignature"},
		{"of a stranger", "/dog_30_20.webp", "MissingSignature"},
		{"no picture's path", "/cat", "MissingSignature"},
		{"a bad option", "/cat_30_20.webp?fit=corp", "MissingSignature"},
		{"no time", "/cat_30_20.webp?X-Expires=soon&X-Signature=x", "InvalidExpires"},
		{"late", late, "SignatureExpired"},
		{"far ahead", sign("GET", "/cat_30_20.webp", "/cat", now, 3*time.Hour), "SignatureTTLExceeded"},
		{"for another source", sign("GET", "/cat_secret.webp", "/cat", now, time.Minute), "InvalidPath"},
		{"another size under an exact one", strings.Replace(sign("GET", "/cat_30_20.webp", "", now, time.Minute), "30_20", "31_20", 1), "InvalidSignature"},
		{"for POST", sign("POST", "/cat_30_20.webp", "/cat", now, time.Minute), "InvalidSignature"},
		{"by another secret", "/cat_30_20.webp?" + signature.Query(otherSecret, "GET", "/cat", "/cat", time.Unix(now.Load()+60, 0)), "InvalidSignature"},
	}
	for _, test := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+" "+test.name, func(t *testing.T) {
				got := e.do(method, test.target, "If-None-Match", "*")
				got.want(t, 401, "Cache-Control", "no-store", "Content-Type", "application/problem+json", "Www-Authenticate", "Signature", "Etag", "", "Cache-Status", "")
				var said problem
				if method == "HEAD" {
					return
				}
				if err := json.Unmarshal([]byte(got.body), &said); err != nil || said.Code != test.code || said.Status != 401 || said.Detail == "" {
					t.Errorf("%v: %s, want %s", err, got.body, test.code)
				}
			})
		}
	}
	if after := c.now(); after != before {
		t.Errorf("versions, sources and tiers were asked %v times, %v before", after, before)
	}
	for _, path := range []string{"/_health", "/robots.txt"} {
		e.do("GET", path).want(t, 200)
	}
	e.do("OPTIONS", "/cat_30_20.webp").want(t, 204)
}

// TestOneSignature: one signature for a source serves every size and format of it, as one picture each in the caches.
func TestOneSignature(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	for _, id := range []string{"cat", "cat_secret", "café"} {
		e.keep(id, cat())
	}
	_, query := splitTarget(sign("GET", "/cat", "/cat", now, time.Minute))
	for _, target := range []string{"/cat.jpg", "/cat_30_20.webp", "/cat_15_10_2x.webp", "/cat_60_40.avif", "/%63at_30_20.webp"} {
		e.do("GET", target+"?"+query).want(t, 200)
		e.do("HEAD", target+"?"+query).want(t, 200)
	}
	for _, target := range []string{"/cat_secret.webp", "/cat_secret_30_20.webp", "/dog.jpg", "/caf%C3%A9_30_20.webp"} {
		e.do("GET", target+"?"+query).want(t, 401)
	}
	renders := e.engine.renders.Load()
	tag := e.do("GET", "/cat_30_20.webp?"+query).Header.Get("Etag")
	for _, again := range []string{
		sign("GET", "/cat_30_20.webp", "", now, time.Minute), sign("GET", "/cat_30_20.webp?v=1", "/", now, time.Hour),
		"/cat_30_20.webp?" + strings.ReplaceAll(query, "X-", "x-"),
	} {
		got := e.do("GET", again)
		got.want(t, 200, "Etag", tag)
		e.do("GET", again, "If-None-Match", tag).want(t, 304)
	}
	if n := e.engine.renders.Load(); n != renders {
		t.Errorf("%d renders for other signatures of the same picture", n-renders)
	}
	e.do("GET", "/caf%c3%a9_30_20.webp?"+signature.Query(edgeSecret, "GET", "/café_30_20.webp", "", time.Unix(now.Load()+9, 0))).want(t, 200)
	e.do("GET", sign("GET", "/cat_30_20.webp?fit=corp", "/cat", now, time.Minute)).want(t, 400)
	e.do("GET", sign("GET", "/dog_30_20.webp", "/dog", now, time.Minute)).want(t, 404)
}

// TestRememberedSignature: what was found good once is looked at again each time, for as long as it lasts.
func TestRememberedSignature(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	c := count(t, e)
	e.keep("cat", cat())
	target := sign("GET", "/cat_30_20.webp?v=1", "/cat", now, time.Minute)
	for range 2 {
		e.do("GET", target).want(t, 200)
	}
	now.Add(60)
	e.do("GET", target).want(t, 200, "Cache-Control", "public, max-age=0, immutable, must-revalidate")
	now.Add(1)
	before := c.now()
	e.do("GET", target).want(t, 401)
	if after := c.now(); after != before {
		t.Errorf("after its end %v, before %v", after, before)
	}
	head := sign("HEAD", "/cat_30_20.webp", "/cat", now, time.Minute)
	e.do("HEAD", head).want(t, 200)
	e.do("GET", head).want(t, 401)
	e.do("HEAD", head).want(t, 200)
}

// TestSignedAge: no cache may keep an answer for longer than its URL is good.
func TestSignedAge(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	e.keep("cat", cat())
	e.proxy.CDN = "max-age=86400"
	e.proxy.told = Policy{
		MaxAge: time.Hour, SharedMaxAge: 30 * time.Minute, StaleIfError: 24 * time.Hour, StaleWhileRevalidate: time.Hour,
		ErrorMaxAge: 10 * time.Second, CDN: "max-age=86400",
	}.tell()
	for _, test := range []struct {
		target string
		ttl    time.Duration
		want   string
		cdn    string
	}{
		{"/cat_30_20.webp", 2 * time.Hour, "public, max-age=3600, s-maxage=1800, must-revalidate", "max-age=7200, must-revalidate"},
		{"/cat_30_20.webp", 20 * time.Minute, "public, max-age=1200, s-maxage=1200, must-revalidate", "max-age=1200, must-revalidate"},
		{"/cat_30_20.webp?v=1", time.Minute, "public, max-age=60, immutable, must-revalidate", "max-age=60, must-revalidate"},
		{"/cat.jpg", time.Minute, "public, max-age=60, s-maxage=60, must-revalidate", "max-age=60, must-revalidate"},
		{"/dog.jpg", 5 * time.Second, "public, max-age=5, must-revalidate", ""},
	} {
		for range 2 { // read, and remembered
			got := e.do("GET", sign("GET", test.target, "", now, test.ttl))
			if control := got.Header.Get("Cache-Control"); control != test.want {
				t.Errorf("%s for %s: %q, want %q", test.target, test.ttl, control, test.want)
			}
			got.want(t, got.StatusCode, "Cdn-Cache-Control", test.cdn)
		}
	}
	e.proxy.Signed = Signed{}
	e.do("GET", "/cat_30_20.webp").want(t, 200, "Cache-Control", "stale-if-error=86400", "Cdn-Cache-Control", "max-age=86400")
}

// TestSignedRedirect: where a signed URL is redirected to can be followed, and is good for no longer.
func TestSignedRedirect(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	e.keep("cat", cat())
	e.proxy.AutoRedirect = true
	for _, test := range []struct {
		target, scope string
		status        int
		leads         string
	}{
		{"/cat_9000_10.webp?v=1", "", 307, "/cat_4096_10.webp?v=1&X-Expires="},
		{"/cat_9000_10.webp?v=1", "/cat", 307, "/cat_4096_10.webp?v=1&X-Expires="},
		{"/cat_30_20.auto", "", 302, "/cat_30_20.webp?X-Expires="},
		{"/cat_30_20.auto", "/cat_30_20.auto", 302, "/cat_30_20.webp?X-Expires="},
		{"/cat_30_20.auto", "/", 302, "/cat_30_20.webp?X-Expires="},
	} {
		got := e.do("GET", sign("GET", test.target, test.scope, now, time.Minute), "Accept", "image/webp")
		location := got.Header.Get("Location")
		got.want(t, test.status, "Location", test.leads)
		if strings.Count(location, "X-Signature=") != 1 || !strings.Contains(location, fmt.Sprint(now.Load()+60)) {
			t.Errorf("%s leads to %s", test.target, location)
		}
		e.do("GET", location).want(t, 200)
		if test.scope != "/" {
			e.do("GET", strings.Replace(location, "/cat", "/dog", 1)).want(t, 401)
		}
	}
}

// TestPrivate: only what is private needs a signature; those of the rest are passed over.
func TestPrivate(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Private: []string{"staff", "shop/new", "shop/old"}})
	c := count(t, e)
	for _, id := range []string{"cat", "staff/list", "staffed", "shop/new", "shop/newer", "shop/old/shoe"} {
		e.keep(id, cat())
	}
	for target, private := range map[string]bool{
		"/cat_30_20.webp": false, "/staff/list_30_20.webp": true, "/staffed_30_20.webp": false, "/shop/new.jpg": true, "/shop/new_30_20.webp": true,
		"/shop/newer.jpg": false, "/shop/old/shoe.json": true, "/shop/old.jpg": true, "/%73taff/list.jpg": true, "/staff%2Flist.jpg": false,
	} {
		status := 200
		if private {
			before := c.now()
			e.do("GET", target).want(t, 401, "Cache-Control", "no-store")
			if after := c.now(); after != before {
				t.Errorf("%s: %v, before %v", target, after, before)
			}
			continue
		}
		if strings.Contains(target, "%2F") {
			status = 404
		}
		e.do("GET", target).want(t, status)
		e.do("GET", target+"?X-Expires=1&X-Signature=old").want(t, status, "Cache-Control", "public, max-age=")
	}
	got := e.do("GET", sign("GET", "/staff/list_30_20.webp", "/staff", now, time.Minute))
	got.want(t, 200, "Cache-Control", "max-age=60, must-revalidate")
	e.do("GET", "/nobody_30_20.webp").want(t, 404)
}

// TestSignedUploads: an upload without a signature is refused whatever its token, and reads need none.
func TestSignedUploads(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Uploads: true})
	e.keep("cat", cat())
	e.do("GET", "/cat_30_20.webp").want(t, 200)
	for _, target := range []string{"/dog", "/dog?X-Expires=1&X-Signature=x", sign("GET", "/dog", "", now, time.Minute), sign("POST", "/dogs", "", now, time.Minute)[5:]} {
		e.uploads.upload.ID = ""
		got := e.send("POST", "/"+strings.TrimPrefix(target, "/"), bytes.NewReader(cat()), "X-Token", "good")
		got.want(t, 401, "Cache-Control", "no-store", "Www-Authenticate", "Signature", "Content-Type", "application/problem+json")
		if e.uploads.upload.ID != "" {
			t.Errorf("%s reached the uploads", target)
		}
	}
	for _, target := range []string{sign("POST", "/dog", "", now, time.Minute), sign("POST", "/dog.jpg", "/dog", now, time.Minute)} {
		e.send("POST", target, bytes.NewReader(cat()), "X-Token", "good").want(t, 200, "Cache-Control", "no-store")
		if e.uploads.upload.ID != "dog" {
			t.Errorf("%s: the upload is of %q", target, e.uploads.upload.ID)
		}
	}
}

// TestSignatureIsNotLogged: neither what was sent nor what a redirect was signed with.
func TestSignatureIsNotLogged(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	e.keep("cat", cat())
	e.proxy.Tags = true
	var secret []string
	for _, target := range []string{
		sign("GET", "/cat_30_20.webp", "/cat", now, time.Minute), sign("GET", "/cat_9000_1.webp", "", now, time.Minute),
		sign("GET", "/cat_9.webp?fit=corp", "", now, time.Minute), sign("GET", "/cat_30_20.webp", "/cat", now, time.Minute) + "x",
		sign("GET", "/cat_30_20.webp", "/cat", now, 9*time.Hour),
	} {
		got := e.do("GET", target)
		for _, url := range []string{target, got.Header.Get("Location")} {
			if _, sent, found := strings.Cut(url, "X-Signature="); found {
				secret = append(secret, sent[:20])
			}
		}
		for name, values := range got.Header {
			if name != "Location" && strings.Contains(strings.Join(values, " "), "X-Signature=") {
				t.Errorf("%s tells %v", name, values)
			}
		}
		secret = append(secret, edgeSecret)
		for _, text := range secret {
			if strings.Contains(got.body, text) {
				t.Errorf("%s is told by %s", text, got.body)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(e.proxy.Shutdown(ctx)); err != nil { // so that nothing is logged while the log is read
		t.Fatal(err)
	}
	log := e.logged.String()
	if len(secret) < 8 || !strings.Contains(log, "/cat_30_20.webp") {
		t.Fatalf("%d signatures in\n%s", len(secret), log)
	}
	for _, text := range secret {
		if strings.Contains(log, text) {
			t.Errorf("%q is logged:\n%s", text, log)
		}
	}
}

func TestBoundControl(t *testing.T) {
	for control, want := range map[string]string{
		"public, max-age=3600":                                 "public, max-age=60, must-revalidate",
		"public, max-age=30, s-maxage=90, stale-if-error=9":    "public, max-age=30, s-maxage=60, must-revalidate",
		"private, max-age=61":                                  "private, max-age=60, must-revalidate",
		"public, max-age=31536000, immutable":                  "public, max-age=60, immutable, must-revalidate",
		"public, max-age=99999999999999999999":                 "public, max-age=60, must-revalidate",
		"max-age=5,stale-while-revalidate=9,s-maxage=nonsense": "max-age=5, s-maxage=60, must-revalidate",
	} {
		if diff := cmp.Diff(want, string(boundControl(nil, []byte(control), time.Minute))); diff != "" {
			t.Errorf("%s: %s", control, diff)
		}
	}
}

// TestSignedHitAllocations: a remembered signature costs a hit a comparison and a header, no more.
func TestSignedHitAllocations(t *testing.T) {
	e, now := newSignedEdge(t, Signed{Reads: true})
	e.keep("cat", cat())
	e.proxy.Log = slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	target := sign("GET", "/cat_30_20.webp", "/cat", now, time.Minute)
	e.awaitMemory("GET", target)
	ctx := request(target)
	allocations := testing.AllocsPerRun(200, func() {
		ctx.Response.Reset()
		e.proxy.handle(ctx)
	})
	if allocations > 2 || ctx.Response.StatusCode() != 200 {
		t.Errorf("%v allocations, status %d, %s", allocations, ctx.Response.StatusCode(), ctx.Response.Header.Peek("Cache-Status"))
	}
}

// FuzzSourceOf: the id whose signature is looked at is the id that is served.
func FuzzSourceOf(f *testing.F) {
	for _, path := range []string{"/cat.jpg", "/cat_300_200_2x.webp", "/a/b_c.json", "/caf%C3%A9.auto", "/%2e%2e/x.png", "/x%2Fy.png", "/cat_0_0_0_0.JPG"} {
		f.Add(path, "")
	}
	f.Add("/cat.jpg", "preset=thumb&fit=crop")
	f.Fuzz(func(t *testing.T, path, query string) {
		if r, err := ParseRequest(path, query, defaultRules); err == nil && SourceOf(path) != r.Source {
			t.Errorf("%s?%s is read as %q and checked as %q", path, query, r.Source, SourceOf(path))
		}
	})
}
