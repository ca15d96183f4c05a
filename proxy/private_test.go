package proxy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deckle/cache/memory"
	"deckle/origin"

	"github.com/google/go-cmp/cmp"
)

// hide makes a source private, or public again, and has the edge know.
func (e *edge) hide(id string, private bool) origin.Info {
	e.t.Helper()
	info, err := e.proxy.Sources.(origin.Store).SetPrivate(context.Background(), id, private)
	if err != nil {
		e.t.Fatal(err)
	}
	e.proxy.Versions.Invalidate(id)
	return info
}

// without returns the headers of an answer but for its date, and the body.
func without(a answer) (http.Header, string) {
	h := a.Header.Clone()
	h.Del("Date")
	return h, a.body
}

// privateTargets are ways to ask for the source that # stands for.
var privateTargets = []string{
	"/#.jpg", "/#_30_20.webp", "/#_30_20.auto", "/#.auto", "/#.json", "/#_30_20.webp?placeholder=color", "/#_30_20.webp?download=x.webp",
	"/#_9000_20.webp", "/#_30_20.webp?v=2", "/#_30_20.jxl", "/#_30_20.webp?fit=corp",
}

// TestPrivateIsAbsent: without a good signature the answers about a private picture are those about one that is not there, to the
// byte, whatever is asked and in whichever tier it is.
func TestPrivateIsAbsent(t *testing.T) {
	e, now := newSignedEdge(t, Signed{})
	e.proxy.CDN, e.proxy.Tags = "max-age=60", true
	e.proxy.told = e.proxy.tell()
	e.keep("cat", cat())
	for _, target := range privateTargets[:4] { // into memory
		e.do("GET", strings.Replace(target, "#", "cat", 1)).want(t, 200)
	}
	tag := e.do("GET", "/cat_30_20.webp").Header.Get("Etag")
	e.hide("cat", true)
	signatures := map[string]func(path string) string{
		"none":      func(string) string { return "" },
		"late":      func(path string) string { return query(sign("GET", path, "", now, -time.Minute)) },
		"of a dog":  func(string) string { return query(sign("GET", "/dog", "/dog", now, time.Minute)) },
		"for POST":  func(path string) string { return query(sign("POST", path, "", now, time.Minute)) },
		"malformed": func(string) string { return "X-Expires=never&X-Signature=x" },
	}
	for name, signature := range signatures {
		for _, target := range privateTargets {
			for _, header := range [][]string{{}, {"If-None-Match", "*"}, {"If-None-Match", tag}, {"Range", "bytes=0-3"}, {"Accept", "image/avif,image/webp"}} {
				for _, method := range []string{"GET", "HEAD"} {
					there, absent := ask(e, method, target, "cat", signature, header), ask(e, method, target, "owl", signature, header)
					if there.StatusCode == 200 || there.StatusCode == 304 || there.StatusCode == 206 {
						t.Errorf("%s %s, signature %s, %v: %d", method, target, name, header, there.StatusCode)
					}
					gotHeader, got := without(there)
					wantHeader, want := without(absent)
					if diff := cmp.Diff(wantHeader, gotHeader); diff != "" || got != want || there.StatusCode != absent.StatusCode {
						t.Errorf("%s %s, signature %s, %v: %d %q, and of an absent one %d %q %s", method, target, name, header, there.StatusCode, got, absent.StatusCode, want, diff)
					}
				}
			}
		}
	}
}

// ask sends a request, and undoes what of the answer repeats the id.
func ask(e *edge, method, target, id string, signature func(string) string, header []string) answer {
	target = strings.Replace(target, "#", id, 1)
	path, _ := splitTarget(target)
	if q := signature(path); q != "" {
		if strings.Contains(target, "?") {
			target += "&" + q
		} else {
			target += "?" + q
		}
	}
	got := e.do(method, target, header...)
	for _, name := range []string{"Location", "Surrogate-Key", "Cache-Tag"} {
		if value := got.Header.Get(name); value != "" {
			value = strings.ReplaceAll(value, id, "#")
			if signed := strings.Index(value, "X-Signature"); signed >= 0 {
				value = value[:signed]
			}
			got.Header.Set(name, value)
		}
	}
	return got
}

func query(target string) string {
	_, q := splitTarget(target)
	return q
}

// TestPrivateIsShown: with a good signature a private picture is answered like others, and no shared cache keeps it, nor any cache
// for longer than the URL is good.
func TestPrivateIsShown(t *testing.T) {
	e, now := newSignedEdge(t, Signed{})
	e.proxy.CDN, e.proxy.Tags, e.proxy.SharedMaxAge = "max-age=60", true, time.Hour
	e.proxy.told = e.proxy.tell()
	e.keep("cat", cat())
	e.hide("cat", true)
	for _, scope := range []string{"", "/cat"} {
		for _, target := range append(privateTargets[:4:4], privateTargets[6]) { // what the engine of this test can make
			target = strings.Replace(target, "#", "cat", 1)
			signed := sign("GET", target, scope, now, time.Minute)
			for _, method := range []string{"GET", "HEAD", "GET"} {
				got := e.do(method, signed)
				got.want(t, 200, "Cache-Control", "private, max-age=60, must-revalidate", "Surrogate-Key", "", "Cache-Tag", "", "Cdn-Cache-Control", "")
				if tag := got.Header.Get("Etag"); tag != "" {
					again := e.do(method, signed, "If-None-Match", tag)
					again.want(t, 304, "Cache-Control", "private, max-age=60, must-revalidate")
				}
			}
		}
	}
	// A redirect into the bounds leads to a URL that is signed too.
	got := e.do("GET", sign("GET", "/cat_90000_20.webp", "", now, time.Minute))
	got.want(t, 307, "Location", "/cat_")
	e.do("GET", got.Header.Get("Location")).want(t, 200, "Cache-Control", "private")
	// An error is nobody else's either.
	e.do("GET", sign("GET", "/cat_30_20.webp", "", now, time.Minute), "If-Match", `"other"`).want(t, 412)
	now.Add(61)
	e.do("GET", sign("GET", "/cat_30_20.webp", "", now, -time.Second)).want(t, 404)
}

