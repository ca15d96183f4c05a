package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/catalog"
	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

// keeper stands for the write path and its records. What it does not know is not found; "bad id" is outside the grammar.
type keeper struct {
	granter
	put    ingest.SignedPut
	putErr error
	grants []ingest.GrantRequest
	did    []string // calls, as text
	body   string
	mu     sync.Mutex
}

func (k *keeper) receipt(id, what string) (ingest.Receipt, error) {
	switch {
	case id == "gone":
		return ingest.Receipt{}, ingest.ErrNotFound
	case origin.CheckID(id) != nil:
		return ingest.Receipt{}, origin.CheckID(id)
	case id == "broken":
		return ingest.Receipt{}, errors.New("open /srv/secret: input/output error")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.did = append(k.did, what+" "+id)
	return ingest.Receipt{ID: id, Version: "v1", SHA256: "ab", Bytes: 9, Format: transform.JPEG, Width: 7, Height: 5}, nil
}

func (k *keeper) Grants(_ context.Context, requests []ingest.GrantRequest) ([]ingest.GrantResult, error) {
	k.grants = requests
	results := make([]ingest.GrantResult, len(requests))
	for i, r := range requests {
		if r.ID == "held" {
			results[i].Err = ingest.ErrHeld
			continue
		}
		results[i].Grant = ingest.Grant{ID: r.ID, Token: "t0k", Expires: time.Unix(4e9, 0).UTC()}
	}
	return results, nil
}

func (k *keeper) SignPut(context.Context, string) (ingest.SignedPut, error) { return k.put, k.putErr }

func (k *keeper) Publish(_ context.Context, id string, want ingest.PublishCheck) (ingest.Receipt, error) {
	if want.SHA256 != "" && want.SHA256 != strings.Repeat("a", 64) {
		return ingest.Receipt{}, ingest.ErrHash
	}
	return k.receipt(id, "publish "+want.Name)
}

func (k *keeper) Unpublish(_ context.Context, id string) (ingest.Receipt, error) {
	return k.receipt(id, "unpublish")
}

func (k *keeper) Restore(_ context.Context, id string) (ingest.Receipt, error) {
	return k.receipt(id, "restore")
}

func (k *keeper) Replace(_ context.Context, id string, body io.Reader) (ingest.Receipt, error) {
	read, err := io.ReadAll(body)
	k.body = string(read)
	if err != nil {
		return ingest.Receipt{}, err
	}
	return k.receipt(id, "replace")
}

func (k *keeper) Rotate(_ context.Context, id string, turn ingest.Turn, to ingest.Target) (ingest.Receipt, error) {
	return k.receipt(id, "rotate "+string(rune('0'+int(turn)/90+5))+" "+to.NewID)
}

func (k *keeper) Crop(_ context.Context, id string, crop transform.Crop, _ ingest.Target) (ingest.Receipt, error) {
	return k.receipt(id, "crop "+crop.String())
}

func (k *keeper) Delete(_ context.Context, ids []string) ([]ingest.Deletion, error) {
	var list []ingest.Deletion
	for _, id := range ids {
		_, err := k.receipt(id, "delete")
		found := !errors.Is(err, ingest.ErrNotFound)
		if !found {
			err = nil
		}
		list = append(list, ingest.Deletion{ID: id, Found: found, Err: err})
	}
	return list, nil
}

func (k *keeper) CheckOutput(output string) error {
	switch output {
	case "_300_200.webp":
		return fmt.Errorf("read output: %w", transform.ErrNoVariant)
	case "x9000.jpg":
		return &transform.SpecError{Option: "size", Value: "_9000_9000", Hint: "sides are at most 4096 device pixels"}
	case "x20.jxl":
		return transform.ErrFormat
	}
	return nil
}

func (k *keeper) Process(_ context.Context, id string, outputs []string, wait bool) (ingest.Job, error) {
	job := ingest.Job{ID: "j1", Source: id, Done: wait}
	for _, name := range outputs {
		job.Outputs = append(job.Outputs, ingest.Output{Name: name, Done: wait, Err: transform.ErrBusy})
	}
	_, err := k.receipt(id, "process")
	return job, err
}

func (k *keeper) Job(_ context.Context, id string) (ingest.Job, error) {
	if id != "j1" {
		return ingest.Job{}, ingest.ErrNotFound
	}
	return ingest.Job{ID: id, Source: "cat", Done: true}, nil
}

func (k *keeper) Record(_ context.Context, id string) (catalog.Record, error) {
	switch id {
	case "shop/cat":
		return catalog.Record{ID: id, Version: "v1", Format: "jpeg", Data: `{"a": 1}`}, nil
	case "away":
		return catalog.Record{}, catalog.ErrUnavailable
	}
	return catalog.Record{}, catalog.ErrNotFound
}

func (k *keeper) Records(_ context.Context, after string, limit int) ([]catalog.Record, error) {
	all := []catalog.Record{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	all = slices.DeleteFunc(all, func(r catalog.Record) bool { return r.ID <= after })
	return all[:min(limit, len(all))], nil
}

func (k *keeper) Aside(_ context.Context, area, id string) (catalog.Aside, error) {
	if id == "shop/cat" && area == catalog.Incoming || id == "old" && area == catalog.Trash {
		return catalog.Aside{Area: area, ID: id, Record: catalog.Record{ID: id, Version: "v2"}, Expires: time.Unix(4e9, 0).UTC()}, nil
	}
	return catalog.Aside{}, catalog.ErrNotFound
}

func (k *keeper) Asides(_ context.Context, area, _ string, _ int) ([]catalog.Aside, error) {
	return []catalog.Aside{{Area: area, Record: catalog.Record{ID: area}}}, nil
}

func newKeeper(t *testing.T, keys ...string) (*keeper, *Admin) {
	k := &keeper{putErr: ingest.ErrUnsigned}
	a := New(Config{
		Grants: k, Bulk: k, Sources: k, Records: k, Explain: lookout{}, Archives: &Archives{}, APIKeys: keys, Registry: NewMetrics().Registry, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Purging: &Purging{}, Warmer: &Warmer{}, Outbox: &outbox{}, Images: &Images{}, Access: newDirectory().access(nil),
	})
	return k, a
}

// noLibrary has no pictures, and refuses all.
type noLibrary struct {
	Library
	Depositor
}

func (noLibrary) Record(context.Context, string) (catalog.Record, error) {
	return catalog.Record{}, catalog.ErrNotFound
}

func (noLibrary) Update(context.Context, catalog.Query, catalog.Patch) (matched, changed int64, err error) {
	return 0, 0, nil
}

func (noLibrary) ConfirmUpload(context.Context, string, string, ingest.PublishCheck) (catalog.Record, error) {
	return catalog.Record{}, catalog.ErrNotFound
}

// newEverything is newKeeper with what it leaves out.
func newEverything(t *testing.T) (*keeper, *Admin) {
	k, a := newKeeper(t)
	sign := func(_, path, scope string, expires time.Time) string {
		return "signed=" + path + scope + time.Until(expires).Round(time.Hour).String()
	}
	a.Images = &Images{Records: noLibrary{}, Deposits: noLibrary{}}
	a.Private, a.Labels = &Private{Sign: sign, MaxAge: 2 * time.Hour}, &printer{}
	return k, New(a.Config)
}

// TestOperations asks each operation for what it can do, and for what it refuses.
func TestOperations(t *testing.T) {
	sum := strings.Repeat("a", 64)
	tests := []struct {
		name, method, target, body string
		status                     int
		says                       string // in the answer
		did                        []string
	}{
		{"publish", "POST", "/publish", `{"sources": [{"id": "shop/cat", "sha256": "` + sum + `", "name": "Tom"}]}`, 200, `"version":"v1"`, []string{"publish Tom shop/cat"}},
		{"publish other bytes", "POST", "/publish", `{"sources": [{"id": "shop/cat", "sha256": "` + strings.Repeat("b", 64) + `"}]}`, 409, `"title":"Conflict"`, nil},
		{"publish by no hash", "POST", "/publish", `{"sources": [{"id": "shop/cat", "sha256": "xyz"}]}`, 400, `"field":"sources[0].sha256"`, nil},
		{"publish none", "POST", "/publish", `{"sources": []}`, 400, `"field":"sources"`, nil},
		{"publish without id", "POST", "/publish", `{"sources": [{}]}`, 400, `"field":"sources[0].id"`, nil},
		{"publish bad id", "POST", "/publish", `{"sources": [{"id": "../cat"}]}`, 400, `"field":"sources[0].id"`, nil},
		{"unpublish one that is not there", "POST", "/unpublish", `{"ids": ["gone"]}`, 404, `"title":"Not Found"`, nil},
		{"unpublish in part", "POST", "/unpublish", `{"ids": ["cat", "gone"]}`, 207, `"problem":{"title":"Not Found"`, []string{"unpublish cat"}},
		{"restore", "POST", "/restore", `{"ids": ["cat"]}`, 200, `"id":"cat"`, []string{"restore cat"}},
		{"delete many", "POST", "/delete", `{"ids": ["a/b", "gone", "c"]}`, 207, `"field":"ids[1]"`, []string{"delete a/b", "delete c"}},
		{"delete one", "DELETE", "/sources/a/b", "", 204, "", []string{"delete a/b"}},
		{"delete one, encoded", "DELETE", "/sources/a%2Fb", "", 204, "", []string{"delete a/b"}},
		{"delete one that is not there", "DELETE", "/sources/gone", "", 404, `"status":404`, nil},
		{"rotate", "POST", "/rotate", `{"id": "cat", "turn": "-90", "new_id": "dog", "move": true}`, 200, `"id":"cat"`, []string{"rotate 4 dog cat"}},
		{"rotate by 45", "POST", "/rotate", `{"id": "cat", "turn": "45"}`, 400, `"field":"turn"`, nil},
		{"crop", "POST", "/crop", `{"id": "cat", "x": 1, "y": 2, "width": 3, "height": 4}`, 200, `"id":"cat"`, []string{"crop 1,2,3,4 cat"}},
		{"crop to nothing", "POST", "/crop", `{"id": "cat", "x": 1, "y": 2, "width": 0, "height": 4}`, 400, `"field":"width"`, nil},
		{"replace", "PUT", "/sources/a/b", "picture", 200, `"id":"a/b"`, []string{"replace a/b"}},
		{"replace by another name", "PUT", "/sources/shop/cat?new_id=shop/copy", "picture", 400, `"field":"new_id"`, nil},
		{"replace by what is no query", "PUT", "/sources/shop/cat?new_id=%zz", "picture", 400, `"field":"query"`, nil},
		{"delete by what is no query", "DELETE", "/sources/shop/cat?a;b", "", 400, `"field":"query"`, nil},
		{"process", "POST", "/process", `{"id": "cat", "outputs": ["1x1.webp"]}`, 202, `"done":false`, []string{"process cat"}},
		{"process and wait", "POST", "/process", `{"id": "cat", "outputs": ["1x1.webp"], "wait": true}`, 200, `"problem":{"title":"Service Unavailable"`, []string{"process cat"}},
		{"process no variant", "POST", "/process", `{"id": "cat", "outputs": ["x1.webp", "_300_200.webp"]}`, 400, `"field":"outputs[1]","detail":"outputs[1]: it names no variant; one is named as in 300x200.webp`, nil},
		{"process out of bounds", "POST", "/process", `{"id": "cat", "outputs": ["x9000.jpg"]}`, 400, `"field":"outputs[0]","option":"size"`, nil},
		{"process what cannot be written", "POST", "/process", `{"id": "cat", "outputs": ["x20.jxl"]}`, 400, `"field":"outputs[0]"`, nil},
		{"process nothing", "POST", "/process", `{"id": "cat", "outputs": []}`, 400, `"field":"outputs"`, nil},
		{"job", "GET", "/jobs/j1", "", 200, `"done":true`, nil},
		{"unknown job", "GET", "/jobs/j2", "", 404, `"detail":"There is no job of that id.`, nil},
		{"known", "GET", "/sources/shop/cat", "", 200, `"data":{"a":1}`, nil},
		{"known and waiting", "GET", "/sources/shop/cat", "", 200, `"incoming":{"id":"shop/cat","version":"v2"`, nil},
		{"known and deleted", "GET", "/sources/old", "", 200, `"deleted":{`, nil},
		{"unknown", "GET", "/sources/nothing", "", 404, `"field":"id"`, nil},
		{"records away", "GET", "/sources/away", "", 503, "", nil},
		{"list", "GET", "/sources?limit=2", "", 200, `"next":"b"`, nil},
		{"last page", "GET", "/sources?limit=2&after=b", "", 200, `{"sources":[{"id":"c"`, nil},
		{"list what waits", "GET", "/sources?state=incoming", "", 200, `"id":"incoming"`, nil},
		{"list nonsense", "GET", "/sources?state=lost", "", 400, `"field":"state"`, nil},
		{"list too many", "GET", "/sources?limit=1001", "", 400, `"field":"limit"`, nil},
		{"unknown option", "GET", "/sources?colour=red", "", 400, `"field":"colour"`, nil},
		{"unknown member", "POST", "/delete", `{"ids": ["a"], "force": true}`, 400, `"field":"force"`, nil},
		{"no JSON", "POST", "/delete", `secret stuff`, 400, `"field":"body"`, nil},
		{"two values", "POST", "/delete", `{"ids": ["a"]} {}`, 400, `"field":"body"`, nil},
		{"no body", "POST", "/delete", "", 400, `"status":400`, nil},
		{"too large", "POST", "/rotate", `{"id": "` + strings.Repeat("a", maxRequest) + `"}`, 413, `"field":"body"`, nil},
		{"fault", "POST", "/restore", `{"ids": ["broken"]}`, 500, `"status":500`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k, a := newKeeper(t)
			got := call(a.Handler(), test.method, test.target, test.body, "Content-Type", "application/x-www-form-urlencoded")
			if got.Code != test.status || !strings.Contains(got.Body.String(), test.says) {
				t.Errorf("%d, want %d with %s: %s", got.Code, test.status, test.says, got.Body)
			}
			if diff := cmp.Diff(test.did, k.did); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(got.Body.String(), "secret") {
				t.Errorf("the answer repeats what it should not: %s", got.Body)
			}
			if test.status >= 400 {
				checkProblem(t, got)
			}
			if got.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", got.Header().Get("Cache-Control"))
			}
		})
	}
}

