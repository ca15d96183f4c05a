package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"deckle/internal/testserver"
)

// TestRedirectToCopies: a variant is redirected to its public copy once that is there, and only as long as it is; the copy is the
// picture itself; proxy=true, names to save under and stored sources are answered with bytes.
func TestRedirectToCopies(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	bucket := server.Bucket(t)
	folder := server.Path(bucket, "prefix/!public")
	public := httptest.NewServer(http.FileServer(http.Dir(folder)))
	t.Cleanup(public.Close)
	d := start(t, "--data", t.TempDir(), "--origin", "file://"+httpSources(t), "--store", server.URL(bucket), "--renderers", "1",
		"--redirect", public.URL, "--redirect-max-age", "30s")
	edge := strings.TrimPrefix(d.edge, "http://")
	ask := func(method, target, headers string) rawAnswer {
		t.Helper()
		got, err := sendRaw(edge, method, target, headers)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const target = "/shop/hat/42_40_30.auto?v=1"
	first := ask("GET", target, safari)
	if first.StatusCode != 200 || first.Header.Get("Content-Type") != "image/webp" {
		t.Fatalf("the first to ask: %d", first.StatusCode)
	}
	var moved rawAnswer
	eventually(t, 10*time.Second, "the copy", func() bool {
		moved = ask("GET", target, safari)
		return moved.StatusCode == 303
	})
	subject{}.expect(t, moved, "303\nCache-Control= public, max-age=30\nVary= Accept\nEtag:\nLocation: "+public.URL+"/shop%21hat%2142/")
	copied := request("GET", moved.Header.Get("Location"), nil)
	if copied.status != 200 || string(copied.body) != string(first.body) {
		t.Errorf("the copy: %d, %d bytes of %d", copied.status, len(copied.body), len(first.body))
	}
	subject{}.expect(t, ask("HEAD", target, safari+"\nIf-None-Match: *\nRange: bytes=0-1"), "303\nLocation: "+public.URL)
	subject{}.expect(t, ask("GET", target+"&proxy=true", safari), "200\nContent-Type= image/webp\nVary= Accept")
	subject{}.expect(t, ask("GET", target+"&download=x.webp", safari), "200\nContent-Disposition: x.webp")
	subject{}.expect(t, ask("GET", "/cat.jpg", ""), "200\nContent-Type= image/jpeg")
	subject{}.expect(t, ask("GET", target, "Accept: image/png"), "200\nContent-Type= image/jpeg")
	subject{}.expect(t, ask("GET", "/dog_40_30.webp", ""), "404\nLocation:")

	// Somebody deletes the copies behind Deckle's back: within seconds there are bytes instead of a broken link.
	eventually(t, 10*time.Second, "no copies", func() bool { return os.RemoveAll(folder) == nil }) // one more may just be written
	eventually(t, 10*time.Second, "bytes again", func() bool { return ask("GET", target, safari).StatusCode == 200 })

	// The bucket is away: bytes.
	server.Stop()
	subject{}.expect(t, ask("GET", "/cat_33_0.webp", ""), "200\nContent-Type= image/webp")
}

// TestRedirectFaults: what cannot work is said at the start.
func TestRedirectFaults(t *testing.T) {
	for says, args := range map[string][]string{
		"--store s3://":       {"--redirect", "https://x/y/"},
		"https:// or http://": {"--redirect", "x"},
		"https://images":      {"--redirect", "https://x/y?z", "--store", "s3://b/p?region=r"},
		"at most 1h":          {"--redirect-max-age", "2h"},
		"max-age=86400":       {"--cdn-cache-control", "for a day"},
		"--error-max-age":     {"--error-max-age", "soon"},
	} {
		if code, _, stderr := command(append([]string{"config"}, args...)...); code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
}
