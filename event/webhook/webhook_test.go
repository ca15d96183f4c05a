package webhook

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"deckle/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSign holds the vector that image-server's receivers are tested with.
func TestSign(t *testing.T) {
	const want = "01a2e610e0c4be860a39533db845e58fb38c467b48c101df4c6e6db46c792e19"
	if got := Sign("test-secret", time.Unix(1702135800, 0), []byte(`{"event":"image.uploaded"}`)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if got := Sign("other-secret", time.Unix(1702135800, 0), []byte(`{"event":"image.uploaded"}`)); got == want {
		t.Error("another secret signs alike")
	}
}

// receiver answers as told and remembers what it was sent.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.requests, r.bodies = append(r.requests, request), append(r.bodies, string(body))
		r.mu.Unlock()
		answer(w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

func endpoint(t *testing.T, at string, change ...func(*Config)) *Endpoint {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{URL: u, Secret: "s3cret"}
	for _, f := range change {
		f(&c)
	}
	e := New(c)
	t.Cleanup(func() { _ = e.Close() }) // nothing can fail
	return e
}

var deleted = event.OfSource(event.Deleted, time.Unix(1702135800, 5e6), event.Source{Source: "cat"})

func TestSend(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	signed := endpoint(t, r.URL+"/hook?shop=1")
	open := endpoint(t, r.URL, func(c *Config) { c.Secret = "" })
	for _, e := range []*Endpoint{signed, signed, open} {
		if err := e.Send(t.Context(), deleted); err != nil {
			t.Fatal(err)
		}
	}
	body, err := deleted.Body()
	if err != nil {
		t.Fatal(err)
	}
	for i, request := range r.requests {
		if diff := cmp.Diff(string(body), r.bodies[i]); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		for header, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "deckle-webhook/1", "X-Webhook-Id": deleted.ID,
		} {
			if got := request.Header.Get(header); got != want {
				t.Errorf("%s is %q, want %q", header, got, want)
			}
		}
	}
	first := r.requests[0]
	if got := first.Method + " " + first.URL.String(); got != "POST /hook?shop=1" {
		t.Errorf("sent as %s", got)
	}
	var unix int64
	stamp := first.Header.Get("X-Webhook-Timestamp")
	if _, err := fmt.Sscan(stamp, &unix); err != nil || time.Since(time.Unix(unix, 0)).Abs() > time.Minute {
		t.Errorf("timestamp %q is not of the attempt", stamp)
	}
	if got, want := first.Header.Get("X-Webhook-Signature"), "sha256="+Sign("s3cret", time.Unix(unix, 0), body); got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	if h := r.requests[2].Header; h.Get("X-Webhook-Signature")+h.Get("X-Webhook-Timestamp") != "" {
		t.Error("signed without a secret")
	}
}

func TestSendFails(t *testing.T) {
	elsewhere := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"400": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, "answered 400"},
		"500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, strings.Repeat("x", 1<<20), 500) }, "answered 500"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 64<<10))
		}, "header"},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, test.answer)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, errors.New("no answer in time"))
			defer cancel()
			err := endpoint(t, r.URL+"/hush-hush").Send(ctx, deleted)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the path is told: %v", err)
			}
		})
	}
	if len(elsewhere.requests) > 0 {
		t.Error("a redirect was followed")
	}
}

func TestSendRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := endpoint(t, "http://"+address).Send(t.Context(), deleted); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want a refused connection", err)
	}
}

// TestControl: the address is asked about before anything is sent.
func TestControl(t *testing.T) {
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	forbidden := errors.New("not there")
	e := endpoint(t, r.URL, func(c *Config) {
		c.Control = func(_, address string, _ syscall.RawConn) error {
			if !strings.HasSuffix(r.URL, address) {
				t.Errorf("asked about %s", address)
			}
			return forbidden
		}
	})
	if err := e.Send(t.Context(), deleted); !errors.Is(err, forbidden) || len(r.requests) > 0 {
		t.Errorf("error %v, and %d requests", err, len(r.requests))
	}
}

// FuzzSign: any receiver that knows the secret and the rule comes to the same signature, written here anew.
func FuzzSign(f *testing.F) {
	f.Add("secret", int64(1702135800), []byte("{}"))
	f.Add(strings.Repeat("k", 100), int64(-1), []byte(nil))
	f.Fuzz(func(t *testing.T, secret string, unix int64, body []byte) {
		key := []byte(secret)
		if len(key) > sha256.BlockSize {
			sum := sha256.Sum256(key)
			key = sum[:]
		}
		inner, outer := make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
		copy(inner, key)
		copy(outer, key)
		for i := range inner {
			inner[i] ^= 0x36
			outer[i] ^= 0x5c
		}
		first := sha256.Sum256(append(append(inner, fmt.Sprint(unix, ".")...), body...))
		want := sha256.Sum256(append(outer, first[:]...))
		if got := Sign(secret, time.Unix(unix, 0), body); got != fmt.Sprintf("%x", want) {
			t.Errorf("signature %s, want %x", got, want)
		}
	})
}
