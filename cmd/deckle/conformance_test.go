package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"deckle/internal/testimage"
	"deckle/internal/testserver"
)

// httpCase is one request of the table, what the RFC's section says of its answer, and what a shared cache in front makes of
// it where that differs with good reason.
type httpCase struct {
	section string // RFC and section
	name    string
	ask     string // method and target; "server|" before it names one of httpServers
	headers string // one a line
	want    string // see expect
	cdn     string // empty for the same as want
	why     string // cdn differs
}

// httpServers are the configurations that cases run against.
var httpServers = map[string][]string{
	"":         nil,
	"told":     {"--cache-tags", "--cdn-cache-control", "max-age=86400", "--client-hints", "--shared-max-age", "2h", "--max-age", "10m"},
	"redirect": {"--auto-redirect"},
	"ladder":   {"--sizes", "40,80", "--presets", "thumb=_40_30?fit=crop", "--error-max-age", "0s"},
}

// subject is what is known of a target before it is asked for in odd ways.
type subject struct {
	tag, date string
	body      []byte
}

// conformity runs cases.
type conformity struct {
	daemons  map[string]*daemon
	caches   map[string]*testserver.NginxServer
	subjects map[string]subject
}

// httpSources are files of the store of originals; all of them changed at one time in the past.
func httpSources(t *testing.T) string {
	dir := t.TempDir()
	changed := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for name, body := range map[string][]byte{
		"cat":         testimage.JPEG(testimage.Quadrants(160, 120), 80),
		"leaf":        testimage.PNG(testimage.Alpha(40, 40)),
		"film":        testimage.GIF(testimage.Quadrants(32, 24), testimage.Alpha(32, 24), testimage.Quadrants(32, 24)),
		"shop/hat/42": testimage.JPEG(testimage.Quadrants(64, 48), 80),
		"text":        []byte("no picture"),
		"broken":      testimage.JPEG(testimage.Quadrants(64, 48), 80)[:40],
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		for _, err := range []error{os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, body, 0o644), os.Chtimes(file, changed, changed)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// rawAnswer is an answer as it came over the wire.
type rawAnswer struct {
	*http.Response
	body []byte // as sent, behind the headers
}

// sendRaw writes a request as it is and reads what comes until the server closes the connection.
func sendRaw(addr, method, target, headers string) (rawAnswer, error) {
	connection, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return rawAnswer{}, err
	}
	defer func() { _ = connection.Close() }() // nothing was promised to the server
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return rawAnswer{}, err
	}
	request := method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	for line := range strings.Lines(headers) {
		request += strings.TrimRight(line, "\n") + "\r\n"
	}
	if _, err := io.WriteString(connection, request+"\r\n"); err != nil {
		return rawAnswer{}, err
	}
	all, err := io.ReadAll(connection)
	if err != nil {
		return rawAnswer{}, err
	}
	_, body, _ := bytes.Cut(all, []byte("\r\n\r\n"))
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), &http.Request{Method: method})
	if err != nil {
		return rawAnswer{}, fmt.Errorf("%w in %.200q", err, all)
	}
	if len(response.TransferEncoding) > 0 && method != "HEAD" {
		if body, err = io.ReadAll(response.Body); err != nil {
			return rawAnswer{}, err
		}
	}
	return rawAnswer{response, body}, response.Body.Close()
}

// know asks for a target in the plainest way.
func (c *conformity) know(t *testing.T, server, target, accept string) subject {
	t.Helper()
	name := server + target + accept
	if known, ok := c.subjects[name]; ok {
		return known
	}
	headers := ""
	if accept != "" {
		headers = "Accept: " + accept
	}
	got, err := sendRaw(strings.TrimPrefix(c.daemons[server].edge, "http://"), "GET", target, headers)
	if err != nil {
		t.Fatal(err)
	}
	known := subject{tag: got.Header.Get("Etag"), date: got.Header.Get("Last-Modified"), body: got.body}
	c.subjects[name] = known
	return known
}

// fill puts what is known of the subject in the place of {tag}, {date}, {before}, {after} and {size}.
func (s subject) fill(text string) string {
	date, err := http.ParseTime(s.date)
	if err != nil {
		date = time.Now()
	}
	return strings.NewReplacer(
		"{tag}", s.tag, "{date}", date.UTC().Format(http.TimeFormat), "{size}", strconv.Itoa(len(s.body)),
		"{before}", date.Add(-time.Second).UTC().Format(http.TimeFormat), "{after}", date.Add(time.Second).UTC().Format(http.TimeFormat),
		"{rfc850}", date.UTC().Format("Monday, 02-Jan-06 15:04:05 GMT"), "{asctime}", date.UTC().Format(time.ANSIC),
	).Replace(text)
}

