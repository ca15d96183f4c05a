package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"deckle/cache"
	"deckle/proxy"
)

// Explainer says how the edge reads a URL.
type Explainer interface {
	Explain(ctx context.Context, target, accept string) proxy.Explanation
}

// explained is a proxy.Explanation in words.
type explained struct {
	Status    int           `json:"status" doc:"What a GET would be answered with; 200 for a picture that would be rendered as well."`
	Problem   string        `json:"problem,omitempty" doc:"Why it would be refused, as the viewer is told."`
	Source    string        `json:"source,omitempty" doc:"Id of the source."`
	Canonical string        `json:"canonical,omitempty" doc:"The one spelling that all others of the same picture come to."`
	Redirect  string        `json:"redirect,omitempty" doc:"Where a size out of bounds is sent."`
	Signature signatureSaid `json:"signature"`
	Key       *keySaid      `json:"key,omitempty"`
	Stored    bool          `json:"stored,omitempty" doc:"The answer is the stored source, which no tier holds."`
	Tiers     []tierSaid    `json:"tiers,omitempty" doc:"Fastest first."`
}

type signatureSaid struct {
	Needed  bool   `json:"needed"`
	Why     string `json:"why,omitempty"`
	Problem string `json:"problem,omitempty" doc:"What is wrong with the one that it has."`
}

type keySaid struct {
	Source  string `json:"source"`
	Version string `json:"version" doc:"Of the source, and of what renders."`
	Variant string `json:"variant" doc:"The rendering, its format settled."`
	Name    string `json:"name" doc:"Under which tiers keep it: in Redis, in S3 and on disk."`
}

type tierSaid struct {
	Tier         string     `json:"tier"`
	Held         bool       `json:"held"`
	Outdated     bool       `json:"outdated,omitempty" doc:"Marked by a soft purge: it is served once more while it is rendered anew."`
	Bytes        int        `json:"bytes,omitempty"`
	Type         string     `json:"type,omitempty"`
	Width        int        `json:"width,omitempty"`
	Height       int        `json:"height,omitempty"`
	Rendered     *time.Time `json:"rendered,omitempty"`
	RenderMillis float64    `json:"render_ms,omitempty" doc:"What making it took."`
	LookMillis   float64    `json:"look_ms" doc:"What looking took."`
	Problem      string     `json:"problem,omitempty" doc:"Why the tier could not be asked."`
}

// routeExplain adds the look at one URL.
func (a *Admin) routeExplain(d *api) {
	if a.Explain == nil {
		return
	}
	d.plain("GET /explain", a.explain, describe(
		operation(http.MethodGet, "/explain", "explain", "caches", "How a URL is read, and which tiers hold it", "Nothing is rendered or stored. The tiers are those of this node."),
		query("url", "string", "Path and query, or a whole URL."), query("accept", "string", "What the viewer's Accept says, for .auto."),
		d.answer(http.StatusOK, "How it is read", explained{})))
}

// explain answers GET /explain.
func (a *Admin) explain(w http.ResponseWriter, r *http.Request) {
	target := r.URL.Query().Get("url")
	if !strings.HasPrefix(target, "/") && !strings.Contains(target, "://") {
		refuseField(w, "url", "want a path that begins with a slash, as in /cat_300_200.webp, or a URL")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	answer(w, http.StatusOK, explanation(a.Explain.Explain(ctx, target, r.URL.Query().Get("accept"))))
}

// explanation puts x in words.
func explanation(x proxy.Explanation) explained {
	said := explained{Status: http.StatusOK, Redirect: x.RedirectTo, Stored: x.Stored, Signature: signatureSaid{Needed: x.Needs != "", Why: x.Needs}}
	if x.Request.Source != "" {
		said.Source, said.Canonical = x.Request.Source, x.Request.Canonical()
	}
	if x.Signature != nil {
		said.Signature.Problem = x.Signature.Error()
	}
	if x.RedirectTo != "" {
		said.Status = http.StatusTemporaryRedirect
	}
	if x.Err != nil {
		status, body := proxy.StatusOf(x.Err)
		var problem struct{ Detail string }
		_ = json.Unmarshal(body, &problem) // it was marshalled a moment ago
		said.Status, said.Problem = status, problem.Detail
		return said
	}
	if x.Key == (cache.Key{}) {
		return said
	}
	said.Key = &keySaid{x.Key.Source, x.Key.Version, x.Key.Variant, cache.SourceName(x.Key.Source) + "/" + cache.VariantName(x.Key)}
	for _, h := range x.Held {
		said.Tiers = append(said.Tiers, tierOf(h, x.Outdated))
	}
	return said
}

func tierOf(h cache.Held, outdated []string) tierSaid {
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	t := tierSaid{Tier: h.Layer, Held: h.Entry != nil, LookMillis: milliseconds(h.Took)}
	if h.Err != nil && !errors.Is(h.Err, cache.ErrMiss) {
		t.Problem = h.Err.Error()
	}
	if e := h.Entry; e != nil {
		t.Bytes, t.Type, t.Width, t.Height, t.Rendered, t.RenderMillis = len(e.Body), e.ContentType, e.Width, e.Height, &e.Stored, milliseconds(e.Cost)
	}
	for _, name := range outdated {
		t.Outdated = t.Outdated || name == h.Layer
	}
	return t
}
