package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "golang.org/x/image/webp"
)

// asDeckle in the environment makes the test binary behave as the real one, so that tests drive it over its own sockets and
// the race detector watches it.
const asDeckle = "DECKLE_TEST_MAIN"

// builtVariable is what such a binary is to call its version.
const builtVariable = "DECKLE_TEST_BUILT"

func TestMain(m *testing.M) {
	renderer := len(os.Args) > 1 && os.Args[1] == "renderer" // started by a deckle, with an environment of its own
	if os.Getenv(asDeckle) == "1" || renderer {
		built = os.Getenv(builtVariable)
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// daemon is a running deckle.
type daemon struct {
	t           *testing.T
	args        []string
	program     string   // that runs instead of this one, if any
	built       string   // what this one is to call its version, if not by its own name
	more        []string // further arguments
	command     *exec.Cmd
	edge, admin string // base URLs
	log         *tail
	exited      chan struct{}
}

// tail keeps what a process writes and lets a test wait for a line.
type tail struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at each line
	ended bool
}

func (l *tail) follow(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.add(scanner.Text(), false)
	}
	l.add("", true)
}

func (l *tail) add(line string, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end {
		l.ended = true
	} else {
		l.lines = append(l.lines, line)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// await returns the first line with text in it, or false when the process ends or the time is over.
func (l *tail) await(text string, within time.Duration) (string, bool) {
	late := time.After(within)
	for seen := 0; ; {
		l.mu.Lock()
		for ; seen < len(l.lines); seen++ {
			if strings.Contains(l.lines[seen], text) {
				line := l.lines[seen]
				l.mu.Unlock()
				return line, true
			}
		}
		ended, more := l.ended, l.more
		l.mu.Unlock()
		if ended {
			return "", false
		}
		select {
		case <-more:
		case <-late:
			return "", false
		}
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// deckle prepares the real binary with arguments; environment entries are KEY=value.
func deckle(environment []string, args ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), asDeckle+"=1")
	command.Env = append(command.Env, environment...)
	return command
}

// start runs deckle serve on free ports and waits until it is ready. It is stopped when the test ends.
func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	return begin(t, &daemon{}, args...)
}

// begin is start for a daemon of which something is known.
func begin(t *testing.T, d *daemon, args ...string) *daemon {
	t.Helper()
	d.t, d.args = t, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	d.launch()
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("log of %v:\n%.20000s", d.args, d.log)
		}
	})
	return d
}

func (d *daemon) launch() {
	d.t.Helper()
	d.command = deckle([]string{builtVariable + "=" + d.built}, append(d.args[:len(d.args):len(d.args)], d.more...)...)
	if d.program != "" {
		d.command.Path = d.program
	}
	d.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.log = &tail{more: make(chan struct{})}
	output, err := d.command.StderrPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.command.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.exited = make(chan struct{})
	go func() {
		d.log.follow(output)
		_ = d.command.Wait() // how it ended is asked for by stop
		close(d.exited)
	}()
	line, ok := d.log.await(`"serving"`, time.Minute)
	if !ok {
		d.t.Fatalf("deckle %v did not start:\n%s", d.args, d.log)
	}
	var serving struct{ Edge, Admin string }
	if err := json.Unmarshal([]byte(line), &serving); err != nil {
		d.t.Fatal(err)
	}
	d.edge, d.admin = "http://"+serving.Edge, "http://"+serving.Admin
}

// kill ends the process as a power cut would, as far as a process can tell.
func (d *daemon) kill() {
	_ = d.command.Process.Kill() // it may have ended
	<-d.exited
}

// stop asks the process to end and waits until it has.
func (d *daemon) stop() {
	d.t.Helper()
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.exited:
	case <-time.After(time.Minute):
		d.t.Fatalf("deckle did not stop:\n%s", d.log)
	}
	if code := d.command.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("deckle ended with %d:\n%s", code, d.log)
	}
}

// reply is an answer, read. Status 0 means that there was none.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// client is shared by all tests; it follows no redirects and keeps enough connections for a storm.
var client = &http.Client{
	Timeout:       time.Minute,
	Transport:     &http.Transport{MaxIdleConnsPerHost: 1024},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// patiently asks again while the answer says to try again later, for half a minute: a machine that is busy with other things is
// no fault of the server's.
func patiently(ask func() reply) reply {
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if got := ask(); got.status != http.StatusServiceUnavailable || time.Now().After(late) {
			return got
		}
	}
}

