package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// behindCDN starts a Deckle as a CDN's origin, with a picture and the header fields that are for caches alone.
func behindCDN(t *testing.T) *daemon {
	d := start(t, "--data", t.TempDir(), "--cache-tags", "--cdn-cache-control", "max-age=86400", "--trusted-proxies", "127.0.0.1")
	d.upload("demo", testimage.JPEG(testimage.Photo(200, 150, 1), 85), false)
	return d
}

// askCDN asks a cache as a viewer who accepts so much.
func askCDN(t *testing.T, addr, path, accept string) http.Header {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Accept"] = []string{accept}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", path, response.Status)
	}
	return response.Header
}

// checkCDN asks a cache in front of behindCDN: a negotiated URL has a copy for each class of viewers, others one for all, and
// what is for caches alone stays there.
func checkCDN(t *testing.T, addr string) {
	t.Helper()
	for _, test := range []struct{ path, accept, format, cache string }{
		{"/demo_60_40.auto", "text/html,image/avif,image/webp,*/*;q=0.8", "image/avif", "MISS"},
		{"/demo_60_40.auto", "image/webp,image/avif", "image/avif", "HIT"},
		{"/demo_60_40.auto", "image/webp,*/*", "image/webp", "MISS"},
		{"/demo_60_40.auto", "image/webp", "image/webp", "HIT"},
		{"/demo_60_40.auto", "*/*", "image/jpeg", "MISS"},
		{"/demo_60_40.auto", "", "image/jpeg", "HIT"},
		{"/demo_60_40.AUTO?v=1", "image/webp", "image/webp", "MISS"},
		{"/demo_60_40.jpg", "image/avif", "image/jpeg", "MISS"},
		{"/demo_60_40.jpg", "", "image/jpeg", "HIT"},
		{"/demo_60_40.jpg?allow_webp=true", "image/webp", "image/webp", "MISS"},
		{"/demo_60_40.jpg?allow_webp=true", "", "image/jpeg", "MISS"},
		{"/demo_60_40.jpg?fit=crop", "", "image/jpeg", "MISS"},
	} {
		h := askCDN(t, addr, test.path, test.accept)
		if h.Get("Content-Type") != test.format || h.Get("X-Cache") != test.cache {
			t.Errorf("%s for %q is %s and a %s, want %s and a %s", test.path, test.accept, h.Get("Content-Type"), h.Get("X-Cache"), test.format, test.cache)
		}
		negotiated := strings.Contains(strings.ToLower(test.path), ".auto") || strings.Contains(test.path, "allow_webp")
		if got := h.Get("Vary"); (got == "Accept") != negotiated {
			t.Errorf("%s varies by %q", test.path, got)
		}
		for _, name := range []string{"Surrogate-Key", "Cache-Tag", "Cdn-Cache-Control"} {
			if h.Get(name) != "" {
				t.Errorf("%s: viewers are told %s", test.path, name)
			}
		}
	}
}

// TestCDNNginx puts the nginx of deploy/cdn before a Deckle.
func TestCDNNginx(t *testing.T) {
	t.Parallel()
	d := behindCDN(t)
	config := deployed(t, "cdn/nginx.conf")
	cdn := testserver.NginxConfig(t, func(dir, addr string) string {
		inner := strings.NewReplacer("/var/cache/nginx", dir, "server 127.0.0.1:8080", "server "+strings.TrimPrefix(d.edge, "http://"), "listen 80;", "listen "+addr+";").Replace(config)
		user := ""
		if os.Getuid() == 0 {
			user = "user root;"
		}
		temporary := ""
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "scgi", "uwsgi"} {
			temporary += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, dir, kind)
		}
		return fmt.Sprintf("daemon off; master_process off; %s pid %s/pid; error_log stderr; events {}\nhttp { access_log off;\n%s%s}\n", user, dir, temporary, inner)
	})
	checkCDN(t, cdn.Addr)
}

// TestCDNVarnish puts the Varnish of deploy/cdn before a Deckle, and purges by tag: a picture, then a folder, each with all its
// sizes and nothing else.
func TestCDNVarnish(t *testing.T) {
	t.Parallel()
	d := behindCDN(t)
	host, port, _ := strings.Cut(strings.TrimPrefix(d.edge, "http://"), ":")
	cdn := testserver.Varnish(t, strings.NewReplacer(`"127.0.0.1";
  .port = "8080";`, fmt.Sprintf("%q;\n  .port = %q;", host, port)).Replace(deployed(t, "cdn/varnish.vcl")))
	checkCDN(t, cdn.Addr)

	paths := []string{"/shop/hat/42_50_0.webp", "/shop/hat/42_60_0.jpg", "/shop/hat/4.2_50_0.webp", "/shop/cup_50_0.webp", "/demo_50_0.webp"}
	for _, id := range []string{"shop/hat/42", "shop/hat/4.2", "shop/cup"} {
		d.upload(id, testimage.JPEG(testimage.Photo(200, 150, 2), 85), false)
	}
	for _, test := range []struct{ tag, status, kept string }{
		{"", "", "-----"}, // nothing was asked for before
		{"", "", "HHHHH"},
		{"shop/hat/42", "200", "--HHH"},
		{"shop/hat/4.2", "200", "HH-HH"},
		{"shop/hat", "200", "HHHHH"}, // the tag of a folder ends in a slash
		{"shop/", "200", "----H"},
		{".*|demo", "400", "HHHHH"},
	} {
		if test.tag != "" {
			if got := request("BAN", "http://"+cdn.Addr+"/", nil, "X-Tag", test.tag); fmt.Sprint(got.status) != test.status {
				t.Errorf("purging %q: %d %v, want %s", test.tag, got.status, got.err, test.status)
			}
		}
		kept := ""
		for _, path := range paths {
			if askCDN(t, cdn.Addr, path, "").Get("X-Cache") == "HIT" {
				kept += "H"
			} else {
				kept += "-"
			}
		}
		if kept != test.kept {
			t.Errorf("purged %q: %s of %q are kept, want %s", test.tag, kept, paths, test.kept)
		}
	}
}

// TestCDNPage holds docs/cdn.md to what Deckle answers.
func TestCDNPage(t *testing.T) {
	t.Parallel()
	d := behindCDN(t)
	page := deployed(t, "../docs/cdn.md")
	for _, target := range []string{"/demo_60_40.jpg", "/demo_60_40.jpg?v=1", "/absent_60_40.jpg"} {
		if h := d.get(target).header; !strings.Contains(page, "`"+h.Get("Cache-Control")+"`") {
			t.Errorf("docs/cdn.md does not say %q, which %s is answered with", h.Get("Cache-Control"), target)
		}
	}
	if h := d.get("/demo_60_40.jpg").header; h.Get("Surrogate-Key") != "demo" || h.Get("Cache-Tag") != "demo" || h.Get("Cdn-Cache-Control") != "max-age=86400" {
		t.Errorf("Deckle itself does not tell caches apart from viewers: %v", h)
	}
}
