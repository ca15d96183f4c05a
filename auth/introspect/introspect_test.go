package introspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/auth"
	"deckle/internal/testclock"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service answers by token, and keeps what it was asked.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string
	status  int
	asked   int
	last    *http.Request
	body    string
	hold    chan struct{}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	token := r.FormValue("token")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var asked struct{ Token string }
		_ = json.Unmarshal(body, &asked)
		token = asked.Token
	}
	s.mu.Lock()
	s.asked++
	s.last, s.body = r, string(body)
	answer, found := s.answers[token]
	status, hold := s.status, s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if !found {
		answer = `{"active": false, "is_user_authorized": false}`
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = io.WriteString(w, answer)
}

func (s *service) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *service) count() (n int) {
	s.set(func() { n = s.asked })
	return n
}

var began = time.Unix(1_800_000_000, 0)

func newService(t *testing.T, change func(*Config)) (*service, *Service, *testclock.Clock) {
	t.Helper()
	there := &service{answers: map[string]string{}}
	there.Server = httptest.NewServer(there)
	t.Cleanup(there.Close)
	c := testclock.At(began)
	config := Config{URL: there.URL + "/introspect", Form: RFC7662, Mapping: auth.Mapping{User: "sub", Default: auth.Read}, Now: c.Now}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return there, s, c
}

