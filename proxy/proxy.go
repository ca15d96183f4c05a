// Package proxy is the edge: it answers viewers over HTTP, joining the caches, the originals and the renderer into one read
// path, and takes uploads.
package proxy

import (
	"context"
	"log/slog"
	"net"
	"time"

	"deckle/cache"
	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/semaphore"
)

// Versions says which version of a source is current, from memory wherever it can.
type Versions interface {
	Stat(ctx context.Context, id string) (origin.Info, error)
	Invalidate(id string)
}

// Receiver takes uploads.
type Receiver interface {
	Receive(ctx context.Context, u ingest.Upload) (ingest.Receipt, error)
}

// Config joins the parts of the edge. What is marked optional may be left zero.
type Config struct {
	Rules // optional

	Chain    *cache.Chain
	Sources  origin.Reader
	Versions Versions
	Engine   transform.Engine
	Limits   transform.Limits
	Uploads  Receiver // optional: without it uploads are answered 405

	Generation    string        // part of every key: differs when the same Spec would give other bytes; [0-9a-z]*
	MaxAge        time.Duration // how long a viewer may keep a picture without asking again
	AllowIndexing bool          // what robots.txt says
	Fetches       int           // sources read at once; default 32
	Timeout       time.Duration // for a whole answer, waiting included; default 30 s

	Log     *slog.Logger
	Observe Observer // optional
}

// Observer is told what happened; its methods are called from many goroutines, must not block, and must not keep the Access.
type Observer interface {
	Request(a *Access)
	Fetch(took time.Duration, bytes int, err error)
	Render(f transform.Format, took time.Duration, err error)
}

// Proxy answers requests of the edge listener.
type Proxy struct {
	Config
	server   *fasthttp.Server
	fetches  *semaphore.Weighted
	kinds    *kinds
	failures failures
	readings *readings
	maxAge   string // Cache-Control of an answer that may change
}

// New returns a Proxy that has not begun to listen.
func New(c Config) *Proxy {
	if c.Fetches == 0 {
		c.Fetches = 32
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Observe == nil {
		c.Observe = unobserved{}
	}
	p := &Proxy{
		Config: c, fetches: semaphore.NewWeighted(int64(c.Fetches)), kinds: newKinds(), failures: newFailures(),
		readings: newReadings(), maxAge: maxAge(c.MaxAge),
	}
	p.server = &fasthttp.Server{
		Handler:      p.handle,
		ErrorHandler: p.unreadable,
		// fasthttp's own defaults are unlimited. A body is read under a deadline of its own, see upload.go.
		ReadTimeout:        5 * time.Second,
		WriteTimeout:       30 * time.Second,
		IdleTimeout:        15 * time.Second,
		ReadBufferSize:     8 << 10, // bounds request line and headers
		MaxRequestBodySize: 64 << 10,
		// Bodies beyond the size above are streamed, and multipart is left to us, so that memory does not grow with an upload.
		StreamRequestBody:             true,
		DisablePreParseMultipartForm:  true,
		CloseOnShutdown:               true,
		NoDefaultServerHeader:         true,
		NoDefaultContentType:          true,
		SecureErrorLogMessage:         true,
		DisableHeaderNamesNormalizing: false,
		Logger:                        quiet{},
	}
	return p
}

// Serve answers connections of l until Shutdown; it returns nil after that.
func (p *Proxy) Serve(l net.Listener) error { return p.server.Serve(l) }

// Shutdown stops accepting, lets the requests under way end, and returns when all connections are closed or ctx ends.
func (p *Proxy) Shutdown(ctx context.Context) error {
	return p.server.ShutdownWithContext(ctx)
}

// quiet drops what fasthttp would print: what matters of it reaches the access log.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

type unobserved struct{}

func (unobserved) Request(*Access)                               {}
func (unobserved) Fetch(time.Duration, int, error)               {}
func (unobserved) Render(transform.Format, time.Duration, error) {}
