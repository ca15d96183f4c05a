package bench

import (
	"errors"
	"fmt"
	"net"
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
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI(url)
	client := fasthttp.Client{ReadTimeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	if err := client.Do(request, response); err != nil {
		return nil, fmt.Errorf("record %s: %w", url, err)
	}
	if response.StatusCode() != fasthttp.StatusOK || len(response.Body()) == 0 {
		return nil, fmt.Errorf("record %s: status %d with %d bytes", url, response.StatusCode(), len(response.Body()))
	}
	body := append([]byte(nil), response.Body()...)
	type header struct{ name, value string }
	var headers []header
	for name, value := range response.Header.All() {
		switch string(name) {
		case fasthttp.HeaderContentLength, fasthttp.HeaderConnection, fasthttp.HeaderDate: // written by every server itself
		default:
			headers = append(headers, header{string(name), string(value)})
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
