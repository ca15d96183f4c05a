package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"deckle/auth"
	"deckle/catalog"
	"deckle/ingest"

	"github.com/google/go-cmp/cmp"
)

func TestSelection(t *testing.T) {
	const whole = `{"id":"i","file":"f","data":{"a":{"b":1,"c":12345678901234567890},"d":[1]}}`
	for _, test := range []struct{ text, want, fault string }{
		{"", whole, ""},
		{"file", `{"file":"f","id":"i"}`, ""},
		{"file, data.a.c", `{"data":{"a":{"c":12345678901234567890}},"file":"f","id":"i"}`, ""},
		{"data.d.x data.none", `{"data":{},"id":"i"}`, ""},
		{"-data.a -file", `{"data":{"d":[1]},"id":"i"}`, ""},
		{"-id", `{"data":{"a":{"b":1,"c":12345678901234567890},"d":[1]},"file":"f"}`, ""},
		{"a -b", "", "all names"},
		{"-", "", "names are"},
		{"data..a", "", "names are"},
		{strings.Repeat("a ", maxSelection+1), "", "64"},
	} {
		s, fault := parseSelection(test.text)
		if (fault != "") != (test.fault != "") || !strings.Contains(fault, test.fault) {
			t.Errorf("%.20q: fault %q, want %q", test.text, fault, test.fault)
		}
		if got := string(s.of([]byte(whole))); fault == "" && got != test.want {
			t.Errorf("%q: %s, want %s", test.text, got, test.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-21": "2026-11-21T00:00:00Z", "2026-11-21T10:00:00Z": "2026-11-21T10:00:00Z", "2026-11-21T10:00:00.1239+09:00": "2026-11-21T01:00:00.123Z",
		"2026-11-21T10:00:00": "2026-11-21T10:00:00Z", "2026-11-21T10:00": "2026-11-21T10:00:00Z", "Sat, 21 Nov 2026 10:00:00 GMT": "2026-11-21T10:00:00Z",
		"1795255200123": "2026-11-21T10:00:00.123Z", "soon": "", "": "", "2026": "", "2026-13-01": "", "99999999999999999": "",
	} {
		got, ok := parseTime(text)
		if ok != (want != "") || ok && got.Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %v %v, want %s", text, got, ok, want)
		}
	}
}

// TestScopes: whose pictures a query is confined to is said by who asks, and not by what is asked.
func TestScopes(t *testing.T) {
	user, operator := auth.Principal{User: "ann", Scopes: auth.Read}, auth.Principal{Admin: true}
	type verdict struct {
		Read, Change catalog.Scope
		Refused      string // of the change
	}
	const none = catalog.Scope(-1)
	for _, test := range []struct {
		who   auth.Principal
		scope string
		want  verdict
	}{
		{user, "", verdict{catalog.ScopeOwn, catalog.ScopeOwn, ""}},
		{user, "own", verdict{catalog.ScopeOwn, catalog.ScopeOwn, ""}},
		{user, "public", verdict{catalog.ScopePublic, none, "scope"}},
		{user, "all", verdict{catalog.ScopeVisible, none, "scope"}},
		{operator, "", verdict{catalog.ScopeAll, catalog.ScopeAll, ""}},
		{operator, "all", verdict{catalog.ScopeAll, catalog.ScopeAll, ""}},
		{operator, "public", verdict{catalog.ScopePublic, catalog.ScopePublic, ""}},
		{user, "everything", verdict{none, none, "scope"}},
	} {
		ctx := auth.With(context.Background(), test.who)
		values := url.Values{"all": {"true"}, "filter": {`{"owner":"bob"}`}}
		if test.scope != "" {
			values.Set("scope", test.scope)
		}
		got := verdict{none, none, ""}
		if q, wrong := readable(ctx, values); wrong == nil {
			got.Read = q.Scope
			if q.Viewer != test.who.User {
				t.Errorf("viewer %q", q.Viewer)
			}
		}
		if q, wrong := changeable(ctx, values); wrong == nil {
			got.Change = q.Scope
		} else {
			got.Refused = wrong.Field
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v, scope %q: %s", test.who, test.scope, diff)
		}
	}
}

// FuzzImageQuery: a query is refused, or it means all pictures only when it names none of the filters.
func FuzzImageQuery(f *testing.F) {
	for _, query := range []string{
		"", "data.a=1&file=x&limit=5", "ids=a,b&ids[]=c", `filter={"data.a":{"$gt":1}}`, "from=2026-01-01&to=soon", "select=-a,-b&order=desc&skip=1", "x=1",
		"a[$gt]=1&b[c]=2&d[]=3", "regex=1&file=a.*&b=c", "tag=&name=&q=",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if q, wrong := readQuery(values); wrong == nil && !q.filtered {
			for name, given := range values {
				if (strings.HasPrefix(name, "data.") || name == "ids" || name == "tag" && given[0] != "" || name == "file" && given[0] != "") && len(given) > 0 {
					t.Errorf("%q means all pictures", query)
				}
			}
		} else if wrong != nil && (wrong.Status != 400 || wrong.Detail == "") {
			t.Errorf("%q: %+v", query, wrong)
		}
		service := &storageService{Admin: &Admin{}}
		r := httptest.NewRequest("GET", "/images", nil)
		r.URL.RawQuery = query
		q, err := service.queried(r)
		if err != nil {
			return
		}
		for name, given := range values {
			if storageData(name) && strings.Join(given, "") != "" && !q.filtered {
				t.Errorf("%q means all images of image-storage", query)
			}
		}
	})
}

func storageData(name string) bool {
	for _, known := range storageNames {
		if name == known {
			return false
		}
	}
	return true
}

// FuzzImageUpload: whatever the form, the picture is what was in its part, and what is said of it is within the bounds.
func FuzzImageUpload(f *testing.F) {
	const form = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\na/b.jpg\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"x.jpg\"\r\n\r\nPICTURE\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\n1\r\n--b--\r\n"
	f.Add([]byte(form), "multipart/form-data; boundary=b", "")
	f.Add([]byte("PICTURE"), "image/jpeg", "file=x&data.a.b=c&tags=a,b")
	f.Add([]byte(strings.ReplaceAll(form, "a[b]", "data")), "multipart/form-data; boundary=b", "")
	f.Add([]byte(strings.ReplaceAll(form, "a[b]", "image")), "multipart/form-data; boundary=b", "")
	f.Fuzz(func(t *testing.T, body []byte, contentType, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, words := range []formWords{ourWords, storageWords} {
			u, err := newUpload(contentType, values, strings.NewReader(string(body)), words)
			if err != nil {
				continue
			}
			picture, err := io.ReadAll(u)
			if err != nil {
				var wrong *problem
				if !errors.Is(err, ingest.ErrAborted) && !errors.As(err, &wrong) {
					t.Errorf("%v", err)
				}
				continue
			}
			if !strings.Contains(string(body), string(picture)) {
				t.Errorf("the picture %q is not in the body", picture)
			}
			said, err := u.describe("ann")
			if err != nil {
				continue
			}
			var data map[string]any
			if err := json.Unmarshal(said.Data, &data); err != nil || data == nil || u.size > maxFieldBytes {
				t.Errorf("data %q: %v; %d bytes of fields", said.Data, err, u.size)
			}
			if said.Owner != "ann" || strings.Contains("/"+said.File+"/", "/../") || strings.HasPrefix(said.File, "/") || strings.Contains(said.File, "\x00") {
				t.Errorf("%+v", said)
			}
		}
	})
}
