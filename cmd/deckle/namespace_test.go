package main

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
	"deckle/signature"

	"github.com/google/go-cmp/cmp"
)

const uploadKey = "a-key-for-uploads-of-these-tests"

// processed is what a POST to a namespace answers when it is asked for outputs.
type processed struct {
	Hash        string
	ContentType string `json:"content_type"`
	Done        bool
	Outputs     []struct {
		Name, Format, Error string
		Job                 string
		Done                bool
		Width, Height       int
		Quality             int
		Bytes               int64
	}
}

func read(t *testing.T, got reply) processed {
	t.Helper()
	var said processed
	if err := json.Unmarshal(got.body, &said); got.status != 200 || err != nil {
		t.Fatalf("%d %v: %s", got.status, err, got.body)
	}
	return said
}

// TestNamespace goes through the life of a picture that is named by its bytes, on each kind of store.
func TestNamespace(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	for name, args := range map[string][]string{
		"files": nil,
		"S3":    {"--origin", server.URL(server.Bucket(t))},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, append([]string{"--data", t.TempDir(), "--namespaces", "photos,more", "--upload-keys", uploadKey}, args...)...)
			photo := testimage.JPEG(testimage.Photo(80, 60, 5), 85)
			img := hashedPath("photos", photo)
			post := func(path string) reply {
				return request("POST", d.edge+path, bytes.NewReader(photo), "Authorization", "Bearer "+uploadKey)
			}
			facts := fmt.Sprintf(`{"hash":"%x","height":60,"width":80,"content_type":"image/jpeg"}`, md5.Sum(photo))
			if got := post("/photos"); got.status != 200 || string(got.body) != facts+"\n" {
				t.Fatalf("upload: %d %s", got.status, got.body)
			}
			if got := d.get(img + "/info.json"); string(got.body) != facts || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("info.json: %d %s", got.status, got.body)
			}
			said := read(t, post("/photos?outputs=x20.webp,w40-q30.jpg,x20.webp&wait=true"))
			if len(said.Outputs) != 2 || !said.Outputs[0].Done || said.Outputs[0].Width != 20 || said.Outputs[1].Quality != 30 ||
				said.Outputs[1].Height != 30 || said.Outputs[1].Bytes == 0 || said.Outputs[0].Format != "webp" {
				t.Errorf("outputs: %+v", said)
			}
			renders := d.metric("deckle_renders_total")
			d.mustGet(img+"/x20.webp", "memory")
			d.mustGet(img+"_20_20.webp?fit=crop", "memory")
			d.mustGet(img+"/w40-q30.jpg", "memory")
			if now := d.metric("deckle_renders_total"); now != renders {
				t.Errorf("%v renders more", now-renders)
			}
			said = read(t, post(img+"/process?outputs=x31.png"))
			if len(said.Outputs) != 1 || said.Outputs[0].Name != "x31.png" {
				t.Errorf("process: %+v", said)
			}
			if job := said.Outputs[0].Job; !said.Done && job != "" { // it may be made already
				d.operate("GET", "/jobs/"+job, "", 200)
			}
			d.operate("GET", "/jobs/nope", "", 404)
			eventually(t, 20*time.Second, "an output in the background", func() bool {
				return read(t, post(img+"/process?outputs=x31.png")).Done
			})
			d.mustGet(img+"/x31.png", "memory")
			renders = d.metric("deckle_renders_total")
			said = read(t, post(img+"/process?outputs=x31.png,x20.webp"))
			if !said.Done || said.Outputs[0].Width != 31 || said.Outputs[0].Job != "" || said.Outputs[1].Width != 20 || d.metric("deckle_renders_total") != renders {
				t.Errorf("asked again: %+v", said)
			}
			if got := read(t, post("/more")); got.Hash != said.Hash && got.Hash != fmt.Sprintf("%x", md5.Sum(photo)) {
				t.Errorf("in another namespace: %+v", got)
			}
		})
	}
}

