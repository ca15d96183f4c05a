package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	forms "mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
	"deckle/signature"
)

// exchange is a request to an endpoint of another system and its answer, exact to the byte. differs says where the answer is not
// the one of that system, and why; docs/compat.md lists the same.
type exchange struct {
	name, method, target string
	body                 string
	header               []string // pairs
	status               int
	media, want          string // Content-Type and body; want may be empty
	says                 string // what the body holds, where its other words are ours
	differs              string
}

func (x exchange) run(t *testing.T, d *daemon) {
	t.Run(x.name, func(t *testing.T) {
		var body io.Reader
		if x.body != "" {
			body = strings.NewReader(x.body)
		}
		got := request(x.method, d.edge+x.target, body, x.header...)
		if got.err != nil || got.status != x.status {
			t.Fatalf("%d %v, want %d: %.300q", got.status, got.err, x.status, got.body)
		}
		if media := got.header.Get("Content-Type"); media != x.media {
			t.Errorf("Content-Type %q, want %q", media, x.media)
		}
		if x.says == "" && string(got.body) != x.want || !strings.Contains(string(got.body), x.says) {
			t.Errorf("body %.300q, want %q", got.body, x.want+x.says)
		}
	})
}

const (
	asIndented = "application/json; charset=UTF-8"
	asText     = "text/plain; charset=utf-8"
	asCompact  = "application/json; charset=utf-8"
)

// hashedPath is where image-server puts a picture.
func hashedPath(namespace string, picture []byte) string {
	sum := md5.Sum(picture)
	h := hex.EncodeToString(sum[:])
	return "/" + namespace + "/" + h[:3] + "/" + h[3:6] + "/" + h[6:9] + "/" + h[9:]
}

func indentedFacts(picture []byte, width, height int, media string) string {
	return fmt.Sprintf("{\n  \"hash\": \"%x\",\n  \"height\": %d,\n  \"width\": %d,\n  \"content_type\": %q\n}\n", md5.Sum(picture), height, width, media)
}

