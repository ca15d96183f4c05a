package main

import (
	"bytes"
	"crypto/md5" // as clients name what they sent; a name and no proof
	"encoding/hex"
	"encoding/json"
	"fmt"
	forms "mime/multipart"
	"net/url"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"

	"github.com/google/go-cmp/cmp"
)

// libraries are what the API of /images is shown on: each store with one of the databases.
var libraries = []struct {
	name  string
	flags func(t *testing.T) []string
}{
	{"files and SQLite", func(*testing.T) []string { return nil }},
	{"S3 and PostgreSQL", func(t *testing.T) []string {
		s3 := testserver.S3(t)
		s3.SetCredentials(t)
		return []string{"--origin", s3.URL(s3.Bucket(t)), "--database", testserver.Postgres(t).Database(t)}
	}},
}

// caller calls the operator's listener with a key.
type caller struct {
	*daemon
	key string
}

func (c caller) ask(method, path string, body []byte, header ...string) reply {
	c.t.Helper()
	if c.key != "" {
		header = append(header, "Authorization", "Bearer "+c.key)
	}
	return request(method, c.admin+path, bytes.NewReader(body), header...)
}

// want asks and wants a status, and what it says.
func (c caller) want(method, path, body string, status int, says ...string) reply {
	c.t.Helper()
	got := c.ask(method, path, []byte(body))
	if got.err != nil || got.status != status {
		c.t.Fatalf("%s %s %s: %d %v, want %d: %.500s", method, path, body, got.status, got.err, status, got.body)
	}
	for _, text := range says {
		if !strings.Contains(string(got.body), text) {
			c.t.Errorf("%s %s %s: no %s in %.1000s", method, path, body, text, got.body)
		}
	}
	return got
}

// formOf is a form with a picture in the midst of its fields, which are pairs: half of them come behind it.
func formOf(picture []byte, fields ...string) (body []byte, contentType string) {
	var form bytes.Buffer
	w := forms.NewWriter(&form)
	for i := 0; i < len(fields); i += 2 {
		if i/2 == len(fields)/4 && picture != nil {
			part, _ := w.CreateFormFile("image", "photo one.jpg") // a buffer takes everything
			_, _ = part.Write(picture)
			picture = nil
		}
		_ = w.WriteField(fields[i], fields[i+1])
	}
	if picture != nil {
		part, _ := w.CreateFormFile("image", "photo one.jpg")
		_, _ = part.Write(picture)
	}
	_ = w.Close()
	return form.Bytes(), w.FormDataContentType()
}

// storedImage is a record as clients of /images read it.
type storedImage struct {
	ID, File, Owner, Name, URL, Version, MD5, Format string
	Time                                             time.Time
	Tags                                             []string
	Private                                          bool
	Data                                             map[string]any
	Bytes                                            int64
}

func (c caller) put(status int, picture []byte, fields ...string) storedImage {
	c.t.Helper()
	body, contentType := formOf(picture, fields...)
	got := c.ask("POST", "/images", body, "Content-Type", contentType)
	if got.status != status {
		c.t.Fatalf("upload of %q: %d, want %d: %s", fields, got.status, status, got.body)
	}
	if status >= 300 {
		return storedImage{}
	}
	return into[storedImage](c.t, got)
}

// found lists what a query finds, by file.
func (c caller) found(query string) []string {
	c.t.Helper()
	var list struct{ Images []storedImage }
	if err := json.Unmarshal(c.want("GET", "/images?"+query, "", 200).body, &list); err != nil {
		c.t.Fatal(err)
	}
	files := make([]string, len(list.Images))
	for i, image := range list.Images {
		files[i] = image.File
	}
	return files
}

// TestImages goes through the operations of /images.
func TestImages(t *testing.T) {
	photo, other := testimage.JPEG(testimage.Photo(60, 40, 1), 85), testimage.PNG(testimage.Photo(30, 20, 2))
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			c := caller{daemon: start(t, append(library.flags(t), "--data", t.TempDir(), "--signing-secrets", strings.Repeat("s3cret", 6))...)}
			t.Run("upload", func(t *testing.T) { c.t = t; testImageUploads(c, photo, other) })
			t.Run("refusals", func(t *testing.T) { c.t = t; testImageRefusals(c, photo) })
			t.Run("list", func(t *testing.T) { c.t = t; testImageLists(c, photo) })
			t.Run("change", func(t *testing.T) { c.t = t; testImageChanges(c) })
			t.Run("numbers", func(t *testing.T) { c.t = t; testImageNumbers(c) })
			t.Run("delete", func(t *testing.T) { c.t = t; testImageDeletions(c, photo) })
		})
	}
}

