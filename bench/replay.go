package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// Replay serves one recorded answer, whatever is asked for: the floor under hits, because nothing is looked up, decided or
// logged. What a server spends beyond it on the same bytes and headers is its own.
type Replay struct {
	server *fasthttp.Server
}

// NewReplay fetches url once and returns a server of what came. It refuses anything but a 200 with a body.
func NewReplay(url string) (*Replay, error) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("record %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK || len(body) == 0 {
		return nil, fmt.Errorf("record %s: status %d with %d bytes", url, response.StatusCode, len(body))
	}
	type header struct{ name, value string }
	var headers []header
	for name := range response.Header {
		switch name {
		case "Content-Length", "Connection", "Date": // written by every server itself
		default:
			headers = append(headers, header{name, response.Header.Get(name)})
		}
	}
	if len(headers) == 0 {
		return nil, errors.New("record " + url + ": the answer has no headers")
	}
	return &Replay{server: &fasthttp.Server{
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			for _, h := range headers {
				ctx.Response.Header.Set(h.name, h.value)
			}
			ctx.Response.SetBodyRaw(body)
		},
	}}, nil
}

// Serve answers connections of l until it is closed.
func (r *Replay) Serve(l net.Listener) error { return r.server.Serve(l) }