// TestImageServer goes through the endpoints of image-server.
func TestImageServer(t *testing.T) {
	photo := testimage.JPEG(testimage.Photo(80, 60, 1), 85)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/photo.jpg" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(photo) // whoever asked may be gone
	}))
	defer upstream.Close()
	d := start(t, "--data", t.TempDir(), "--compat", "image-server", "--open-uploads",
		"--allow-upstream", "127.0.0.0/8", "--source-ports", upstream.URL[strings.LastIndexByte(upstream.URL, ':')+1:])
	img, absent := hashedPath("photos", photo), hashedPath("photos", []byte("absent"))
	facts := indentedFacts(photo, 80, 60, "image/jpeg")
	wart4 := "image-server answers 404 to whatever goes wrong (wart 4)"
	for _, x := range []exchange{
		{name: "upload", method: "POST", target: "/photos", body: string(photo), status: 200, media: asIndented, want: facts},
		{name: "the same bytes again", method: "POST", target: "/photos", body: string(photo), status: 200, media: asIndented, want: facts},
		{name: "with outputs", method: "POST", target: "/other?outputs=x20.jpg,w40-q50.webp", body: string(photo), status: 200, media: asIndented, want: facts},
		{name: "by URL", method: "POST", target: "/web?source=" + upstream.URL + "/photo.jpg", status: 200, media: asIndented, want: facts},
		{name: "by a URL of nothing", method: "POST", target: "/web?source=" + upstream.URL + "/no.jpg", status: 404, media: asIndented, says: `"error": `},
		{name: "an empty body", method: "POST", target: "/photos", status: 400, media: asIndented, says: `"error": "No picture was sent`, differs: wart4},
		{name: "no picture", method: "POST", target: "/photos", body: "<b>text</b>", status: 415, media: asIndented, says: `"error": `, differs: wart4},
		{name: "a crop that is none", method: "POST", target: "/photos?outputs=x20.jpg,c1_2_3_4.jpg", body: string(photo), status: 400, media: asIndented,
			says: `"error": "c1_2_3_4.jpg: invalid crop: `},
		{name: "an output that is none", method: "POST", target: "/photos?outputs=cat.jpg", body: string(photo), status: 404, media: asIndented,
			says: `"error": "A variant is named`, differs: "image-server stores any bytes under any name (wart 8)"},

		{name: "info.json", method: "GET", target: img + "/info.json", status: 200, media: "application/json",
			want: fmt.Sprintf(`{"hash":"%x","height":60,"width":80,"content_type":"image/jpeg"}`, md5.Sum(photo))},
		{name: "info.json of nothing", method: "GET", target: absent + "/info.json", status: 404, media: asIndented, says: `"error": "There is no picture`},
		{name: "a variant of nothing", method: "GET", target: absent + "/x20.jpg", status: 404, media: asIndented, want: "{\n  \"error\": \"There is no picture of that id.\"\n}\n"},
		{name: "an extension that is none", method: "GET", target: img + "/x20.zzz", status: 404, media: asText, want: "404 image not available. Not Found"},
		{name: "a name that is none", method: "GET", target: img + "/custom.jpg", status: 404, media: asText, want: "404 image not available. Not Found",
			differs: "image-server makes a copy under that name (warts 7, 8)"},
		{name: "the original by its name", method: "GET", target: img + "/original", status: 404, media: asText, want: "404 image not available. Not Found",
			differs: "image-server serves its files (wart 1)"},
		{name: "a bad crop", method: "GET", target: img + "/c0.5_0_1_1.jpg", status: 400, media: asIndented, says: `"error": "invalid crop: `},
		{name: "a file beside it", method: "POST", target: img + "/notes.txt", body: "x", status: 403, media: asIndented, says: `"error": "Files beside a picture`,
			differs: "image-server lets anybody overwrite what it serves (wart 3)"},

		{name: "process", method: "POST", target: img + "/process?outputs=x30.jpg,x30.webp", status: 200},
		{name: "process nothing", method: "POST", target: img + "/process", status: 200},
		{name: "process what is not there", method: "POST", target: absent + "/process?outputs=x30.jpg", status: 404, media: asIndented, says: `"error": `, differs: wart4},
		{name: "process a bad crop", method: "POST", target: img + "/process?outputs=c0.5_0_1_1.jpg", status: 400, media: asIndented, says: "c0.5_0_1_1.jpg: invalid crop: "},

		{name: "status", method: "GET", target: "/status_check", status: 200, media: asIndented, want: "{\n  \"message\": \"OK\"\n}\n"},
		{name: "status by another method", method: "PUT", target: "/status_check", status: 200, media: asIndented, want: "{\n  \"message\": \"OK\"\n}\n"},
		{name: "an upload to the status", method: "POST", target: "/status_check", body: string(photo), status: 403, media: "application/problem+json", says: "token",
			differs: "status_check is no namespace (wart 16)"},
		{name: "a namespace in capitals", method: "POST", target: "/Photos", body: string(photo), status: 403, media: "application/problem+json", says: "token",
			differs: "it is a picture's id here, which takes uploads with a token"},
		{name: "an unknown path", method: "GET", target: "/a/b/c", status: 404, media: "application/problem+json", says: "extension",
			differs: "all paths are ids of pictures here"},
	} {
		x.run(t, d)
	}
	for name, want := range map[string]string{
		"x20.jpg": "jpeg 20x20", "40x20-q70.webp": "webp 40x20", "w40.png": "png 40x30", "full_size-q30.jpg": "jpeg 80x60", "full_size.jpg": "jpeg 80x60",
		"x20": "jpeg 20x20", "100x0.jpg": "jpeg 80x60", "c0.000_0.000_0.500_1.000.jpg": "jpeg 40x60", "c0.000_0.000_0.500_1.000-w20.png": "png 20x30",
		"120x120.jpg": "jpeg 120x120",
	} {
		format, width, height := d.mustGet(img + "/" + name).size(t)
		if got := fmt.Sprintf("%s %dx%d", format, width, height); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for _, ready := range []string{"/other" + strings.TrimPrefix(img, "/photos") + "/x20.jpg", img + "/x30.webp"} {
		d.mustGet(ready, "memory")
	}
	if whole := d.mustGet(img + "/full_size.jpg").body; !bytes.Equal(whole, photo) {
		t.Error("the stored bytes are others than those that were sent")
	}
	if head := request("HEAD", d.edge+img+"/x20.jpg", nil); head.status != 200 || head.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	if _, ok := d.log.await("--open-uploads is set", time.Minute); !ok {
		t.Error("nobody is told that uploads are open")
	}
}