func TestAnswers(t *testing.T) {
	ann := auth.Principal{User: "ann", Scopes: auth.Read}
	second := func(n int) string { return fmt.Sprint(began.Unix() + int64(n)) }
	tests := []struct {
		name   string
		form   Form
		status int
		answer string
		want   auth.Principal
		err    error
	}{
		{"good", RFC7662, 200, `{"active": true, "sub": "ann", "aud": ["x", "deckle"], "iss": "i"}`, ann, nil},
		{"good, and says no more", RFC7662, 200, `{"active": true, "sub": "ann"}`, ann, nil},
		{"not active", RFC7662, 200, `{"active": false, "sub": "ann"}`, auth.Principal{}, auth.ErrUnknown},
		{"active as text", RFC7662, 200, `{"active": "true", "sub": "ann"}`, auth.Principal{}, auth.ErrUnavailable},
		{"nothing said", RFC7662, 200, `{"sub": "ann"}`, auth.Principal{}, auth.ErrUnavailable},
		{"nobody", RFC7662, 200, `{"active": true}`, auth.Principal{}, auth.ErrClaims},
		{"expired", RFC7662, 200, `{"active": true, "sub": "ann", "exp": ` + second(0) + `}`, auth.Principal{}, auth.ErrExpired},
		{"not yet", RFC7662, 200, `{"active": true, "sub": "ann", "nbf": ` + second(1) + `}`, auth.Principal{}, auth.ErrNotYet},
		{"for others", RFC7662, 200, `{"active": true, "sub": "ann", "aud": "x"}`, auth.Principal{}, auth.ErrAudience},
		{"of others", RFC7662, 200, `{"active": true, "sub": "ann", "iss": "x"}`, auth.Principal{}, auth.ErrIssuer},
		{"we are not known", RFC7662, 401, `{"active": true, "sub": "ann"}`, auth.Principal{}, auth.ErrUnavailable},
		{"a redirect", RFC7662, 302, `{"active": true, "sub": "ann"}`, auth.Principal{}, auth.ErrUnavailable},
		{"a fault", RFC7662, 500, ``, auth.Principal{}, auth.ErrUnavailable},
		{"a list", RFC7662, 200, `[]`, auth.Principal{}, auth.ErrUnavailable},
		{"too long", RFC7662, 200, `{"x": "` + strings.Repeat("x", maxAnswer) + `", "active": true, "sub": "ann"}`, auth.Principal{}, auth.ErrUnavailable},
		{"cas", CAS, 200, `{"is_user_authorized": true, "user_id": "ann"}`, ann, nil},
		{"cas says no", CAS, 200, `{"is_user_authorized": false, "user_id": "ann"}`, auth.Principal{}, auth.ErrUnknown},
		{"cas says no by its status", CAS, 401, `{"is_user_authorized": true, "user_id": "ann"}`, auth.Principal{}, auth.ErrUnknown},
		{"cas in words", CAS, 200, `{"is_user_authorized": "true", "user_id": "ann"}`, auth.Principal{}, auth.ErrUnavailable},
		{"cas and nobody", CAS, 200, `{"is_user_authorized": true}`, auth.Principal{}, auth.ErrClaims},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			there, s, _ := newService(t, func(c *Config) {
				c.Form, c.Issuer, c.Audience = test.form, "i", "deckle"
				if c.Form == CAS {
					c.Mapping.User = ""
				}
			})
			there.answers[`t"k`], there.status = test.answer, test.status
			got, err := s.Authenticate(t.Context(), `t"k`)
			if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.err) {
				t.Errorf("%v %s", err, diff)
			}
			if err != nil && strings.Contains(err.Error(), `t"k`) {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

func TestQuestion(t *testing.T) {
	there, s, _ := newService(t, func(c *Config) { c.Client, c.Secret = "me:1", "p w" })
	if _, err := s.Authenticate(t.Context(), "a&b=c"); !errors.Is(err, auth.ErrUnknown) {
		t.Error(err)
	}
	user, password, _ := there.last.BasicAuth()
	if there.last.Method != "POST" || there.body != "token=a%26b%3Dc" || user != "me%3A1" || password != "p+w" {
		t.Errorf("%s %q as %q %q", there.last.Method, there.body, user, password)
	}
	there, s, _ = newService(t, func(c *Config) { c.Form = CAS })
	if _, err := s.Authenticate(t.Context(), `a"}`); !errors.Is(err, auth.ErrUnknown) {
		t.Error(err)
	}
	if there.body != `{"token":"a\"}"}` || there.last.Header.Get("Authorization") != "" {
		t.Errorf("%q", there.body)
	}
}

// TestRemembered: how long an answer stands, for good tokens, bad ones, and those that end before.
func TestRemembered(t *testing.T) {
	there, s, clock := newService(t, nil)
	there.answers["good"] = `{"active": true, "sub": "ann"}`
	there.answers["ends"] = fmt.Sprintf(`{"active": true, "sub": "ann", "exp": %d}`, began.Add(3*time.Second).Unix())
	for _, test := range []struct {
		token string
		stays time.Duration
		err   error
	}{{"good", GoodFor, nil}, {"bad", BadFor, auth.ErrUnknown}, {"ends", 3 * time.Second, nil}} {
		clock.Set(began)
		before := there.count()
		for _, at := range []time.Duration{0, 0, test.stays - 1} {
			clock.Set(began.Add(at))
			if _, err := s.Authenticate(t.Context(), test.token); !errors.Is(err, test.err) {
				t.Errorf("%s after %s: %v", test.token, at, err)
			}
		}
		if n := there.count() - before; n != 1 {
			t.Errorf("%s was asked for %d times within %s", test.token, n, test.stays)
		}
		clock.Set(began.Add(test.stays))
		_, _ = s.Authenticate(t.Context(), test.token)
		if n := there.count() - before; n != 2 {
			t.Errorf("%s was asked for %d times after %s, want 2", test.token, n, test.stays)
		}
	}
	if _, err := s.Authenticate(t.Context(), "ends"); !errors.Is(err, auth.ErrExpired) && !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("behind its end: %v", err)
	}
}

func TestOneQuestionForMany(t *testing.T) {
	there, s, _ := newService(t, nil)
	there.answers["good"], there.hold = `{"active": true, "sub": "ann"}`, make(chan struct{})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := s.Authenticate(t.Context(), "good"); err != nil {
				t.Error(err)
			}
		})
	}
	for there.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	// The one who asked first may leave: the others get their answer.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Authenticate(ctx, "good"); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("who left: %v", err)
	}
	close(there.hold)
	all.Wait()
	if n := there.count(); n != 1 {
		t.Errorf("%d questions, want 1", n)
	}
}

// TestBreaker: a service that fails is left alone, what is known stands, and it is found again.
func TestBreaker(t *testing.T) {
	there, s, _ := newService(t, nil)
	there.answers["good"] = `{"active": true, "sub": "ann"}`
	if _, err := s.Authenticate(t.Context(), "good"); err != nil {
		t.Fatal(err)
	}
	there.set(func() { there.status = 500 })
	for n := range 50 {
		if _, err := s.Authenticate(t.Context(), fmt.Sprint("t", n)); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if n := there.count(); n != 1+breakAfter {
		t.Errorf("%d questions, want %d", n, 1+breakAfter)
	}
	if _, err := s.Authenticate(t.Context(), "good"); err != nil {
		t.Errorf("what is known: %v", err)
	}
	there.set(func() { there.status = 0 })
	for late := time.Now().Add(10 * breakFor); ; time.Sleep(10 * time.Millisecond) {
		if _, err := s.Authenticate(t.Context(), "another"); errors.Is(err, auth.ErrUnknown) {
			return
		}
		if time.Now().After(late) {
			t.Fatal("the service is not asked again")
		}
	}
}