// expect holds an answer against an expectation: a status, then lines. "Name: text" wants the text in that header, "Name:" wants
// it absent, "Name= text" wants nothing but the text; "whole", "none" and "bytes A-B" are about the body.
func (s subject) expect(t *testing.T, got rawAnswer, want string) {
	t.Helper()
	status, rest, _ := strings.Cut(want, "\n")
	if strconv.Itoa(got.StatusCode) != status {
		t.Errorf("status %d, want %s: %.200q", got.StatusCode, status, got.body)
	}
	for line := range strings.Lines(s.fill(rest)) {
		line = strings.TrimSpace(line)
		name, text, named := strings.Cut(line, ":")
		exact, whole, is := strings.Cut(line, "= ")
		switch {
		case line == "":
		case line == "whole":
			if !bytes.Equal(got.body, s.body) {
				t.Errorf("%d bytes that are not the whole of %d", len(got.body), len(s.body))
			}
		case line == "none":
			if len(got.body) > 0 {
				t.Errorf("a body of %d bytes", len(got.body))
			}
		case strings.HasPrefix(line, "bytes "):
			var from, to int
			if _, err := fmt.Sscanf(line, "bytes %d-%d", &from, &to); err != nil {
				t.Fatal(err)
			}
			if from < 0 {
				from, to = len(s.body)+from, len(s.body)-1
			}
			if !bytes.Equal(got.body, s.body[from:min(to+1, len(s.body))]) {
				t.Errorf("%d bytes that are not %d to %d", len(got.body), from, to)
			}
		case is && !strings.Contains(exact, ":"):
			if value := strings.Join(got.Header.Values(exact), ", "); value != whole {
				t.Errorf("%s is %q, want %q", exact, value, whole)
			}
		case named:
			text = strings.TrimSpace(text)
			if value := strings.Join(got.Header.Values(name), ", "); !strings.Contains(value, text) || text == "" && value != "" {
				t.Errorf("%s is %q, want %q in it", name, value, text)
			}
		default:
			t.Fatalf("no expectation: %q", line)
		}
	}
	s.always(t, got)
}

// always holds what is true of every answer.
func (s subject) always(t *testing.T, got rawAnswer) {
	t.Helper()
	if _, err := http.ParseTime(got.Header.Get("Date")); err != nil {
		t.Errorf("9110 6.6.1: Date is %q", got.Header.Get("Date"))
	}
	if got.Header.Get("Age") != "" {
		t.Errorf("9111 5.1: Age is %q", got.Header.Get("Age"))
	}
	bodiless := got.StatusCode == 304 || got.StatusCode == 204 || got.Request.Method == "HEAD"
	if bodiless && len(got.body) > 0 {
		t.Errorf("9110 6.4.1: a body of %d bytes", len(got.body))
	}
	if length := got.Header.Get("Content-Length"); !bodiless && length != "" && length != strconv.Itoa(len(got.body)) {
		t.Errorf("9110 8.6: Content-Length is %s of %d bytes", length, len(got.body))
	}
	for _, name := range []string{"Cache-Control", "Etag", "Vary", "Content-Type", "Content-Length", "Content-Range"} {
		if len(got.Header.Values(name)) > 1 {
			t.Errorf("9110 5.3: %s is there %d times", name, len(got.Header.Values(name)))
		}
	}
}

// TestConformance runs the table against the real server, and again through an nginx that caches.
func TestConformance(t *testing.T) {
	originals := "file://" + httpSources(t)
	c := &conformity{daemons: map[string]*daemon{}, caches: map[string]*testserver.NginxServer{}, subjects: map[string]subject{}}
	for name, flags := range httpServers {
		args := append([]string{"--data", t.TempDir(), "--origin", originals, "--renderers", "1"}, flags...)
		c.daemons[name] = start(t, args...)
		c.caches[name] = testserver.Nginx(t, strings.TrimPrefix(c.daemons[name].edge, "http://"))
	}
	cases := httpCases()
	if len(cases) < 120 {
		t.Errorf("%d cases", len(cases))
	}
	for _, one := range cases {
		server, ask, found := strings.Cut(one.ask, "|")
		if !found {
			server, ask = "", one.ask
		}
		method, target, _ := strings.Cut(ask, " ")
		s := c.know(t, server, target, acceptOf(one.headers))
		t.Run("direct/"+one.section+" "+one.name, func(t *testing.T) {
			c.run(t, strings.TrimPrefix(c.daemons[server].edge, "http://"), method, target, s, one.headers, one.want)
		})
		want := one.want
		if one.cdn != "" {
			want = one.cdn
		}
		t.Run("nginx/"+one.section+" "+one.name, func(t *testing.T) {
			c.run(t, c.caches[server].Addr, method, target, s, one.headers, want)
		})
	}
}

func acceptOf(headers string) string {
	for line := range strings.Lines(headers) {
		if value, found := strings.CutPrefix(line, "Accept: "); found {
			return strings.TrimRight(value, "\n")
		}
	}
	return ""
}

func (c *conformity) run(t *testing.T, addr, method, target string, s subject, headers, want string) {
	got, err := sendRaw(addr, method, target, s.fill(headers))
	if err != nil {
		t.Fatal(err)
	}
	got.Request = &http.Request{Method: method}
	s.expect(t, got, want)
}

// TestConformanceCosts: whatever validators and ranges are sent for a picture that is in memory, no source is read, nothing is
// rendered and no tier below memory is asked.
func TestConformanceCosts(t *testing.T) {
	d := start(t, "--data", t.TempDir(), "--origin", "file://"+httpSources(t), "--renderers", "1")
	c := &conformity{daemons: map[string]*daemon{"": d}, subjects: map[string]subject{}}
	s := c.know(t, "", "/cat_40_30.webp", "")
	d.mustGet("/cat_40_30.webp", "memory", "shared")
	work := func() string {
		return fmt.Sprint(d.metric("deckle_renders_total"), d.metric("deckle_source_fetches_total"),
			d.metric("deckle_tier_seconds_count", `tier="disk"`, `op="get"`))
	}
	before := work()
	for _, one := range httpCases() {
		if one.ask == "GET /cat_40_30.webp" || one.ask == "HEAD /cat_40_30.webp" {
			method, target, _ := strings.Cut(one.ask, " ")
			c.run(t, strings.TrimPrefix(d.edge, "http://"), method, target, s, one.headers, one.want)
		}
	}
	if after := work(); after != before {
		t.Errorf("renders, source reads and disk reads were %s and are %s", before, after)
	}
}
