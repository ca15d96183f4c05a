package web

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"deckle/origin"
)

// TrustServer makes a store accept the certificate of a test's server.
func TrustServer(s *Store, server *httptest.Server) {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// FuzzContentRange: what is accepted is a range within its source, and says so again.
func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-0/1", "bytes 3-5/10", "bytes 3-5/*", "bytes */10", "bytes 5-3/10", "bytes 0-9223372036854775807/9223372036854775807", "", "bytes", "bytes -1-2/3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		first, size, err := contentRange(header)
		if err != nil {
			return
		}
		if first < 0 || size != -1 && first >= size {
			t.Fatalf("%q: from %d of %d", header, first, size)
		}
		last := first
		if size >= 0 {
			last = size - 1
		}
		again, againSize, err := contentRange(strings.Replace(fmt.Sprintf("bytes %d-%d/%d", first, last, size), "/-1", "/*", 1))
		if err != nil || again != first || againSize != size {
			t.Fatalf("%q: %d/%d, then %d/%d, %v", header, first, size, again, againSize, err)
		}
	})
}

// FuzzAddress: an accepted id stays on the base's host, below its path, and is the only thing there.
func FuzzAddress(f *testing.F) {
	s, err := New("https://example.org:8443/some%20where/", Config{})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"cat", "a/b/c", "straße/ü", "~_-.", "../x", "a?b", "a#b", "a%2fb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if origin.CheckID(id) != nil {
			return
		}
		u, err := url.Parse(s.address(id))
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		if u.Scheme != "https" || u.Host != "example.org:8443" || u.Path != "/some where/"+id || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			t.Fatalf("%q leads to %v", id, u)
		}
	})
}
