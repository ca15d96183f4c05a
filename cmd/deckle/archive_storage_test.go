package main

import (
	"archive/zip"
	"bytes"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStorageArchives takes an archive out as clients of image-storage-service do, deletes everything, and brings it back.
func TestStorageArchives(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--compat", "image-storage", "--open-library")
	upload := func(n int, fields ...string) {
		t.Helper()
		if got := storageForm(t, d, smallPicture(n), nil, fields...); got.status != 200 {
			t.Fatalf("upload: %d %s", got.status, got.body)
		}
	}
	const a, b = "6543210fedcba98765432100", "6543210fedcba98765432101"
	upload(1, "_id", a, "file", "a/cat.png", "time", "2026-01-02T03:04:05.678Z", "score", "5")
	upload(2, "_id", b, "file", "dog.png", "time", "2026-02-02", "data", `{"score": 5, "tags": ["x", "y"], "nested": {"a": "<&>"}}`)
	list := func() string { return string(request("GET", d.edge+"/images?sort=file", nil).body) }
	before := list()
	exported := request("GET", d.edge+"/export", nil)
	if exported.status != 200 || !regexp.MustCompile(`^attachment; filename="?[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.zip"?$`).MatchString(exported.header.Get("Content-Disposition")) {
		t.Fatalf("export: %d %v", exported.status, exported.header)
	}
	read, err := zip.NewReader(bytes.NewReader(exported.body), int64(len(exported.body)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range read.File {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"a/cat.png", "dog.png", "mongodb_data.json", "mongodb_data.xlsx"}, names); diff != "" {
		t.Errorf("entries: %s", diff)
	}
	one := request("GET", d.edge+"/export?limit=1&sort=time&order=-1", nil)
	if read, err := zip.NewReader(bytes.NewReader(one.body), int64(len(one.body))); err != nil || len(read.File) != 3 || read.File[0].Name != "dog.png" {
		t.Errorf("one: %d %v", one.status, err)
	}
	if got := request("GET", d.edge+"/export?limit=100001", nil); got.status != 400 || string(got.body) != "Limit exceeds maximum allowed value" {
		t.Errorf("too many: %d %s", got.status, got.body)
	}
	if got := request("DELETE", d.edge+"/images", nil); got.status != 200 {
		t.Fatalf("delete: %d %s", got.status, got.body)
	}
	send := func(fields ...string) reply {
		body, contentType := formWith(t, "archive", exported.body, fields...)
		return request("POST", d.edge+"/import", bytes.NewReader(body), "Content-Type", contentType)
	}
	if got := send(); got.status != 200 || !regexp.MustCompile(`^\{"file":"[0-9a-f-]{36}\.zip"\}$`).Match(got.body) {
		t.Fatalf("import: %d %s", got.status, got.body)
	}
	if diff := cmp.Diff(before, list()); diff != "" {
		t.Errorf("documents (-before +after):\n%s", diff)
	}
	if got := request("GET", d.edge+"/images/"+a+"/image", nil); !bytes.Equal(got.body, smallPicture(1)) {
		t.Errorf("bytes: %d", got.status)
	}
	if got := send("data", `{"score": 7}`); got.status != 200 {
		t.Errorf("with data: %d %s", got.status, got.body)
	}
	if got := string(request("GET", d.edge+"/images?filter=%7B%22data.score%22:7%7D", nil).body); !regexp.MustCompile(`"total":2`).MatchString(got) {
		t.Errorf("data that is set in all: %s", got)
	}
	for name, form := range map[string]struct {
		part    string
		archive []byte
		status  int
		says    string
	}{
		"another part": {"image", exported.body, 400, "File not provided"},
		"no zip":       {"archive", []byte("none"), 400, "The archive is refused: it is no zip file, or is not whole."},
	} {
		body, contentType := formWith(t, form.part, form.archive)
		got := request("POST", d.edge+"/import", bytes.NewReader(body), "Content-Type", contentType)
		if got.status != form.status || string(got.body) != form.says {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := request("POST", d.edge+"/import", bytes.NewReader(exported.body), "Content-Type", "application/zip"); got.status != 400 {
		t.Errorf("a bare body: %d %s", got.status, got.body)
	}
}
