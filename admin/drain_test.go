package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestDrain: once the server drains, each answer is the last of its connection, and none is refused for that.
func TestDrain(t *testing.T) {
	a := New(Config{Grants: &granter{}, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	for _, draining := range []bool{false, true} {
		if draining {
			a.Drain()
		}
		for _, path := range []string{"/probe/live", "/nowhere"} {
			response, err := http.Get(server.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			if response.Close != draining || response.StatusCode >= 500 {
				t.Errorf("%s, draining %t: the connection closes %t, status %d", path, draining, response.Close, response.StatusCode)
			}
		}
	}
}