// TestUnknownQueries: no operation passes over what it does not know, but those that machines watch.
func TestUnknownQueries(t *testing.T) {
	k, a := newEverything(t)
	lenient := []string{"get /metrics", "get /probe/live", "get /probe/ready"}
	asked := 0
	for path, item := range descriptionOf(t, a) {
		for method, raw := range item {
			var op struct{ Servers []any }
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			if op.Servers != nil || slices.Contains(lenient, method+" "+path) {
				continue // the edge's
			}
			asked++
			target := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "7") + "?colour=red"
			got := call(a.Handler(), strings.ToUpper(method), target, "{}")
			if got.Code != 400 || !strings.Contains(got.Body.String(), `"field":"colour"`) {
				t.Errorf("%s %s: %d %s", method, target, got.Code, got.Body)
			}
		}
	}
	form := "--b\r\nContent-Disposition: form-data; name=image\r\n\r\npicture\r\n--b--\r\n"
	got := call(a.Handler(), "POST", "/images?owner=bob", form, "Content-Type", "multipart/form-data; boundary=b")
	if got.Code != 400 || !strings.Contains(got.Body.String(), `"field":"owner"`) {
		t.Errorf("a form with a query: %d %s", got.Code, got.Body)
	}
	if asked < 50 || len(k.did) > 0 {
		t.Errorf("%d operations, which did %q", asked, k.did)
	}
}

