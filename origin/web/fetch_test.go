package web_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"deckle/origin"
	"deckle/origin/web"
)

func TestFetch(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cat.jpg":
			_, _ = io.WriteString(w, "cat "+r.URL.RawQuery)
		case "/moved":
			http.Redirect(w, r, "/cat.jpg?moved", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest/", http.StatusFound)
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 101))
		default:
			http.NotFound(w, r)
		}
	})
	port := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://")).Port()
	open := origin.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Ports: []uint16{80, port}}
	for _, row := range []struct {
		name, url string
		guard     origin.Guard
		body      string
		want      error
	}{
		{"body", server.URL + "/cat.jpg?a=b#part", open, "cat a=b", nil},
		{"redirected", server.URL + "/moved", open, "cat moved", nil},
		{"redirected for ever", server.URL + "/round", open, "", origin.ErrForbidden},
		{"redirected to what is not allowed", server.URL + "/metadata", open, "", origin.ErrForbidden},
		{"not allowed", server.URL + "/cat.jpg", origin.Guard{}, "", origin.ErrForbidden},
		{"gone", server.URL + "/dog.jpg", open, "", origin.ErrNotFound},
		{"too large", server.URL + "/large", open, "", origin.ErrTooLarge},
		{"another scheme", "file:///etc/passwd", open, "", origin.ErrForbidden},
		{"a user", "http://me@127.0.0.1/", open, "", origin.ErrForbidden},
		{"no host", "http:///cat.jpg", open, "", origin.ErrForbidden},
		{"no URL", "http://%zz", open, "", origin.ErrForbidden},
		{"too long", server.URL + "/" + strings.Repeat("x", 2048), open, "", origin.ErrForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := web.NewFetcher(web.Config{Guard: row.guard, MaxBytes: 100})
			defer func() { _ = f.Close() }()
			body, err := f.Fetch(t.Context(), row.url)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(body)
				_ = body.Close()
			}
			if !errors.Is(err, row.want) || err == nil && string(got) != row.body {
				t.Errorf("%q, %v; want %q, %v", got, err, row.body, row.want)
			}
		})
	}
}
