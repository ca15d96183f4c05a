package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/color"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"

	"github.com/google/go-cmp/cmp"
)

// archivePictures is how many pictures go out and in; DECKLE_ARCHIVE_PICTURES says another number, and has figures written.
func archivePictures(t *testing.T) (n int, long bool) {
	t.Helper()
	text := os.Getenv("DECKLE_ARCHIVE_PICTURES")
	if text == "" {
		return 200, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 10 {
		t.Fatalf("DECKLE_ARCHIVE_PICTURES=%q is no number of pictures", text)
	}
	return n, true
}

// smallPicture is a picture that no other number has.
func smallPicture(n int) []byte {
	img := testimage.Flat(8, 8, color.NRGBA{R: byte(n), G: byte(n >> 8), B: byte(n >> 16), A: 255})
	img.SetNRGBA(3, 3, color.NRGBA{R: 1, G: byte(n % 7), A: 255})
	return testimage.PNG(img)
}

// tool runs a command of deckle against the daemon, and returns what it printed and its exit code.
func (d *daemon) tool(command string, args ...string) (string, int) {
	d.t.Helper()
	c := deckle(nil, append([]string{command, "--admin", d.admin}, args...)...)
	said, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		d.t.Fatal(err)
	}
	return string(said), c.ProcessState.ExitCode()
}

// mustRun wants a command to succeed and to say something.
func (d *daemon) mustRun(says, command string, args ...string) string {
	d.t.Helper()
	said, code := d.tool(command, args...)
	if code != exitOK || !strings.Contains(said, says) {
		d.t.Fatalf("deckle %s %q: %d %s, want %q", command, args, code, said, says)
	}
	return said
}