// TestAbsentBodies: where all of a body may be left out, no body is as good as {}, and a broken one is refused still.
func TestAbsentBodies(t *testing.T) {
	for _, test := range []struct {
		target, body string
		status       int
		says         string
	}{
		{"/sources/shop/cat/view", "", 200, `"url":"/shop/cat.auto?signed=/shop/cat.auto1h0m0s"`},
		{"/sources/shop/cat/view", "{}", 200, `"url":"/shop/cat.auto?signed=/shop/cat.auto1h0m0s"`},
		{"/sources/shop/cat/view", `{"every": true, "seconds": 7200}`, 200, `"url":"/shop/cat.auto?signed=/shop/cat.auto/shop/cat2h0m0s"`},
		{"/sources/shop/cat/view", `{"variant": ""}`, 200, `/shop/cat.auto?`},
		{"/sources/shop/cat/view", `{`, 400, `"field":"body"`},
		{"/sources/shop/cat/view", ` `, 400, `"field":"body"`},
		{"/sources/shop/cat/view", `[]`, 400, `"field":"body"`},
		{"/sources/shop/cat/view", `null`, 400, `"field":"body"`},
		{"/sources/shop/cat/view", `{"sekonds": 5}`, 400, `"field":"sekonds"`},
		{"/keys/nope/rotate", "", 404, "no key of that id"},
		{"/keys/nope/rotate", "{", 400, `"field":"body"`},
		{"/labels/dead/7/retry", "", 404, "No labelling of that number"},
	} {
		_, a := newEverything(t)
		got := call(a.Handler(), "POST", test.target, test.body)
		if got.Code != test.status || !strings.Contains(got.Body.String(), test.says) {
			t.Errorf("%s with %q: %d %s", test.target, test.body, got.Code, got.Body)
		}
	}
}

