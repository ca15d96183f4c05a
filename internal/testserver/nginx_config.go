package testserver

import (
	"os"
	"path/filepath"
	"testing"
)

// NginxConfig starts an nginx for one test with a whole configuration, which configure writes for a folder of its own and the address
// to listen at. The configuration has to say `daemon off; master_process off;`.
func NginxConfig(t testing.TB, configure func(dir, addr string) string) *NginxServer {
	t.Helper()
	addr, dir := freeAddr(t), t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, []byte(configure(dir, addr)), 0o600); err != nil {
		t.Fatalf("configure nginx: %v", err)
	}
	s := &NginxServer{Server{Addr: addr, path: nginx(t), args: []string{"-p", dir, "-c", config, "-e", "stderr"}, ready: askHTTP}}
	launch(t, &s.Server)
	return s
}
