package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"
)

// breakOff sends a request that is not whole, ends its half of the connection, and returns the status of the answer.
func (d *daemon) breakOff(head string, body []byte) int {
	d.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(d.edge, "http://"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // nothing was promised to the server
	_, err = c.Write(append([]byte(head), body...))
	if err := errors.Join(err, c.(*net.TCPConn).CloseWrite(), c.SetReadDeadline(time.Now().Add(20*time.Second))); err != nil {
		d.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	_ = answer.Body.Close() // its status is all that is wanted
	return answer.StatusCode
}

// TestBrokenUpload: an upload whose connection ends before its body does is refused even where what has come is a whole picture, as
// with those that carry a film or a second picture behind their end; nothing of it is served, and its token is good for all of it.
func TestBrokenUpload(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--access-log", "errors", "--namespaces", "ns", "--open-uploads")
	picture := testimage.JPEG(testimage.Photo(800, 600, 1), 90)
	whole := slices.Concat(picture, make([]byte, 300<<10))
	sent := whole[:len(picture)+(100<<10)]
	for name, framed := range map[string]struct {
		header string
		body   []byte
	}{
		"length": {fmt.Sprintf("Content-Length: %d", len(whole)), sent},
		"chunks": {"Transfer-Encoding: chunked", fmt.Appendf(nil, "%x\r\n%s\r\n", len(sent), sent)},
	} {
		token, _ := d.token(name, false)
		head := "PUT /" + name + " HTTP/1.1\r\nHost: x\r\nX-Token: " + token + "\r\n" + framed.header + "\r\n\r\n"
		if status := d.breakOff(head, framed.body); status != 400 {
			t.Errorf("%s: answered %d, want 400", name, status)
		}
		if got := d.get("/" + name + ".jpg"); got.status != 404 {
			t.Errorf("%s: a part of it is served: %d", name, got.status)
		}
		if status := d.raw("PUT", "/"+name, token, string(whole)); status != 201 {
			t.Errorf("%s: the whole with the same token: %d", name, status)
		}
		if status := d.breakOff("POST /ns HTTP/1.1\r\nHost: x\r\n"+framed.header+"\r\n\r\n", framed.body); status != 400 {
			t.Errorf("%s: answered %d in a namespace, want 400", name, status)
		}
	}
}

// TestFormFlood: forms that never come to their picture, from strangers without a token, are given up early: they take neither the
// server's memory nor its time.
func TestFormFlood(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--access-log", "errors")
	d.upload("cat", testimage.PNG(testimage.Photo(40, 30, 1)), false)
	d.mustGet("/cat_10_10.png")
	grown := d.growth()
	filler := bytes.Repeat([]byte("x"), 9<<20)
	for name, begin := range map[string]string{"a header": "--B\r\nX: ", "a part": "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n"} {
		var wait sync.WaitGroup
		for range 30 {
			wait.Go(func() {
				c, err := net.Dial("tcp", strings.TrimPrefix(d.edge, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = c.Close() }() // nothing was promised to the server
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				_, _ = fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n%s", 1<<30, begin)
				_, _ = c.Write(filler) // it may be refused before all is sent
				answer, err := io.ReadAll(c)
				if err == nil && !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
					t.Errorf("%s: answered %.60q", name, answer)
				}
			})
		}
		wait.Wait()
	}
	if most := grown(); most > 100<<20 {
		t.Errorf("memory has grown by %d MB", most>>20)
	}
}
