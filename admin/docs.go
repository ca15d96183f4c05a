package admin

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strings"
)

// page holds the page that shows the description: Swagger UI as its package has it (see docs/README.md), compressed, and the
// two small files that start it.
//
//go:embed docs/index.html docs/start.js docs/swagger-ui.css.gz docs/swagger-ui-bundle.js.gz
var page embed.FS

// pagePolicy lets the page load what is beside it and call this listener, and nothing else. Swagger UI draws its signs from
// data URLs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// routeDocs adds the page. It holds no secret, and is there without a key: browsers send none when a page is opened.
func routeDocs(mux *http.ServeMux) {
	mux.HandleFunc("GET /docs", docs("docs/index.html", "text/html; charset=utf-8"))
	mux.HandleFunc("GET /docs/start.js", docs("docs/start.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /docs/swagger-ui.css", docs("docs/swagger-ui.css.gz", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /docs/swagger-ui-bundle.js", docs("docs/swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"))
}

func docs(name, mediaType string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := page.ReadFile(name)
		h := w.Header()
		switch {
		case err != nil || path.Ext(name) != ".gz":
		case strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
			h.Set("Content-Encoding", "gzip")
		default:
			body, err = unzip(body)
		}
		if err != nil {
			refuse(w, http.StatusInternalServerError, "The page cannot be read.")
			return
		}
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Vary", "Accept-Encoding")
		write(w, http.StatusOK, mediaType, body)
	}
}

func unzip(packed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}