func testImageUploads(c caller, photo, other []byte) {
	t := c.t
	first := c.put(201, photo, "file", "hol/cat.jpg", "time", "2026-11-20T08:00:00+09:00", "name", "Tom", "tags", "a, b", "camera", "x100", "lens[mm]", "23")
	want := storedImage{
		ID: first.ID, File: "hol/cat.jpg", Name: "Tom", URL: "/" + first.ID + ".jpg", Version: first.Version, MD5: sumOf(photo), Format: "jpeg",
		Time: time.Date(2026, 11, 19, 23, 0, 0, 0, time.UTC), Tags: []string{"a", "b"}, Bytes: int64(len(photo)),
		Data: map[string]any{"camera": "x100", "lens": map[string]any{"mm": "23"}},
	}
	if diff := cmp.Diff(want, first); diff != "" || len(first.ID) != 24 {
		t.Errorf("a new picture, id %q: %s", first.ID, diff)
	}
	again := c.put(200, other, "data", `{"score": 7}`, "file", "hol/cat.jpg")
	if again.ID != first.ID || again.Version == first.Version || again.Format != "png" || again.Name != "Tom" || again.Time.Equal(first.Time) {
		t.Errorf("replaced: %+v", again)
	}
	if diff := cmp.Diff(map[string]any{"score": 7.0}, again.Data); diff != "" {
		t.Errorf("data of the replacement: %s", diff)
	}
	if got := c.get(again.URL); got.status != 200 || !bytes.Equal(got.body, other) {
		t.Errorf("%s: %d", again.URL, got.status)
	}
	file := c.want("GET", "/images/"+first.ID+"/file", "", 200)
	if !bytes.Equal(file.body, other) || file.header.Get("Content-Type") != "image/png" || file.header.Get("X-Content-Type-Options") != "nosniff" ||
		file.header.Get("Content-Disposition") != "attachment; filename=cat.jpg" {
		t.Errorf("the file: %v", file.header)
	}
	bare := c.ask("POST", "/images?"+url.Values{"id": {"shop/dog"}, "data.a.b": {"c"}, "private": {"true"}}.Encode(), photo)
	dog := into[storedImage](t, bare)
	if bare.status != 201 || dog.ID != "shop/dog" || !dog.Private || fmt.Sprint(dog.Data) != "map[a:map[b:c]]" {
		t.Errorf("a bare body: %d %s", bare.status, bare.body)
	}
	if hidden, shown := c.get("/shop/dog.jpg"), c.get(dog.URL); hidden.status != 404 || shown.status != 200 {
		t.Errorf("a private picture: %d without, %d with a signature", hidden.status, shown.status)
	}
	c.want("GET", "/images/shop%2Fdog", "", 200, `"id":"shop/dog"`)
	if got := c.put(200, other, "id", "shop/dog", "private", "false"); got.Private || c.get("/shop/dog.png").status != 200 {
		t.Errorf("it was said to be public: %+v", got)
	}
	c.want("DELETE", "/images/shop%2Fdog", "", 204)
	c.want("DELETE", "/images/"+first.ID, "", 204)
	c.want("GET", "/images/"+first.ID, "", 404)
	if got := c.get(again.URL); got.status != 404 {
		t.Errorf("deleted: %d", got.status)
	}
}

