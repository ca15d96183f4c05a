package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/auth"
	"deckle/catalog"

	"github.com/google/go-cmp/cmp"
)

// directory keeps keys and accounts in memory.
type directory struct {
	keys     map[string]catalog.Key
	accounts map[string]catalog.Account
	deleted  []string
	changed  int
	err      error
}

func newDirectory() *directory {
	return &directory{keys: map[string]catalog.Key{}, accounts: map[string]catalog.Account{}}
}

func (d *directory) access(who auth.Authenticator) Access {
	return Access{Auth: who, Keys: d, KeysChanged: func() { d.changed++ }, Accounts: d, AccountDeleter: d}
}

func (d *directory) AddKey(_ context.Context, k catalog.Key) error {
	d.keys[k.ID] = k
	return d.err
}

func (d *directory) Keys(_ context.Context, after string, limit int) (list []catalog.Key, err error) {
	for id, k := range d.keys {
		if id > after && len(list) < limit {
			list = append(list, k)
		}
	}
	return list, d.err
}

func (d *directory) RotateKey(_ context.Context, id, hash string, until, now time.Time) (catalog.Key, error) {
	k, found := d.keys[id]
	if !found {
		return k, catalog.ErrNotFound
	}
	k.Former, k.FormerUntil, k.Hash, k.Rotated = k.Hash, until, hash, now
	d.keys[id] = k
	return k, d.err
}

func (d *directory) RemoveKey(_ context.Context, id string) error {
	if _, found := d.keys[id]; !found {
		return catalog.ErrNotFound
	}
	delete(d.keys, id)
	return d.err
}

func (d *directory) Account(_ context.Context, owner string) (catalog.Account, error) {
	a, found := d.accounts[owner]
	if !found {
		return a, catalog.ErrNotFound
	}
	return a, d.err
}

func (d *directory) Accounts(_ context.Context, after string, limit int) (list []catalog.Account, err error) {
	for owner, a := range d.accounts {
		if owner > after && len(list) < limit {
			list = append(list, a)
		}
	}
	return list, d.err
}

func (d *directory) AddAccount(_ context.Context, owner string, now time.Time) error {
	if _, found := d.accounts[owner]; found {
		return catalog.ErrExists
	}
	d.accounts[owner] = catalog.Account{Owner: owner, Created: now, LimitPictures: 9, Own: catalog.Limits{Pictures: -1, Bytes: -1}}
	return d.err
}

func (d *directory) LimitAccount(_ context.Context, owner string, l catalog.Limits) error {
	a := d.accounts[owner]
	a.Own = l
	d.accounts[owner] = a
	return d.err
}

func (d *directory) Delete(_ context.Context, owner string) error {
	if _, found := d.accounts[owner]; !found {
		return catalog.ErrNotFound
	}
	d.deleted = append(d.deleted, owner)
	return d.err
}

// callers knows callers by what they show; any other is refused for the reason that it names.
type callers map[string]auth.Principal

var reasons = map[string]error{"expired": auth.ErrExpired, "away": fmt.Errorf("%w: dial tcp 10.0.0.7: refused", auth.ErrUnavailable)}

func (c callers) Authenticate(_ context.Context, credential string) (auth.Principal, error) {
	if p, known := c[credential]; known {
		return p, nil
	}
	if err := reasons[credential]; err != nil {
		return auth.Principal{}, err
	}
	return auth.Principal{}, auth.ErrUnknown
}

var everybody = callers{
	"admin":   {Admin: true, Key: "boot"},
	"ann":     {User: "ann", Scopes: auth.Read | auth.Write | auth.Upload},
	"reader":  {User: "ann", Scopes: auth.Read},
	"nothing": {User: "ann"},
	"scraper": {Scopes: auth.Read, Key: "k1"},
	"backend": {Scopes: auth.Read | auth.Write | auth.Upload, Key: "k2"},
	"shared":  {User: "ann", Scopes: auth.Read | auth.Write | auth.Upload, Shared: true},
	"chief":   {User: "ann", Scopes: auth.Read, Admin: true},
}