// TestImageServerSigned holds the bodies of refused signatures, in the order in which faults are looked for.
func TestImageServerSigned(t *testing.T) {
	photo := testimage.JPEG(testimage.Photo(80, 60, 2), 85)
	d := start(t, "--data", t.TempDir(), "--compat", "image-server", "--signed", "all", "--signing-secrets", signSecret)
	now := time.Now()
	sign := func(method, path, scope string, until time.Duration) string {
		return signature.Query(signSecret, method, path, scope, now.Add(until))
	}
	refused := func(code, text string) string { return fmt.Sprintf("{\"error\":%q,\"message\":%q}\n", code, text) }
	img := hashedPath("photos", photo)
	upload := func(name, query string, status int, media, want string) exchange {
		return exchange{name: name, method: "POST", target: "/photos?" + query, body: string(photo), status: status, media: media, want: want}
	}
	for _, x := range []exchange{
		upload("unsigned", "", 401, "application/json", refused("MissingSignature", "Request must include X-Signature and X-Expires parameters")),
		upload("no time", "X-Signature=x&X-Expires=soon", 401, "application/json", refused("InvalidExpires", "Invalid expiration timestamp")),
		upload("over", sign("POST", "/photos", "", -time.Minute), 401, "application/json", refused("SignatureExpired", "The provided signature has expired")),
		upload("too long", sign("POST", "/photos", "", 3*time.Hour), 401, "application/json", refused("SignatureTTLExceeded", "Signature expiration exceeds maximum allowed TTL")),
		upload("another path", sign("POST", "/photos", "/photosxyz", time.Minute), 401, "application/json", refused("InvalidPath", "Request path does not match signed path")),
		upload("another method", sign("GET", "/photos", "", time.Minute), 401, "application/json", refused("InvalidSignature", "The request signature does not match")),
		upload("signed", sign("POST", "/photos", "", time.Minute), 200, asIndented, indentedFacts(photo, 80, 60, "image/jpeg")),
		{name: "an unsigned read", method: "GET", target: img + "/x20.jpg", status: 401, media: "application/json",
			want: refused("MissingSignature", "Request must include X-Signature and X-Expires parameters")},
		{name: "an unsigned info.json", method: "GET", target: img + "/info.json", status: 401, media: "application/json",
			want: refused("MissingSignature", "Request must include X-Signature and X-Expires parameters")},
		{name: "an unsigned process", method: "POST", target: img + "/process?outputs=x20.jpg", status: 401, media: "application/json",
			want: refused("MissingSignature", "Request must include X-Signature and X-Expires parameters")},
		{name: "a signed process", method: "POST", target: img + "/process?outputs=x20.jpg&" + sign("POST", img+"/process", "/photos", time.Minute), status: 200},
	} {
		x.run(t, d)
	}
	d.mustGet(img + "/x20.jpg?" + sign("GET", img+"/x20.jpg", img, time.Minute))
	d.mustGet(img + "/w20.jpg?" + sign("GET", img+"/w20.jpg", "", time.Minute))
}