// checkProblem holds an error against RFC 9457, and its words against ours.
func checkProblem(t *testing.T, got *httptest.ResponseRecorder) {
	t.Helper()
	var said problem
	if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || got.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%v, %s %s", err, got.Header().Get("Content-Type"), got.Body)
	}
	if said.Status != got.Code || said.Title != http.StatusText(got.Code) || said.Detail == "" || said.Err != said.Detail || !strings.HasSuffix(said.Detail, ".") {
		t.Errorf("%+v", said)
	}
}

// TestBulk: many sources are worked on at one time, and answered in order.
func TestBulk(t *testing.T) {
	_, a := newKeeper(t)
	ids := make([]string, maxSources)
	for i := range ids {
		ids[i] = "s" + strconv.Itoa(i)
	}
	ask := func(ids []string) *httptest.ResponseRecorder {
		body, err := json.Marshal(map[string]any{"ids": ids})
		if err != nil {
			t.Fatal(err)
		}
		return call(a.Handler(), "POST", "/restore", string(body))
	}
	got := ask(ids)
	var said resultsAnswer
	if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || got.Code != 200 || len(said.Results) != maxSources {
		t.Fatalf("%d %v, %d results", got.Code, err, len(said.Results))
	}
	for i, r := range said.Results {
		if r.ID != ids[i] || r.Source == nil || r.Source.ID != ids[i] {
			t.Fatalf("%d: %+v", i, r)
		}
	}
	if got := ask(append(ids, "more")); got.Code != 400 {
		t.Errorf("one more: %d", got.Code)
	}
}

