package s3_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeS3 answers as S3 does, for the faults that a real server has no switch for.
type fakeS3 struct {
	mu      sync.Mutex
	objects map[string]object
	asked   map[string]int // requests by method
	// fault may answer in the server's place, before the request is carried out or after; true when it did.
	before, after func(w http.ResponseWriter, r *http.Request) bool
}

type object struct {
	body     []byte
	header   http.Header
	modified time.Time
}

func newFake(t *testing.T) (*fakeS3, string) {
	t.Helper()
	f := &fakeS3{objects: make(map[string]object), asked: make(map[string]int)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	return f, "s3://bucket/pre/fix?endpoint=" + server.URL
}

func (f *fakeS3) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[method]
}

func (f *fakeS3) keys() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := make(map[string]string)
	for key, o := range f.objects {
		found[key] = string(o.body)
	}
	return found
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.asked[r.Method]++
	f.mu.Unlock()
	if f.before != nil && f.before(w, r) {
		return
	}
	recorder := httptest.NewRecorder()
	f.carryOut(recorder, r, strings.TrimPrefix(r.URL.Path, "/bucket/"), body)
	if f.after != nil && f.after(w, r) {
		return
	}
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(recorder.Body.Bytes())
}

func (f *fakeS3) carryOut(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, exists := f.objects[key]
	switch {
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		f.copyOnto(w, r, key)
	case r.Method == http.MethodPut:
		sum := sha256.Sum256(body)
		switch {
		case r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]):
			refuse(w, http.StatusBadRequest, "BadDigest")
		case exists && r.Header.Get("If-None-Match") == "*":
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		default:
			header := http.Header{"Etag": {fmt.Sprintf(`"%x"`, md5.Sum(body))}}
			for name, values := range r.Header {
				if strings.HasPrefix(name, "X-Amz-Meta-") {
					header[name] = values
				}
			}
			f.objects[key] = object{body, header, time.Now()}
			w.Header().Set("ETag", header.Get("ETag"))
		}
	case !exists && r.Method != http.MethodDelete:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		maps.Copy(w.Header(), stored.header)
		http.ServeContent(w, r, "", stored.modified, bytes.NewReader(stored.body))
	}
}

// copyOnto replaces the metadata of an object, which is all that this fake copies for.
func (f *fakeS3) copyOnto(w http.ResponseWriter, r *http.Request, key string) {
	stored, exists := f.objects[key]
	tag := stored.header.Get("ETag")
	switch {
	case r.Header.Get("X-Amz-Copy-Source") != "bucket/"+key || r.Header.Get("X-Amz-Metadata-Directive") != "REPLACE":
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	case !exists:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case strings.Trim(r.Header.Get("X-Amz-Copy-Source-If-Match"), `"`) != strings.Trim(tag, `"`):
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
	default:
		header := http.Header{"Etag": {tag}}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				header[name] = values
			}
		}
		f.objects[key] = object{stored.body, header, time.Now()}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = fmt.Fprintf(w, "<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>", tag)
	}
}

func refuse(w http.ResponseWriter, code int, name string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>m</Message></Error>", name)
}
