package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/signature"
)

func TestSecretCommand(t *testing.T) {
	seen := map[string]bool{}
	for _, test := range []struct {
		args         []string
		lines, bytes int
	}{{nil, 1, 32}, {[]string{"--length", "16", "--count", "3"}, 3, 16}, {[]string{"--length", "1024"}, 1, 1024}} {
		code, stdout, stderr := command(append([]string{"secret"}, test.args...)...)
		lines := strings.Fields(stdout)
		if code != exitOK || len(lines) != test.lines {
			t.Fatalf("%v: %d %q %s", test.args, code, stdout, stderr)
		}
		for _, line := range lines {
			if raw, err := base64.RawURLEncoding.DecodeString(line); err != nil || len(raw) != test.bytes || seen[line] {
				t.Errorf("%v: %q: %d bytes, %v", test.args, line, len(raw), err)
			}
			seen[line] = true
		}
	}
	for _, args := range [][]string{{"--length", "15"}, {"--length", "1025"}, {"--count", "0"}, {"--count", "1001"}, {"--length", "x"}, {"more"}} {
		if code, stdout, stderr := command(append([]string{"secret"}, args...)...); code != exitUsage || stderr == "" {
			t.Errorf("%v: %d %q %q", args, code, stdout, stderr)
		}
	}
}

const (
	signSecret = "the-secret-of-these-tests-of-32-bytes"
	nextSecret = "the-one-that-follows-it-of-32-bytes"
)

