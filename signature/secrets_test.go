package signature

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSecrets(t *testing.T) {
	many := strings.Repeat(secretA+"\n", MaxSecrets+1)
	tests := []struct {
		name, file string
		list       []string
		says       string // of the error; empty for none
	}{
		{"one", "", []string{secretA}, ""},
		{"none", "", nil, "there are none"},
		{"short", "", []string{secretA, "hunter2"}, "number 2 has 7 bytes, fewer than 16"},
		{"a file", "# ours\n\n  " + secretA + "\t\r\n" + secretB, nil, ""},
		{"a file and a list", secretA, []string{secretB}, ""},
		{"a file of nothing", "# nothing\n\n", []string{secretB}, "the file holds none"},
		{"a file with a short one", secretA + "\nhunter2\n", nil, "number 2 has 7 bytes"},
		{"too many", many, nil, "there are 33, more than 32"},
		{"too long", strings.Repeat("#\n", maxFile), nil, "more than 65536 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := Config{Secrets: test.list, MaxAge: time.Hour}
			if test.file != "" {
				c.File = filepath.Join(t.TempDir(), "secrets")
				write(t, c.File, test.file)
			}
			_, err := New(c)
			if test.says == "" && err != nil || test.says != "" && (!errors.Is(err, ErrSecrets) || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("%v, want %q", err, test.says)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), secretA)) {
				t.Errorf("%v tells a secret", err)
			}
		})
	}
	if _, err := New(Config{File: filepath.Join(t.TempDir(), "missing")}); !errors.Is(err, ErrSecrets) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// TestRotation walks a file of secrets through its life. The clock is the test's, so that nothing is waited for.
func TestRotation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secrets")
	write(t, name, secretA)
	v, now := newVerifier(t, Config{File: name, MaxAge: time.Hour})
	var told []string
	v.Report(func(err error) {
		if err == nil {
			told = append(told, "new")
		} else {
			told = append(told, err.Error())
		}
	})
	request := func(secret string) Request {
		return Request{Method: "GET", Path: "/cat.jpg", Query: Query(secret, "GET", "/cat.jpg", "", time.Unix(start+600, 0))}
	}
	good := func(step, secret string, want bool) *Proof {
		t.Helper()
		proof, err := v.Check(request(secret))
		if (err == nil) != want {
			t.Errorf("%s: %.5q: %v", step, secret, err)
		}
		return proof
	}
	before := good("at first", secretA, true)
	good("at first", secretB, false)
	write(t, name, secretB+"\n"+secretA)
	good("within the second", secretB, false)
	now.now = now.now.Add(time.Second)
	proof := good("a second later", secretB, true)
	good("a second later", secretA, true)
	if v.Holds(before) || !v.Holds(proof) || v.Holds(nil) {
		t.Error("a proof outlives its secrets, or does not live as long as they do")
	}
	for _, bad := range []string{"", "# empty\n", "short\n"} {
		write(t, name, bad)
		now.now = now.now.Add(time.Second)
		good("a bad file", secretB, true)
		now.now = now.now.Add(time.Second)
		good("the same bad file", secretB, true)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		now.now = now.now.Add(time.Second)
		good("no file", secretB, true)
	}
	write(t, name, secretB)
	now.now = now.now.Add(-time.Minute) // a clock that is set back must not keep the file from being looked at
	good("retired", secretA, false)
	good("retired", secretB, true)
	if !strings.HasPrefix(v.Query("GET", "/cat.jpg", "", time.Unix(start+600, 0)), "X-Expires=1800000600&X-Signature="+Sign(secretB, "GET", "/cat.jpg", time.Unix(start+600, 0))) {
		t.Error("the newest secret does not sign")
	}
	want := []string{
		"new",
		"signature: unusable secrets: the file holds none",
		"signature: unusable secrets: number 1 has 5 bytes, fewer than 16",
		"signature: unusable secrets: the file cannot be looked at",
		"new",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestHolds(t *testing.T) {
	v, now := newVerifier(t, Config{Secrets: []string{secretA}})
	proof, err := v.Check(Request{Method: "GET", Path: "/cat.jpg", Query: Query(secretA, "GET", "/cat.jpg", "", time.Unix(start+2, 0))})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, true, true, false} {
		if got := v.Holds(proof); got != want {
			t.Errorf("at %v: %v", now.now, got)
		}
		if left := v.Left(proof); left != max(0, proof.Expires.Sub(now.now)) {
			t.Errorf("at %v: %v are left", now.now, left)
		}
		now.now = now.now.Add(time.Second)
	}
	now.now = time.Unix(start-3600, 0)
	if v.Holds(proof) {
		t.Error("it holds further ahead than is allowed")
	}
}

// TestConcurrent has the race detector watch checks while the file changes.
func TestConcurrent(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secrets")
	write(t, name, secretA)
	v, err := New(Config{File: name, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	v.Report(func(error) {})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				v.looked.Store(0) // as if a second had gone by
				end := time.Now().Add(time.Minute)
				proof, err := v.Check(Request{Method: "GET", Path: "/cat.jpg", Query: Query(secretA, "GET", "/cat.jpg", "", end)})
				if err != nil {
					t.Error(err)
					return
				}
				v.Holds(proof)
			}
		})
	}
	for range 20 {
		write(t, name, secretA+"\n"+secretB)
		write(t, name, secretA)
	}
	group.Wait()
}
