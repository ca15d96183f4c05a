package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"deckle/ingest"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

func grants(t *testing.T, a *Admin, body string) (int, grantsAnswer, string) {
	t.Helper()
	got := call(a.Handler(), "POST", "/grants", body)
	var said grantsAnswer
	if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil {
		t.Fatalf("%v: %s", err, got.Body)
	}
	return got.Code, said, got.Body.String()
}

func TestGrants(t *testing.T) {
	k, a := newKeeper(t)
	status, said, _ := grants(t, a, `{"grants": [
		{"id": "shop/cat.jpg", "replace": true, "policy": {
			"max_bytes": 1000, "max_pixels": 2000, "formats": ["jpeg", "png"], "ttl": 60, "crop": {"x": 1, "y": 2, "width": 3, "height": 4},
			"private": true, "publish": "later", "keep_metadata": true, "whole": true, "outputs": ["1x1.webp"], "data": {"a": [1]}, "name": "Tom", "tags": ["x"]}},
		{"id": "held"}, {"id": "plain"}]}`)
	want := []ingest.GrantRequest{
		{ID: "shop/cat.jpg", Replace: true, Policy: ingest.Policy{
			MaxBytes: 1000, MaxPixels: 2000, Formats: []transform.Format{transform.JPEG, transform.PNG}, TTL: time.Minute,
			Crop: transform.Crop{X: 1, Y: 2, W: 3, H: 4}, Private: true, Later: true, Replace: true, KeepMetadata: true, Whole: true,
			Outputs: []string{"1x1.webp"}, Data: json.RawMessage(`{"a":[1]}`), Name: "Tom", Tags: []string{"x"},
		}},
		{ID: "held"}, {ID: "plain"},
	}
	if diff := cmp.Diff(want, k.grants); diff != "" {
		t.Error(diff)
	}
	if status != http.StatusMultiStatus || len(said.Grants) != 3 {
		t.Fatalf("%d %+v", status, said)
	}
	token := map[string]string{"X-Token": "t0k"}
	// The id ends like an extension, which the edge would take off.
	expected := grantAnswer{
		ID: "shop/cat.jpg", Token: "t0k", Expires: time.Unix(4e9, 0).UTC(),
		Post: &way{Method: "POST", URL: "/shop/cat.jpg.jpg", Headers: token}, Put: &way{Method: "PUT", URL: "/shop/cat.jpg.jpg", Headers: token},
	}
	if diff := cmp.Diff(expected, said.Grants[0]); diff != "" {
		t.Error(diff)
	}
	if p := said.Grants[1].Problem; p == nil || p.Status != 403 || said.Grants[1].Token != "" {
		t.Errorf("%+v", said.Grants[1])
	}
	if said.Grants[2].Post.URL != "/plain" {
		t.Errorf("%+v", said.Grants[2])
	}
}

// TestGrantsInStore: where the store takes a signed PUT, the client is sent there, and says so afterwards.
func TestGrantsInStore(t *testing.T) {
	k, a := newKeeper(t)
	a.Edge.Base = "https://img.example.com"
	k.put, k.putErr = ingest.SignedPut{URL: "https://store.example.com/x?sig=1", Header: http.Header{"X-Amz-Meta-A": {"b"}}}, nil
	status, said, _ := grants(t, a, `{"grants": [{"id": "café/1"}]}`)
	want := &way{Method: "PUT", URL: "https://store.example.com/x?sig=1", Headers: map[string]string{"X-Amz-Meta-A": "b"}, Confirm: &way{
		Method: "POST", URL: "https://img.example.com/_confirm", Headers: map[string]string{"X-Token": "t0k"},
	}}
	if diff := cmp.Diff(want, said.Grants[0].Put); diff != "" || status != 200 {
		t.Error(status, diff)
	}
	if got := said.Grants[0].Post.URL; got != "https://img.example.com/caf%C3%A9/1" {
		t.Errorf("post to %s", got)
	}
}

// TestGrantsSigned: where uploads are signed, the URLs are, for as long as signatures may be good.
func TestGrantsSigned(t *testing.T) {
	_, a := newKeeper(t)
	var until time.Time
	a.Edge.MaxAge = time.Hour
	a.Edge.Sign = func(method, path, scope string, expires time.Time) string {
		until = expires
		return method + "+" + path + "+" + scope
	}
	_, said, _ := grants(t, a, `{"grants": [{"id": "café"}]}`)
	if got := said.Grants[0].Put.URL; got != "/caf%C3%A9?PUT+/café+" {
		t.Errorf("put to %s", got)
	}
	if got := said.Grants[0].Post.URL; got != "/caf%C3%A9?POST+/café+" {
		t.Errorf("post to %s", got)
	}
	if left := time.Until(until); left > time.Hour || left < 59*time.Minute {
		t.Errorf("signed for %s", left)
	}
}

func TestGrantsRefused(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{},`, maxGrants+1), ",")
	tests := []struct {
		name, body string
		status     int
		field      string
	}{
		{"none", `{"grants": []}`, 400, "grants"},
		{"nothing", `{}`, 400, "grants"},
		{"too many", `{"grants": [` + many + `]}`, 400, "grants"},
		{"id of another type", `{"grants": [{"id": 7}]}`, 400, "grants[0].id"},
		{"unknown member", `{"grants": [{"idd": "cat"}]}`, 400, "grants[0].idd"},
		{"no variant", `{"grants": [{}, {"policy": {"outputs": ["_300_200.webp"]}}]}`, 400, "grants[1].policy.outputs[0]"},
		{"unknown format", `{"grants": [{}, {"policy": {"formats": ["jpeg", "exe"]}}]}`, 400, "grants[1].policy.formats[1]"},
		{"bytes below nothing", `{"grants": [{"policy": {"max_bytes": -1}}]}`, 400, "grants[0].policy.max_bytes"},
		{"half a crop", `{"grants": [{"policy": {"crop": {"x": 1, "y": 1, "width": 5}}}]}`, 400, "grants[0].policy.crop.height"},
		{"data of another type", `{"grants": [{"policy": {"data": [1]}}]}`, 400, "grants[0].policy.data"},
		{"publish never", `{"grants": [{"policy": {"publish": "never"}}]}`, 400, "grants[0].policy.publish"},
		{"no end", `{"grants": [{"policy": {"ttl": 0}}]}`, 400, "grants[0].policy.ttl"},
		{"one that is held", `{"grants": [{"id": "held"}]}`, 403, ""},
		{"not JSON", `grants=1`, 400, "body"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, a := newKeeper(t)
			got := call(a.Handler(), "POST", "/grants", test.body)
			var said problem
			if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || got.Code != test.status || said.Field != test.field {
				t.Errorf("%d %q, want %d %q: %s", got.Code, said.Field, test.status, test.field, got.Body)
			}
			checkProblem(t, got)
		})
	}
}

func FuzzGrants(f *testing.F) {
	f.Add(`{"grants": [{"id": "shop/cat", "policy": {"ttl": 60, "formats": ["jpeg"]}}]}`)
	f.Add(`{"grants": [{"policy": {"data": {"a": 1e999}, "crop": {"x": 1}}}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		k, a := newKeeper(t)
		got := call(a.Handler(), "POST", "/grants", body)
		switch {
		case got.Code >= 500:
			t.Errorf("%d %s", got.Code, got.Body)
		case got.Code >= 400:
			checkProblem(t, got)
		case len(k.grants) == 0 || len(k.grants) > maxGrants:
			t.Errorf("%d grants were given for %q", len(k.grants), body)
		}
	})
}
