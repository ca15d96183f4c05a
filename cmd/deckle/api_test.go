package main

import (
	"bytes"
	"crypto/md5" // of receipts; a name and no proof
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// stores are the originals' stores that the lifecycle is shown on, each with records in SQLite.
var stores = []struct {
	name  string
	flags func(t *testing.T) []string
}{
	{"files", func(*testing.T) []string { return nil }},
	{"s3", func(t *testing.T) []string {
		s3 := testserver.S3(t)
		s3.SetCredentials(t)
		return []string{"--origin", s3.URL(s3.Bucket(t))}
	}},
}

// way is a request that a grant offers. A client does it the same whatever the store is.
type way struct {
	Method, URL string
	Headers     map[string]string
	Confirm     *way
}

// grant is an answer of POST /grants, as a client reads it.
type grant struct {
	ID, Token string
	Expires   time.Time
	Post, Put *way
	Problem   *struct{ Status int }
}

// receipt is what all operations tell of a source.
type receipt struct {
	ID, Version, SHA256, MD5, Format, Placeholder string
	Bytes                                         int64
	Width, Height                                 int // of the operator's listener
	OriginalWidth                                 int `json:"original_width"` // of the edge
	OriginalHeight                                int `json:"original_height"`
	Pending                                       bool
}

// operate calls the operator's listener with a JSON body and wants a status.
func (d *daemon) operate(method, path, body string, status int) reply {
	d.t.Helper()
	got := request(method, d.admin+path, strings.NewReader(body))
	if got.status != status || got.err != nil {
		d.t.Fatalf("%s %s %s: %d %v %s, want %d", method, path, body, got.status, got.err, got.body, status)
	}
	return got
}

// into reads a JSON answer.
func into[T any](t *testing.T, got reply) T {
	t.Helper()
	var said T
	if err := json.Unmarshal(got.body, &said); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	return said
}

// grants asks for many.
func (d *daemon) grants(body string, status int) []grant {
	d.t.Helper()
	return into[struct{ Grants []grant }](d.t, d.operate("POST", "/grants", body, status)).Grants
}

// use does what a way says with a picture: the whole of a client.
func (d *daemon) use(w *way, picture []byte) reply {
	d.t.Helper()
	at, err := url.Parse(d.edge)
	if err != nil {
		d.t.Fatal(err)
	}
	if at, err = at.Parse(w.URL); err != nil {
		d.t.Fatal(err)
	}
	var header []string
	for name, value := range w.Headers {
		header = append(header, name, value)
	}
	got := request(w.Method, at.String(), bytes.NewReader(picture), header...)
	if w.Confirm != nil && got.status < 300 {
		return d.use(w.Confirm, nil)
	}
	return got
}

// results are those of operations on several sources.
type results struct {
	Results []struct {
		ID      string
		Source  *receipt
		Problem *struct {
			Status int
			Field  string
		}
	}
}

// TestLifecycle walks sources from a grant to their end by the operations of both listeners.
func TestLifecycle(t *testing.T) {
	picture := testimage.JPEG(testimage.Photo(600, 400, 5), 88)
	other := testimage.PNG(testimage.Photo(300, 200, 6))
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			d := start(t, append(store.flags(t), "--data", t.TempDir(), "--undelete", "1h")...)
			shape := func(path string, width, height int) {
				t.Helper()
				if _, w, h := d.mustGet(path).size(t); w != width || h != height {
					t.Errorf("%s is %dx%d, want %dx%d", path, w, h, width, height)
				}
			}
			gone := func(path string) {
				t.Helper()
				if got := d.get(path); got.status != 404 {
					t.Errorf("%s: %d, want 404", path, got.status)
				}
			}

			given := d.grants(`{"grants": [{"id": "shop/cat", "policy": {"publish": "later", "whole": true, "name": "Tom", "data": {"a": 1}}},
				{"policy": {"max_bytes": 100}}, {"id": "shop/cat"}, {"id": "shop/dog", "policy": {"formats": ["png"], "outputs": ["90x60.webp"]}}]}`, 207)
			if len(given) != 4 || given[1].ID == "" || given[2].Problem == nil || given[2].Problem.Status != 403 {
				t.Fatalf("grants %+v", given)
			}
			cat, small, dog := given[0], given[1], given[3]

			// Receive: the same code of a client for a directory and for S3.
			got := d.use(cat.Put, picture)
			said, sha, sum := into[receipt](t, got), sha256.Sum256(picture), md5.Sum(picture)
			if got.status != 201 || said.SHA256 != hex.EncodeToString(sha[:]) || said.MD5 != hex.EncodeToString(sum[:]) || said.Bytes != int64(len(picture)) ||
				said.OriginalWidth != 600 || said.OriginalHeight != 400 || said.Format != "jpeg" || said.Placeholder == "" || !said.Pending {
				t.Fatalf("receipt %d %s", got.status, got.body)
			}
			if got := d.use(small.Post, picture); got.status != 413 {
				t.Errorf("beyond max_bytes: %d %s", got.status, got.body)
			}
			if got := d.use(dog.Post, picture); got.status < 400 || got.status > 499 {
				t.Errorf("a JPEG for a grant of PNG: %d %s", got.status, got.body)
			}
			if got := d.use(dog.Post, other); got.status != 200 {
				t.Errorf("upload: %d %s", got.status, got.body)
			}
			shape("/shop/dog.png", 300, 200)

			// Publish: not before it is asked for, and no other bytes than expected.
			gone("/shop/cat.jpg")
			if known := string(d.operate("GET", "/sources/shop/cat", "", 200).body); !strings.Contains(known, `"incoming":{`) || strings.Contains(known, `"active"`) {
				t.Errorf("known: %s", known)
			}
			d.operate("POST", "/publish", `{"sources": [{"id": "shop/cat", "sha256": "`+strings.Repeat("0", 64)+`"}]}`, 409)
			publish := `{"sources": [{"id": "shop/cat", "sha256": "` + said.SHA256 + `", "tags": ["pets"]}]}`
			d.operate("POST", "/publish", publish, 200)
			d.operate("POST", "/publish", publish, 200)
			shape("/shop/cat_300_200.webp", 300, 200)
			if known := string(d.operate("GET", "/sources/shop%2Fcat", "", 200).body); !strings.Contains(known, `"name":"Tom"`) || !strings.Contains(known, `"tags":["pets"]`) || !strings.Contains(known, `"data":{"a":1}`) {
				t.Errorf("known: %s", known)
			}
			d.operate("POST", "/unpublish", `{"ids": ["shop/cat"]}`, 200)
			gone("/shop/cat_300_200.webp")
			d.operate("POST", "/publish", publish, 200)

			// Rotate, crop, replace: a new version under the id, or a source of its own.
			turned := into[receipt](t, d.operate("POST", "/rotate", `{"id": "shop/cat", "turn": "90"}`, 200))
			if turned.Width != 400 || turned.Height != 600 || turned.Version == said.Version {
				t.Errorf("turned: %+v", turned)
			}
			shape("/shop/cat_300_0.webp", 300, 450)
			d.operate("POST", "/crop", `{"id": "shop/cat", "x": 10, "y": 20, "width": 100, "height": 50, "new_id": "shop/eye"}`, 200)
			shape("/shop/eye.jpg", 100, 50)
			shape("/shop/cat_300_0.webp", 300, 450)
			d.operate("POST", "/rotate", `{"id": "shop/eye", "turn": "180", "new_id": "shop/cat"}`, 403)
			d.operate("PUT", "/sources/shop/cat", string(other), 200)
			shape("/shop/cat_150_0.webp", 150, 100)

			// Process: rendered before anybody asks.
			job := d.operate("POST", "/process", `{"id": "shop/cat", "outputs": ["120x80.webp"], "wait": true}`, 200)
			if !strings.Contains(string(job.body), `"done":true`) || strings.Contains(string(job.body), "problem") {
				t.Errorf("job %s", job.body)
			}
			if at := job.header.Get("Location"); !strings.Contains(string(d.operate("GET", at, "", 200).body), `"source":"shop/cat"`) {
				t.Errorf("no job at %q", at)
			}

			// Delete and restore.
			list := into[struct{ Sources []receipt }](t, d.operate("GET", "/sources?limit=10", "", 200)).Sources
			if len(list) != 3 || list[0].ID != "shop/cat" || list[2].ID != "shop/eye" {
				t.Errorf("list: %+v", list)
			}
			deleted := into[results](t, d.operate("POST", "/delete", `{"ids": ["shop/eye", "nothing", "shop/dog"]}`, 207))
			if p := deleted.Results[1].Problem; p == nil || p.Status != 404 || p.Field != "ids[1]" || deleted.Results[0].Problem != nil {
				t.Errorf("deleted: %+v", deleted)
			}
			gone("/shop/eye.jpg")
			d.operate("POST", "/restore", `{"ids": ["shop/eye"]}`, 200)
			shape("/shop/eye.jpg", 100, 50)
			d.operate("DELETE", "/sources/shop/cat", "", 204)
			gone("/shop/cat_150_0.webp")
			d.operate("DELETE", "/sources/shop/cat", "", 404)
		})
	}
}

