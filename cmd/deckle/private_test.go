package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// privateUpload brings a picture in that is private by its token's policy.
func (d *daemon) privateUpload(id string, picture []byte) {
	d.t.Helper()
	ways := d.grants(fmt.Sprintf(`{"grants": [{"id": %q, "policy": {"private": true, "outputs": ["30x20.webp"]}}]}`, id), 200)
	if got := d.use(ways[0].Post, picture); got.status != 200 {
		d.t.Fatalf("upload of %s: %d %s", id, got.status, got.body)
	}
}

// view makes a URL under which a source is seen; the path and query of it.
func (d *daemon) view(id, body string) string {
	d.t.Helper()
	return into[struct{ URL string }](d.t, d.operate("POST", "/sources/"+id+"/view", body, 200)).URL
}

func (d *daemon) setPrivate(id string, private bool) {
	d.t.Helper()
	d.operate("PATCH", "/sources/"+id, fmt.Sprintf(`{"private": %v}`, private), 200)
}

// sameAsAbsent asks for a private source and for one that is not there, and wants the same answers.
func sameAsAbsent(t *testing.T, d *daemon, id, absent string) {
	t.Helper()
	for _, variant := range []string{".png", "_30_20.webp", ".auto", ".json", "_30_20.webp?placeholder=color", "_30_20.webp?download=x", "_90000_1.webp"} {
		for _, header := range [][]string{nil, {"If-None-Match", "*"}, {"Range", "bytes=0-1"}} {
			for _, method := range []string{"GET", "HEAD"} {
				got, want := request(method, d.edge+"/"+id+variant, nil, header...), request(method, d.edge+"/"+absent+variant, nil, header...)
				for _, r := range []reply{got, want} {
					r.header.Del("Date")
					if to := r.header.Get("Location"); to != "" {
						r.header.Set("Location", strings.NewReplacer(id, "#", absent, "#").Replace(to))
					}
				}
				if got.status == 200 || got.status != want.status || fmt.Sprint(got.header) != fmt.Sprint(want.header) || !bytes.Equal(got.body, want.body) {
					t.Errorf("%s %s%s %v: %d %v %s; of an absent one %d %v %s", method, id, variant, header, got.status, got.header, got.body, want.status, want.header, want.body)
				}
			}
		}
	}
}

// TestPrivate: a private picture is seen with a view URL, and otherwise not there; on files and on S3.
func TestPrivate(t *testing.T) {
	s3 := testserver.S3(t)
	s3.SetCredentials(t)
	for name, args := range map[string][]string{"files": nil, "S3": {"--origin", s3.URL(s3.Bucket(t)), "--store", s3.URL(s3.Bucket(t))}} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			d := start(t, append([]string{"--data", data, "--version-fresh", "0s"}, args...)...)
			picture := testimage.PNG(testimage.Quadrants(64, 48))
			d.privateUpload("shop/cat", picture)
			sameAsAbsent(t, d, "shop/cat", "shop/owl")
			for _, body := range []string{`{"variant": ".png"}`, `{"variant": "_30_20.webp"}`, `{}`, `{"variant": ".json"}`, `{"variant": "_30_20.webp?fit=crop"}`} {
				url := d.view("shop/cat", body)
				got := d.get(url)
				if got.status != 200 || !strings.HasPrefix(got.header.Get("Cache-Control"), "private, max-age=") || strings.Contains(fmt.Sprint(got.header), "public") {
					t.Errorf("view %s: %d %v", body, got.status, got.header)
				}
				if tag := got.header.Get("Etag"); tag != "" {
					if again := d.get(url, "If-None-Match", tag); again.status != http.StatusNotModified {
						t.Errorf("view %s again: %d", body, again.status)
					}
				}
			}
			// One view for every size.
			all := d.view("shop/cat", `{"every": true}`)
			_, query, _ := strings.Cut(all, "?")
			d.mustGet("/shop/cat_31_20.webp?" + query)
			d.mustGet("/shop/cat.json?" + query)
			sameAsAbsent(t, d, "shop/cat", "shop/owl")
			// It ends.
			short := d.view("shop/cat", `{"variant": ".png", "seconds": 1}`)
			d.mustGet(short)
			eventually(t, 5*time.Second, "the view ends", func() bool { return d.get(short).status == 404 })
			d.operate("POST", "/sources/shop/cat/view", `{"seconds": 86400}`, 400)
			d.operate("POST", "/sources/shop/cat/view", `{"variant": "dog.png"}`, 400)
			// Public, and private again, while it is in every tier.
			for range 2 {
				d.setPrivate("shop/cat", false)
				d.mustGet("/shop/cat.png")
				d.mustGet("/shop/cat_30_20.webp")
				d.setPrivate("shop/cat", true)
				sameAsAbsent(t, d, "shop/cat", "shop/owl")
			}
			// It stays so over a restart, whether or not the process could prepare for it; and its view URLs do.
			view := d.view("shop/cat", `{}`)
			d.kill()
			d.launch()
			sameAsAbsent(t, d, "shop/cat", "shop/owl")
			d.mustGet(view)
			d.operate("PATCH", "/sources/shop/owl", `{"private": true}`, 404)
			if info, err := os.Stat(filepath.Join(data, secretName)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the secret: %v, %v", info, err)
			}
			checkTiersPrivate(t, data)
		})
	}
}

