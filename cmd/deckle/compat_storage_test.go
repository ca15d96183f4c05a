package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
)

const asStorage = "application/json; charset=utf-8"

// storageForm is an upload as clients of image-storage-service send it.
func storageForm(t *testing.T, d *daemon, picture []byte, header []string, fields ...string) reply {
	t.Helper()
	body, contentType := formOf(picture, fields...)
	return request("POST", d.edge+"/images", bytes.NewReader(body), append(header, "Content-Type", contentType)...)
}

// TestImageStorage goes through the endpoints of image-storage-service.
func TestImageStorage(t *testing.T) {
	photo, other := testimage.JPEG(testimage.Photo(60, 40, 1), 85), testimage.PNG(testimage.Photo(30, 20, 2))
	d := start(t, "--data", t.TempDir(), "--compat", "image-storage", "--open-library")
	const a, b = "6543210fedcba98765432100", "6543210fedcba98765432101"
	upload := func(want string, picture []byte, fields ...string) {
		t.Helper()
		got := storageForm(t, d, picture, nil, fields...)
		if got.status != 200 || got.header.Get("Content-Type") != asStorage || string(got.body) != want {
			t.Errorf("upload of %q: %d %s, want %s", fields, got.status, got.body, want)
		}
	}
	docA := `{"_id":"` + a + `","file":"a/cat.jpg","time":"2026-01-02T03:04:05.678Z","data":{"score":"5","where":{"city":"Tokyo"}}}`
	docB := `{"_id":"` + b + `","file":"photo one.jpg","time":"2026-02-02T00:00:00.000Z","data":{"score":5,"tags":["x","y"]}}`
	upload(docA, photo, "_id", a, "file", "a/cat.jpg", "time", "2026-01-02T03:04:05.678Z", "score", "5", "where[city]", "Tokyo")
	upload(docB, photo, "_id", b, "time", "2026-02-02", "ignored", "yes", "data", `{"score": 5, "tags": ["x", "y"]}`)
	list := func(total int, more string, docs ...string) string {
		return fmt.Sprintf(`{"total":%d,%s,"items":[%s]}`, total, more, strings.Join(docs, ","))
	}
	page, filter := `"skip":"0","limit":100`, func(text string) string { return "/images?filter=" + url.QueryEscape(text) }
	wart500 := "there a mistake of the caller's is a 500 with the text of the driver"
	for _, x := range []exchange{
		{name: "list", method: "GET", target: "/images", status: 200, media: asStorage, want: list(2, page, docA, docB)},
		{name: "descending", method: "GET", target: "/images?sort=time&order=-1&limit=1&skip=0", status: 200, media: asStorage, want: list(2, `"skip":"0","limit":"1"`, docB)},
		{name: "by data", method: "GET", target: "/images?score=5", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "by a number in data", method: "GET", target: filter(`{"data.score":5}`), status: 200, media: asStorage, want: list(1, page, docB)},
		{name: "by a dotted path", method: "GET", target: "/images?where.city=Tokyo", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "by brackets", method: "GET", target: "/images?where[city]=Tokyo", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "by an operator in brackets", method: "GET", target: "/images?score[$gte]=4", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "by an element", method: "GET", target: "/images?tags=y", status: 200, media: asStorage, want: list(1, page, docB)},
		{name: "by file", method: "GET", target: "/images?file=a/cat.jpg", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "by regular expression", method: "GET", target: "/images?file=CAT&regex=true", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "by regular expression in data", method: "GET", target: "/images?where.city=^tok&regex=on", status: 200, media: asStorage, want: list(1, page, docA)},
		{name: "no regular expression", method: "GET", target: "/images?file=CAT&regex=false", status: 200, media: asStorage, want: list(0, page),
			differs: "there false switches it on"},
		{name: "by ids", method: "GET", target: "/images?ids=" + a + "&ids=" + b, status: 200, media: asStorage, want: list(2, page, docA, docB)},
		{name: "by ids in brackets", method: "GET", target: "/images?ids[]=" + b, status: 200, media: asStorage, want: list(1, page, docB)},
		{name: "by time", method: "GET", target: "/images?from=2026-01-15&to=undefined", status: 200, media: asStorage, want: list(1, page, docB)},
		{name: "selected", method: "GET", target: "/images?select=file&limit=1", status: 200, media: asStorage,
			want: `{"total":2,"skip":"0","limit":"1","items":[{"_id":"` + a + `","file":"a/cat.jpg"}],"select":"file"}`},
		{name: "a token in the query is no data", method: "GET", target: "/images?where.city=Tokyo&undefined_is_data=", status: 200, media: asStorage, want: list(0, page)},
		{name: "no filter", method: "GET", target: "/images?filter=nonsense", status: 400, media: asText, want: "Malformed filter"},
		{name: "a filter of unknown paths", method: "GET", target: filter(`{"label":"x"}`), status: 400, media: asText, says: "Malformed filter: ", differs: "there it may mean all"},
		{name: "a filter that runs programs", method: "GET", target: filter(`{"$where":"1"}`), status: 400, media: asText, says: "Malformed filter: ", differs: "there it runs"},
		{name: "to no time", method: "GET", target: "/images?to=soon&from=soon", status: 400, media: asText, want: `Parameter "to" is not a valid date`},
		{name: "from no time", method: "GET", target: "/images?from=soon", status: 400, media: asText, want: `Parameter "from" is not a valid date`},
		{name: "a limit that is none", method: "GET", target: "/images?limit=many", status: 400, media: asText, want: `Parameter "limit" is not a number`, differs: wart500},
		{name: "an order that is none", method: "GET", target: "/images?order=up", status: 400, media: asText, want: `Parameter "order" is not 1 or -1`, differs: wart500},
		{name: "an evil expression", method: "GET", target: "/images?file=" + url.QueryEscape("(a+)+$(") + "&regex=1", status: 400, media: asText, says: "Malformed regular expression", differs: wart500},

		{name: "one", method: "GET", target: "/images/" + a, status: 200, media: asStorage, want: docA},
		{name: "none", method: "GET", target: "/images/6543210fedcba98765432199", status: 404, media: asText, want: "Image 6543210fedcba98765432199 not found"},
		{name: "no id", method: "GET", target: "/images/..%2f..", status: 400, media: asText, says: "Cast to ObjectId failed", differs: wart500},
		{name: "the file", method: "GET", target: "/images/" + a + "/image", status: 200, media: "image/jpeg", want: string(photo)},
		{name: "the file of none", method: "GET", target: "/images/6543210fedcba98765432199/image", status: 404, media: asText, want: "Image 6543210fedcba98765432199 not found"},
		{name: "fields", method: "GET", target: "/fields", status: 200, media: asStorage, want: `["score","tags","where"]`},
		{name: "values", method: "GET", target: "/fields/where.city", status: 200, media: asStorage, want: `["Tokyo"]`},
		{name: "a preflight", method: "OPTIONS", target: "/images", header: []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PATCH"}, status: 204},

		{name: "patch", method: "PATCH", target: "/images/" + a, body: `{"where.city":"Osaka","n":1,"file":"x","$unset":{"score":""}}`, status: 200, media: asStorage,
			want: `{"_id":"` + a + `","file":"a/cat.jpg","time":"2026-01-02T03:04:05.678Z","data":{"where":{"city":"Osaka"},"file":"x","n":1}}`},
		{name: "patch by an operator", method: "PATCH", target: "/images/" + a, body: `{"$inc":{"n":1}}`, status: 400, media: asText, says: "$inc", differs: "there it is stored, or a 500"},
		{name: "patch at odds with itself", method: "PATCH", target: "/images/" + a, body: `{"n":1,"$unset":{"n":1}}`, status: 400, media: asText, says: "n", differs: wart500},
		{name: "patch none", method: "PATCH", target: "/images/6543210fedcba98765432199", body: `{}`, status: 404, media: asText, want: "Image 6543210fedcba98765432199 not found"},
		{name: "patch many", method: "PATCH", target: "/images?n=1&limit=0", body: `{"m":1}`, status: 200, media: asStorage,
			want: `{"acknowledged":true,"modifiedCount":0,"upsertedId":null,"upsertedCount":0,"matchedCount":0}`},
		{name: "patch all", method: "PATCH", target: "/images", body: `{"m":1}`, status: 200, media: asStorage,
			want: `{"acknowledged":true,"modifiedCount":2,"upsertedId":null,"upsertedCount":0,"matchedCount":2}`},
		{name: "delete none", method: "DELETE", target: "/images?m=1", status: 200, media: asStorage, want: `{"item_count":0}`},
		{name: "delete one", method: "DELETE", target: "/images/" + b, status: 200, media: asStorage, want: `{"_id":"` + b + `"}`},
		{name: "delete it again", method: "DELETE", target: "/images/" + b, status: 404, media: asText, want: "Image " + b + " not found"},
		{name: "no picture is sent", method: "POST", target: "/images", body: "x", status: 400, media: asText, want: "File not provided"},
		{name: "a method that there is not", method: "PUT", target: "/images", status: 405, media: asText},
	} {
		if x.want == "" && x.says == "" {
			x.says = " " // any words
		}
		if x.status == 204 {
			x.says = ""
		}
		x.run(t, d)
	}
	upload(`{"_id":"`+a+`","file":"a/cat.jpg","time":"2026-03-01T00:00:00.000Z","data":{}}`, other, "file", "a/cat.jpg", "time", "2026-03-01")
	if got := d.get("/images/" + a + "/image"); !bytes.Equal(got.body, other) || got.header.Get("Content-Disposition") != "attachment; filename=cat.jpg" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the file: %v", got.header)
	}
	for name, fields := range map[string][]string{"a bad time": {"time", "soon"}, "bad JSON": {"json", "{"}, "a bad id": {"_id", "../x"}, "a file elsewhere": {"file", "../x"}} {
		if got := storageForm(t, d, photo, nil, fields...); got.status != 400 || got.header.Get("Content-Type") != asText {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := storageForm(t, d, []byte("<script>"), nil); got.status != 415 {
		t.Errorf("no picture: %d %s", got.status, got.body)
	}
	if got := storageForm(t, d, nil, nil, "a", "b"); got.status != 200 { // formOf appends none without a picture
		if string(got.body) != "File not provided" {
			t.Errorf("no picture: %d %s", got.status, got.body)
		}
	}
	if got := request("DELETE", d.edge+"/images", nil); string(got.body) != `{"item_count":1}` {
		t.Errorf("delete all: %d %s", got.status, got.body)
	}
}

// issuer signs tokens, and publishes its key.
type issuer struct {
	*httptest.Server
	key ed25519.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: private}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","use":"sig","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) token(user string, expires time.Time) string {
	claims, _ := json.Marshal(map[string]any{"iss": "anybody", "aud": "anything", "sub": "s-" + user, "preferred_username": user, "exp": expires.Unix()}) // text and a number
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"JWT","kid":"k1"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.key, []byte(text)))
}

