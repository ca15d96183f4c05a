package testserver

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Balancer starts nginx for one test as it stands in front of the developer's fleet (deploy/fleet/nginx.conf): before these
// nodes, each host:port. It keeps nothing, and asks another node when one does not answer.
func Balancer(t testing.TB, nodes []string) *Server {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repositoryRoot(t), "deploy", "fleet", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	addr, dir := freeAddr(t), t.TempDir()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	var servers strings.Builder
	for _, node := range nodes {
		fmt.Fprintf(&servers, "    server %s max_fails=0;\n", node)
	}
	// One process, without a master, is gone when it is killed.
	processes := "master_process off;"
	if os.Getuid() == 0 {
		processes += "\nuser root;" // the folders of the test are root's
	}
	config := strings.NewReplacer("DIR", dir, "NODES", servers.String(), "PORT", port, "worker_processes 1;", processes).Replace(string(text))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: addr, path: nginx(t), args: []string{"-p", dir, "-c", file, "-e", "stderr"}, ready: askHTTP}
	launch(t, s)
	return s
}
