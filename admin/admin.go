// Package admin is the operator's listener: tokens for uploads, probes, metrics and profiles, for people and machines that
// manage. It never serves pictures.
package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"deckle/auth"
	"deckle/ingest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Granter gives out the right to upload one source.
type Granter interface {
	Grant(ctx context.Context, r ingest.GrantRequest) (ingest.Grant, error)
}

// Check is one thing that readiness depends on.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// Config says what the listener offers.
type Config struct {
	Grants   Granter
	Bulk     Bulk      // optional: without it POST /grants is not there
	Sources  Sources   // optional: without it nothing is published, changed or deleted
	Records  Records   // optional: without it sources are not listed
	Private  *Private  // optional: without it nothing is made private after its upload
	Images   *Images   // optional: without it /images is not there
	Edge     EdgeURLs  // optional
	Version  string    // of the program
	Purging  *Purging  // optional: without it POST /purge is not there
	Warmer   *Warmer   // optional: without it POST /warm is not there
	Outbox   Outbox    // optional: without it /events is not there
	Labels   Labels    // optional: without it nothing is labelled anew
	Explain  Explainer // optional: without it GET /explain is not there
	Archives *Archives // optional: without it nothing is exported and imported
	Access
	APIKeys  []string // with every right, where there is no Auth
	Checks   []Check
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Admin answers requests of the operator listener.
type Admin struct {
	Config
	server   *http.Server
	imports  chan struct{} // one token for each archive being imported
	draining atomic.Bool
}

// New returns an Admin that has not begun to listen.
func New(c Config) *Admin {
	a := &Admin{Config: c}
	if len(c.APIKeys) > 0 && c.Auth == nil {
		a.Auth = auth.Chain{Keys: auth.NewKeyring(auth.KeyringConfig{Bootstrap: c.APIKeys})}
	}
	a.server = &http.Server{
		Handler:           a.ending(a.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	return a
}

// Serve answers connections of l until Shutdown.
func (a *Admin) Serve(l net.Listener) error { return a.server.Serve(l) }

// Drain tells every client with its next answer to use another connection, so that none sends a request down one that Shutdown is about
// to close. New ones are accepted still.
func (a *Admin) Drain() { a.draining.Store(true) }

// ending has answers say that their connection ends with them, once Drain was called.
func (a *Admin) ending(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Shutdown lets the requests under way end.
func (a *Admin) Shutdown(ctx context.Context) error { return a.server.Shutdown(ctx) }

// Handler returns what answers requests, for tests.
func (a *Admin) Handler() http.Handler { return a.server.Handler }

func (a *Admin) routes() http.Handler {
	mux := http.NewServeMux()
	d := a.newAPI(mux)
	a.routeServer(d, promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	a.routeGrants(d)
	a.routeSources(d)
	a.routeRecords(d)
	a.routeLabels(d)
	a.routePrivate(d)
	a.routeImages(d)
	a.routeArchives(d)
	a.routeCaches(d)
	a.routeExplain(d)
	a.routeKeys(d)
	a.routeUsers(d)
	a.routeEvents(d)
	a.describeEdge(d)
	for path, handler := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle(path, a.guarded(handler))
	}
	mux.Handle("GET /openapi.json", openAPI(d))
	routeDocs(mux)
	describeNeeds(d)
	return sameOrigin(escaped(mux))
}

// sameOrigin refuses what a page of another site has a browser send: without keys the browser's own machine is all that lets
// a request in.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "Pages of other sites may not call this listener. Call it from a program of yours.")
	}))
	return protection.Handler(next)
}

// probe is the answer of the probes.
type probe struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks,omitempty"` // by name: "ok" or "failed"; the log says why
}

// ready answers 200 when this node should get traffic: every check holds.
func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	status, p := http.StatusOK, probe{Status: "ok", Checks: map[string]string{}}
	for _, check := range a.Checks {
		if err := check.Run(ctx); err != nil {
			a.Log.Warn("not ready", slog.String("check", check.Name), slog.Any("cause", err))
			p.Checks[check.Name], p.Status, status = "failed", "not ready", http.StatusServiceUnavailable
			continue
		}
		p.Checks[check.Name] = "ok"
	}
	answer(w, status, p)
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	send(w, status, "application/json", v)
}

// refuse answers a problem (RFC 9457); "error" repeats the detail for clients that know only that.
func refuse(w http.ResponseWriter, status int, detail string) {
	send(w, status, "application/problem+json",
		map[string]any{"title": http.StatusText(status), "status": status, "detail": detail, "error": detail})
}

func send(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	write(w, status, mediaType, append(body, '\n'))
}

func write(w http.ResponseWriter, status int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have left
}