func request(method, url string, body io.Reader, header ...string) reply {
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	read, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, read, errors.Join(err, response.Body.Close())}
}

func (d *daemon) get(path string, header ...string) reply {
	return request("GET", d.edge+path, nil, header...)
}

// mustGet wants a 200 whose Cache-Status says that it came from one of the given places.
func (d *daemon) mustGet(path string, from ...string) reply {
	d.t.Helper()
	got := d.get(path)
	if got.status != 200 || got.err != nil {
		d.t.Fatalf("%s: %d %v %s", path, got.status, got.err, got.body)
	}
	status := got.header.Get("Cache-Status")
	_, detail, _ := strings.Cut(status, "detail=")
	// Memory takes what it is given a moment later; until then the answer comes from below, or from the render just before.
	for range 100 {
		waits := slices.Contains(from, "memory") && !slices.Contains(from, detail)
		if !waits || !strings.Contains(status, "collapsed") && !slices.Contains([]string{"redis", "s3", "disk"}, detail) {
			break
		}
		time.Sleep(20 * time.Millisecond)
		got = d.get(path)
		status = got.header.Get("Cache-Status")
		_, detail, _ = strings.Cut(status, "detail=")
	}
	for _, place := range from {
		if detail == place {
			return got
		}
	}
	if len(from) > 0 {
		d.t.Errorf("%s came from %q, want %v", path, detail, from)
	}
	return got
}

// token asks for the right to upload id.
func (d *daemon) token(id string, replace bool) (string, reply) {
	body, err := json.Marshal(map[string]any{"id": id, "replace": replace})
	if err != nil {
		return "", reply{err: err}
	}
	got := request("POST", d.admin+"/token", bytes.NewReader(body))
	var said struct{ Token string }
	if got.err == nil {
		got.err = json.Unmarshal(got.body, &said)
	}
	return said.Token, got
}

// upload brings a picture in under id, or fails the test.
func (d *daemon) upload(id string, picture []byte, replace bool) reply {
	d.t.Helper()
	token, got := d.token(id, replace)
	if token == "" {
		d.t.Fatalf("token for %s: %d %s %v", id, got.status, got.body, got.err)
	}
	got = request("POST", d.edge+"/"+id, bytes.NewReader(picture), "X-Token", token)
	if got.status != 200 {
		d.t.Fatalf("upload of %s: %d %s %v", id, got.status, got.body, got.err)
	}
	return got
}

// size decodes a picture's header.
func (r reply) size(t *testing.T) (format string, width, height int) {
	t.Helper()
	c, format, err := image.DecodeConfig(bytes.NewReader(r.body))
	if err != nil {
		t.Fatalf("%v: %.100q", err, r.body)
	}
	return format, c.Width, c.Height
}

// metric sums the series of a name whose labels contain all the given texts.
func (d *daemon) metric(name string, labels ...string) float64 {
	d.t.Helper()
	got := request("GET", d.admin+"/metrics", nil)
	if got.status != 200 {
		d.t.Fatalf("metrics: %d %v", got.status, got.err)
	}
	sum := 0.0
	for _, line := range regexp.MustCompile(`(?m)^`+name+`(\{.*\})? .*$`).FindAllString(string(got.body), -1) {
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(line, label)
		}
		if !matches {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			d.t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// eventually waits for a condition that other processes bring about; there is nothing to be told by.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !holds() {
		if time.Since(begin) > within {
			t.Fatalf("%s: not within %s", what, within)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begin)
}

// raw sends a request line exactly as given and returns the status of the answer; 0 when there is none.
func (d *daemon) raw(method, target, token, body string) int {
	d.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(d.edge, "http://"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = connection.Close() }() // nothing was promised to the server
	_, err = fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: x\r\nX-Token: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		method, target, token, len(body), body)
	if err != nil {
		d.t.Fatal(err)
	}
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return 0
	}
	status, _, _ := strings.Cut(strings.TrimPrefix(line, "HTTP/1.1 "), " ")
	n, _ := strconv.Atoi(status) // anything else is no status
	return n
}
