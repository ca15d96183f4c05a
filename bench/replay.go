package bench

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// maxRecorded bounds the answers that a Replay holds.
const maxRecorded = 10_000

// Replay serves what another server answered: the floor under hits, because beyond finding the answer by its URL nothing is decided,
// negotiated, counted or logged. What that server spends beyond it on the same bytes and headers is its own.
type Replay struct {
	server   *fasthttp.Server
	base     string
	recorded sync.Mutex
	answers  atomic.Pointer[map[string]*answer] // by path and query; replaced as a whole, so that reading it takes no lock
}

// answer is one that was recorded.
type answer struct {
	headers []header
	body    []byte
}

type header struct{ name, value string }

// NewReplay returns a replay of the server at base, as "http://127.0.0.1:8080". Each path and query is asked for there once, when it is
// first asked for here; anything but a 200 with a body is a 502 here.
func NewReplay(base string) *Replay {
	r := &Replay{base: base}
	r.answers.Store(&map[string]*answer{})
	r.server = &fasthttp.Server{NoDefaultServerHeader: true, NoDefaultContentType: true, Handler: r.handle}
	return r
}

// Serve answers connections of l until it is closed.
func (r *Replay) Serve(l net.Listener) error { return r.server.Serve(l) }

func (r *Replay) handle(ctx *fasthttp.RequestCtx) {
	a := (*r.answers.Load())[string(ctx.RequestURI())]
	if a == nil {
		var err error
		if a, err = r.record(string(ctx.RequestURI())); err != nil {
			ctx.Error(err.Error(), fasthttp.StatusBadGateway)
			return
		}
	}
	for _, h := range a.headers {
		ctx.Response.Header.Set(h.name, h.value)
	}
	ctx.Response.SetBodyRaw(a.body)
}

// record asks for what has not been asked for yet.
func (r *Replay) record(uri string) (*answer, error) {
	r.recorded.Lock()
	defer r.recorded.Unlock()
	known := *r.answers.Load()
	if a := known[uri]; a != nil {
		return a, nil
	}
	if len(known) >= maxRecorded {
		return nil, fmt.Errorf("record: more than %d answers", maxRecorded)
	}
	a, err := fetchAnswer(r.base + uri)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	more := maps.Clone(known)
	more[uri] = a
	r.answers.Store(&more)
	return a, nil
}

func fetchAnswer(url string) (*answer, error) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || len(body) == 0 {
		return nil, fmt.Errorf("status %d with %d bytes", response.StatusCode, len(body))
	}
	a := &answer{body: body}
	for name := range response.Header {
		switch name {
		case "Content-Length", "Connection", "Date": // written by every server itself
		default:
			a.headers = append(a.headers, header{name, response.Header.Get(name)})
		}
	}
	if len(a.headers) == 0 {
		return nil, errors.New("the answer has no headers")
	}
	return a, nil
}
