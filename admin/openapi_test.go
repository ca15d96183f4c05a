package admin

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDescription has all operations in a list: what is added to the listener is added here.
func TestDescription(t *testing.T) {
	_, a := newKeeper(t)
	var operations []string
	ids := map[string]bool{}
	for path, item := range descriptionOf(t, a) {
		for method, raw := range item {
			var op struct {
				OperationID string `json:"operationId"`
				Summary     string
				Tags        []string
				Parameters  []struct{ Name, In string }
				Responses   map[string]struct{ Content map[string]any }
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			operations = append(operations, method+" "+path)
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: the operation's id %q is empty or taken", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			if op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s: summary %q, tags %q", method, path, op.Summary, op.Tags)
			}
			for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
				if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == name[1] && p.In == "path" }) {
					t.Errorf("%s %s: {%s} is not described", method, path, name[1])
				}
			}
			good := false
			for status, response := range op.Responses {
				_, isProblem := response.Content["application/problem+json"]
				good = good || status[0] == '2'
				if status[0] >= '4' && !isProblem && path != "/probe/ready" && path != "/probe/live" {
					t.Errorf("%s %s: %s is described as %v", method, path, status, response.Content)
				}
			}
			if !good {
				t.Errorf("%s %s: no answer of success", method, path)
			}
		}
	}
	slices.Sort(operations)
	want := []string{
		"delete /images", "delete /images/{image}", "delete /keys/{key}", "delete /sources/{id}", "delete /users/me", "delete /users/{user}", "get /events", "get /events/dead", "get /explain", "get /export", "get /images", "get /images/fields", "get /images/fields/{path}",
		"get /images/public", "get /images/{image}", "get /images/{image}/file", "get /jobs/{job}", "get /keys", "get /metrics", "get /probe/live", "get /probe/ready",
		"get /sources", "get /sources/{id}", "get /users", "get /users/me", "get /users/{user}", "patch /images", "patch /images/{image}", "patch /users/{user}", "post /_confirm", "post /crop", "post /delete", "post /events/dead/replay",
		"post /events/dead/{id}/replay", "post /grants", "post /images", "post /images/confirm", "post /images/uploads", "post /import", "post /index", "post /keys", "post /keys/{key}/rotate", "post /process", "post /publish", "post /purge", "post /restore", "post /rotate",
		"post /token", "post /unpublish", "post /users", "post /warm", "post /{id}", "put /sources/{id}", "put /{id}",
	}
	if diff := cmp.Diff(want, operations); diff != "" {
		t.Error(diff)
	}
}

