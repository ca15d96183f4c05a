package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"deckle/internal/testimage"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"
)

// tokenIssuer gives out tokens, and publishes the key that they are signed with.
type tokenIssuer struct {
	*httptest.Server
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newTokenIssuer(t *testing.T) *tokenIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &tokenIssuer{t: t, key: key}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said any = map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
		if r.URL.Path == "/keys" {
			said = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "k1", Key: key.Public(), Algorithm: "ES256", Use: "sig"}}}
		}
		_ = json.NewEncoder(w).Encode(said) // who asked may have left
	}))
	t.Cleanup(i.Close)
	return i
}

// flags are those of a deckle that takes its tokens.
func (i *tokenIssuer) flags() []string {
	return []string{"--oidc-issuer", i.URL, "--oidc-audience", "deckle", "--admin-claim", "roles=ops"}
}

// sign makes a token with a key id; claims are pairs that change what a good one has.
func (i *tokenIssuer) sign(kid, user string, claims ...any) string {
	i.t.Helper()
	said := map[string]any{"iss": i.URL, "aud": "deckle", "sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	for n := 0; n < len(claims); n += 2 {
		said[claims[n].(string)] = claims[n+1]
	}
	payload, err := json.Marshal(said)
	if err != nil {
		i.t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		i.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func (i *tokenIssuer) token(user string, claims ...any) string { return i.sign("k1", user, claims...) }

// wrong are credentials that nobody is let in with, by what is wrong with them.
func (i *tokenIssuer) wrong() map[string]string {
	i.t.Helper()
	good := i.token("ann")
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	der, err := x509.MarshalPKIXPublicKey(i.key.Public())
	if err != nil {
		i.t.Fatal(err)
	}
	confused := encode([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + parts[1]
	mac := hmac.New(sha256.New, der)
	mac.Write([]byte(confused))
	ago := time.Now().Add(-2 * time.Minute).Unix()
	return map[string]string{
		"a wrong key": "k3z", "a key that was never made": "dk_" + strings.Repeat("A", 43), "a key, cut": "k3",
		"an expired token": i.token("ann", "exp", ago), "one of the future": i.token("ann", "nbf", time.Now().Add(time.Hour).Unix()),
		"a wrong key id": i.sign("k2", "ann"), "a wrong audience": i.token("ann", "aud", "other"), "a wrong issuer": i.token("ann", "iss", "https://x.example"),
		"no user": i.token(""), "alg none": encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "the public key as secret": confused + "." + encode(mac.Sum(nil)),
		"a changed signature": good[:len(good)-6] + "AAAAAA", "garbage": "ey.ey.ey", "huge": strings.Repeat("A", 9<<10),
	}
}

// described is one operation of the description.
type described struct {
	method, path string
	open         bool
	json         bool // its body is JSON
}

// operations reads the description of the operator's listener.
func (d *daemon) operations() (list []described) {
	d.t.Helper()
	var said struct {
		Paths map[string]map[string]struct {
			Servers     []any
			Security    *[]map[string][]string
			RequestBody struct{ Content map[string]any }
		}
	}
	got := request("GET", d.admin+"/openapi.json", nil)
	if err := json.Unmarshal(got.body, &said); err != nil || got.status != 200 {
		d.t.Fatal(got.status, err)
	}
	for path, item := range said.Paths {
		for method, op := range item {
			if op.Servers == nil {
				_, isJSON := op.RequestBody.Content["application/json"]
				list = append(list, described{strings.ToUpper(method), path, op.Security != nil && len((*op.Security)[0]) == 0, isJSON})
			}
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		list = append(list, described{method: "GET", path: path})
	}
	if len(list) < 35 {
		d.t.Fatalf("only %d operations", len(list))
	}
	return list
}

// target puts values in for the parameters of a path. One without a value fails the test: an empty one would be another path.
func (op described) target(t *testing.T, values map[string]string) string {
	t.Helper()
	path := regexp.MustCompile(`\{(\w+)\}`).ReplaceAllStringFunc(op.path, func(name string) string {
		value := values[strings.Trim(name, "{}")]
		if value == "" {
			t.Fatalf("%s: there is no value for %s", op.path, name)
		}
		return value
	})
	if (op.method == "PATCH" || op.method == "DELETE") && op.path == "/images" {
		path += "?all=true"
	}
	return path
}

// TestAccess tries every operation of the operator's listener as nobody, with everything that is no credential, and as another user:
// nothing of the owner's is told, and nothing changed.
func TestAccess(t *testing.T) {
	issuer := newTokenIssuer(t)
	d := start(t, append(issuer.flags(), "--data", t.TempDir(), "--api-keys", "k3y")...)
	picture := testimage.JPEG(testimage.Photo(60, 40, 5), 88)
	ann, bob, ops := caller{d, issuer.token("ann")}, caller{d, issuer.token("bob")}, caller{d, issuer.token("olga", "roles", []string{"ops"})}
	hidden := ann.put(201, picture, "file", "ann/hidden.jpg", "private", "true", "secretfield", "treasure")
	shown := ann.put(201, testimage.JPEG(testimage.Photo(60, 40, 6), 88), "file", "ann/shown.jpg")
	// Each answer signs a URL of its own.
	recorded := func() string {
		return regexp.MustCompile(`"url":"[^"]*",`).ReplaceAllString(string(ann.want("GET", "/images/"+hidden.ID, "", 200, "treasure").body), "")
	}
	record := recorded()
	key := into[struct{ ID, Secret string }](t, ops.want("POST", "/keys", `{"name": "of ann", "scopes": ["read"], "user": "ann"}`, 201))
	values := map[string]string{"id": hidden.ID, "image": hidden.ID, "user": "ann", "key": key.ID, "job": "x", "path": "secretfield"}
	bodies := map[string]string{
		"/images": `{"set": {"stolen": 1}}`, "/images/{image}": `{"set": {"stolen": 1}}`, "/keys": `{"name": "x", "scopes": ["admin"]}`,
		"/users": `{"user": "ann"}`, "/users/{user}": `{"limit_pictures": 1}`, "/token": `{"id": "` + hidden.ID + `", "replace": true}`,
		"/images/confirm": `{"images": [{"id": "` + hidden.ID + `", "md5": "` + strings.Repeat("0", 32) + `"}]}`,
	}
	// What bob may do with his own. What is answered is looked at.
	own := map[string]bool{
		"GET /images": true, "GET /images/public": true, "GET /images/fields": true, "GET /images/fields/{path}": true, "PATCH /images": true, "DELETE /images": true,
		"POST /images": true, "POST /images/uploads": true, "POST /images/confirm": true, "DELETE /users/me": true,
		"GET /export": true, "POST /import": true,
	}
	wrong := issuer.wrong()
	wrong["nothing"] = ""
	for _, op := range d.operations() {
		if op.open {
			continue
		}
		body := bodies[op.path]
		if body == "" {
			body = `{"id": "` + hidden.ID + `", "ids": ["` + hidden.ID + `"], "sources": [{"id": "` + hidden.ID + `"}], "all": true}`
		}
		for what, credential := range wrong {
			if got := (caller{d, credential}).ask(op.method, op.target(t, values), []byte(body)); got.status != 401 {
				t.Errorf("%s %s with %s: %d %.200s", op.method, op.path, what, got.status, got.body)
			}
		}
		got := bob.ask(op.method, op.target(t, values), []byte(body))
		refused := got.status == 403 || got.status == 404
		if !refused && !own[op.method+" "+op.path] {
			t.Errorf("%s %s as another user: %d %.300s", op.method, op.path, got.status, got.body)
		}
		if text := string(got.body); got.status < 300 && (strings.Contains(text, hidden.ID) || strings.Contains(text, "treasure")) {
			t.Errorf("%s %s as another user tells: %.300s", op.method, op.path, text)
		}
	}
	for method, path := range map[string]string{"PATCH": "/images/" + shown.ID, "DELETE": "/images/" + shown.ID} {
		bob.want(method, path, `{"set": {"stolen": 1}}`, 404)
	}
	for _, query := range []string{"scope=all", "scope=public", "scope=own", "file=ann%2Fhidden.jpg", "ids=" + hidden.ID, "q=hidden", "data.secretfield=treasure", `filter={"owner":"ann"}`, `filter={"$or":[{"owner":"ann"},{"owner":"bob"}]}`} {
		if got := bob.ask("GET", "/images?"+strings.NewReplacer(`"`, "%22", "{", "%7B", "}", "%7D", "[", "%5B", "]", "%5D", "$", "%24").Replace(query), nil); strings.Contains(string(got.body), hidden.ID) {
			t.Errorf("%s tells another user: %s", query, got.body)
		}
	}
	if now := recorded(); now != record {
		t.Errorf("the record was changed:\n%s\n%s", record, now)
	}
	ann.want("GET", "/images/"+shown.ID, "", 200)
	if got := (caller{d, key.Secret}).ask("GET", "/images/"+hidden.ID+"/file", nil); got.status != 200 || len(got.body) == 0 {
		t.Errorf("the owner's key: %d", got.status)
	}
	ops.want("GET", "/sources/"+hidden.ID, "", 200)
	for _, credential := range append([]string{key.Secret, "k3y", ann.key, bob.key}, wrong["alg none"], wrong["an expired token"]) {
		if strings.Contains(d.log.String(), credential) {
			t.Error("the log tells a key or a token")
		}
	}
}

// deckleKey runs deckle key against the daemon and returns what it prints.
func (d *daemon) deckleKey(code int, args ...string) string {
	d.t.Helper()
	command := deckle(nil, append(append([]string{"key"}, args...), "--admin", d.admin, "--api-key", "k3y")...)
	var printed, failed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &failed
	_ = command.Run() // the code is looked at
	if got := command.ProcessState.ExitCode(); got != code {
		d.t.Fatalf("deckle key %v ended with %d: %s", args, got, failed.String())
	}
	return strings.TrimSpace(printed.String())
}

// TestKeyCommands: a key's life by deckle key, over a restart.
func TestKeyCommands(t *testing.T) {
	data := t.TempDir()
	d := start(t, "--data", data, "--api-keys", "k3y")
	secret := d.deckleKey(0, "create", "scraper", "--scopes", "read")
	as := func(secret string, path string, status int) {
		t.Helper()
		if got := (caller{d, secret}).ask("GET", path, nil); got.status != status {
			t.Errorf("%s: %d %.200s, want %d", path, got.status, got.body, status)
		}
	}
	as(secret, "/metrics", 200)
	as(secret, "/keys", 403)
	list := d.deckleKey(0, "list")
	id := regexp.MustCompile(`(?m)^(\w+) +"scraper" +read `).FindStringSubmatch(list)
	if id == nil || strings.Contains(list, secret) {
		t.Fatalf("list:\n%s", list)
	}
	eventually(t, 10*time.Second, "the last use is noted", func() bool {
		return strings.Contains(string((caller{d, "k3y"}).want("GET", "/keys", "", 200).body), `"used":`)
	})
	young := d.deckleKey(0, "rotate", id[1])
	as(young, "/metrics", 200)
	as(secret, "/metrics", 200) // for an hour
	last := d.deckleKey(0, "rotate", id[1], "--overlap", "0s")
	as(young, "/metrics", 401)
	as(secret, "/metrics", 401)
	d.stop()
	d.launch()
	as(last, "/metrics", 200)
	d.deckleKey(0, "revoke", id[1])
	as(last, "/metrics", 401)
	d.deckleKey(1, "revoke", id[1])
	d.deckleKey(1, "create", "x", "--scopes", "root")
	d.deckleKey(2, "create", "x", "--expires", "1ms")
	short := d.deckleKey(0, "create", "short", "--scopes", "read", "--expires", "2s", "--user", "ann")
	as(short, "/images", 200)
	eventually(t, 10*time.Second, "the key ends", func() bool { return (caller{d, short}).ask("GET", "/images", nil).status == 401 })

	// No secret is at rest.
	files, err := filepath.Glob(filepath.Join(data, "deckle.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{secret, young, last, short} {
			if bytes.Contains(text, []byte(key)) || strings.Contains(d.log.String(), key) {
				t.Errorf("%s, or the log, has a key in it", filepath.Base(name))
			}
		}
	}
}

// TestAccounts: the quota holds over uploads at once, and a deletion goes on over a restart until nothing of the owner is left.
func TestAccounts(t *testing.T) {
	issuer := newTokenIssuer(t)
	d := start(t, append(issuer.flags(), "--data", t.TempDir(), "--user-pictures", "25", "--undelete", "1h")...)
	ann, bob, ops := caller{d, issuer.token("ann")}, caller{d, issuer.token("bob")}, caller{d, issuer.token("olga", "roles", "ops")}
	ann.want("POST", "/users", "", 201, `"user":"ann"`, `"limit_pictures":25`)
	ann.want("POST", "/users", "", 409)
	bobs := bob.put(201, testimage.PNG(testimage.Quadrants(8, 8)), "file", "b.png")

	var in, full atomic.Int64
	ids := make(chan string, 64)
	var uploads errgroup.Group
	uploads.SetLimit(8)
	for n := range 32 {
		uploads.Go(func() error {
			body, contentType := formOf(testimage.PNG(testimage.Quadrants(8+n, 8)), "file", fmt.Sprint(n, ".png"))
			got := ann.ask("POST", "/images", body, "Content-Type", contentType)
			switch {
			case got.status == 201:
				in.Add(1)
				ids <- into[storedImage](t, got).ID
			case got.status == 403 && strings.Contains(string(got.body), "25 pictures"):
				full.Add(1)
			default:
				t.Errorf("upload: %d %v %s", got.status, got.err, got.body)
			}
			return nil
		})
	}
	_ = uploads.Wait() // they fail the test themselves
	close(ids)
	if in.Load() != 25 || full.Load() != 7 {
		t.Errorf("%d of 32 came in, %d were refused, want 25 and 7", in.Load(), full.Load())
	}
	ann.want("GET", "/users/me", "", 200, `"pictures":25`)
	ops.want("PATCH", "/users/ann", `{"limit_pictures": 26}`, 200, `"limit_pictures":26`)
	ann.put(201, testimage.PNG(testimage.Quadrants(99, 8)), "file", "one more")

	// A kill costs the time of a lease: the long form has that.
	ann.want("DELETE", "/users/me", "", 202)
	if os.Getenv("DECKLE_CRASH_ROUNDS") != "" {
		d.kill()
	} else {
		d.stop()
	}
	d.launch()
	ann.daemon, bob.daemon, ops.daemon = d, d, d
	ann.put(403, testimage.PNG(testimage.Quadrants(9, 9)), "file", "late")
	eventually(t, 90*time.Second, "the account is gone", func() bool { return ops.ask("GET", "/users/ann", nil).status == 404 })
	for id := range ids {
		if got := d.get("/" + id + ".png"); got.status != 404 {
			t.Errorf("%s: %d", id, got.status)
		}
		ops.want("GET", "/sources/"+id, "", 404)
	}
	bob.want("GET", "/images/"+bobs.ID, "", 200)
	d.mustGet("/" + bobs.ID + ".png")
	ann.put(403, testimage.PNG(testimage.Quadrants(9, 9)), "file", "late")
	ann.want("POST", "/users", "", 201, `"pictures":0`)
	ann.put(201, testimage.PNG(testimage.Quadrants(9, 9)), "file", "anew")
}

// TestIntrospection: tokens that only another service can read, in bit-image's form.
func TestIntrospection(t *testing.T) {
	var asked atomic.Int64
	var away atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		switch {
		case away.Load():
			w.WriteHeader(http.StatusBadGateway)
		case string(body) == `{"token":"of-ann"}`:
			_, _ = io.WriteString(w, `{"is_user_authorized": true, "user_id": "ann"}`) // who asked may have left
		default:
			_, _ = io.WriteString(w, `{"is_user_authorized": false}`)
		}
	}))
	t.Cleanup(service.Close)
	d := start(t, "--data", t.TempDir(), "--introspection-url", service.URL+"/authorizeUser", "--introspection-form", "cas")
	ann := caller{d, "of-ann"}
	ann.want("POST", "/users", "", 201, `"user":"ann"`)
	for range 5 {
		ann.want("GET", "/users/me", "", 200)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the service was asked %d times, want once", n)
	}
	caller{d, "of-eve"}.want("GET", "/users/me", "", 401)
	caller{d, ""}.want("GET", "/users/me", "", 401)
	away.Store(true)
	ann.want("GET", "/users/me", "", 200)
	if got := (caller{d, "of-bob"}).ask("GET", "/users/me", nil); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("while nobody can tell: %d %s", got.status, got.body)
	}
	if strings.Contains(d.log.String(), "of-") {
		t.Error("the log tells a token")
	}
}
