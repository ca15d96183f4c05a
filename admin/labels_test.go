package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"deckle/ingest"
)

// printer is a Labels that keeps what it was asked.
type printer struct {
	dead  []int64 // jobs, ascending
	asked []string
	err   error
}

func (p *printer) Relabel(_ context.Context, id string) error {
	if id == "gone" {
		return ingest.ErrNotFound
	}
	p.asked = append(p.asked, "label "+id)
	return p.err
}

func (p *printer) DeadLabels(_ context.Context, after int64, limit int) (page []ingest.DeadLabel, err error) {
	for _, job := range p.dead {
		if job > after && len(page) < limit {
			page = append(page, ingest.DeadLabel{Job: job, ID: "cat", Version: "v1", Failures: 3, Reason: "away"})
		}
	}
	return page, p.err
}

func (p *printer) RetryLabels(_ context.Context, job int64) error {
	for i, dead := range p.dead {
		if dead == job {
			p.dead = append(p.dead[:i:i], p.dead[i+1:]...)
			return nil
		}
	}
	return ingest.ErrNotFound
}

func TestLabelOperations(t *testing.T) {
	const one = `{"job":7,"id":"cat","version":"v1","failures":3,"reason":"away"}`
	tests := []struct {
		name, method, target, body string
		status                     int
		says, asked                string
	}{
		{"label", "POST", "/sources/cat/label", "", 202, `{"id":"cat","queued":true}`, "label cat"},
		{"label with slashes", "POST", "/sources/a/b/c/label", "", 202, `{"id":"a/b/c","queued":true}`, "label a/b/c"},
		{"label encoded", "POST", "/sources/a%2Fb/c/label", "", 202, `{"id":"a/b/c","queued":true}`, "label a/b/c"},
		{"label what is called label", "POST", "/sources/label/label", "", 202, `{"id":"label","queued":true}`, "label label"},
		{"label what is not there", "POST", "/sources/gone/label", "", 404, `"status":404`, ""},
		{"label by GET", "GET", "/sources/cat/label", "", 404, "", ""},
		{"label many", "POST", "/labels", `{"ids": ["a/b", "c"]}`, 200, `"results":[{"id":"a/b","queued":true},{"id":"c","queued":true}]`, "label a/b label c"},
		{"label many in part", "POST", "/labels", `{"ids": ["gone", "c"]}`, 207, `{"id":"gone","queued":false,"problem":{`, "label c"},
		{"label one of many that is not there", "POST", "/labels", `{"ids": ["gone"]}`, 404, `"status":404`, ""},
		{"label none", "POST", "/labels", `{"ids": []}`, 400, `"field":"ids"`, ""},
		{"list the dead", "GET", "/labels/dead", "", 200, `{"labels":[` + one, ""},
		{"list one of the dead", "GET", "/labels/dead?limit=1", "", 200, `{"labels":[` + one + `],"next":7}`, ""},
		{"list the next", "GET", "/labels/dead?limit=1&after=7", "", 200, `"job":9007199254740991`, ""},
		{"list behind the last", "GET", "/labels/dead?after=9007199254740991", "", 200, `{"labels":[]}`, ""},
		{"list too many", "GET", "/labels/dead?limit=1001", "", 400, `"field":"limit"`, ""},
		{"retry one", "POST", "/labels/dead/9007199254740991/retry", "", 200, `{"retried":1}`, ""},
		{"retry none", "POST", "/labels/dead/8/retry", "", 404, `"status":404`, ""},
		{"retry no number", "POST", "/labels/dead/x/retry", "", 400, `"field":"job"`, ""},
		{"retry all", "POST", "/labels/dead/retry", "", 200, `{"retried":2}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := &printer{dead: []int64{7, 1<<53 - 1}}
			k := &keeper{putErr: ingest.ErrUnsigned}
			a := New(Config{Grants: k, Bulk: k, Sources: k, Records: k, Labels: p, Registry: NewMetrics().Registry, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, httptest.NewRequest(test.method, test.target, strings.NewReader(test.body)))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("answered %d %s, want %d with %s", w.Code, w.Body, test.status, test.says)
			}
			if got := strings.Join(p.asked, " "); got != test.asked {
				t.Errorf("asked to %q, want %q", got, test.asked)
			}
		})
	}
}

// TestLabelOperationsNeedKeys: labels are no way around the keys.
func TestLabelOperationsNeedKeys(t *testing.T) {
	k := &keeper{}
	a := New(Config{Grants: k, Sources: k, Records: k, Labels: &printer{}, APIKeys: []string{"secret"}, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler)})
	for _, route := range []string{"POST /sources/cat/label", "POST /sources/a/b/label", "POST /labels", "GET /labels/dead", "POST /labels/dead/retry", "POST /labels/dead/7/retry"} {
		method, path, _ := strings.Cut(route, " ")
		for key, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "secret": http.StatusOK} {
			r := httptest.NewRequest(method, path, strings.NewReader(`{"ids":["cat"]}`))
			if key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, r)
			if (w.Code == http.StatusUnauthorized) != (want == http.StatusUnauthorized) {
				t.Errorf("%s with the key %q: %d", route, key, w.Code)
			}
		}
	}
}

// TestManyDeadLabels: all are tried again, whatever the page.
func TestManyDeadLabels(t *testing.T) {
	p := &printer{}
	for job := range int64(3*sourcePage + 1) {
		p.dead = append(p.dead, job+1)
	}
	said, err := (&Admin{Config: Config{Labels: p}}).retryLabels(t.Context(), nil)
	if err != nil || said.Body.Retried != 3*sourcePage+1 || len(p.dead) > 0 {
		t.Errorf("%v, %v; %s are left", said, err, fmt.Sprint(p.dead))
	}
}
