package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deckle/label"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const pixels = "\xff\xd8 a picture"

var picture = label.Picture{
	Source: "shop/a cat", Version: "v\"1", Width: 40, Height: 30,
	Large: func(context.Context) ([]byte, error) { return []byte(pixels), nil },
}

// ask asks a server that handler is.
func ask(t *testing.T, ctx context.Context, c Config, p label.Picture, handler http.HandlerFunc) ([]label.Label, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	at, err := url.Parse(server.URL + "/label?model=7")
	if err != nil {
		t.Fatal(err)
	}
	c.URL = at
	l := New(c)
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	labels, err := l.Label(ctx, p)
	if err != nil && strings.Contains(err.Error(), at.Host) {
		t.Errorf("the error tells where the server is: %v", err)
	}
	return labels, err
}

func TestRequest(t *testing.T) {
	labels, err := ask(t, t.Context(), Config{Key: "s3cret"}, picture, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != pixels {
			t.Errorf("the server got %q, %v", body, err)
		}
		got := []string{r.Method, r.URL.String(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("X-Deckle-Source"), r.Header.Get("X-Deckle-Version"), r.Header.Get("X-Deckle-Size")}
		want := []string{"POST", "/label?model=7", "image/jpeg", "Bearer s3cret", "shop%2Fa%20cat", "v%221", "40x30"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		_, _ = fmt.Fprint(w, `{"labels":[{"name":"Dog","confidence":88},{"name":"nude","category":"unsafe","confidence":3.5}],"model":"x"}`)
	})
	want := []label.Label{{Name: "dog", Category: label.Object, Confidence: 88}, {Name: "nude", Category: label.Unsafe, Confidence: 3.5}}
	if diff := cmp.Diff(want, labels); diff != "" || err != nil {
		t.Errorf("labels (-want +got):\n%s%v", diff, err)
	}
}

func TestAnswers(t *testing.T) {
	many := `{"labels":[` + strings.Repeat(`{"name":"a","confidence":1},`, maxLabels) + `{"name":"a","confidence":1}]}`
	tests := []struct {
		name    string
		status  int
		body    string
		refused bool
	}{
		{"no JSON", 200, "hello", true}, {"no labels", 200, `{}`, true}, {"null", 200, `{"labels":null}`, true}, {"a list", 200, `[]`, true},
		{"no confidence", 200, `{"labels":[{"name":"a"}]}`, true}, {"too sure", 200, `{"labels":[{"name":"a","confidence":101}]}`, true},
		{"another language", 200, `{"labels":[{"name":"a","confidence":1,"category":"animal"}]}`, true},
		{"too many", 200, many, true}, {"too long", 200, `{"labels":[]}` + strings.Repeat(" ", maxAnswer), true},
		{"not this picture", 422, "", true}, {"too large", 413, "", true},
		{"wrong key", 401, "", false}, {"wrong place", 404, "", false}, {"busy", 429, "", false}, {"broken", 500, `{"labels":[]}`, false}, {"accepted", 202, `{"labels":[]}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			labels, err := ask(t, t.Context(), Config{}, picture, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					t.Error("a key was sent though there is none")
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			if err == nil || labels != nil || errors.Is(err, label.ErrRefused) != test.refused {
				t.Errorf("answered %v, %v; refused should be %v", labels, err, test.refused)
			}
		})
	}
	labels, err := ask(t, t.Context(), Config{}, picture, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"labels":[]}`) })
	if err != nil || len(labels) != 0 {
		t.Errorf("no labels are answered with %v, %v", labels, err)
	}
}

func TestFaults(t *testing.T) {
	if _, err := ask(t, t.Context(), Config{}, picture, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}); err == nil || errors.Is(err, label.ErrRefused) {
		t.Errorf("a redirect is answered with %v", err)
	}
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // until then the server does not see that the client has left
		<-r.Context().Done()
	}
	if _, err := ask(t, t.Context(), Config{Timeout: 20 * time.Millisecond}, picture, hang); err == nil || errors.Is(err, label.ErrRefused) {
		t.Errorf("a server that hangs is answered with %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := ask(t, ctx, Config{}, picture, hang); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ends is answered with %v", err)
	}
	none := picture
	broken := errors.New("no rendering")
	none.Large = func(context.Context) ([]byte, error) { return nil, broken }
	if _, err := ask(t, t.Context(), Config{}, none, func(http.ResponseWriter, *http.Request) { t.Error("asked without a picture") }); !errors.Is(err, broken) {
		t.Errorf("a picture that cannot be rendered is answered with %v", err)
	}
}

// FuzzParse: whatever a server answers is labels that are clean, or an error that stays.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"labels":[]}`, `{"labels":[{"name":"Dog","category":"object","confidence":88}]}`, `{"labels":[{"name":"a","confidence":1e400}]}`, "[", `{"Labels":[{}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		labels, err := parse(text)
		if err != nil {
			if !errors.Is(err, label.ErrRefused) || labels != nil {
				t.Errorf("%q: %v, %v", text, labels, err)
			}
			return
		}
		again, err := label.Clean(labels)
		if diff := cmp.Diff(labels, again); diff != "" || err != nil {
			t.Errorf("%q is not clean: %v\n%s", text, err, diff)
		}
	})
}
