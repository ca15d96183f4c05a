package testserver

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// S3Server is an S3-compatible server whose buckets are directories of the test. They outlast a Stop.
type S3Server struct {
	Server
	Endpoint  string // http://host:port
	AccessKey string
	SecretKey string

	dir     string
	buckets atomic.Int64
}

// S3 starts an S3-compatible server (versitygw) for one test. Its program is the one that DECKLE_TEST_S3 names, or that of
// the PATH, or .tools/versitygw below the root of the repository.
func S3(t testing.TB) *S3Server {
	t.Helper()
	addr := freeAddr(t)
	s := &S3Server{Endpoint: "http://" + addr, AccessKey: "deckle-test", SecretKey: "deckle-test-secret", dir: t.TempDir()}
	s.Server = Server{
		Addr:  addr,
		path:  versitygw(t),
		args:  []string{"--port", addr, "--keep-alive", "--quiet", "posix", s.dir},
		env:   []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey},
		ready: askHTTP,
	}
	launch(t, &s.Server)
	return s
}

// Bucket creates an empty bucket and returns its name.
func (s *S3Server) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if err := os.Mkdir(s.Path(name, ""), 0o700); err != nil {
		t.Fatalf("create bucket %s: %v", name, err)
	}
	return name
}

// Path returns the file that holds an object's bytes, so that a test can damage them behind the server's back.
func (s *S3Server) Path(bucket, object string) string {
	return filepath.Join(s.dir, bucket, filepath.FromSlash(object))
}

// URL returns the address of the objects below "prefix" in a bucket, as a configuration spells it.
func (s *S3Server) URL(bucket string) string {
	query := url.Values{"endpoint": {s.Endpoint}, "region": {"us-east-1"}, "path_style": {"true"}}
	return "s3://" + bucket + "/prefix?" + query.Encode()
}

// SetCredentials puts the server's keys into the environment, where the standard chain of credentials finds them, until the
// test ends.
func (s *S3Server) SetCredentials(t testing.TB) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
}

func versitygw(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("DECKLE_TEST_S3"); path != "" {
		return path
	}
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	path := filepath.Join(repositoryRoot(t), ".tools", "versitygw")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("find versitygw: %v; run `make test`, which builds it", err)
	}
	return path
}

// repositoryRoot finds the nearest go.mod above the package under test, whose folder a test runs in.
func repositoryRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("find the repository: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("find the repository: no go.mod above the test")
		}
		dir = parent
	}
}

// askHTTP takes any answer, a refusal included, as a sign of life.
func askHTTP(addr string) error {
	client := &http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
	}
	response, err := client.Get("http://" + addr + "/")
	if err != nil {
		return err
	}
	return response.Body.Close()
}