// TestGrantsOfAThousand: the most that one request may ask for, and what is beyond.
func TestGrantsOfAThousand(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	many := strings.TrimSuffix(strings.Repeat("{},", 1000), ",")
	given := d.grants(`{"grants": [`+many+`]}`, 200)
	ids := map[string]bool{}
	for _, g := range given {
		ids[g.ID] = g.Token != "" && time.Until(g.Expires) > 14*time.Minute
	}
	if len(ids) != 1000 {
		t.Errorf("%d ids of %d grants", len(ids), len(given))
	}
	d.operate("POST", "/grants", `{"grants": [`+many+`, {}]}`, 400)
	if got := d.use(given[500].Put, testimage.PNG(testimage.Quadrants(8, 8))); got.status != 201 {
		t.Errorf("one of them: %d %s", got.status, got.body)
	}
}

// TestGrantsWithSignatures: where uploads have to be signed, grants name signed URLs, and a token alone is not enough.
func TestGrantsWithSignatures(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--signed", "uploads", "--signing-secrets", "a-secret-of-sixteen-bytes", "--token-lifetime", "3h", "--signature-max-age", "1h")
	picture := testimage.PNG(testimage.Quadrants(8, 8))
	given := d.grants(`{"grants": [{"id": "a/b"}, {"id": "c.jpg"}, {"id": "d"}]}`, 200)
	bare := *given[0].Put
	bare.URL, _, _ = strings.Cut(bare.URL, "?")
	if got := d.use(&bare, picture); got.status != 401 {
		t.Errorf("without a signature: %d %s", got.status, got.body)
	}
	stolen := *given[2].Put
	stolen.URL = given[0].Put.URL
	if got := d.use(&stolen, picture); got.status != 403 {
		t.Errorf("with the token of another grant: %d %s", got.status, got.body)
	}
	post := *given[2].Put
	post.Method = "POST"
	if got := d.use(&post, picture); got.status != 401 {
		t.Errorf("by another method: %d %s", got.status, got.body)
	}
	if got := d.use(given[0].Put, picture); got.status != 201 || into[receipt](t, got).ID != "a/b" {
		t.Errorf("put: %d %s", got.status, got.body)
	}
	if got := d.use(given[1].Post, picture); got.status != 200 || into[receipt](t, got).ID != "c.jpg" {
		t.Errorf("post: %d %s", got.status, got.body)
	}
	_, signed, _ := strings.Cut(given[0].Put.URL, "X-Signature=")
	if signed == "" || strings.Contains(d.log.String(), given[0].Token) || strings.Contains(d.log.String(), signed) {
		t.Error("the log tells a secret")
	}
}