// TestSignCommand has a Verifier judge what is printed.
func TestSignCommand(t *testing.T) {
	verifier, err := signature.New(signature.Config{Secrets: []string{signSecret}, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		begins string // of what is printed
		checks signature.Request
	}{
		{"path", []string{"/cat_30_20.webp"}, "/cat_30_20.webp?X-Expires=", signature.Request{Method: "GET", Path: "/cat_30_20.webp"}},
		{"URL", []string{"https://x.example:8/cat.jpg?fit=crop#top"}, "https://x.example:8/cat.jpg?fit=crop&X-Expires=", signature.Request{Method: "HEAD", Path: "/cat.jpg"}},
		{"scope", []string{"/cat_30_20.webp", "--scope", "/cat"}, "/cat_30_20.webp?X-Expires=", signature.Request{Method: "GET", Path: "/cat_60_40.avif", Source: "cat"}},
		{"method", []string{"/cat", "--method", "post"}, "/cat?X-Expires=", signature.Request{Method: "POST", Path: "/cat"}},
		{"upload by PUT", []string{"/cat", "--method", "PUT"}, "/cat?X-Expires=", signature.Request{Method: "PUT", Path: "/cat"}},
		{"signed already", []string{"/cat.jpg?X-Signature=old&v=1&X-Expires=1"}, "/cat.jpg?v=1&X-Expires=", signature.Request{Method: "GET", Path: "/cat.jpg"}},
		{"letters", []string{"/größe/猫.jpg"}, "/gr%C3%B6%C3%9Fe/%E7%8C%AB.jpg?X-Expires=", signature.Request{Method: "GET", Path: "/gr%C3%B6%C3%9Fe/%E7%8C%AB.jpg"}},
		{"encoded letters", []string{"/gr%C3%B6%C3%9Fe.jpg"}, "/gr%C3%B6%C3%9Fe.jpg?X-Expires=", signature.Request{Method: "GET", Path: "/größe.jpg"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := command(append([]string{"sign", "--secret", signSecret, "--ttl", "59m"}, test.args...)...)
			printed, err := url.Parse(strings.TrimSpace(stdout))
			if code != exitOK || err != nil || !strings.HasPrefix(stdout, test.begins) {
				t.Fatalf("%d %q %v %s, want %s...", code, stdout, err, stderr, test.begins)
			}
			test.checks.Query = printed.RawQuery
			proof, err := verifier.Check(test.checks)
			if err != nil {
				t.Fatalf("%s: %v", stdout, err)
			}
			if left := verifier.Left(proof); left < 58*time.Minute || left > 59*time.Minute {
				t.Errorf("it is good for %s", left)
			}
		})
	}
	if code, _, stderr := command("sign", "--secret", signSecret, "/cat", "--method", "DELETE"); code != exitUsage || !strings.Contains(stderr, "--method") {
		t.Errorf("nothing is signed for DELETE: %d %s", code, stderr)
	}
}

// TestSignSecrets: the secret comes from where the server's do, the newest first.
func TestSignSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(file, []byte("# newest first\n"+nextSecret+"\n"+signSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	by := func(secret string, args ...string) {
		t.Helper()
		_, stdout, stderr := command(append([]string{"sign", "/cat.jpg"}, args...)...)
		query, _ := url.ParseQuery(strings.TrimSpace(strings.TrimPrefix(stdout, "/cat.jpg?")))
		var end int64
		_, _ = fmt.Sscan(query.Get("X-Expires"), &end) // 0 signs nothing that was printed
		if query.Get("X-Signature") != signature.Sign(secret, "GET", "/cat.jpg", time.Unix(end, 0)) {
			t.Errorf("%v: %q is not signed by %q: %s", args, stdout, secret, stderr)
		}
	}
	by(nextSecret, "--signing-secrets-file", file)
	by(signSecret, "--signing-secrets", signSecret+","+nextSecret)
	t.Setenv("DECKLE_SIGNING_SECRETS_FILE", file)
	by(nextSecret)
	by(signSecret, "--secret", signSecret)
	t.Setenv("DECKLE_SIGNING_SECRETS_FILE", "")
	t.Setenv("DECKLE_SIGNING_SECRETS", signSecret)
	by(signSecret)
	t.Setenv("DECKLE_SIGNING_SECRETS", "")
	for _, args := range [][]string{
		{"/cat.jpg"}, {"/cat.jpg", "--secret", "short"}, {"cat.jpg", "--secret", signSecret}, {"/cat.jpg", "--secret", signSecret, "--ttl", "0s"},
		{"/cat.jpg", "--secret", signSecret, "--ttl", "soon"}, {"/cat_secret.jpg", "--secret", signSecret, "--scope", "/cat"}, {"--secret", signSecret},
		{"/cat.jpg", "--signing-secrets-file", file + ".not"},
	} {
		code, stdout, stderr := command(append([]string{"sign"}, args...)...)
		if code != exitUsage || strings.Contains(stdout, "X-Signature") || strings.Contains(stderr, signSecret) {
			t.Errorf("%v: %d %q %q", args, code, stdout, stderr)
		}
	}
}

func TestSigningSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	for name, text := range map[string]string{file: "# ours\n" + signSecret + "\n", file + ".bad": "hunter2\n", file + ".empty": "# none\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		args []string
		says string // of the faults; empty for none
	}{
		{"reads", []string{"--signed", "reads", "--signing-secrets", signSecret}, ""},
		{"private", []string{"--signed", "private,uploads", "--private", "staff,shop/new", "--signing-secrets-file", file}, ""},
		{"both places", []string{"--signed", "all", "--signing-secrets", nextSecret, "--signing-secrets-file", file}, ""},
		{"no secrets", []string{"--signed", "reads"}, "--signing-secrets-file beside it"},
		{"private pictures alone", []string{"--signing-secrets", signSecret}, ""},
		{"unknown", []string{"--signed", "writes", "--signing-secrets", signSecret}, "uploads, reads, private or all"},
		{"short", []string{"--signed", "reads", "--signing-secrets", signSecret + ",hunter2"}, "number 2 has 7 bytes, fewer than 16"},
		{"short in the file", []string{"--signed", "reads", "--signing-secrets-file", file + ".bad"}, "number 1 has 7 bytes"},
		{"an empty file", []string{"--signed", "reads", "--signing-secrets-file", file + ".empty"}, "holds none"},
		{"no file", []string{"--signed", "reads", "--signing-secrets-file", file + ".not"}, "no such file"},
		{"private without names", []string{"--signed", "private", "--signing-secrets", signSecret}, "--private beside it"},
		{"names without private", []string{"--signed", "uploads", "--private", "staff", "--signing-secrets", signSecret}, "--signed private beside it"},
		{"no name", []string{"--signed", "private", "--private", "staff/", "--signing-secrets", signSecret}, "a segment is empty"},
		{"an age", []string{"--signed", "reads", "--signing-secrets", signSecret, "--signature-max-age", "0s"}, "--signature-max-age"},
		{"public copies", []string{"--signed", "reads", "--signing-secrets", signSecret, "--store", "s3://b/p", "--redirect", "https://x.example/"}, "no --redirect beside it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := command(append([]string{"config"}, test.args...)...)
			if test.says == "" && code != exitOK || test.says != "" && (code != exitUsage || !strings.Contains(stderr, test.says)) {
				t.Errorf("%d, want %q in %s", code, test.says, stderr)
			}
			for _, secret := range []string{signSecret, nextSecret, "hunter2"} {
				if strings.Contains(stdout+stderr, secret) {
					t.Errorf("%s is told: %s%s", secret, stdout, stderr)
				}
			}
		})
	}
	t.Setenv("DECKLE_SIGNING_SECRETS_FILE", file)
	code, stdout, stderr := command("config", "--signed", "reads")
	if code != exitOK || !strings.Contains(stdout, "signing-secrets: \"\"") || !strings.Contains(stdout, "signing-secrets-file: "+file) {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
}

// TestSignedEndToEnd: the real binary asks for signatures, takes those of deckle sign, and takes up new secrets as it runs.
func TestSignedEndToEnd(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "secrets")
	rotate := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	rotate(signSecret + "\n")
	d := start(t, "--data", data, "--signed", "all", "--signing-secrets-file", file)
	sign := func(secret, target string, args ...string) string {
		t.Helper()
		code, stdout, stderr := command(append([]string{"sign", target, "--secret", secret}, args...)...)
		if code != exitOK {
			t.Fatalf("sign %s %v: %s", target, args, stderr)
		}
		return strings.TrimSpace(stdout)
	}
	refused := func(got reply, code string) {
		t.Helper()
		var said struct{ Code string }
		if err := json.Unmarshal(got.body, &said); err != nil || got.status != 401 || said.Code != code || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v %s, want %s", got.status, err, got.body, code)
		}
	}
	picture := testimage.JPEG(testimage.Quadrants(64, 48), 80)
	token, said := d.token("cat", false)
	if token == "" {
		t.Fatalf("%d %s", said.status, said.body)
	}
	refused(request("POST", d.edge+"/cat", bytes.NewReader(picture), "X-Token", token), "MissingSignature")
	refused(request("POST", d.edge+sign(signSecret, "/cat"), bytes.NewReader(picture), "X-Token", token), "InvalidSignature")
	if got := request("POST", d.edge+sign(signSecret, "/cat", "--method", "POST"), bytes.NewReader(picture), "X-Token", token); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	refused(d.get("/cat_30_20.webp"), "MissingSignature")
	small := sign(signSecret, "/cat_30_20.webp", "--scope", "/cat")
	_, query, _ := strings.Cut(small, "?")
	first := d.mustGet(small, "render")
	if !strings.Contains(first.header.Get("Cache-Control"), "must-revalidate") {
		t.Errorf("Cache-Control is %q", first.header.Get("Cache-Control"))
	}
	d.mustGet("/cat_60_40.png?"+query, "render")
	d.mustGet(sign(signSecret, "/cat_30_20.webp", "--ttl", "1m"), "memory")
	refused(d.get("/cat_secret_30_20.webp?"+query), "InvalidPath")
	refused(d.get(sign(signSecret, "/cat_30_20.webp", "--ttl", "2h")), "SignatureTTLExceeded")

	next := sign(nextSecret, "/cat_30_20.webp")
	refused(d.get(next), "InvalidSignature")
	rotate(nextSecret + "\n" + signSecret + "\n")
	eventually(t, 10*time.Second, "the new secret is good", func() bool { return d.get(next).status == 200 })
	d.mustGet(small, "memory")
	rotate("short\n")
	if _, ok := awaitAsking(d, small, "cannot be read again"); !ok {
		t.Error("nothing is logged of a bad file")
	}
	d.mustGet(small, "memory")
	rotate(nextSecret + "\n")
	eventually(t, 10*time.Second, "the old secret is retired", func() bool { return d.get(small).status == 401 })
	d.mustGet(next, "memory")
	d.stop()
	log := d.log.String()
	if !strings.Contains(log, "new signing secrets") || !strings.Contains(log, "/cat_30_20.webp") {
		t.Errorf("the log lacks lines:\n%s", log)
	}
	for _, signed := range []string{small, next} {
		_, sent, _ := strings.Cut(signed, "X-Signature=")
		if strings.Contains(log, sent[:16]) || strings.Contains(log, signSecret) || strings.Contains(log, nextSecret) {
			t.Errorf("a signature or a secret is logged:\n%s", log)
		}
	}
}

// awaitAsking waits for a line of the log that only a request brings about, and asks meanwhile.
func awaitAsking(d *daemon, path, text string) (line string, ok bool) {
	eventually(d.t, 10*time.Second, text, func() bool {
		d.get(path)
		line, ok = d.log.await(text, time.Millisecond)
		return ok
	})
	return line, ok
}