func newGuarded(t *testing.T) (*directory, http.Handler) {
	k := newDirectory()
	keeper := &keeper{}
	a := New(Config{
		Grants: keeper, Bulk: keeper, Sources: keeper, Records: keeper, Registry: NewMetrics().Registry, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Purging: &Purging{}, Warmer: &Warmer{}, Outbox: &outbox{}, Access: k.access(everybody),
	})
	return k, a.Handler()
}

// TestWhoMay holds who of everybody may call what. All others are refused with 403, and those that are not known with 401.
func TestWhoMay(t *testing.T) {
	k, h := newGuarded(t)
	tests := []struct{ method, target, body, may string }{
		{"POST", "/token", `{"id": "x"}`, "admin backend shared chief"},
		{"POST", "/grants", `{"grants": [{"id": "x"}]}`, "admin backend shared chief"},
		{"GET", "/sources", "", "admin chief scraper backend shared"},
		{"GET", "/sources/cat", "", "admin chief scraper backend shared"},
		{"PUT", "/sources/cat", "x", "admin chief backend shared"},
		{"DELETE", "/sources/cat", "", "admin chief backend shared"},
		{"POST", "/publish", `{"sources": [{"id": "cat"}]}`, "admin chief backend shared"},
		{"POST", "/delete", `{"ids": ["cat"]}`, "admin chief backend shared"},
		{"POST", "/rotate", `{"id": "cat", "turn": "90"}`, "admin chief backend shared"},
		{"GET", "/jobs/j1", "", "admin chief scraper backend shared"},
		{"GET", "/metrics", "", "admin chief scraper backend shared"},
		{"GET", "/events", "", "admin chief"},
		{"POST", "/events/dead/replay", "", "admin chief"},
		{"GET", "/debug/pprof/cmdline", "", "admin chief"},
		{"GET", "/keys", "", "admin chief"},
		{"POST", "/keys", `{"name": "x", "scopes": ["read"]}`, "admin chief"},
		{"POST", "/keys/k/rotate", `{}`, "admin chief"},
		{"DELETE", "/keys/k", "", "admin chief"},
		{"GET", "/users", "", "admin chief"},
		{"GET", "/users/ann", "", "admin chief"},
		{"PATCH", "/users/ann", `{}`, "admin chief"},
		{"DELETE", "/users/ann", "", "admin chief"},
		{"GET", "/users/me", "", "ann reader shared chief"}, // the others are nobody
		{"DELETE", "/users/me", "", "ann shared chief"},
	}
	for _, test := range tests {
		for name := range everybody {
			k.accounts["ann"] = catalog.Account{Owner: "ann"}
			k.keys["k"] = catalog.Key{ID: "k"}
			got := call(h, test.method, test.target, test.body, "Authorization", "Bearer "+name)
			may := strings.Contains(" "+test.may+" ", " "+name+" ")
			if may == (got.Code == 403) || got.Code == 401 || got.Code >= 500 {
				t.Errorf("%s %s as %s: %d %s", test.method, test.target, name, got.Code, got.Body)
			}
		}
		for credential, status := range map[string]int{"": 401, "wrong": 401, "expired": 401, "away": 503} {
			header := []string{"Authorization", "Bearer " + credential}
			if credential == "" {
				header = nil
			}
			got := call(h, test.method, test.target, test.body, header...)
			if got.Code != status || strings.Contains(got.Body.String(), "10.0.0.7") || (status == 401) != (got.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("%s %s showing %q: %d %s", test.method, test.target, credential, got.Code, got.Body)
			}
		}
	}
	got := call(h, "GET", "/users/me", "", "X-API-Key", "expired")
	if challenge := got.Header().Get("WWW-Authenticate"); challenge != `Bearer realm="deckle", error="invalid_token", error_description="the token has expired"` {
		t.Error(challenge)
	}
	if challenge := call(h, "GET", "/users/me", "").Header().Get("WWW-Authenticate"); challenge != `Bearer realm="deckle"` {
		t.Error(challenge)
	}
	got = call(h, "GET", "/keys", "", "X-API-Key", "ann")
	if challenge := got.Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_scope", scope="admin"`) {
		t.Error(challenge)
	}
}