// TestPrivateFlips: what is remembered of targets, and what tiers hold, lets nobody see what has become private; and nothing of the
// private time stands in the way later.
func TestPrivateFlips(t *testing.T) {
	e, now := newSignedEdge(t, Signed{})
	e.keep("cat", cat())
	const target = "/cat_30_20.webp"
	signed := sign("GET", target, "", now, time.Minute)
	for range 3 {
		e.do("GET", target).want(t, 200, "Cache-Control", "public")
		e.do("GET", signed).want(t, 200, "Cache-Control", "public")
		e.hide("cat", true)
		e.do("GET", target).want(t, 404)
		e.do("GET", signed).want(t, 200, "Cache-Control", "private")
		e.do("GET", target).want(t, 404)
		e.hide("cat", false)
	}
}

// TestPrivateWithoutSecrets: nobody sees what is private where nobody can sign.
func TestPrivateWithoutSecrets(t *testing.T) {
	e := newEdge(t)
	e.keep("cat", cat())
	e.hide("cat", true)
	now := &atomic.Int64{}
	now.Store(time.Now().Unix())
	for _, target := range []string{"/cat_30_20.webp", sign("GET", "/cat_30_20.webp", "", now, time.Minute)} {
		e.do("GET", target).want(t, 404)
	}
}

// flipping makes a source private while it is being read.
type flipping struct {
	origin.Store
	flip atomic.Bool
}

func (f *flipping) Open(ctx context.Context, id string, r origin.Range) (*origin.Object, error) {
	if f.flip.CompareAndSwap(true, false) {
		if _, err := f.SetPrivate(ctx, id, true); err != nil {
			return nil, err
		}
	}
	return f.Store.Open(ctx, id, r)
}

// TestPrivateWhileRead: a source that becomes private between the look at its version and the reading is not shown any more.
func TestPrivateWhileRead(t *testing.T) {
	for _, target := range []string{"/cat.jpg", "/cat_30_20.webp"} {
		e, _ := newSignedEdge(t, Signed{})
		e.keep("cat", cat())
		e.do("GET", "/cat.jpg").want(t, 200) // what it is is known
		e.proxy.fetches.recent.close()
		store := &flipping{Store: e.proxy.Sources.(origin.Store)}
		e.proxy.Sources = store
		store.flip.Store(true)
		e.do("GET", target).want(t, 404)
	}
}

// TestPrivateLastKnown: a node that begins while the store is down knows that a picture is private, though it was public before.
func TestPrivateLastKnown(t *testing.T) {
	tier, err := memory.New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close)
	store := &moody{says: map[string]error{"cat": nil}}
	first, known := began(t, store, tier)
	info, err := first.Stat(t.Context(), "cat")
	if err != nil || info.Private {
		t.Fatalf("%+v %v", info, err)
	}
	if err := known.Close(); err != nil {
		t.Fatal(err)
	}
	tier.Wait()
	_, known = began(t, store, tier)
	info.Private = true
	known.Learn("cat", info)
	if err := known.Close(); err != nil {
		t.Fatal(err)
	}
	tier.Wait()
	store.set(func(m *moody) { m.down = true })
	second, _ := began(t, store, tier)
	if got, err := second.Stat(t.Context(), "cat"); err != nil || !got.Private || !got.Stale {
		t.Errorf("%+v %v, want it private", got, err)
	}
}

// TestPrivateWhileDown: while the store of originals cannot be asked, a private picture is as unknown as one that is not there.
func TestPrivateWhileDown(t *testing.T) {
	e, now := newSignedEdge(t, Signed{})
	e.keep("cat", cat())
	e.hide("cat", true)
	target := sign("GET", "/cat_30_20.webp", "", now, time.Minute)
	e.do("GET", target).want(t, 200)
	e.proxy.Versions = down{e.proxy.Versions}
	there, absent := e.do("GET", "/cat_30_20.webp"), e.do("GET", "/owl_30_20.webp")
	if there.StatusCode != 503 || absent.StatusCode != 503 || there.body != absent.body {
		t.Errorf("%d %s, and of an absent one %d %s", there.StatusCode, there.body, absent.StatusCode, absent.body)
	}
	e.do("GET", target).want(t, 200, "Cache-Control", "private")
}

// down is a Versions whose store does not answer: it says what it knew.
type down struct{ Versions }

func (d down) Stat(ctx context.Context, id string) (origin.Info, error) {
	info, err := d.Versions.Stat(ctx, id)
	if errors.Is(err, origin.ErrNotFound) {
		err = origin.ErrUnavailable
	}
	info.Stale = err == nil
	return info, err
}