// everything is all records, by id, without what is the store's and the listener's own.
func (c caller) everything() map[string]map[string]any {
	c.t.Helper()
	all := map[string]map[string]any{}
	for after := ""; ; {
		page := into[struct {
			Images []map[string]any
			Next   string
		}](c.t, c.want("GET", "/images?sort=id&limit=1000&after="+url.QueryEscape(after), "", 200))
		for _, image := range page.Images {
			delete(image, "url")
			delete(image, "version")
			all[image["id"].(string)] = image
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// wantFiles wants the stored bytes of all records to be those that their hashes name.
func (c caller) wantFiles(records map[string]map[string]any) {
	c.t.Helper()
	inParallel(func(work chan string) {
		for id := range work {
			got := c.ask("GET", "/images/"+url.PathEscape(id)+"/file", nil)
			sum := sha256.Sum256(got.body)
			if got.status != 200 || hex.EncodeToString(sum[:]) != records[id]["sha256"] {
				c.t.Errorf("the bytes of %s: %d %v", id, got.status, got.err)
			}
		}
	}, func(work chan string) {
		for id := range records {
			work <- id
		}
	})
}

// inParallel has eight workers do what feed sends.
func inParallel[T any](worker func(chan T), feed func(chan T)) {
	work := make(chan T)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() { worker(work) })
	}
	feed(work)
	close(work)
	running.Wait()
}

// fill brings pictures in with all that can be said of them.
func (c caller) fill(n int) {
	c.t.Helper()
	c.upload("plain/by-token", smallPicture(1<<22), false)
	inParallel(func(work chan int) {
		for i := range work {
			fields := []string{"file", fmt.Sprintf("Ordner %d/bild-%d é.png", i%17, i), "time", epochOf(i).Format(time.RFC3339Nano), "tags", fmt.Sprintf("n%d, <&>", i%5),
				"name", fmt.Sprintf("=Name %d", i), "data", fmt.Sprintf(`{"n":%d,"big":12345678901234567890,"text":"<&> \u2028 \"x\"","deep":{"a":[1,null,{"b":"c"}]}}`, i)}
			if i%3 == 0 {
				fields = append(fields, "private", "true")
			}
			if i%4 == 0 {
				fields = append(fields, "owner", "ann/../x")
			}
			body, contentType := formOf(smallPicture(i), fields...)
			post := func() reply { return c.ask("POST", "/images", body, "Content-Type", contentType) }
			if got := patiently(post); got.status != 201 && got.status != 200 { // 200 when the first try had been taken in
				c.t.Errorf("upload %d: %d %s %v", i, got.status, got.body, got.err)
			}
		}
	}, func(work chan int) {
		for i := range n {
			work <- i
		}
	})
}

func epochOf(i int) time.Time {
	return time.Date(2020, 1, 1, 0, 0, 0, 123e6, time.UTC).Add(time.Duration(i) * time.Minute)
}

// TestArchive takes pictures out, and brings them into an empty Deckle: every record and every byte is as it was.
func TestArchive(t *testing.T) {
	n, long := archivePictures(t)
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			from := caller{daemon: start(t, append(library.flags(t), "--data", t.TempDir())...)}
			from.fill(n)
			want := from.everything()
			if len(want) != n+1 {
				t.Fatalf("%d records", len(want))
			}
			file := filepath.Join(t.TempDir(), "all.zip")
			figures := newFigures(t, library.name, n+1)
			figures.measure("export", from.daemon, func() { from.mustRun(fmt.Sprintf("%d pictures exported, 0 failed", n+1), "export", file) })
			figures.size(file)
			from.kill()

			to := caller{daemon: start(t, append(library.flags(t), "--data", t.TempDir())...)}
			to.mustRun(fmt.Sprintf("would be: %d imported, 0 replaced, 0 there already, 0 kept, 0 passed over, 0 failed", n+1), "import", "--dry-run", file)
			if got := to.everything(); len(got) > 0 {
				t.Fatalf("a dry run made %d records", len(got))
			}
			figures.measure("import", to.daemon, func() { to.mustRun(fmt.Sprintf("%d imported, 0 replaced, 0 there", n+1), "import", file) })
			got := to.everything()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("records (-before +after):\n%.3000s", diff)
			}
			to.wantFiles(want)
			figures.measure("import again", to.daemon, func() {
				to.mustRun(fmt.Sprintf("0 imported, 0 replaced, %d there already", n+1), "import", "--existing", "replace", file)
			})
			for id, r := range want {
				if r["private"] == true {
					if shown := to.get("/" + id + ".png"); shown.status != 404 {
						t.Errorf("a private picture is shown: %d", shown.status)
					}
					break
				}
			}
			if long {
				figures.write()
			}
		})
	}
}

// TestImportExisting: what is there is kept, replaced or refused, as is said.
func TestImportExisting(t *testing.T) {
	c := caller{daemon: start(t, "--data", t.TempDir())}
	first := c.put(201, smallPicture(1), "file", "a.png", "name", "First", "tags", "x", "data", `{"v":1}`)
	second := c.put(201, smallPicture(2), "file", "b.png", "data", `{"v":1}`)
	want := c.everything()
	file := filepath.Join(t.TempDir(), "a.zip")
	c.mustRun("2 pictures exported", "export", file)
	c.put(200, smallPicture(3), "file", "a.png", "name", "Other", "private", "true", "data", `{"v":2}`)
	c.want("PATCH", "/images/"+second.ID, `{"name":"Named","tags":["y"]}`, 200)
	changed := c.everything()
	said, code := c.tool("import", "--existing", "fail", file)
	if code != exitFailed || !strings.Contains(said, "0 imported, 0 replaced, 1 there already, 0 kept, 0 passed over, 1 failed") || !strings.Contains(said, first.ID) {
		t.Errorf("fail: %d %s", code, said)
	}
	c.mustRun("1 there already, 1 kept", "import", file)
	if diff := cmp.Diff(changed, c.everything()); diff != "" {
		t.Errorf("skipped: %s", diff)
	}
	c.mustRun("2 replaced", "import", "--existing", "replace", file)
	if diff := cmp.Diff(want, c.everything()); diff != "" {
		t.Errorf("replaced (-before +after):\n%s", diff)
	}
	c.wantFiles(want)
	if shown := c.get("/" + first.ID + ".png"); shown.status != 200 {
		t.Errorf("it was public: %d", shown.status)
	}
	c.want("DELETE", "/images/"+first.ID, "", 204)
	c.put(201, smallPicture(4), "file", "a.png")
	if said, code := c.tool("import", "--existing", "replace", file); code != exitFailed || !strings.Contains(said, "The id or the file is that of another picture.") {
		t.Errorf("a file of another id: %d %s", code, said)
	}
	// Usage: the command line is at fault, and nothing is asked.
	if said, code := c.tool("import", filepath.Join(t.TempDir(), "absent.zip")); code != exitUsage {
		t.Errorf("no file: %d %s", code, said)
	}
}