// TestEveryOperationIsListed: what nobody thought of is for administrators, and every row of the table is of an operation.
func TestEveryOperationIsListed(t *testing.T) {
	k := &keeper{}
	a := New(Config{
		Grants: k, Bulk: k, Sources: k, Records: k, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler), Purging: &Purging{}, Warmer: &Warmer{},
		Outbox: &outbox{}, Access: newDirectory().access(nil), Images: &Images{}, Private: &Private{}, Labels: struct{ Labels }{}, Explain: lookout{}, Archives: &Archives{},
	})
	described := map[string]bool{}
	for path, item := range descriptionOf(t, a) {
		for method, raw := range item {
			var op struct {
				Security []map[string][]string
				Servers  []any
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			described[strings.ToUpper(method)+" "+path] = true
			want := needOf(strings.ToUpper(method) + " " + path).scope.Names()
			if op.Servers == nil && len(op.Security[0]) > 0 {
				if diff := cmp.Diff([]map[string][]string{{"bearer": want}, {"key": want}}, op.Security); diff != "" {
					t.Errorf("%s %s: %s", method, path, diff)
				}
			}
		}
	}
	for _, n := range needs {
		for _, method := range strings.Fields(n.methods) {
			if !strings.HasSuffix(n.path, "*") && !described[method+" "+n.path] {
				t.Errorf("%s %s is no operation", method, n.path)
			}
		}
	}
	for pattern, want := range map[string]auth.Scopes{
		"GET /sources/{id...}": auth.Read, "POST /sources/{id...}": auth.Admin, "/debug/pprof/": auth.Admin, "": auth.Admin, "GET /": auth.Admin,
		"GET /images": auth.Read, "DELETE /images/{id}": auth.Write, "POST /images/uploads": auth.Upload, "GET /imagesx": auth.Admin, "HEAD /sources": auth.Admin,
	} {
		if got := needOf(pattern).scope; got != want {
			t.Errorf("%q needs %s, want %s", pattern, got, want)
		}
	}
}

func TestKeysAPI(t *testing.T) {
	k, h := newGuarded(t)
	as := []string{"X-API-Key", "admin"}
	made := call(h, "POST", "/keys", `{"name": "backend", "scopes": ["upload", "read"], "user": "ann", "ttl": 60}`, as...)
	var said keyAnswer
	if err := json.Unmarshal(made.Body.Bytes(), &said); err != nil || made.Code != 201 {
		t.Fatal(made.Code, err, made.Body)
	}
	stored := k.keys[said.ID]
	if stored.Hash != auth.HashKey(said.Secret) || said.Secret == "" || stored.Owner != "ann" || stored.Expires.Sub(stored.Created) != time.Minute {
		t.Errorf("%+v of %+v", stored, said)
	}
	if diff := cmp.Diff([]string{"read", "upload"}, said.Scopes); diff != "" {
		t.Error(diff)
	}
	list := call(h, "GET", "/keys", "", as...)
	if list.Code != 200 || !strings.Contains(list.Body.String(), said.ID) || strings.Contains(list.Body.String(), "secret") || strings.Contains(list.Body.String(), stored.Hash) {
		t.Errorf("list: %s", list.Body)
	}
	turned := call(h, "POST", "/keys/"+said.ID+"/rotate", `{"overlap": 30}`, as...)
	var again keyAnswer
	if err := json.Unmarshal(turned.Body.Bytes(), &again); err != nil || turned.Code != 200 || again.Secret == said.Secret || again.FormerUntil.IsZero() || k.changed != 1 {
		t.Errorf("rotated: %d %v %s", turned.Code, err, turned.Body)
	}
	if until := time.Until(k.keys[said.ID].FormerUntil); until > 30*time.Second || until < 20*time.Second {
		t.Errorf("the former secret stays for %s", until)
	}
	for body, want := range map[string]time.Duration{`{}`: time.Hour, `{"overlap": 0}`: 0} {
		call(h, "POST", "/keys/"+said.ID+"/rotate", body, as...)
		if until := time.Until(k.keys[said.ID].FormerUntil); until > want || until < want-10*time.Second {
			t.Errorf("%s: the former secret stays for %s, want %s", body, until, want)
		}
	}
	k.changed = 1
	if got := call(h, "DELETE", "/keys/"+said.ID, "", as...); got.Code != 204 || len(k.keys) != 0 || k.changed != 2 {
		t.Errorf("revoked: %d, %d keys", got.Code, len(k.keys))
	}
	for _, bad := range []struct {
		method, target, body string
		status               int
	}{
		{"POST", "/keys", `{"name": "x", "scopes": []}`, 400},
		{"POST", "/keys", `{"name": "x", "scopes": ["root"]}`, 400},
		{"POST", "/keys", `{"name": "", "scopes": ["read"]}`, 400},
		{"POST", "/keys", `{"name": "x", "scopes": ["read"], "ttl": 0}`, 400},
		{"POST", "/keys", `{"name": "x", "scopes": ["read"], "user": " a"}`, 400},
		{"POST", "/keys", `{"name": "x", "scopes": ["admin"], "user": "ann"}`, 400},
		{"POST", "/keys/none/rotate", `{}`, 404},
		{"POST", "/keys/none/rotate", `{"overlap": -1}`, 400},
		{"DELETE", "/keys/none", "", 404},
	} {
		got := call(h, bad.method, bad.target, bad.body, as...)
		if got.Code != bad.status {
			t.Errorf("%s %s %s: %d %s", bad.method, bad.target, bad.body, got.Code, got.Body)
		}
		checkProblem(t, got)
	}
	k.err = fmt.Errorf("%w: disk", catalog.ErrUnavailable)
	if got := call(h, "POST", "/keys", `{"name": "x", "scopes": ["read"]}`, as...); got.Code != 503 || strings.Contains(got.Body.String(), "disk") || strings.Contains(got.Body.String(), "dk_") {
		t.Errorf("without records: %d %s", got.Code, got.Body)
	}
}

