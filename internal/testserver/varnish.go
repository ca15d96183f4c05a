package testserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// VarnishServer is a Varnish cache with a configuration of its own.
type VarnishServer struct{ Server }

// Varnish starts a Varnish for one test with a configuration in its language. It keeps 64 MB in memory.
func Varnish(t testing.TB, vcl string) *VarnishServer {
	t.Helper()
	path, err := exec.LookPath("varnishd")
	if err != nil {
		if path = "/usr/sbin/varnishd"; exec.Command(path, "-V").Run() != nil { // often not on the PATH of those who are not root
			t.Fatalf("find varnishd: %v; run `make test`, which installs it", err)
		}
	}
	addr, dir := freeAddr(t), t.TempDir()
	config := filepath.Join(dir, "default.vcl")
	if err := os.WriteFile(config, []byte(vcl), 0o600); err != nil {
		t.Fatalf("configure varnishd: %v", err)
	}
	s := &VarnishServer{Server{
		Addr: addr, path: path, ready: askHTTP,
		// Without a user of its own for its child, whom the test's folders would shut out, and without an operator's listener.
		args: []string{"-F", "-j", "none", "-n", filepath.Join(dir, "work"), "-a", addr, "-T", "none", "-f", config, "-s", "malloc,64m"},
		// Its child has to end with it.
		quit: syscall.SIGTERM,
	}}
	launch(t, &s.Server)
	return s
}
