package proxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"deckle/ingest"
	"deckle/origin"
	"deckle/transform"

	"github.com/google/go-cmp/cmp"
)

func form(t *testing.T, parts ...string) (body io.Reader, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		part, err := w.CreateFormFile(parts[i], "cat.jpg")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, parts[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, w.FormDataContentType()
}

func TestUpload(t *testing.T) {
	e := newEdge(t)
	big := strings.Repeat("x", 3<<20) // beyond what is read before the handler runs
	small, smallType := form(t, "image", "bytes")
	large, largeType := form(t, "note", "first", "image", big, "after", "ignored")
	tests := []struct {
		name, target string
		body         io.Reader
		contentType  string
		want         ingest.Upload
		received     string
	}{
		{"raw", "/cat", strings.NewReader("bytes"), "image/jpeg", ingest.Upload{ID: "cat"}, "bytes"},
		{"raw and large", "/cat.jpg", strings.NewReader(big), "", ingest.Upload{ID: "cat"}, big},
		{"form", "/a/b.webp", small, smallType, ingest.Upload{ID: "a/b"}, "bytes"},
		{"large form", "/cat_300_200.png", large, largeType, ingest.Upload{ID: "cat_300_200"}, big},
		{"crop", "/cat?x=1&y=2&width=3&height=4", strings.NewReader("bytes"), "", ingest.Upload{ID: "cat", Crop: transform.Crop{X: 1, Y: 2, W: 3, H: 4}}, "bytes"},
		{"chunked", "/cat", io.MultiReader(strings.NewReader("by"), strings.NewReader("tes")), "", ingest.Upload{ID: "cat"}, "bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := e.send("POST", test.target, test.body, "X-Token", "secret", "Content-Type", test.contentType)
			got.want(t, 200, "Content-Type", "application/json", "Cache-Control", "no-store")
			test.want.Token = "secret"
			e.uploads.mu.Lock()
			defer e.uploads.mu.Unlock()
			e.uploads.upload.Body = nil
			if diff := cmp.Diff(test.want, e.uploads.upload); diff != "" {
				t.Error(diff)
			}
			if string(e.uploads.body) != test.received {
				t.Errorf("%d bytes were received, want %d", len(e.uploads.body), len(test.received))
			}
			var said map[string]any
			if err := json.Unmarshal([]byte(got.body), &said); err != nil {
				t.Fatal(err)
			}
			if said["status"] != "OK" || said["id"] != test.want.ID || said["original_height"] != 5.0 || said["original_width"] != 7.0 {
				t.Errorf("answer %s", got.body)
			}
		})
	}
}

// TestPut: a PUT is an upload like another, but for its status.
func TestPut(t *testing.T) {
	e := newEdge(t)
	big := strings.Repeat("x", 3<<20)
	for _, body := range []string{"bytes", big} {
		e.send("PUT", "/shop/cat", strings.NewReader(body), "X-Token", "secret").want(t, 201, "Content-Type", "application/json", "Cache-Control", "no-store")
		e.uploads.mu.Lock()
		if e.uploads.upload.ID != "shop/cat" || e.uploads.upload.Token != "secret" || string(e.uploads.body) != body {
			t.Errorf("%+v, %d bytes", e.uploads.upload, len(e.uploads.body))
		}
		e.uploads.mu.Unlock()
	}
	e.uploads.err = ingest.ErrExists
	e.send("PUT", "/shop/cat", strings.NewReader("x")).want(t, 403, "Content-Type", "application/problem+json")
	e.send("PUT", "/token", strings.NewReader("x")).want(t, 404)
}

func TestUploadRefused(t *testing.T) {
	e := newEdge(t)
	noImage, noImageType := form(t, "picture", "bytes")
	tests := []struct {
		name, target, contentType string
		body                      io.Reader
		err                       error
		status                    int
	}{
		{"bad id", "/%2e%2e/cat", "", strings.NewReader("x"), nil, 404},
		{"reserved", "/token", "", strings.NewReader("x"), nil, 404},
		{"no image part", "/cat", noImageType, noImage, nil, 400},
		{"no boundary", "/cat", "multipart/form-data", strings.NewReader("x"), nil, 400},
		{"half a crop", "/cat?x=1", "", strings.NewReader("x"), nil, 400},
		{"bad crop", "/cat?x=1&y=1&width=0&height=1", "", strings.NewReader("x"), nil, 400},
		{"bad token", "/cat", "", strings.NewReader("x"), ingest.ErrToken, 403},
		{"used token", "/cat", "", strings.NewReader("x"), ingest.ErrUsed, 403},
		{"exists", "/cat", "", strings.NewReader("x"), ingest.ErrExists, 403},
		{"too large", "/cat", "", strings.NewReader(strings.Repeat("x", 1<<20)), ingest.ErrTooLarge, 413},
		{"too many pixels", "/cat", "", strings.NewReader("x"), transform.ErrLimit, 413},
		{"no picture", "/cat", "", strings.NewReader("x"), transform.ErrUnsupported, 415},
		{"busy", "/cat", "", strings.NewReader("x"), ingest.ErrBusy, 503},
		{"store away", "/cat", "", strings.NewReader("x"), origin.ErrUnavailable, 503},
		{"fault", "/cat", "", strings.NewReader("x"), errors.New("/srv/secret is full"), 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e.uploads.err = test.err
			got := e.send("POST", test.target, test.body, "Content-Type", test.contentType)
			got.want(t, test.status, "Content-Type", "application/problem+json", "Cache-Control", "no-store")
			if strings.Contains(got.body, "secret") {
				t.Errorf("the client is told the cause: %s", got.body)
			}
		})
	}
}