func TestUsersAPI(t *testing.T) {
	d, h := newGuarded(t)
	do := func(who, method, target, body string, status int) string {
		t.Helper()
		got := call(h, method, target, body, "Authorization", "Bearer "+who)
		if got.Code != status {
			t.Errorf("%s %s %s as %s: %d %s, want %d", method, target, body, who, got.Code, got.Body, status)
		}
		return got.Body.String()
	}
	do("ann", "GET", "/users/me", "", 404)
	if said := do("ann", "POST", "/users", "", 201); !regexp.MustCompile(`"user":"ann".*"pictures":0,"bytes":0,"limit_pictures":9`).MatchString(said) {
		t.Error(said)
	}
	do("ann", "POST", "/users", "{}", 409)
	do("ann", "POST", "/users", `{"user": "bob"}`, 403)
	do("ann", "POST", "/users", `{"user": "ann"}`, 409)
	do("reader", "POST", "/users", "", 403)
	do("admin", "POST", "/users", "", 403)
	do("admin", "POST", "/users", `{"user": "a\nb"}`, 400)
	do("admin", "POST", "/users", `{"user": "a/b"}`, 201)
	do("admin", "GET", "/users/a%2Fb", "", 200)
	do("admin", "PATCH", "/users/a%2Fb", `{"limit_pictures": 5}`, 200)
	if diff := cmp.Diff(catalog.Limits{Pictures: 5, Bytes: -1}, d.accounts["a/b"].Own); diff != "" {
		t.Error(diff)
	}
	do("admin", "PATCH", "/users/a%2Fb", `{"limit_bytes": -2}`, 400)
	do("admin", "PATCH", "/users/none", `{}`, 404)
	do("admin", "DELETE", "/users/none", "", 404)
	do("admin", "DELETE", "/users/a%2Fb", "", 202)
	do("ann", "DELETE", "/users/me", "", 202)
	if diff := cmp.Diff([]string{"a/b", "ann"}, d.deleted); diff != "" || d.changed != 2 {
		t.Error(diff, d.changed)
	}
	d.err = errors.New("open /srv/secret")
	if said := do("ann", "GET", "/users/me", "", 500); strings.Contains(said, "secret") {
		t.Error(said)
	}
}