// TestNamespaceOnce: identical bytes that come together are stored once.
func TestNamespaceOnce(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data, "--namespaces", "*", "--upload-keys", uploadKey)
	photo := testimage.JPEG(testimage.Photo(80, 60, 6), 85)
	var uploads sync.WaitGroup
	for range 6 {
		uploads.Go(func() {
			got := request("POST", d.edge+"/photos", bytes.NewReader(photo), "X-API-Key", uploadKey)
			if got.status != 200 || !strings.Contains(string(got.body), fmt.Sprintf("%x", md5.Sum(photo))) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	uploads.Wait()
	var files []string
	err := filepath.WalkDir(filepath.Join(data, "originals"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.Contains(path, "/.") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 1 {
		t.Errorf("%v are stored, %v", files, err)
	}
}

// TestNamespaceSources: pictures are fetched from where the operator lets them be fetched, and nothing else is.
func TestNamespaceSources(t *testing.T) {
	photo := testimage.JPEG(testimage.Photo(80, 60, 7), 85)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/photo.jpg":
			_, _ = w.Write(photo) // whoever asked may be gone
		case "/away":
			http.Redirect(w, r, "/photo.jpg", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		case "/broken":
			http.Error(w, "no", http.StatusNotImplemented)
		case "/failing":
			http.Error(w, "no", http.StatusServiceUnavailable)
		case "/short":
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(photo[:100])
		case "/text":
			_, _ = w.Write([]byte("hello"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer upstream.Close()
	port := upstream.URL[strings.LastIndexByte(upstream.URL, ':')+1:]
	open := start(t, "--data", t.TempDir(), "--namespaces", "web", "--open-uploads", "--allow-upstream", "127.0.0.0/8", "--source-ports", port)
	shut := start(t, "--data", t.TempDir(), "--namespaces", "web", "--open-uploads", "--source-ports", port)
	fetch := func(d *daemon, source string) reply { return request("POST", d.edge+"/web?source="+source, nil) }
	refused := "http://127.0.0.1:" + freePort(t)
	nobody := start(t, "--data", t.TempDir(), "--namespaces", "web", "--open-uploads", "--allow-upstream", "127.0.0.0/8", "--source-ports", refused[strings.LastIndexByte(refused, ':')+1:])
	for _, test := range []struct {
		d      *daemon
		url    string
		status int
		says   string
	}{
		{open, upstream.URL + "/photo.jpg", 200, ""}, {open, upstream.URL + "/away", 200, ""},
		{open, upstream.URL + "/inside", 502, "may not be connected to"}, {open, upstream.URL + "/text", 415, ""},
		{open, upstream.URL + "/nothing", 404, "nothing at the source URL"},
		{open, upstream.URL + "/broken", 502, "The source URL could not be fetched"}, {open, upstream.URL + "/failing", 502, "The source URL could not be fetched"},
		{open, upstream.URL + "/short", 502, "The source URL could not be fetched"}, {nobody, refused + "/photo.jpg", 502, "The source URL could not be fetched"},
	} {
		got := fetch(test.d, test.url)
		if got.status != test.status || !bytes.Contains(got.body, []byte(test.says)) || bytes.Contains(got.body, []byte("127.0.0.1")) {
			t.Errorf("%s: %d %s, want %d with %q", test.url, got.status, got.body, test.status, test.says)
		}
	}
	for _, source := range []string{upstream.URL + "/photo.jpg", "file:///etc/passwd", "http://user:pw@127.0.0.1/", "notaurl", "http:///x.jpg"} {
		if got := fetch(shut, source); got.status != 502 || bytes.Contains(got.body, []byte("127.0.0.1")) {
			t.Errorf("%s: %d %s", source, got.status, got.body)
		}
	}
}

// TestNamespaceAdmission: without a key or a signature nothing is taken, and what is no namespace needs a token as ever.
func TestNamespaceAdmission(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--namespaces", "photos", "--upload-keys", uploadKey, "--signed", "uploads", "--signing-secrets", signSecret)
	photo := testimage.JPEG(testimage.Photo(80, 60, 8), 85)
	img := hashedPath("photos", photo)
	signed := func(method, path string) string {
		return path + "?" + signature.Query(signSecret, method, path, "", time.Now().Add(time.Minute))
	}
	for _, test := range []struct {
		name, target string
		header       []string
		status       int
	}{
		{"nothing shown", "/photos", nil, 401},
		{"another key", "/photos", []string{"Authorization", "Bearer " + uploadKey + "x"}, 401},
		{"an empty key", "/photos", []string{"Authorization", "Bearer "}, 401},
		{"a signature for another method", signed("GET", "/photos"), nil, 401},
		{"a signature for another path", "/photos?" + strings.SplitN(signed("POST", "/more"), "?", 2)[1], nil, 401},
		{"process with nothing shown", img + "/process?outputs=x20.jpg", nil, 401},
		{"a key", "/photos", []string{"Authorization", "Bearer " + uploadKey}, 200},
		{"a signature", signed("POST", "/photos"), nil, 200},
		{"a token that is none", signed("POST", "/photos"), []string{"X-Token", "guess"}, 403},
		{"no namespace", signed("POST", "/more"), nil, 403},
		{"a signed process", signed("POST", img+"/process") + "&outputs=x20.jpg&wait=true", nil, 200},
		{"a process with a key", img + "/process?outputs=x20.jpg", []string{"X-API-Key", uploadKey}, 200},
		{"a bad wait", img + "/process?wait=maybe", []string{"X-API-Key", uploadKey}, 400},
		{"a bad output", img + "/process?outputs=x20.auto", []string{"X-API-Key", uploadKey}, 400},
		{"an output beyond the bounds", img + "/process?outputs=x9000.jpg&wait=true", []string{"X-API-Key", uploadKey}, 200},
	} {
		got := request("POST", d.edge+test.target, bytes.NewReader(photo), test.header...)
		if got.status != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, got.status, got.body, test.status)
		}
		if test.status != 200 && got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s", test.name, got.header.Get("Content-Type"))
		}
	}
	said := read(t, request("POST", d.edge+img+"/process?outputs=x9000.jpg&wait=true", nil, "X-API-Key", uploadKey))
	if len(said.Outputs) != 1 || !strings.Contains(said.Outputs[0].Error, "at most 4096") {
		t.Errorf("an output beyond the bounds: %+v", said)
	}
	closed := start(t, "--data", t.TempDir(), "--namespaces", "photos")
	if got := request("POST", closed.edge+"/photos", bytes.NewReader(photo)); got.status != 401 {
		t.Errorf("where nothing says who may upload: %d %s", got.status, got.body)
	}
}

func TestCompatSettings(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"--compat", "flickr"}, "image-server, c2c or image-storage"},
		{[]string{"--namespaces", "Photos"}, "no namespace"},
		{[]string{"--open-uploads"}, "--namespaces or --compat"},
		{[]string{"--namespaces", "a", "--upload-keys", "short"}, "16 bytes"},
		{[]string{"--upload-keys", uploadKey}, "need a token"},
		{[]string{"--c2c-secret", "x"}, "--compat c2c"},
		{[]string{"--compat", "c2c", "--c2c-suffixes", "BI"}, "suffix"},
		{[]string{"--source-ports", "70000"}, "65535"},
		{[]string{"--namespaces", "a", "--open-uploads", "--signed", "uploads", "--signing-secrets", signSecret}, "they are open, or they are signed"},
	} {
		code, _, stderr := command(append([]string{"serve"}, test.args...)...)
		if code != exitUsage || !strings.Contains(stderr, test.says) || strings.Contains(stderr, uploadKey) {
			t.Errorf("%v: %d %s", test.args, code, stderr)
		}
	}
	code, stdout, stderr := command("config", "--compat", "c2c", "--c2c-secret", c2cSecret, "--upload-keys", uploadKey)
	if code != exitOK || strings.Contains(stdout, c2cSecret) || strings.Contains(stdout, uploadKey) {
		t.Errorf("%d %s\n%s", code, stdout, stderr)
	}
	if diff := cmp.Diff(2, strings.Count(stdout, "'****'")+strings.Count(stdout, `"****"`)); diff != "" {
		t.Errorf("secrets shown as stars: %s\n%s", diff, stdout)
	}
}
