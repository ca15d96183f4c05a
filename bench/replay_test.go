package bench

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestReplay(t *testing.T) {
	var asked atomic.Int64
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/absent" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "image/webp")
		w.Header().Set("Etag", `"x"`)
		_, _ = io.WriteString(w, "picture at "+r.RequestURI) // the test reads it
	}))
	defer source.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- NewReplay(source.URL).Serve(listener) }()
	get := func(uri string) (int, string, http.Header) {
		response, err := http.Get("http://" + listener.Addr().String() + uri)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		return response.StatusCode, string(body), response.Header
	}
	for range 2 {
		for _, uri := range []string{"/cat.webp", "/dog.webp?v=1"} {
			status, body, headers := get(uri)
			if status != 200 || body != "picture at "+uri || headers.Get("Content-Type") != "image/webp" || headers.Get("Etag") != `"x"` {
				t.Errorf("%s: %d %q, %v", uri, status, body, headers)
			}
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the server was asked %d times, want once for each URL", n)
	}
	if status, _, _ := get("/absent"); status != http.StatusBadGateway {
		t.Errorf("a 404 was taken for a picture: %d", status)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
