package proxy

import (
	"context"
	"strings"
	"testing"

	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"
)

const (
	shop = "https://shop.example.com"
	evil = "https://evil.example.com"
)

func TestOrigins(t *testing.T) {
	tests := []struct {
		name           string
		origins        Origins
		method, from   string
		allowed, varys string
	}{
		{"all may upload", nil, "POST", evil, "*", ""},
		{"all may upload, said so", Origins{shop, "*"}, "POST", evil, "*", ""},
		{"one that may", Origins{"https://other.example.com", shop}, "POST", shop, shop, "Origin"},
		{"one that may, by PUT", Origins{shop}, "PUT", shop, shop, "Origin"},
		{"one that may not", Origins{shop}, "POST", evil, "", "Origin"},
		{"one that begins alike", Origins{shop}, "POST", shop + ".evil.example", "", "Origin"},
		{"another scheme", Origins{shop}, "POST", "http://shop.example.com", "", "Origin"},
		{"no origin", Origins{shop}, "POST", "", "", "Origin"},
		{"opaque", Origins{shop}, "POST", "null", "", "Origin"},
		{"a picture", Origins{shop}, "GET", evil, "*", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t)
			e.keep("cat", cat())
			e.proxy.Origins = test.origins
			target, body := "/dog", "bytes"
			if test.method == "GET" {
				target, body = "/cat.jpg", ""
			}
			for _, failing := range []error{nil, ingest.ErrToken} {
				e.uploads.err = failing
				header := []string{}
				if test.from != "" {
					header = []string{"Origin", test.from}
				}
				got := e.send(test.method, target, strings.NewReader(body), header...)
				got.want(t, got.StatusCode, "Access-Control-Allow-Origin", test.allowed, "Vary", test.varys)
				if values := got.Header.Values("Access-Control-Allow-Origin"); len(values) > 1 {
					t.Errorf("%q", values)
				}
				if failing == nil && got.StatusCode >= 300 {
					t.Errorf("status %d: the request was not carried out", got.StatusCode)
				}
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	tests := []struct {
		name               string
		origins            Origins
		from, asks         string
		allowed, dependsOn string
	}{
		{"all may upload", nil, evil, "PUT", "*", ""},
		{"one that may", Origins{shop}, shop, "POST", shop, "Origin"},
		{"one that may not", Origins{shop}, evil, "POST", "", "Origin"},
		{"one that may not, by PUT", Origins{shop}, evil, "PUT", "", "Origin"},
		{"reading", Origins{shop}, evil, "GET", "*", "Access-Control-Request-Method"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t)
			e.proxy.Origins = test.origins
			got := e.send("OPTIONS", "/cat", nil, "Origin", test.from, "Access-Control-Request-Method", test.asks, "Access-Control-Request-Headers", "x-token, content-type")
			got.want(t, 204, "Access-Control-Allow-Origin", test.allowed, "Access-Control-Max-Age", corsMaxAge,
				"Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, OPTIONS", "Access-Control-Allow-Headers", corsHeaders)
			if varys := strings.Join(got.Header.Values("Vary"), ", "); !strings.Contains(varys, test.dependsOn) || test.dependsOn == "" && varys != "" {
				t.Errorf("Vary %q, want %q in it", varys, test.dependsOn)
			}
		})
	}
}

func TestCheckOrigin(t *testing.T) {
	for origin, good := range map[string]bool{
		"*": true, "https://example.com": true, "http://localhost:3000": true, "chrome-extension://abc": true,
		"": false, "example.com": false, "https://example.com/": false, "https://example.com/a": false, "https://Example.com": false,
		"https://*.example.com":    false, // would match nothing
		"https://user@example.com": false, "null": false, "https://example.com?x": false,
	} {
		if err := CheckOrigin(origin); (err == nil) != good {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// confirmer is a receiver whose store takes uploads itself.
type confirmer struct {
	refuser
	token string
}

func (c *confirmer) Confirm(_ context.Context, token, _ string) (ingest.Receipt, error) {
	c.token = token
	return ingest.Receipt{ID: "a/b", SHA256: "00", MD5: "11", Format: transform.PNG, Width: 7, Height: 5, Placeholder: "p", Pending: true}, c.err
}

func TestConfirm(t *testing.T) {
	e := newEdge(t)
	if got := e.send("POST", ConfirmPath, nil); got.StatusCode != 405 {
		t.Errorf("a store that takes no uploads itself: %d", got.StatusCode)
	}
	c := &confirmer{}
	e.proxy.Uploads, e.proxy.Origins = c, Origins{shop}
	got := e.send("POST", ConfirmPath, nil, TokenHeader, "secret", "Origin", shop)
	got.want(t, 201, "Content-Type", "application/json", "Cache-Control", "no-store", "Access-Control-Allow-Origin", shop)
	const want = `{"status":"OK","id":"a/b","original_height":5,"original_width":7,"version":"","sha256":"00","md5":"11","bytes":0,"format":"png","placeholder":"p","pending":true}` + "\n"
	if got.body != want || c.token != "secret" {
		t.Errorf("%s with %q", got.body, c.token)
	}
	c.err = ingest.ErrNoImage
	e.send("POST", ConfirmPath, nil).want(t, 400, "Content-Type", "application/problem+json")
	e.send("PUT", ConfirmPath, nil).want(t, 405)
	e.send("GET", ConfirmPath, nil).want(t, 404)
}

// TestUploadPath: the path of an upload is read as the id that it was made for.
func TestUploadPath(t *testing.T) {
	for id, want := range map[string]string{
		"cat": "/cat", "shop/cat": "/shop/cat", "cat.jpg": "/cat.jpg.jpg", "cat.v2": "/cat.v2", "café/ü": "/caf%C3%A9/%C3%BC", "cat_300_200": "/cat_300_200",
	} {
		if got := UploadPath(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func FuzzUploadPath(f *testing.F) {
	for _, id := range []string{"cat", "cat.jpg", "a/b.webp", "café", "x.auto", "a..jpg"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if origin.CheckID(id) != nil || checkSource(id) != nil {
			return
		}
		path := UploadPath(id)
		if got, err := uploadID(path); err != nil || got != id {
			t.Errorf("%q -> %s -> %q, %v", id, path, got, err)
		}
	})
}