// TestEveryRouteIsDescribed looks for routes in our code, because a ServeMux does not tell them.
func TestEveryRouteIsDescribed(t *testing.T) {
	_, a := newKeeper(t)
	paths := descriptionOf(t, a)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range regexp.MustCompile(`"(GET|POST|PUT|DELETE) (/[^" ]*)"`).FindAllStringSubmatch(string(text), -1) {
			method, path := strings.ToLower(route[1]), route[2]
			if path == "/openapi.json" || strings.HasPrefix(path, "/docs") {
				continue // the description itself
			}
			found++
			if path == "/probe/" || paths[path][method] == nil {
				t.Errorf("%s: %s %s is not described", name, route[1], path)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d routes were found; the search is broken", found)
	}
}

// schemaOf is what TestRequired reads of a schema.
type schemaOf struct {
	Ref        string `json:"$ref"`
	Type       any
	Required   []string
	Properties map[string]*schemaOf
	Items      *schemaOf
	Enum       []any
	Minimum    float64
}

// least is the shortest value that a schema allows, and the paths of all members that it requires.
func (s *schemaOf) least(all map[string]*schemaOf, at string) (value any, required []string) {
	for s.Ref != "" {
		s = all[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	kind, _ := s.Type.(string)
	if kinds, several := s.Type.([]any); several {
		kind, _ = kinds[0].(string)
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0], nil
	case kind == "string":
		return "x1", nil
	case kind == "boolean":
		return true, nil
	case kind == "array":
		item, below := s.Items.least(all, at+"/0")
		return []any{item}, below
	case kind != "object":
		return s.Minimum, nil
	}
	object := map[string]any{}
	for _, name := range s.Required {
		value, below := s.Properties[name].least(all, at+"/"+name)
		object[name] = value
		required = append(append(required, at+"/"+name), below...)
	}
	return object, required
}

// without drops the member at a path from a value.
func without(value any, path []string) any {
	switch v := value.(type) {
	case []any:
		return []any{without(v[0], path[1:])}
	case map[string]any:
		v = maps.Clone(v)
		if len(path) == 1 {
			delete(v, path[0])
		} else {
			v[path[0]] = without(v[path[0]], path[1:])
		}
		return v
	}
	return value
}

// TestRequired: what is described as required is required, and what is not is not.
func TestRequired(t *testing.T) {
	_, a := newEverything(t)
	var said struct {
		Paths map[string]map[string]struct {
			RequestBody *struct {
				Required bool
				Content  map[string]struct{ Schema *schemaOf }
			}
			Servers []any
		}
		Components struct{ Schemas map[string]*schemaOf }
	}
	if err := json.Unmarshal(call(a.Handler(), "GET", "/openapi.json", "").Body.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	// What no schema can say: that one of several members is needed, or that a text means something.
	besides := map[string]map[string]any{
		"post /purge": {"source": "x"}, "post /warm": {"paths": []any{"/x.jpg"}}, "post /keys": {"scopes": []any{"read"}}, "patch /images": {"name": "x"}, "patch /images/{image}": {"name": "x"},
	}
	seen := 0
	for path, item := range said.Paths {
		for method, op := range item {
			if op.RequestBody == nil || op.Servers != nil {
				continue
			}
			schema := op.RequestBody.Content["application/json"].Schema
			if schema == nil {
				continue // bytes
			}
			ask := func(value any) int { return judged(t, a, method, path, value) }
			least, required := schema.least(said.Components.Schemas, "")
			for name, value := range besides[method+" "+path] {
				least.(map[string]any)[name] = value
			}
			if status := ask(least); status == 400 {
				t.Errorf("%s %s: all that is required is not enough: %v", method, path, least)
			}
			for _, member := range required {
				seen++
				if status := ask(without(least, strings.Split(member, "/")[1:])); status != 400 {
					t.Errorf("%s %s: %s is described as required, but it is %d without", method, path, member, status)
				}
			}
			if status := ask(nil); (status == 400) != op.RequestBody.Required {
				t.Errorf("%s %s: %d without a body, which is described as required: %v", method, path, status, op.RequestBody.Required)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d members are required; the search is broken", seen)
	}
}

// judged is the status of a request with a body, nil for none; 0 when it was let through to what is not there in these tests.
func judged(t *testing.T, a *Admin, method, path string, value any) (status int) {
	t.Helper()
	defer func() { _ = recover() }()
	body := ""
	if value != nil {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		body = string(text)
	}
	target := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "7")
	if path == "/images" {
		target += "?all=true"
	}
	gone, leave := context.WithCancel(t.Context())
	leave() // nobody waits for what would be done
	request := httptest.NewRequestWithContext(gone, strings.ToUpper(method), target, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	got := httptest.NewRecorder()
	a.Handler().ServeHTTP(got, request)
	return got.Code
}

// TestReferences: a description that points to nothing is of no use to those who generate clients from it.
func TestReferences(t *testing.T) {
	_, a := newKeeper(t)
	text := call(a.Handler(), "GET", "/openapi.json", "").Body.Bytes()
	var said struct {
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	references := regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllSubmatch(text, -1)
	if len(references) < 10 {
		t.Errorf("only %d references", len(references))
	}
	for _, to := range references {
		if said.Components.Schemas[string(to[1])] == nil {
			t.Errorf("%s points to nothing", to[0])
		}
	}
}

func TestDocs(t *testing.T) {
	_, a := newKeeper(t, "k3y")
	for _, test := range []struct{ path, mediaType, says string }{
		{"/docs", "text/html; charset=utf-8", "/docs/start.js"},
		{"/docs/start.js", "text/javascript; charset=utf-8", "/openapi.json"},
		{"/docs/swagger-ui.css", "text/css; charset=utf-8", ".swagger-ui"},
		{"/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "SwaggerUIBundle"},
	} {
		plain, packed := call(a.Handler(), "GET", test.path, ""), call(a.Handler(), "GET", test.path, "", "Accept-Encoding", "gzip, br")
		body := packed.Body.Bytes()
		if packed.Header().Get("Content-Encoding") == "gzip" {
			reader, err := gzip.NewReader(packed.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
		if plain.Code != 200 || plain.Header().Get("Content-Type") != test.mediaType || !strings.Contains(plain.Body.String(), test.says) || !bytes.Equal(body, plain.Body.Bytes()) {
			t.Errorf("%s: %d %s, %d and %d bytes", test.path, plain.Code, plain.Header(), plain.Body.Len(), len(body))
		}
		if policy := plain.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: %s", test.path, policy)
		}
	}
	for _, path := range []string{"/docs/", "/docs/README.md", "/docs/..", "/docs/swagger-ui.css.gz"} {
		if got := call(a.Handler(), "GET", path, ""); got.Code == 200 {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

// TestDocsAreTheirs holds the embedded page against the sums of the package that it comes from.
func TestDocsAreTheirs(t *testing.T) {
	readme, err := os.ReadFile("docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css"} {
		packed, err := page.ReadFile("docs/" + name + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		plain, err := unzip(packed)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(plain)
		if !strings.Contains(string(readme), "| "+name+" | "+hex.EncodeToString(sum[:])+" |") {
			t.Errorf("%s is not what docs/README.md says", name)
		}
	}
}