// TestOtherSites: a page that the operator happens to have open may not use that this listener lets its machine in.
func TestOtherSites(t *testing.T) {
	k, a := newKeeper(t)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		got := call(a.Handler(), "POST", "/delete", `{"ids": ["cat"]}`, append(header, "Content-Type", "text/plain")...)
		if got.Code != 403 || len(k.did) != 0 {
			t.Errorf("%v: %d, %v", header, got.Code, k.did)
		}
		checkProblem(t, got)
	}
	if got := call(a.Handler(), "POST", "/delete", `{"ids": ["cat"]}`, "Sec-Fetch-Site", "same-origin"); got.Code != 200 {
		t.Errorf("our own page: %d", got.Code)
	}
}

// TestOperationsNeedKeys: what is described as needing a key is refused without one, and what is described as open is not.
func TestOperationsNeedKeys(t *testing.T) {
	_, a := newKeeper(t, "k3y")
	for path, item := range descriptionOf(t, a) {
		for method, raw := range item {
			var op struct {
				OperationID string                 `json:"operationId"`
				Security    *[]map[string][]string `json:"security"`
				Servers     []any                  `json:"servers"`
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			if op.Servers != nil {
				continue // the edge's
			}
			open := op.Security != nil && len((*op.Security)[0]) == 0
			target := regexp.MustCompile(`\{.*\}`).ReplaceAllString(path, "x")
			body := "{}"
			if op.OperationID == "token" {
				body = `{"id": "cat"}` // which may hold a key
			}
			got := call(a.Handler(), strings.ToUpper(method), target, body)
			if (got.Code != 401) != open {
				t.Errorf("%s %s: %d without a key, described as open: %v", method, path, got.Code, open)
			}
		}
	}
}

func descriptionOf(t *testing.T, a *Admin) map[string]map[string]json.RawMessage {
	t.Helper()
	got := call(a.Handler(), "GET", "/openapi.json", "")
	var said struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || got.Code != 200 || said.OpenAPI != "3.1.0" {
		t.Fatalf("%d %v %.200s", got.Code, err, got.Body)
	}
	return said.Paths
}