// TestImageStorageUsers: the variables of image-storage-service are understood, and IMAGE_SCOPE confines users to their own.
func TestImageStorageUsers(t *testing.T) {
	photo := testimage.JPEG(testimage.Photo(60, 40, 1), 85)
	tokens := newIssuer(t)
	t.Setenv("OIDC_JWKS_URI", tokens.URL)
	t.Setenv("IMAGE_SCOPE", "user")
	t.Setenv("UPLOADS_DIRECTORY", t.TempDir())
	t.Setenv("MONGODB_CONNECTION_STRING", "mongodb://user:hunter2@mongo/db")
	d := start(t, "--data", t.TempDir(), "--compat", "image-storage")
	soon := time.Now().Add(time.Hour)
	ann, bob := []string{"Authorization", "Bearer " + tokens.token("ann", soon)}, []string{"Authorization", "bearer " + tokens.token("bob", soon)}
	made := storageForm(t, d, photo, ann, "file", "cat.jpg", "a", "1")
	hers := regexp.MustCompile(`"_id":"([0-9a-f]{24})".*"userId":"ann"`).FindSubmatch(made.body)
	if made.status != 200 || hers == nil {
		t.Fatalf("%d %s", made.status, made.body)
	}
	id := string(hers[1])
	if got := storageForm(t, d, photo, bob, "file", "cat.jpg"); got.status != 200 || bytes.Contains(got.body, hers[1]) {
		t.Errorf("bob overwrites hers: %s", got.body)
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		if got := request(method, d.edge+"/images/"+id, nil, bob...); got.status != 404 || string(got.body) != "Image "+id+" not found" {
			t.Errorf("%s by another: %d %s", method, got.status, got.body)
		}
	}
	for target, total := range map[string]int{"/images": 1, "/images?filter=" + url.QueryEscape(`{"userId":"ann"}`): 0, "/images?ids=" + id: 0} {
		if got := request("GET", d.edge+target, nil, bob...); !bytes.HasPrefix(got.body, fmt.Appendf(nil, `{"total":%d,`, total)) {
			t.Errorf("bob lists by %s: %s", target, got.body)
		}
	}
	if got := request("DELETE", d.edge+"/images", nil, bob...); string(got.body) != `{"item_count":1}` {
		t.Errorf("bob deletes all: %s", got.body)
	}
	if got := d.get("/images/" + id + "/image?jwt=" + tokens.token("ann", soon)); got.status != 200 || !bytes.Equal(got.body, photo) {
		t.Errorf("a token in the query: %d %s", got.status, got.body)
	}
	if got := d.get("/images?a=1&token=" + tokens.token("ann", soon)); !bytes.HasPrefix(got.body, []byte(`{"total":1,`)) {
		t.Errorf("a token in the query of a list: %s", got.body)
	}
	forged := newIssuer(t).token("ann", soon)
	for says, header := range map[string][]string{
		"Error: Missing token":                 nil,
		"TokenExpiredError: jwt expired":       {"Authorization", "Bearer " + tokens.token("ann", time.Now().Add(-time.Hour))},
		"JsonWebTokenError: invalid signature": {"Authorization", "Bearer " + forged},
		"Error: ":                              {"Authorization", "Bearer rubbish"},
	} {
		for _, target := range []string{"GET /images", "GET /images/" + id, "GET /images/" + id + "/image", "GET /fields", "PATCH /images", "DELETE /images", "POST /images"} {
			method, path, _ := strings.Cut(target, " ")
			if got := request(method, d.edge+path, nil, header...); got.status != 401 || !strings.HasPrefix(string(got.body), says) {
				t.Errorf("%s with %.30q: %d %s, want %s", target, header, got.status, got.body, says)
			}
		}
	}
	if _, warned := d.log.await("MONGODB_CONNECTION_STRING is not used", time.Second); !warned || strings.Contains(d.log.String(), "hunter2") {
		t.Errorf("the log: %s", d.log)
	}
	for _, line := range strings.Split(d.log.String(), "\n") {
		if strings.Contains(line, "eyJ") {
			t.Errorf("a token is in the log: %s", line)
		}
	}
}

