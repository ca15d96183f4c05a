package bench

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestReplay(t *testing.T) {
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/cat.webp" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "image/webp")
		w.Header().Set("Etag", `"x"`)
		_, _ = io.WriteString(w, "picture") // the test reads it
	}))
	defer source.Close()
	if _, err := NewReplay(source.URL + "/absent"); err == nil {
		t.Error("a 404 was taken for a picture")
	}
	replay, err := NewReplay(source.URL + "/cat.webp")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- replay.Serve(listener) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/any/path")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "picture" || response.Header.Get("Content-Type") != "image/webp" || response.Header.Get("Etag") != `"x"` {
		t.Errorf("%q, %v, %v", body, response.Header, err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
