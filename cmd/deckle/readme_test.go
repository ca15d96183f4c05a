package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"deckle/transform"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeOptions holds the README's list of options to the table that the parser uses.
func TestReadmeOptions(t *testing.T) {
	var want strings.Builder
	want.WriteString("| option | values (default first) | effect |\n|---|---|---|\n")
	for _, o := range transform.Options() {
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", o.Name, o.Values, o.Effect)
	}
	text := readme(t)
	begin, end := strings.Index(text, "| option |"), strings.Index(text, "<!-- /options -->")
	if begin < 0 || end < begin {
		t.Fatal("README.md has no list of options")
	}
	if got := text[begin:end]; got != want.String() {
		t.Errorf("README.md lists\n%s\nthe table has\n%s", got, want.String())
	}
}

// freePort returns a port that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it was only asked for its number
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestReadmeCommands runs the README's commands as they are written, but for the two ports, which others may be using, and
// make test, which is what runs this. make run goes first and stays; its data goes into a directory of the test's.
func TestReadmeCommands(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	edge, admin, data := freePort(t), freePort(t), t.TempDir()
	ports := strings.NewReplacer(":8080", ":"+edge, ":8081", ":"+admin, "make run", "make run")
	var scripts []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readme(t), -1) {
		scripts = append(scripts, ports.Replace(block[1]))
	}
	if len(scripts) != 4 || strings.TrimSpace(scripts[0]) != "make run" || strings.TrimSpace(scripts[3]) != "make test" {
		t.Fatalf("README.md has other commands than this test knows: %q", scripts)
	}
	shell := func(script string) *exec.Cmd {
		command := exec.Command("bash", "-euo", "pipefail", "-c", script)
		command.Dir = root
		command.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=", "DECKLE_DATA="+data,
			"DECKLE_LISTEN=127.0.0.1:"+edge, "DECKLE_ADMIN_LISTEN=127.0.0.1:"+admin, "DECKLE_ADMIN=http://127.0.0.1:"+admin)
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		return command
	}
	server := shell(scripts[0])
	printed := &tail{more: make(chan struct{})}
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	go printed.follow(output)
	defer func() {
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGTERM) // make and what it started
		_ = server.Wait()
	}()
	if _, ok := printed.await("Stop it with", 10*time.Minute); !ok {
		t.Fatalf("make run did not get as far as its URLs:\n%s", printed)
	}
	for _, url := range regexp.MustCompile(`http://\S+`).FindAllString(printed.String(), -1) {
		if got := request("GET", url, nil); got.status != 200 {
			t.Errorf("%s, printed by make run: %d %v", url, got.status, got.err)
		}
	}
	work := t.TempDir()
	for i, want := range []string{"Deckle; hit; detail=memory", "HTTP/1.1 200 OK"} {
		// Files that the commands write go into a directory of the test's; the binary is found where the README says.
		command := shell(scripts[i+1])
		command.Dir = work
		if err := os.Symlink(filepath.Join(root, ".tools"), filepath.Join(work, ".tools")); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
		said, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(said), want) {
			t.Errorf("%s: %v\n%s", scripts[i+1], err, said)
		}
	}
	for name, kind := range map[string]string{"demo.webp": "webp", "beach.jpg": "jpeg"} {
		body, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		if format, _, _ := (reply{body: body}).size(t); format != kind {
			t.Errorf("%s is %s", name, format)
		}
	}
}