// TestImageStorageVariables: what is said in words of ours counts for more, and nothing is taken where that system's clients are
// not served.
func TestImageStorageVariables(t *testing.T) {
	for name, value := range map[string]string{
		"APP_PORT": "3000", "S3_BUCKET": "pictures", "S3_ENDPOINT": "https://minio:9000", "S3_REGION": "eu-1", "USER_IDENTIFIER": "email",
		"OIDC_JWKS_URI": "https://issuer.example/keys",
	} {
		t.Setenv(name, value)
	}
	for _, test := range []struct {
		args  []string
		env   map[string]string
		code  int
		lines []string
	}{
		{nil, nil, exitOK, []string{"listen: :8080\n", "origin: \"\"\n", "user-claim: \"\"\n"}},
		{[]string{"--compat", "image-storage"}, nil, exitOK, []string{"listen: :3000\n", "origin: s3://pictures?endpoint=https%3A%2F%2Fminio%3A9000&region=eu-1\n",
			"user-claim: email\n", "oidc-jwks-url: https://issuer.example/keys\n", "shared-library: \"true\"\n"}},
		{nil, map[string]string{"DECKLE_COMPAT": "c2c,image-storage", "DECKLE_LISTEN": ":9000", "IMAGE_SCOPE": "user"}, exitOK, []string{"listen: :9000\n", "shared-library: \"false\"\n"}},
		{[]string{"--compat", "image-storage"}, map[string]string{"IMAGE_SCOPE": "everybody"}, exitUsage, []string{"IMAGE_SCOPE"}},
		{[]string{"--compat", "image-storage"}, map[string]string{"IMAGE_SCOPE": "user", "OIDC_JWKS_URI": ""}, exitUsage, []string{"OIDC_JWKS_URI"}},
		{[]string{"--open-library"}, nil, exitUsage, []string{"image-storage"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			code, stdout, stderr := command(append([]string{"config"}, test.args...)...)
			if code != test.code {
				t.Fatalf("%d, want %d: %s", code, test.code, stderr)
			}
			for _, line := range test.lines {
				if !strings.Contains(stdout+stderr, line) {
					t.Errorf("no %q in\n%s%s", line, stdout, stderr)
				}
			}
		})
	}
}