// TestEdgeURL: clients elsewhere are told where the edge is.
func TestEdgeURL(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--edge-url", "https://img.example.com/")
	if got := d.grants(`{"grants": [{"id": "a b"}]}`, 400); got != nil {
		t.Errorf("%+v", got)
	}
	if got := d.grants(`{"grants": [{"id": "a/b"}]}`, 200)[0].Post.URL; got != "https://img.example.com/a/b" {
		t.Error(got)
	}
}

// TestListeners walks both: nothing that operators do can be done at the edge, and no picture is served beside it (TRUST.md
// threat 28).
func TestListeners(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--api-keys", "k3y")
	token := request("POST", d.admin+"/token", strings.NewReader(`{"id": "cat"}`), "Authorization", "Bearer k3y")
	secret := into[struct{ Token string }](t, token).Token
	if got := request("POST", d.edge+"/cat", bytes.NewReader(testimage.PNG(testimage.Quadrants(8, 8))), "X-Token", secret); got.status != 200 {
		t.Fatalf("upload: %d %s", got.status, got.body)
	}
	var described struct {
		Paths map[string]map[string]struct {
			Servers []any
		}
	}
	got := request("GET", d.admin+"/openapi.json", nil)
	if err := json.Unmarshal(got.body, &described); err != nil || got.status != 200 {
		t.Fatal(got.status, err)
	}
	routes := map[string]string{"/docs": "get", "/openapi.json": "get", "/debug/pprof/": "get", "/debug/pprof/cmdline": "get"}
	for path, operations := range described.Paths {
		for method, op := range operations {
			if op.Servers == nil {
				routes[regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "cat")] = method
			}
		}
	}
	if len(routes) < 20 {
		t.Errorf("only %d routes", len(routes))
	}
	open := map[string]bool{"/docs": true, "/openapi.json": true, "/probe/live": true, "/probe/ready": true}
	for path, method := range routes {
		method = strings.ToUpper(method)
		if got := request(method, d.admin+path, strings.NewReader("{}")); (got.status == 401) == open[path] {
			t.Errorf("operators' %s %s without a key: %d", method, path, got.status)
		}
		var body io.Reader
		if method != "GET" {
			body = strings.NewReader(`{"ids": ["cat"], "id": "cat", "all": true}`)
		}
		// 403 is what an upload without a token gets, 405 what no method of the edge is.
		got := request(method, d.edge+path, body, "Authorization", "Bearer k3y", "X-API-Key", "k3y")
		if got.status != 404 && got.status != 403 && got.status != 405 || strings.Contains(string(got.body), "k3y") {
			t.Errorf("the edge's %s %s: %d %.100s", method, path, got.status, got.body)
		}
	}
	for _, path := range []string{"/cat.png", "/cat_4_4.webp", "/cat", "/_health", "/_confirm"} {
		if got := request("GET", d.admin+path, nil, "Authorization", "Bearer k3y"); got.status != http.StatusNotFound {
			t.Errorf("operators' %s: %d", path, got.status)
		}
	}
	d.mustGet("/cat_4_4.webp")
}
