package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/internal/testimage"

	"github.com/google/go-cmp/cmp"
)

// exchange sends bytes as they are and returns all that comes back until the server closes or the time is over, and whether
// it closed.
func (d *daemon) exchange(sent string, within time.Duration) (got []byte, closed bool) {
	d.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(d.edge, "http://"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // nothing was promised to the server
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		d.t.Fatal(err)
	}
	if _, err := io.WriteString(c, sent); err != nil {
		return nil, true // it may have been refused before it was all sent
	}
	got, err = io.ReadAll(c)
	return got, !errors.Is(err, os.ErrDeadlineExceeded)
}

// statusesOf reads every answer in raw bytes. The requests are taken to have been GETs.
func statusesOf(raw []byte) (list []int) {
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return list
		}
		list = append(list, answer.StatusCode)
		_, err = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close() // in memory
		if err != nil {
			return list
		}
	}
}

// hidden is a request that no answer may be given to: whoever stands in front took it for a part of the first one's body, or
// for headers.
const hidden = "GET /robots.txt?hidden HTTP/1.1\r\nHost: x\r\n\r\n"

// smuggling lists first requests whose end can be seen in two ways (TRUST.md threat 13; RFC 9112 sections 2.2, 5, 6, 7.1).
// Each is followed by the hidden request.
func smuggling() map[string]string {
	get, post := "GET /cat_10_10.png HTTP/1.1\r\nHost: x\r\n", "POST /cat HTTP/1.1\r\nHost: x\r\n"
	cases := map[string]string{}
	for _, m := range []struct{ name, head string }{{"GET", get}, {"POST", post}, {"HEAD", "HEAD /cat_10_10.png HTTP/1.1\r\nHost: x\r\n"}} {
		for name, headers := range map[string]string{
			"CL and TE":                "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"TE and CL":                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
			"two TEs":                  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
			"TE list":                  "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
			"TE unknown":               "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
			"TE with a tab":            "Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
			"TE with a space":          "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
			"TE after a line feed":     "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
			"TE folded":                "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
			"TE with NUL":              "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
			"TE quoted":                "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
			"TE with form feed":        "Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n",
			"two different lengths":    "Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
			"two equal lengths":        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
			"a list of lengths":        "Content-Length: 0, 44\r\n\r\n",
			"a signed length":          "Content-Length: +0\r\n\r\n",
			"a negative length":        "Content-Length: -1\r\n\r\n",
			"a hex length":             "Content-Length: 0x0\r\n\r\n",
			"a length too long":        "Content-Length: 99999999999999999999\r\n\r\n",
			"an empty length":          "Content-Length: \r\n\r\n",
			"a length with a space":    "Content-Length : 0\r\n\r\n",
			"a length with NUL":        "Content-Length: 0\x00\r\n\r\n",
			"a length folded":          "Content-Length:\r\n 0\r\n\r\n",
			"a folded header":          "X: y\r\n Content-Length: 44\r\n\r\n",
			"a header that is folded":  "X: y\r\n\tz\r\nContent-Length: 5\r\n\r\nhello",
			"a space before a header":  " Content-Length: 44\r\n\r\n",
			"a bare CR in a header":    "X: y\rContent-Length: 44\r\n\r\n",
			"NUL in a header":          "X: y\x00z\r\n\r\n",
			"a header without a colon": "Content-Length 44\r\n\r\n",
			"no name":                  ": y\r\n\r\n",
			"two hosts":                "Host: y\r\n\r\n",
		} {
			cases[m.name+": "+name] = m.head + headers
		}
	}
	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, body := range map[string]string{
		"a chunk extension with LF": "0;x\ny\r\n\r\n", "a chunk ended by LF": "5\nhello\r\n0\r\n\r\n", "a size in hex with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
		"a signed size": "+5\r\nhello\r\n0\r\n\r\n", "a size with a space": "5 \r\nhello\r\n0\r\n\r\n", "a size too long": "fffffffffffffffff\r\nhello",
		"a chunk without its end": "5\r\nhelloXX0\r\n\r\n", "no size": "\r\nhello\r\n0\r\n\r\n", "a trailer": "0\r\nContent-Length: 44\r\n\r\n",
	} {
		cases["chunked: "+name] = chunked + body
	}
	for name, whole := range map[string]string{
		"HTTP/1.0 with TE": "GET /cat_10_10.png HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
		"HTTP/0.9":         "GET /cat_10_10.png\r\n\r\n", "HTTP/2.0": "GET /cat_10_10.png HTTP/2.0\r\nHost: x\r\n\r\n",
		"a preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "TRACE": "TRACE /cat_10_10.png HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT": "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "an unknown method": "BREW / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"DELETE": "DELETE /cat HTTP/1.1\r\nHost: x\r\n\r\n", "PUT": "PUT /cat HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"a space in the target": "GET /a b.png HTTP/1.1\r\nHost: x\r\n\r\n", "a body of a GET": get + "Content-Length: 5\r\n\r\nhello",
		"a chunked body of a GET": get + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"no method":               " / HTTP/1.1\r\nHost: x\r\n\r\n", "a long line": "GET /" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		cases[name] = whole
	}
	return cases
}