// TestExportReportsWhatIsGone: a picture that cannot be had is in the archive's errors and in the exit code; all others are there.
func TestExportReportsWhatIsGone(t *testing.T) {
	data := t.TempDir()
	c := caller{daemon: start(t, "--data", data)}
	c.upload("kept", smallPicture(1), false)
	c.upload("lost", smallPicture(2), false)
	c.upload("other", smallPicture(3), false)
	if err := os.Remove(filepath.Join(data, "originals", "lost")); err != nil {
		t.Fatal(err)
	}
	// Bytes that are not those of the record.
	if err := os.WriteFile(filepath.Join(data, "originals", "other"), smallPicture(4), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.zip")
	said, code := c.tool("export", file)
	if code != exitFailed || !strings.Contains(said, "1 pictures exported, 2 failed") {
		t.Errorf("%d %s", code, said)
	}
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }() // it was only read
	body, err := archive.Open("errors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	told, err := io.ReadAll(body)
	if err != nil || !strings.Contains(string(told), `"id":"lost"`) || !strings.Contains(string(told), `"id":"other"`) {
		t.Errorf("%v %s", err, told)
	}
	said, code = c.tool("index")
	if code != exitFailed || !strings.Contains(said, "2 sources: 0 records made, 0 failed; 1 records without bytes") || !strings.Contains(said, "lost: the record has no bytes") {
		t.Errorf("index: %d %s", code, said)
	}
	// An archive brings them back.
	if got := c.importing(200, "", zipped(t, map[string][]byte{"files/x": smallPicture(2), "data.jsonl": []byte(`{"id":"lost","path":"files/x"}`)})); got.Replaced != 1 {
		t.Errorf("the bytes came back: %+v", got)
	}
	if got := c.get("/lost.png"); got.status != 200 {
		t.Errorf("lost: %d", got.status)
	}
}

// TestImportGoesOn: an import that is broken off has nothing by halves, and the same one goes on where it was. In the long form it
// is the server that is killed: what it was about is free after half a minute.
func TestImportGoesOn(t *testing.T) {
	_, long := archivePictures(t)
	from := caller{daemon: start(t, "--data", t.TempDir())}
	from.fill(60)
	want := from.everything()
	file := filepath.Join(t.TempDir(), "a.zip")
	from.mustRun("61 pictures exported", "export", file)
	from.kill()
	to := caller{daemon: start(t, "--data", t.TempDir())}
	importing := deckle(nil, "import", "--admin", to.admin, file)
	if err := importing.Start(); err != nil {
		t.Fatal(err)
	}
	count := func() int { return into[struct{ Total int }](t, to.want("GET", "/images?limit=1", "", 200)).Total }
	eventually(t, time.Minute, "some pictures are there", func() bool { return count() >= 5 })
	if long {
		to.kill()
		to.launch()
	} else if err := importing.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := importing.Wait(); err == nil {
		t.Error("the import was not broken off")
	}
	to.mustRun("0 replaced", "import", file)
	if diff := cmp.Diff(want, to.everything()); diff != "" {
		t.Errorf("records (-before +after):\n%.3000s", diff)
	}
	to.wantFiles(want)
}

// TestIndex: pictures that were put into the store by hand get records, and what cannot have one is told of.
func TestIndex(t *testing.T) {
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			flags := library.flags(t)
			first := caller{daemon: start(t, append(flags, "--data", t.TempDir())...)}
			if library.name != libraries[0].name {
				flags = flags[:2] // the bucket alone
			} else {
				flags = []string{"--origin", "file://" + filepath.Join(dataOf(first.args), "originals")}
			}
			first.upload("shop/cat", smallPicture(1), false)
			first.upload("shop/dog", smallPicture(2), false)
			first.ask("POST", "/images?id=hidden&private=true", smallPicture(3))
			want := first.everything()
			first.stop()
			// The records are lost, the pictures are there.
			c := caller{daemon: start(t, append(flags, "--data", t.TempDir())...)}
			c.mustRun("3 sources: 3 records would be made, 0 failed; 0 records without bytes", "index", "--dry-run")
			if got := c.everything(); len(got) > 0 {
				t.Errorf("a dry run made %d records", len(got))
			}
			c.mustRun("3 sources: 3 records made", "index")
			got := c.everything()
			for _, records := range []map[string]map[string]any{want, got} {
				for _, r := range records {
					delete(r, "created")
					delete(r, "updated")
					delete(r, "time")
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-before +after):\n%s", diff)
			}
			c.mustRun("3 sources: 0 records made", "index")
			c.wantFiles(got)
		})
	}
	data := t.TempDir()
	c := caller{daemon: start(t, "--data", data)}
	if err := os.WriteFile(filepath.Join(data, "originals", "notes.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code := c.tool("index"); code != exitFailed || !strings.Contains(said, "1 sources: 0 records made, 1 failed") || !strings.Contains(said, "notes.txt: ") {
		t.Errorf("%d %s", code, said)
	}
}