// TestUploadBrokenOff: an upload whose connection ends before its body does is never taken for a whole one, however it is framed.
func TestUploadBrokenOff(t *testing.T) {
	e := newEdge(t)
	e.uploads.err = ingest.ErrExists // of a body that was read to its end
	piece := strings.Repeat("x", 100<<10)
	for name, sent := range map[string]string{
		"within a length":    "Content-Length: 204800\r\n\r\n" + piece,
		"between two chunks": "Transfer-Encoding: chunked\r\n\r\n19000\r\n" + piece + "\r\n",
		"within a chunk":     "Transfer-Encoding: chunked\r\n\r\n20000\r\n" + piece,
		"before its trailer": "Transfer-Encoding: chunked\r\n\r\n19000\r\n" + piece + "\r\n0",
	} {
		if got := e.half(t, "PUT /cat HTTP/1.1\r\nHost: x\r\n"+sent); got == 403 || got < 400 {
			t.Errorf("%s: answered %d, as if the body were whole", name, got)
		}
	}
	for name, sent := range map[string]string{
		"a length": "Content-Length: 102400\r\n\r\n" + piece,
		"chunks":   "Transfer-Encoding: chunked\r\n\r\n19000\r\n" + piece + "\r\n0\r\n\r\n",
	} {
		if got := e.half(t, "PUT /cat HTTP/1.1\r\nHost: x\r\n"+sent); got != 403 {
			t.Errorf("%s, and then no more: answered %d", name, got)
		}
	}
}

// half sends raw bytes, then ends its half of the connection, and returns the status of the answer.
func (e *edge) half(t *testing.T, sent string) int {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, err = io.WriteString(c, sent)
	if err := errors.Join(err, c.(*net.TCPConn).CloseWrite(), c.SetReadDeadline(time.Now().Add(20*time.Second))); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // its status is all that is wanted
	return answer.StatusCode
}

// TestUploadBeside: of a form's other parts and of the headers of its parts a bounded number of bytes is read, whoever sends it.
func TestUploadBeside(t *testing.T) {
	part := "--B\r\nContent-Disposition: form-data; name=\"other\"\r\n"
	picture := "--B\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n" + strings.Repeat("x", 3*maxBeside)
	for name, test := range map[string]struct {
		unit string
		ok   bool
	}{
		"parts": {part + "\r\n\r\n", false}, "a part": {"x", false}, "a header": {"X", false}, "a few parts": {"", true},
	} {
		begin := map[string]string{"a part": part + "\r\n", "a header": "--B\r\nX: ", "a few parts": strings.Repeat(part+"\r\n\r\n", 20) + picture}[name]
		endless := &metered{from: io.MultiReader(strings.NewReader(begin), much(test.unit))}
		found, err := newPictureForm(endless, "B").next("image")
		if (err == nil) != test.ok || !test.ok && !errors.Is(err, errBeside) || endless.n > maxBeside+16<<10 {
			t.Errorf("%s: %v after %d bytes", name, err, endless.n)
		}
		if found == nil {
			continue
		}
		if n, _ := io.CopyN(io.Discard, found, 2*maxBeside); n != 2*maxBeside {
			t.Errorf("%s: %d bytes of the picture", name, n)
		}
	}
	if file, err := fileOf("multipart/form-data; boundary=B", io.MultiReader(
		strings.NewReader(strings.Replace(picture, "image", "file", 1)+"\r\n"), much(part+"\r\n\r\n"))); err != nil {
		t.Error(err)
	} else if _, err := io.Copy(io.Discard, file); !errors.Is(err, errBadFile) {
		t.Errorf("many parts behind the file: %v", err)
	}
}

// metered counts what is read.
type metered struct {
	from io.Reader
	n    int64
}

func (c *metered) Read(to []byte) (int, error) {
	n, err := c.from.Read(to)
	c.n += int64(n)
	return n, err
}

// much is a unit over and over, far beyond what may be read of it; nothing when that is empty.
func much(unit string) io.Reader { return io.LimitReader(&repeated{unit: unit}, 4<<20) }

// repeated is its unit without end.
type repeated struct {
	unit string
	left string
}

func (r *repeated) Read(to []byte) (int, error) {
	if r.unit == "" {
		return 0, io.EOF
	}
	if r.left == "" {
		r.left = r.unit
	}
	n := copy(to, r.left)
	r.left = r.left[n:]
	return n, nil
}

// TestUploadTooSlow: a body that drips is given up, by the clock of the reader and not of the test.
func TestUploadTooSlow(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	body := &incoming{body: strings.NewReader("drip"), conn: near, begin: time.Now().Add(-slowGrace - time.Second), total: 100}
	if _, err := io.ReadAll(body); !errors.Is(err, errSlow) {
		t.Errorf("got %v, want errSlow", err)
	}
	body.begin, body.total = time.Now().Add(-slowGrace-time.Second), 1<<20
	if read, err := io.ReadAll(body); err != nil || string(read) != "drip" {
		t.Errorf("a body that keeps the rate: %q, %v", read, err)
	}
}