// checkTiersPrivate looks for what anybody could read of the originals' directory: marks are their owner's.
func checkTiersPrivate(t *testing.T, data string) {
	t.Helper()
	if info, err := os.Stat(filepath.Join(data, "originals", ".private")); err == nil && info.Mode().Perm() != 0o700 {
		t.Errorf("the marks are readable: %v", info.Mode())
	}
}

// TestPrivateOnFleet: what is made private on one node is so on the others when they have been told, and within the bound of
// versions when the messages do not come.
func TestPrivateOnFleet(t *testing.T) {
	f := startFleet(t, "--signing-secrets", signSecret)
	a, b := f.nodes[0], f.nodes[1]
	picture := testimage.PNG(testimage.Quadrants(64, 48))
	a.upload("cat", picture, false)
	for _, d := range f.nodes {
		d.mustGet("/cat_30_20.webp")
	}
	for range 3 {
		a.setPrivate("cat", true)
		if got := a.get("/cat_30_20.webp"); got.status != 404 {
			t.Errorf("on this node: %d", got.status)
		}
		took := eventually(t, time.Second, "the other nodes are told", func() bool {
			return b.get("/cat_30_20.webp").status == 404 && f.nodes[2].get("/cat_30_20.webp").status == 404
		})
		t.Logf("private on all nodes within %s", took.Round(time.Millisecond))
		b.mustGet(a.view("cat", `{"variant": "_30_20.webp"}`)) // their secrets are the same
		a.setPrivate("cat", false)
		eventually(t, time.Second, "the other nodes are told", func() bool { return b.get("/cat_30_20.webp").status == 200 })
	}
	f.redis.Stop()
	a.setPrivate("cat", true)
	if got := a.get("/cat_30_20.webp"); got.status != 404 {
		t.Errorf("on this node: %d", got.status)
	}
	took := eventually(t, 10*time.Second, "without messages", func() bool { return b.get("/cat_30_20.webp").status == 404 })
	t.Logf("private without messages within %s", took.Round(time.Millisecond))
}

// TestNothingPrivate: where nothing could be kept private, nothing is promised to be.
func TestNothingPrivate(t *testing.T) {
	redis, s3 := testserver.Redis(t), testserver.S3(t)
	s3.SetCredentials(t)
	for want, args := range map[string][]string{
		"signing-secrets": {"--redis", redis.URL()},
		"--redirect":      {"--store", s3.URL(s3.Bucket(t)), "--redirect", "https://copies.example.com/"},
	} {
		d := start(t, append([]string{"--data", t.TempDir()}, args...)...)
		got := d.operate("POST", "/grants", `{"grants": [{"id": "cat", "policy": {"private": true}}]}`, http.StatusUnprocessableEntity)
		if !strings.Contains(string(got.body), want) {
			t.Errorf("%v: %s, want %q in it", args, got.body, want)
		}
		d.upload("cat", testimage.PNG(testimage.Quadrants(64, 48)), false)
		d.operate("PATCH", "/sources/cat", `{"private": true}`, http.StatusUnprocessableEntity)
		d.mustGet("/cat_30_20.webp")
	}
}