// dataOf is the data directory among arguments.
func dataOf(args []string) string {
	for i, arg := range args {
		if arg == "--data" {
			return args[i+1]
		}
	}
	return ""
}

// TestArchivesOfUsers: users take out and bring in their own, and nobody else's.
func TestArchivesOfUsers(t *testing.T) {
	const operators = "operators-key-of-16-bytes"
	operator := caller{start(t, "--data", t.TempDir(), "--api-keys", operators), operators}
	key := func(user, scopes string) caller {
		got := operator.want("POST", "/keys", fmt.Sprintf(`{"name": "k", "user": %q, "scopes": [%s]}`, user, scopes), 201)
		return caller{operator.daemon, into[struct{ Secret string }](t, got).Secret}
	}
	ann, bob, reader := key("ann", `"read", "write", "upload"`), key("bob", `"read", "write", "upload"`), key("ann", `"read"`)
	hers := ann.put(201, smallPicture(1), "file", "a.png", "private", "true")
	bob.put(201, smallPicture(2), "file", "a.png")
	archive := ann.want("GET", "/export", "", 200).body
	zipFile, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range zipFile.File {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"files/@ann/a.png", "data.jsonl", "data.csv"}, names); diff != "" {
		t.Errorf("ann's archive: %s", diff)
	}
	if got := bob.importing(207, "existing=replace", archive); got.Failed != 1 {
		t.Errorf("her id in bob's hands: %+v", got)
	}
	ann.want("GET", "/images/"+hers.ID, "", 200, `"owner":"ann"`)
	if got := operator.importing(200, "existing=replace", archive); got.There != 1 {
		t.Errorf("the operator: %+v", got)
	}
	if got := reader.ask("POST", "/import", archive); got.status != 403 {
		t.Errorf("who may only read: %d", got.status)
	}
	nobody := caller{operator.daemon, ""}
	nobody.want("GET", "/export", "", 401)
	nobody.want("POST", "/import", "", 401)
	nobody.want("POST", "/index", "", 401)
	if got := ann.ask("POST", "/index", nil); got.status != 403 {
		t.Errorf("a user's index: %d", got.status)
	}
	ann.want("DELETE", "/images/"+hers.ID, "", 204)
	if got := bob.importing(200, "", archive); got.Kept != 1 { // the id is free now, but bob has a file of the name
		t.Errorf("bob: %+v", got)
	}
}
