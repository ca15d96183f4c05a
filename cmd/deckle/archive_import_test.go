package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	forms "mime/multipart"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// zipped is a zip file of names and bytes.
func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, body := range files {
		to, err := w.Create(name)
		if err == nil {
			_, err = to.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// importing is what POST /import of an archive says.
func (c caller) importing(status int, query string, archive []byte) imported {
	c.t.Helper()
	got := c.ask("POST", "/import?"+query, archive, "Content-Type", "application/zip")
	if got.status != status {
		c.t.Fatalf("import: %d, want %d: %s %v", got.status, status, got.body, got.err)
	}
	if status >= 300 {
		return imported{}
	}
	return into[imported](c.t, got)
}

// TestImportPlain: a zip file of pictures makes a record of each.
func TestImportPlain(t *testing.T) {
	c := caller{daemon: start(t, "--data", t.TempDir())}
	archive := zipped(t, map[string][]byte{"hol/a.png": smallPicture(1), "b.png": smallPicture(2), "read me.txt": []byte("hello"), "__MACOSX/._b.png": []byte("x")})
	query := "data=" + url.QueryEscape(`{"from":"zip"}`) + "&owner=ann"
	if got := c.importing(200, query, archive); got.Imported != 2 || got.PassedOver != 1 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
	first := c.everything()
	for _, r := range first {
		if fmt.Sprint(r["data"]) != "map[from:zip]" || r["owner"] != "ann" {
			t.Errorf("%v", r)
		}
	}
	if diff := cmp.Diff([]string{"b.png", "hol/a.png"}, c.found("sort=file&q=png&scope=all")); diff != "" && len(first) != 2 {
		t.Errorf("files: %s", diff)
	}
	if got := c.importing(200, query+"&existing=replace", archive); got.There != 2 || got.Replaced != 0 {
		t.Errorf("again: %+v", got)
	}
	other := zipped(t, map[string][]byte{"b.png": smallPicture(3)})
	if got := c.importing(200, query, other); got.Kept != 1 {
		t.Errorf("kept: %+v", got)
	}
	if got := c.importing(200, query+"&existing=replace", other); got.Replaced != 1 {
		t.Errorf("replaced: %+v", got)
	}
	c.wantFiles(c.everything())
	body, contentType := formWith(t, "archive", zipped(t, map[string][]byte{"c.png": smallPicture(9)}), "data", `{"from":"form"}`)
	if got := c.ask("POST", "/import", body, "Content-Type", contentType); got.status != 200 || into[imported](t, got).Imported != 1 {
		t.Errorf("a form: %d %s", got.status, got.body)
	}
	c.want("GET", "/images?data.from=form", "", 200, `"total":1`)
}

// TestImportRefusals: an archive that is not as it should be changes nothing.
func TestImportRefusals(t *testing.T) {
	c := caller{daemon: start(t, "--data", t.TempDir(), "--import-max", "1MB", "--max-source-bytes", "64KiB")}
	good := smallPicture(1)
	for name, test := range map[string]struct {
		query   string
		archive []byte
		status  int
	}{
		"nothing":         {"", nil, 400},
		"no zip":          {"", []byte("none"), 400},
		"climbs":          {"", zipped(t, map[string][]byte{"a.png": good, "../b.png": good}), 400},
		"a large picture": {"", zipped(t, map[string][]byte{"a.png": good, "b.png": bytes.Repeat([]byte("x"), 65<<10)}), 400},
		"too large":       {"", bytes.Repeat([]byte("x"), 1000_001), 413},
		"no way":          {"existing=maybe", zipped(t, map[string][]byte{"a.png": good}), 400},
		"no name":         {"exsting=skip", zipped(t, map[string][]byte{"a.png": good}), 400},
		"no data":         {"data=[1]", zipped(t, map[string][]byte{"a.png": good}), 400},
		"no dry run":      {"dry_run=maybe", zipped(t, map[string][]byte{"a.png": good}), 400},
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.importing(test.status, test.query, test.archive)
		})
	}
	c.t = t
	line := func(p map[string]any) []byte {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return append(text, '\n')
	}
	got := c.importing(207, "", zipped(t, map[string][]byte{
		"files/a": good, "files/text": []byte("hello"),
		"data.jsonl": bytes.Join([][]byte{
			line(map[string]any{"id": "wrong", "path": "files/a", "sha256": strings.Repeat("0", 64), "updated": time.Now()}),
			line(map[string]any{"id": "absent", "path": "files/absent"}),
			line(map[string]any{"id": "../up", "path": "files/a"}),
			line(map[string]any{"id": "up", "path": "files/a", "file": "../up"}),
			line(map[string]any{"id": "text", "path": "files/text"}),
			line(map[string]any{"id": "data", "path": "files/a", "data": []int{1}}),
		}, nil),
	}))
	if got.Failed != 6 || got.Imported != 0 {
		t.Errorf("%+v", got)
	}
	if all := c.everything(); len(all) > 0 {
		t.Errorf("there are %v", all)
	}
	c.want("GET", "/export?limit=5", "", 400, "limit")
	c.want("GET", "/export?tga=x", "", 400, "tga")
	c.want("GET", "/export?filter=nonsense", "", 400, "filter")
}

// formWith is a form with a file in one part, and fields.
func formWith(t *testing.T, part string, file []byte, fields ...string) (body []byte, contentType string) {
	t.Helper()
	var form bytes.Buffer
	w := forms.NewWriter(&form)
	to, err := w.CreateFormFile(part, part+".zip")
	if err == nil {
		_, err = to.Write(file)
	}
	for i := 0; i < len(fields); i += 2 {
		err = errors.Join(err, w.WriteField(fields[i], fields[i+1]))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return form.Bytes(), w.FormDataContentType()
}
