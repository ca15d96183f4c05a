// Package proxy is the edge: it answers viewers over HTTP, joining the caches, the originals and the renderer into one read
// path, and takes uploads.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"deckle/cache"
	"deckle/fleet"
	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"

	"github.com/valyala/fasthttp"
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
	Rules  // optional
	Policy // optional

	Chain    *cache.Chain
	Sources  origin.Reader
	Versions Versions
	Engine   transform.Engine
	Limits   transform.Limits
	Leases   fleet.Leases // optional: without them a picture may be rendered by several nodes at once
	Uploads  Receiver     // optional: without it uploads are answered 405
	Origins  Origins      // optional: pages of every site may upload

	Generation    string        // part of every key: differs when the same Spec would give other bytes; [0-9a-z]*
	Public        Shelf         // optional: redirects to its copies
	PublicURL     string        // of Public, ending in a slash
	AllowIndexing bool          // what robots.txt says
	Fetches       int           // sources read at once; default 32
	Timeout       time.Duration // for a whole answer, waiting included; default 30 s

	Connections  Connections   // optional
	Forwarding   Forwarding    // optional
	Budgets      Budgets       // optional
	ErrorPicture *ErrorPicture // optional
	Signed       Signed        // optional

	Hashes      Hashes    // optional: takes uploads into Rules.Namespaces
	Admission   Admission // who may send them
	ImageServer bool      // namespaces answer in the words of image-server
	C2C         *C2C      // optional

	ImageStorage http.Handler // optional: answers clients of image-storage-service

	Log     *slog.Logger
	Observe Observer // optional
	Tracer  Tracer   // optional
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
	fetches  *fetches
	kinds    *kinds
	failures failures
	readings *readings
	budgets  *budgets
	listener atomic.Pointer[listener]
	draining atomic.Bool
	stopped  atomic.Bool
	strain   atomic.Int32 // a Strain
	told     told         // what answers tell caches
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
		Config: c, fetches: newFetches(c.Fetches), kinds: newKinds(), failures: newFailures(),
		readings: newReadings(), budgets: newBudgets(c.Budgets), told: c.tell(),
	}
	p.Connections = p.Connections.withDefaults()
	p.server = &fasthttp.Server{
		Handler:      p.admit,
		ErrorHandler: p.unreadable,
		// fasthttp's own defaults are unlimited. A body is read under a deadline of its own, see upload.go, and an answer is
		// written under those of connections.go.
		ReadTimeout:    p.Connections.Header,
		IdleTimeout:    p.Connections.Idle,
		ReadBufferSize: 8 << 10, // bounds request line and headers
		// Header and body of most pictures leave in one system call, which is dearer than copying them together.
		WriteBufferSize:    16 << 10,
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

// admit refuses what is no proper request, and ends connections while the server drains or is short of memory.
func (p *Proxy) admit(ctx *fasthttp.RequestCtx) {
	if !p.refuseShape(ctx) {
		p.handle(ctx)
	}
	if p.draining.Load() || p.strain.Load() != int32(Calm) {
		ctx.SetConnectionClose()
	}
}

// Serve answers connections of l until Shutdown, which may have come before; it returns nil after that. It is called once.
func (p *Proxy) Serve(l net.Listener) error {
	bounded := newListener(l, p.Connections, func(a netip.Addr) bool { return p.Forwarding.trusts(a) || p.Forwarding.hides(a) }, func() bool { return Strain(p.strain.Load()) >= RefuseConnections })
	p.listener.Store(bounded)
	if p.stopped.Load() {
		return bounded.Close()
	}
	if err := p.server.Serve(bounded); !p.stopped.Load() {
		return err
	}
	return nil
}

// ConnectionStats returns the figures of the connections; zero before Serve.
func (p *Proxy) ConnectionStats() ConnectionStats {
	if l := p.listener.Load(); l != nil {
		return l.now()
	}
	return ConnectionStats{}
}

// Drain tells every client with its next answer to use another connection. New ones are accepted still.
func (p *Proxy) Drain() { p.draining.Store(true) }

// Shutdown stops accepting, lets the requests under way end, and returns when all connections are closed or ctx ends.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.stopped.Store(true)
	err := p.server.ShutdownWithContext(ctx)
	if l := p.listener.Load(); l != nil { // the server may not have heard of it yet
		err = errors.Join(err, l.Close())
	}
	p.fetches.recent.close()
	return err
}

// quiet drops what fasthttp would print: what matters of it reaches the access log.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

type unobserved struct{}

func (unobserved) Request(*Access)                               {}
func (unobserved) Fetch(time.Duration, int, error)               {}
func (unobserved) Render(transform.Format, time.Duration, error) {}