// form is a multipart form of files, by the names of their parts.
func form(t *testing.T, files ...string) (body string, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := forms.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		part, err := w.CreateFormFile(files[i], "holiday.jpg")
		if err == nil {
			_, err = io.WriteString(part, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

const c2cSecret = "the secret of c2c in these tests"

// c2cUpload uploads a picture as a client of c2c_images and returns its key.
func (d *daemon) c2cUpload(picture []byte) string {
	d.t.Helper()
	body, contentType := form(d.t, "file", string(picture))
	got := request("POST", d.edge+"/upload", strings.NewReader(body), "Content-Type", contentType)
	match := regexp.MustCompile(`^\{"success":true,"filename":"(\d{10}_\d{10}\.(jpg|png|gif|svg))"\}$`).FindSubmatch(got.body)
	if got.status != 200 || match == nil || got.header.Get("Content-Type") != asCompact {
		d.t.Fatalf("upload: %d %v %s", got.status, got.header, got.body)
	}
	return string(match[1])
}

// c2cPost calls an endpoint with JSON.
func (d *daemon) c2cPost(path string, fields map[string]any) reply {
	d.t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		d.t.Fatal(err)
	}
	return request("POST", d.edge+path, bytes.NewReader(body), "Content-Type", "application/json")
}

// TestC2CLife: a picture is uploaded, published, turned and deleted, and is served from its publication to its deletion.
func TestC2CLife(t *testing.T) {
	server := testserver.S3(t)
	server.SetCredentials(t)
	for name, args := range map[string][]string{"files": nil, "S3": {"--origin", server.URL(server.Bucket(t))}} {
		t.Run(name, func(t *testing.T) {
			testC2CLife(t, start(t, append([]string{"--data", t.TempDir(), "--compat", "c2c", "--open-uploads", "--c2c-secret", c2cSecret}, args...)...))
		})
	}
}

func testC2CLife(t *testing.T, d *daemon) {
	key := d.c2cUpload(testimage.JPEG(testimage.Photo(80, 60, 3), 85))
	id := strings.TrimSuffix(key, ".jpg")
	if got := d.get("/" + key); got.status != 404 {
		t.Errorf("before it is published: %d", got.status)
	}
	ok := func(path, want string, fields map[string]any) string {
		t.Helper()
		fields["secret"] = c2cSecret
		got := d.c2cPost(path, fields)
		match := regexp.MustCompile(`^` + want + `$`).FindSubmatch(got.body)
		if got.status != 200 || match == nil || got.header.Get("Content-Type") != asCompact {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return string(match[len(match)-1])
	}
	for range 2 { // publishing again changes nothing
		ok("/publish", `{"success":true}`, map[string]any{"filename": key})
	}
	for name, want := range map[string]string{
		"/" + key: "jpeg 80x60", "/" + id + "BI.jpg": "jpeg 80x60", "/" + id + "MI.webp": "webp 80x60", "/" + id + "SI.jpg": "jpeg 200x200",
	} {
		format, width, height := d.mustGet(name).size(t)
		if got := fmt.Sprintf("%s %dx%d", format, width, height); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if media := d.mustGet("/" + id + "MI.avif").header.Get("Content-Type"); media != "image/avif" {
		t.Errorf("an AVIF is %s", media)
	}
	turned := ok("/rotate", `{"success":true,"filename":"(\d{10}_\d{10}\.jpg)"}`, map[string]any{"filename": key, "rotation": "-90"})
	if _, width, height := d.mustGet("/" + strings.TrimSuffix(turned, ".jpg") + "BI.jpg").size(t); width != 60 || height != 80 {
		t.Errorf("turned it is %dx%d", width, height)
	}
	for _, gone := range []string{"/" + key, "/" + id + "MI.webp"} {
		if got := d.get(gone); got.status != 404 {
			t.Errorf("%s after it was turned: %d", gone, got.status)
		}
	}
	ok("/delete", `{"success":true}`, map[string]any{"filenames": []string{turned, key}})
	if got := d.get("/" + strings.TrimSuffix(turned, ".jpg") + "BI.jpg"); got.status != 404 {
		t.Errorf("after it was deleted: %d", got.status)
	}
	png := d.c2cUpload(testimage.PNG(testimage.Photo(8, 6, 3)))
	if !strings.HasSuffix(png, ".png") {
		t.Errorf("a PNG named holiday.jpg is %s", png)
	}
}

// TestC2C goes through the answers of c2c_images.
func TestC2C(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--compat", "c2c", "--open-uploads", "--c2c-secret", c2cSecret, "--max-source-bytes", "100KB")
	photo := string(testimage.JPEG(testimage.Photo(80, 60, 4), 85))
	const unknown = "1795288247_3434917671.jpg"
	post := func(name, path, body string, status int, want string) exchange {
		media := asText
		if status == 200 {
			media = asCompact
		}
		return exchange{name: path + " " + name, method: "POST", target: path, body: body, header: []string{"Content-Type", "application/json"}, status: status, media: media, want: want}
	}
	with := func(fields string) string { return `{"secret":"` + c2cSecret + `"` + fields + `}` }
	upload := func(name string, status int, want, differs string, files ...string) exchange {
		body, contentType := form(t, files...)
		return exchange{name: "/upload " + name, method: "POST", target: "/upload", body: body, header: []string{"Content-Type", contentType}, status: status, media: asText, want: want, differs: differs}
	}
	wart2 := func(x exchange) exchange {
		x.differs = "c2c_images answers 500 to what the client did wrong (wart 2)"
		return x
	}
	formed := func(x exchange) exchange {
		x.header[1] = "application/x-www-form-urlencoded"
		return x
	}
	plain := func(name, method, path string, status int, media, want string) exchange {
		return exchange{name: name, method: method, target: path, status: status, media: media, want: want}
	}
	expected := "Bad parameter rotation: Expected '-90' | '90' | '180', received "
	for _, x := range []exchange{
		plain("ping", "GET", "/ping", 200, asText, "Pong!"),
		plain("ping by HEAD", "HEAD", "/ping", 200, asText, ""),
		plain("ping in capitals", "GET", "/PING/", 200, asText, "Pong!"),
		plain("a wrong method", "GET", "/publish", 405, asText, "Method Not Allowed"),
		plain("another one", "PATCH", "/ping", 405, asText, "Method Not Allowed"),
		plain("a strange method", "PROPFIND", "/upload", 501, asText, "Not Implemented"),

		{name: "/upload no form", method: "POST", target: "/upload", body: photo, status: 400, media: asText, want: "Missing parameters. Expected values are { file }"},
		upload("no file", 400, "Missing parameters. Expected values are { file }", "500 there (wart 2)", "other", photo),
		upload("an empty file", 400, "Bad parameter file: Invalid input.", "", "file", ""),
		upload("two files", 400, "Bad parameter file: Invalid input.", "", "file", photo, "file", photo),
		upload("no picture", 400, "Unsupported image format.", "", "file", "<b>text</b>"),
		upload("a WebP", 400, "Unsupported image format.", "", "file", "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"),
		upload("a broken picture", 422, "The picture's bytes are broken.", "500 there (wart 2)", "file", photo[:20]),
		upload("a long file", 413, "The picture has more bytes than are accepted.", "500 there (wart 2)", "file", photo+strings.Repeat("x", 100_000)),

		post("without a body", "/publish", "", 401, "Missing secret key."),
		post("without a secret", "/publish", `{"filename":"`+unknown+`"}`, 401, "Missing secret key."),
		post("with another secret", "/publish", `{"secret":"guess"}`, 403, "Bad secret key."),
		post("with a number", "/delete", `{"secret":7}`, 403, "Bad secret key."),
		post("with null", "/rotate", `{"secret":null}`, 403, "Bad secret key."),
		post("with a list", "/publish", `["secret"]`, 403, "Bad secret key."),
		wart2(post("broken", "/publish", `{secret}`, 400, "The body cannot be read as its Content-Type.")),
		wart2(post("a scalar", "/publish", `7`, 400, "invalid JSON, only supports object and array")),
		wart2(post("long", "/publish", `"`+strings.Repeat("x", 1<<20)+`"`, 413, "request entity too large")),
		{name: "a secret in the query", method: "POST", target: "/publish?secret=" + strings.ReplaceAll(c2cSecret, " ", "+"), status: 401, media: asText, want: "Missing secret key."},

		post("no filename", "/publish", with(""), 400, "Bad parameter filename: Required."),
		post("a number", "/publish", with(`,"filename":7`), 400, "Bad parameter filename: Expected string, received number."),
		post("no key", "/publish", with(`,"filename":"cat.jpg"`), 400, "Bad parameter filename: Invalid input."),
		post("unknown", "/publish", with(`,"filename":"`+unknown+`"`), 404, "Unknown image."),
		formed(post("a form", "/publish", "secret="+strings.ReplaceAll(c2cSecret, " ", "+")+"&filename="+unknown, 404, "Unknown image.")),

		post("no filenames", "/delete", with(""), 400, "Bad parameter filenames: Invalid input."),
		post("no keys", "/delete", with(`,"filenames":[]`), 400, "Bad parameter filenames: Array must contain at least 1 element(s)."),
		post("a bad key", "/delete", with(`,"filenames":["`+unknown+`","x"]`), 400, "Bad parameter filenames: Invalid input."),
		post("an unknown key", "/delete", with(`,"filenames":"`+unknown+`"`), 200, `{"success":true}`),

		post("by 45", "/rotate", with(`,"filename":"`+unknown+`","rotation":"45"`), 400, "Bad parameter rotation: Invalid enum value. Expected '-90' | '90' | '180', received '45'."),
		post("by yes", "/rotate", with(`,"filename":"`+unknown+`","rotation":true`), 400, expected+"boolean."),
		post("two faults", "/rotate", with(`,"rotation":null`), 400, expected+"null.\nBad parameter filename: Required."),
		post("an SVG", "/rotate", with(`,"filename":"1795288247_3434917671.svg"`), 400, "SVG images rotation is not supported."),
		post("unknown", "/rotate", with(`,"filename":"`+unknown+`","rotation":"180"`), 404, "Not found"),
	} {
		x.run(t, d)
	}
	suffixed := post("a suffix", "/publish", with(`,"filename":"1795288247_3434917671BI.jpg"`), 400, "Bad parameter filename: Invalid input.")
	suffixed.differs = "c2c_images makes an original of a thumbnail (wart 6)"
	suffixed.run(t, d)
	number := post("by a number", "/rotate", with(`,"filename":"`+unknown+`","rotation":90`), 404, "Not found")
	number.differs = "c2c_images wants text (wart 12)"
	number.run(t, d)
	if got := request("GET", d.edge+"/upload", nil); got.header.Get("Allow") != "POST" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
	if got := request("POST", d.edge+"/ping", nil); got.header.Get("Allow") != "HEAD, GET" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
}

// TestC2CClosed: nobody uploads, publishes, turns or deletes unless the configuration says who.
func TestC2CClosed(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--compat", "c2c", "--upload-keys", "a-key-for-uploads-of-tests", "--allowed-origins", "https://good.example")
	body, contentType := form(t, "file", string(testimage.JPEG(testimage.Photo(80, 60, 4), 85)))
	upload := func(header ...string) reply {
		return request("POST", d.edge+"/upload", strings.NewReader(body), append([]string{"Content-Type", contentType}, header...)...)
	}
	for _, header := range [][]string{nil, {"Authorization", "Bearer guess"}, {"X-API-Key", ""}} {
		if got := upload(header...); got.status != 401 || got.header.Get("Content-Type") != asText {
			t.Errorf("%v: %d %s", header, got.status, got.body)
		}
	}
	for _, header := range [][]string{{"Authorization", "Bearer a-key-for-uploads-of-tests"}, {"X-API-Key", "a-key-for-uploads-of-tests"}} {
		if got := upload(header...); got.status != 200 {
			t.Errorf("%v: %d %s", header, got.status, got.body)
		}
	}
	for path := range map[string]bool{"/publish": true, "/rotate": true, "/delete": true} {
		if got := d.c2cPost(path, map[string]any{"secret": ""}); got.status != 403 || string(got.body) != "Bad secret key." {
			t.Errorf("%s without a configured secret: %d %s", path, got.status, got.body)
		}
	}
	preflight := func(origin string) reply {
		return request("OPTIONS", d.edge+"/upload", nil, "Origin", origin, "Access-Control-Request-Method", "POST")
	}
	good := preflight("https://good.example")
	want := map[string]string{
		"Access-Control-Allow-Origin": "https://good.example", "Access-Control-Max-Age": "1728000", "Access-Control-Allow-Methods": "GET,POST",
		"Access-Control-Allow-Headers": "Origin,Content-Type,Accept,Authorization", "Vary": "Origin",
	}
	for name, value := range want {
		if got := good.header.Get(name); got != value || good.status != 204 {
			t.Errorf("preflight: %d, %s is %q, want %q", good.status, name, got, value)
		}
	}
	if bad := preflight("https://bad.example"); bad.status != 200 || bad.header.Get("Access-Control-Allow-Origin") != "" || bad.header.Get("Allow") != "POST" {
		t.Errorf("preflight of another site: %d %v", bad.status, bad.header)
	}
}