// TestSmuggling: whatever can be read in two ways is refused and its connection closed, so that what follows on it is never
// taken for a request.
func TestSmuggling(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--access-log", "errors", "--idle-timeout", "60s") // so that only a refusal closes early
	d.upload("cat", testimage.PNG(testimage.Photo(40, 30, 1)), false)
	d.mustGet("/cat_10_10.png")
	cases := smuggling()
	if len(cases) < 60 {
		t.Fatalf("only %d cases", len(cases))
	}
	var wait sync.WaitGroup
	for name, first := range cases { // all at once: some are waited for until the server loses patience
		wait.Go(func() {
			got, closed := d.exchange(first+hidden, 30*time.Second)
			answers := statusesOf(got)
			if bytes.Contains(got, []byte("User-agent")) || len(answers) > 1 {
				t.Errorf("%s: the hidden request was answered: %d\n%q", name, answers, got)
			}
			if !closed {
				t.Errorf("%s: the connection is open still after %d", name, answers)
			}
			if len(answers) == 1 && answers[0] < 400 {
				t.Errorf("%s: answered %d: %q", name, answers[0], got)
			}
		})
	}
	wait.Wait()
}

// TestPipelining is the counterpart: two proper requests on one connection get two answers, so that the test above would see
// one too many.
func TestPipelining(t *testing.T) {
	d := start(t, "--data", t.TempDir())
	d.upload("cat", testimage.PNG(testimage.Photo(40, 30, 1)), false)
	got, _ := d.exchange("GET /cat_10_10.png HTTP/1.1\r\nHost: x\r\n\r\nGET /robots.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 10*time.Second)
	if diff := cmp.Diff([]int{200, 200}, statusesOf(got)); diff != "" || !bytes.Contains(got, []byte("User-agent")) {
		t.Errorf("%s\n%q", diff, got)
	}
}

// strangeHeaders are headers that other systems have let change a cached answer, with a value each (TRUST.md threat 15).
var strangeHeaders = []string{
	"Host: evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Scheme: http", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1",
	"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Prefix: /x", "Forwarded: for=192.0.2.1;host=evil.example", "X-Real-IP: 192.0.2.1",
	"X-Client-IP: 192.0.2.1", "True-Client-IP: 192.0.2.1", "CF-Connecting-IP: 192.0.2.1", "X-Original-URL: /dog_20_20.png", "X-Rewrite-URL: /dog_20_20.png",
	"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PUT", "X-Method-Override: HEAD", "Cookie: a=b", "Authorization: Bearer x", "Accept: image/webp",
	"Accept-Encoding: gzip, br", "Accept-Language: de", "Accept-Charset: x", "User-Agent: evil", "Referer: http://evil.example", "Origin: http://evil.example",
	"DNT: 1", "Save-Data: on", "DPR: 3", "Width: 20", "Viewport-Width: 100", "Sec-CH-DPR: 3", "Sec-CH-Width: 20", "Sec-Fetch-Dest: document", "Via: 1.1 x",
	"Upgrade: h2c", "Expect: x", "Pragma: no-cache", "Cache-Control: no-cache", "Cache-Control: no-store", "Surrogate-Capability: x=ESI/1.0", "X-Token: x",
	"Content-Type: text/html", "TE: trailers", "Priority: u=0", "Max-Forwards: 0", "X-Timer: 1", "Early-Data: 1",
}

// TestStrangeHeaders: headers that are no part of the contract change neither the bytes of an answer nor where it is kept, and
// no spelling of a query reaches another one's entry.
func TestStrangeHeaders(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--access-log", "errors")
	d.upload("cat", testimage.PNG(testimage.Photo(40, 30, 1)), false)
	d.upload("dog", testimage.PNG(testimage.Photo(40, 30, 2)), false)
	want := d.mustGet("/cat_20_20.png", "render")
	renders := d.metric("deckle_renders_total")
	ask := func(target, header string) *http.Response {
		t.Helper()
		host := "Host: x\r\n"
		if strings.HasPrefix(header, "Host:") {
			host = ""
		}
		got, _ := d.exchange(fmt.Sprintf("GET %s HTTP/1.1\r\n%s%s\r\nConnection: close\r\n\r\n", target, host, header), 10*time.Second)
		answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
		if err != nil {
			t.Fatalf("%s with %s: %v", target, header, err)
		}
		return answer
	}
	same := func(target, header string) {
		t.Helper()
		answer := ask(target, header)
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close() // in memory
		if answer.StatusCode == 417 && strings.HasPrefix(header, "Expect") {
			return
		}
		if err != nil || answer.StatusCode != 200 || !bytes.Equal(body, want.body) || answer.Header.Get("ETag") != want.header.Get("ETag") ||
			answer.Header.Get("Content-Type") != "image/png" || answer.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s with %s: %d %v, %d bytes, other than without it: %v", target, header, answer.StatusCode, err, len(body), answer.Header)
		}
		if strings.Contains(fmt.Sprint(answer.Header), "evil") {
			t.Errorf("%s with %s comes back: %v", target, header, answer.Header)
		}
	}
	for _, header := range strangeHeaders {
		same("/cat_20_20.png", header)
	}
	if len(strangeHeaders) < 40 {
		t.Errorf("only %d headers", len(strangeHeaders))
	}
	for _, target := range []string{"/cat_20_20.png?", "/cat_20_20.png?utm_source=x&fbclid=y", "/cat_20_20.png?_=1", "http://evil.example/cat_20_20.png", "/%63at_20_20.png", "/cat_10_10_2x.png", "/cat_20_20.PNG"} {
		same(target, "X: y")
	}
	if n := d.metric("deckle_renders_total") - renders; n != 0 {
		t.Errorf("%v more renders", n)
	}
	for _, target := range []string{
		"/cat_20_20.png;x", "/cat_20_20.png/x.css", "/cat_20_20.png%00.css", "/cat_20_20.png%23", "/cat_20_20.png%3f", "/../cat_20_20.png",
		"/./cat_20_20.png", "//cat_20_20.png", "/cat_20_20.png?callback=x", "/cat_20_20.png?blur=2&blur=3", "/x/..%2fcat_20_20.png", "/cat_020_20.png/",
	} {
		answer := ask(target, "X: y")
		_ = answer.Body.Close() // in memory
		if answer.StatusCode != 404 && answer.StatusCode != 400 {
			t.Errorf("%s is answered %d", target, answer.StatusCode)
		}
	}
}
