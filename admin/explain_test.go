package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"deckle/cache"
	"deckle/origin"
	"deckle/proxy"
	"deckle/signature"
)

// lookout explains what its table holds.
type lookout map[string]proxy.Explanation

// Explain finds a target in the table.
func (l lookout) Explain(_ context.Context, target, _ string) proxy.Explanation { return l[target] }

func TestExplain(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	cat := proxy.Request{Source: "cat"}
	entry := &cache.Entry{Body: []byte("four"), ContentType: "image/webp", Width: 3, Height: 2, Stored: at, Cost: 1500 * time.Microsecond}
	key := cache.Key{Source: "cat", Version: "1.g", Variant: "_3_2.webp"}
	l := lookout{
		"/held":  {Request: cat, Key: key, Held: []cache.Held{{Layer: "memory", Err: cache.ErrMiss, Took: time.Millisecond}, {Layer: "redis", Err: errors.New("away")}, {Layer: "disk", Entry: entry}}, Outdated: []string{"disk"}},
		"/away":  {Request: cat, Err: origin.ErrNotFound},
		"/late":  {Request: cat, Needs: "all reads need a signature", Signature: signature.ErrExpired, Err: signature.ErrExpired},
		"/large": {Request: cat, RedirectTo: "/cat_9_9.webp"},
	}
	name := cache.SourceName("cat") + "/" + cache.VariantName(key)
	tests := map[string]explained{
		"/held": {Status: 200, Source: "cat", Canonical: "/cat", Key: &keySaid{"cat", "1.g", "_3_2.webp", name}, Tiers: []tierSaid{
			{Tier: "memory", LookMillis: 1}, {Tier: "redis", Problem: "away"},
			{Tier: "disk", Held: true, Outdated: true, Bytes: 4, Type: "image/webp", Width: 3, Height: 2, Rendered: &at, RenderMillis: 1.5}}},
		"/away": {Status: 404, Source: "cat", Canonical: "/cat", Problem: "There is no picture of that id."},
		"/late": {Status: 403, Source: "cat", Canonical: "/cat", Problem: "The signature has expired.",
			Signature: signatureSaid{Needed: true, Why: "all reads need a signature", Problem: "signature: the signature has expired"}},
		"/large": {Status: 307, Source: "cat", Canonical: "/cat", Redirect: "/cat_9_9.webp"},
	}
	for target, want := range tests {
		got := explanation(l.Explain(t.Context(), target, ""))
		if target == "/late" { // the table of statuses words it
			if got.Problem == "" || got.Status < 400 {
				t.Errorf("%s: %+v", target, got)
			}
			want.Problem, want.Status = got.Problem, got.Status
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
}

// TestExplainAsked: a URL is wanted, and a key where there are keys.
func TestExplainAsked(t *testing.T) {
	_, a := newKeeper(t, "secret")
	for target, want := range map[string]int{
		"/explain?url=" + url.QueryEscape("/cat_3_2.webp?fit=crop"): http.StatusOK,
		"/explain?url=https://pictures.example/cat.webp":            http.StatusOK,
		"/explain?url=cat.webp":                                     http.StatusBadRequest,
		"/explain":                                                  http.StatusBadRequest,
	} {
		for _, key := range []string{"secret", "other"} {
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.Header.Set("Authorization", "Bearer "+key)
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, r)
			if key == "other" {
				want = http.StatusUnauthorized
			}
			if w.Code != want || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s with %s: %d %s", target, key, w.Code, w.Body)
			}
		}
	}
}
