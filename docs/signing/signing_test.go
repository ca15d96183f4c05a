package signing

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"deckle/signature"
)

// sample signs as the sample of one language does.
type sample func(t *testing.T, secret, method, path, scope string, expires time.Time) string

// run is a sample that an interpreter runs: the file's last lines take what to sign from the command line.
func run(interpreter, file string) sample {
	return func(t *testing.T, secret, method, path, scope string, expires time.Time) string {
		t.Helper()
		command := exec.Command(interpreter, file, secret, method, path, strconv.FormatInt(expires.Unix(), 10), scope)
		printed, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v (make testtools installs what is missing)", command, err)
		}
		return strings.TrimSpace(string(printed))
	}
}

// TestSamples runs each sample on the vectors of the scheme, and lets a Verifier judge what it signs.
func TestSamples(t *testing.T) {
	samples := map[string]sample{
		"sign.go": func(_ *testing.T, secret, method, path, scope string, expires time.Time) string {
			return Sign(secret, method, path, scope, expires)
		},
		"sign.mjs": run("node", "sign.mjs"),
		"sign.py":  run("python3", "sign.py"),
		"sign.php": run("php", "sign.php"),
	}
	const secret = "a secret of these samples, 32 bytes"
	verifier, err := signature.New(signature.Config{Secrets: []string{secret}, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for name, sign := range samples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const want = "X-Expires=1702156800&X-Signature=rpVGAdSnV7rtH5CxMLzYxd0TYRYHOqyergYCSFg37VA"
			if got := sign(t, "test-secret", "POST", "/photos", "", time.Unix(1702156800, 0)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			for _, test := range []struct{ method, path, scope, sent, source string }{
				{"GET", "/cat_300_200.webp", "", "/cat_300_200.webp", "cat"},
				{"GET", "/cat_300_200.webp", "/cat", "/cat_600_400.avif", "cat"},
				{"GET", "/shop/café au lait~.jpg", "/shop/café", "/shop/caf%C3%A9/x.jpg", "shop/café/x"},
				{"POST", "/größe/猫", "", "/gr%C3%B6%C3%9Fe/%E7%8C%AB", "größe/猫"},
			} {
				query := sign(t, secret, test.method, test.path, test.scope, time.Now().Add(time.Minute))
				request := signature.Request{Method: test.method, Path: test.sent, Source: test.source, Query: query}
				if _, err := verifier.Check(request); err != nil {
					t.Errorf("%s?%s: %v", test.sent, query, err)
				}
				request.Method = "PUT"
				if _, err := verifier.Check(request); err == nil {
					t.Errorf("%s?%s is good for PUT", test.sent, query)
				}
			}
		})
	}
}

// TestReadme holds the page to what is there: every sample is named, and its vector is the one above.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"sign.go", "sign.mjs", "sign.py", "sign.php", signature.Sign("test-secret", "POST", "/photos", time.Unix(1702156800, 0))} {
		if !strings.Contains(string(page), text) {
			t.Errorf("README.md does not say %s", text)
		}
	}
	for _, refused := range []*signature.Error{
		signature.ErrMissing, signature.ErrExpires, signature.ErrExpired, signature.ErrTooLong, signature.ErrPath, signature.ErrSignature,
	} {
		if !strings.Contains(string(page), "`"+refused.Code+"`") {
			t.Errorf("README.md does not say %s", refused.Code)
		}
	}
}