func sumOf(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func testImageRefusals(c caller, photo []byte) {
	c.put(201, photo, "file", "taken.jpg")
	for _, test := range []struct {
		name    string
		picture []byte
		fields  []string
		status  int
	}{
		{"no picture", nil, []string{"file", "x"}, 400},
		{"an empty one", []byte{}, nil, 400},
		{"text", []byte("<svg onload=alert(1)>"), nil, 415},
		{"a broken one", photo[:40], nil, 422},
		{"a bad time", photo, []string{"time", "soon"}, 400},
		{"bad JSON", photo, []string{"data", `{"a":`}, 400},
		{"JSON that is no object", photo, []string{"json", `[1]`}, 400},
		{"a number beyond all", photo, []string{"json", `{"a": 1e999}`}, 400},
		{"a bad id", photo, []string{"id", "../../etc/passwd"}, 400},
		{"a file elsewhere", photo, []string{"file", "../../etc/passwd"}, 400},
		{"a file from the root", photo, []string{"file", "/etc/passwd"}, 400},
		{"a file of another id", photo, []string{"file", "taken.jpg", "id", "mine"}, 409},
		{"neither private nor public", photo, []string{"private", "perhaps"}, 400},
		{"a value and an object", photo, []string{"a", "1", "a.b", "2"}, 400},
		{"too much data", photo, []string{"data", `{"a":"` + strings.Repeat("x", 70<<10) + `"}`}, 400},
		{"too many fields", photo, slicesOf(600), 400},
	} {
		body, contentType := formOf(test.picture, test.fields...)
		got := c.ask("POST", "/images", body, "Content-Type", contentType)
		if got.status != test.status || got.header.Get("Content-Type") != "application/problem+json" || bytes.Contains(got.body, []byte("etc/passwd")) {
			c.t.Errorf("%s: %d, want %d: %s", test.name, got.status, test.status, got.body)
		}
	}
	for path, says := range map[string]string{
		"?x=5": "data.x", "?limit=0": "limit", "?limit=1001": "limit", "?skip=-1": "skip", "?order=up": "order", "?sort=colour": "sort", "?from=soon": "from",
		"?scope=mine": "scope", "?filter={": "filter", "?filter=[1]": "filter", "?filter={%22colour%22:1}": "colour", "?filter={%22$where%22:%221%22}": "$where",
		"?after=nonsense": "after", "?select=a,-b": "select", "?ids=": "ids", "?data.a=1&data.a=2": "data.a", "?data.=1": "data.", "?tag=a&tag=b": "tag", "?all=yes": "all",
	} {
		c.want("GET", "/images"+path, "", 400, says)
	}
	c.want("DELETE", "/images", "", 400, "all=true")
	c.want("DELETE", "/images?filter={}", "", 400, "all=true")
	c.want("DELETE", "/images?file=", "", 400, "all=true")
	c.want("DELETE", "/images?tag=a&limit=1", "", 400, "limit")
	c.want("PATCH", "/images", `{"set": {"a": 1}}`, 400, "all=true")
	c.want("PATCH", "/images?all=true", `{"file": "x"}`, 400, "file")
	c.want("PATCH", "/images?all=true", `{"set": {"a": 1}, "unset": ["a.b"]}`, 400)
	c.want("PATCH", "/images?all=true", `{"colour": 1}`, 400, "colour")
	c.want("GET", "/images/nothing", "", 404)
	c.want("GET", "/images/nothing/file", "", 404)
	c.want("GET", "/images/nothing/else", "", 404)
	c.want("PATCH", "/images/nothing", `{"name": "x"}`, 404)
	c.want("DELETE", "/images/nothing", "", 404)
	if files := c.found("all=true"); len(files) != 1 {
		c.t.Errorf("what was refused is there: %q", files)
	}
	c.want("DELETE", "/images?all=true", "", 200, `"deleted":1`)
}

// slicesOf makes n fields.
func slicesOf(n int) (fields []string) {
	for i := range n {
		fields = append(fields, fmt.Sprint("f", i), "x")
	}
	return fields
}

func testImageLists(c caller, photo []byte) {
	t := c.t
	for i := range 6 {
		c.put(201, photo, "file", fmt.Sprintf("cat%d.jpg", i), "name", []string{"Tom", "Tim"}[i%2], "time", fmt.Sprintf("2026-01-0%d", i+1),
			"tags", []string{"Home,red", "away"}[i/3], "private", fmt.Sprint(i == 5), "data", fmt.Sprintf(`{"n": %d, "s": "v%d", "deep": {"odd": %t}}`, i, i/2, i%2 == 1))
	}
	for query, want := range map[string]string{
		"":                             "cat0 cat1 cat2 cat3 cat4 cat5",
		"order=desc&limit=2":           "cat5 cat4",
		"skip=4":                       "cat4 cat5",
		"sort=data.n&order=-1&limit=1": "cat5",
		"data.s=v1":                    "cat2 cat3",
		"data.n=1":                     "",
		"filter=" + url.QueryEscape(`{"data.n": {"$gte": 4}}`):                   "cat4 cat5",
		"filter=" + url.QueryEscape(`{"data.deep.odd": true, "tags": "away"}`):   "cat3 cat5",
		"filter=" + url.QueryEscape(`{"$or": [{"data.n": 0}, {"name": "Tim"}]}`): "cat0 cat1 cat3 cat5",
		"file=cat1.jpg":                        "cat1",
		"name=Tim&tag=HOME":                    "cat1",
		"from=2026-01-02&to=2026-01-05":        "cat2 cat3",
		"scope=public&order=desc&limit=1":      "cat4",
		"q=cat4":                               "cat4",
		"q=awa&name=Tom":                       "cat4",
		"data.s=v1&filter={%22data.n%22:%203}": "cat3",
	} {
		got := strings.ReplaceAll(strings.Join(c.found(query), " "), ".jpg", "")
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	var all []string
	for after := ""; ; {
		page := into[struct {
			Total  int
			Next   string
			Images []storedImage
		}](t, c.want("GET", "/images?limit=4&sort=name&after="+url.QueryEscape(after), "", 200))
		for _, image := range page.Images {
			all = append(all, image.ID)
		}
		if page.Total != 6 || len(all) > 6 {
			t.Fatalf("page after %q: %d in all", after, page.Total)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(all) != 6 {
		t.Errorf("%d by cursor, want 6", len(all))
	}
	if got := c.found("ids=" + all[0] + "," + all[1] + "&ids=" + all[2]); len(got) != 3 {
		t.Errorf("by ids: %q", got)
	}
	c.want("GET", "/images?file=cat2.jpg&select=file,data.deep", "", 200, `"images":[{"data":{"deep":{"odd":false}},"file":"cat2.jpg","id":"`)
	if got := c.want("GET", "/images?file=cat2.jpg&select=-data.deep,-url", "", 200); bytes.Contains(got.body, []byte(`"url"`)) || !bytes.Contains(got.body, []byte(`"data":{"n":2,"s":"v1"}`)) {
		t.Errorf("without url and data.deep: %s", got.body)
	}
	c.want("GET", "/images/fields", "", 200, `{"fields":["deep","n","s"]}`)
	c.want("GET", "/images/fields/s?tag=home", "", 200, `{"values":["v0","v1"]}`)
	c.want("GET", "/images/fields/name", "", 200, `{"values":["Tim","Tom"]}`)
	if got := into[struct{ Images []storedImage }](t, c.want("GET", "/images/public?limit=5", "", 200)); len(got.Images) != 5 || got.Images[0].File != "cat4.jpg" {
		t.Errorf("public ones: %+v", got)
	}
}

func testImageChanges(c caller) {
	t := c.t
	id := into[struct{ Images []storedImage }](t, c.want("GET", "/images?file=cat0.jpg", "", 200)).Images[0].ID
	changed := into[storedImage](t, c.want("PATCH", "/images/"+id, `{"set": {"deep.x": [1, {"b": 2, "a": 1}], "new": 12345678901234567890}, "unset": ["s"], "name": "Zoe", "tags": ["z"], "file": "zoe.jpg", "private": true}`, 200,
		`"deep":{"odd":false,"x":[1,{"b":2,"a":1}]}`, `"new":12345678901234567890`))
	if changed.Name != "Zoe" || changed.File != "zoe.jpg" || !changed.Private || fmt.Sprint(changed.Tags) != "[z]" || changed.Data["s"] != nil {
		t.Errorf("%+v", changed)
	}
	if got := c.get("/" + id + ".jpg"); got.status != 404 {
		t.Errorf("made private: %d", got.status)
	}
	c.want("PATCH", "/images/"+id, `{"file": "cat1.jpg"}`, 409)
	c.want("PATCH", "/images?tag=home", `{"set": {"bulk": true}, "add_tags": ["more"]}`, 200, `{"matched":2,"changed":2,"failed":[]}`)
	c.want("PATCH", "/images?tag=home", `{"set": {"bulk": true}}`, 200, `{"matched":2,"changed":0,"failed":[]}`)
	if got := c.found("tag=more"); len(got) != 2 {
		t.Errorf("bulk: %q", got)
	}
	c.want("PATCH", "/images?all=true", `{"private": true}`, 200, `{"matched":6,"changed":4,"failed":[]}`)
	c.want("PATCH", "/images?filter={%22private%22:true}", `{"private": false, "set": {"shown": 1}}`, 200, `{"matched":6,"changed":6,"failed":[]}`)
	if got := c.get("/" + id + ".jpg"); got.status != 200 {
		t.Errorf("made public: %d", got.status)
	}
}

// testImageNumbers brings pictures in by signed PUTs, and confirms them by id.
func testImageNumbers(c caller) {
	t := c.t
	given := into[struct {
		Uploads []struct {
			ID  string
			Put *way
		}
	}](t, c.want("POST", "/images/uploads", `{"count": 5, "policy": {"max_bytes": 100000, "tags": ["many"]}}`, 200)).Uploads
	if len(given) != 5 {
		t.Fatalf("%d uploads, want 5", len(given))
	}
	// What is sent is not what is stored: the place is taken out of it.
	tagged := testimage.WithGPS(testimage.JPEG(testimage.Photo(50, 30, 3), 80), 1)
	plain := testimage.PNG(testimage.Photo(20, 10, 4))
	for i, body := range [][]byte{tagged, plain, []byte("no picture at all"), plain} {
		got := c.use(given[i].Put, body)
		if i != 2 && got.status >= 300 {
			t.Fatalf("PUT %d: %d %s", i, got.status, got.body)
		}
	}
	one := func(i int, md5, more string) string {
		return fmt.Sprintf(`{"id": %q, "md5": %q%s}`, given[i].ID, md5, more)
	}
	body := `{"images": [` + strings.Join([]string{
		one(0, sumOf(tagged), `, "name": "Trip", "private": true, "data": {"by": "me"}, "tags": ["x"]`), one(1, sumOf(tagged), ""), one(2, sumOf([]byte("no picture at all")), ""),
		one(3, sumOf(plain), ""), one(4, sumOf(plain), ""), `{"id": "never"}`}, ",") + `]}`
	for range 2 { // it may be repeated
		results := into[struct {
			Results []struct {
				ID      string
				Image   *storedImage
				Problem *struct{ Status int }
			}
		}](t, c.want("POST", "/images/confirm", body, 207)).Results
		var statuses []int
		for _, r := range results {
			status := 200
			if r.Problem != nil {
				status = r.Problem.Status
			}
			statuses = append(statuses, status)
		}
		refused := statuses[2] // the edge has said so already where it takes the PUT; S3 takes anything
		if diff := cmp.Diff([]int{200, 404, refused, 200, 404, 404}, statuses); diff != "" || refused != 404 && refused != 415 {
			t.Errorf("%d %s", refused, diff)
		}
		if got := results[0].Image; got == nil || got.Name != "Trip" || !got.Private || fmt.Sprint(got.Data, got.Tags) != "map[by:me] [x]" {
			t.Errorf("the first: %+v", got)
		}
	}
	if got := c.get("/" + given[0].ID + ".jpg"); got.status != 404 {
		t.Errorf("private: %d", got.status)
	}
	c.want("GET", "/images/"+given[1].ID, "", 404)
	c.want("POST", "/images/confirm", `{"images": [`+one(1, strings.ToUpper(sumOf(plain)), "")+`]}`, 200, `"tags":["many"]`)
	c.want("POST", "/images/confirm", `{"images": []}`, 400, "images")
	c.want("POST", "/images/uploads", `{"count": 0}`, 400, "count")
	c.want("POST", "/images/uploads", `{"count": 1001}`, 400, "count")
}

func testImageDeletions(c caller, photo []byte) {
	t := c.t
	c.want("DELETE", "/images?tag=away", "", 200, `{"matched":3,"deleted":3,"failed":[]}`)
	c.want("DELETE", "/images?tag=away", "", 200, `{"matched":0,"deleted":0,"failed":[]}`)
	const many = 130 // more than a page of work
	for i := range many {
		got := c.ask("POST", fmt.Sprintf("/images?data.batch=b&file=b%d", i), photo)
		if got.status != 201 {
			t.Fatalf("%d: %d %s", i, got.status, got.body)
		}
	}
	c.want("DELETE", "/images?data.batch=b", "", 200, fmt.Sprintf(`{"matched":%d,"deleted":%d,"failed":[]}`, many, many))
	left := c.found("")
	if len(left) != 6 { // three that were changed, three that came in numbers
		t.Errorf("left: %q", left)
	}
	c.want("DELETE", "/images?all=true", "", 200, `"matched":6,"deleted":6`)
	c.want("GET", "/images", "", 200, `"total":0`)
}
