package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMissingOriginals: a directory of originals that is not there is one that was not mounted, and none is made in its place; but
// for those of the data directory, which is Deckle's own.
func TestMissingOriginals(t *testing.T) {
	dir := t.TempDir()
	missing, file := filepath.Join(dir, "not", "mounted"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &configuration{data: filepath.Join(dir, "data")}
	for at, want := range map[string]string{
		missing: "no such directory: mount it, or make it", file: "no directory", file + "/x": "not a directory", dir: "",
		filepath.Join(c.data, "originals"): "", filepath.Join(c.data, "shop"): "", c.data + "2": "no such directory",
	} {
		if err := c.findOriginals(at); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", at, err, want)
		}
	}
	_, errs, code := execute(t, "", "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", c.data, "--origin", "file://"+missing)
	if code != exitUsage || !strings.Contains(errs, "file://"+missing) || !strings.Contains(errs, "mount it") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
}

// TestConfirmRate: what was put into the store counts as an upload when it is confirmed.
func TestConfirmRate(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--upload-rate", "1", "--upload-slots", "1", "--trusted-proxies", "127.0.0.0/8")
	for i, want := range []int{403, 429} {
		if got := request("POST", d.edge+"/_confirm", nil, "X-Token", "none", "X-Forwarded-For", "203.0.113.1"); got.status != want {
			t.Errorf("%d: %d %s, want %d", i, got.status, got.body, want)
		}
	}
}
