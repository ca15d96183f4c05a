package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// NginxServer is an nginx that keeps what another server answers, as a CDN does: by the whole URL and what Vary names, for as
// long as Cache-Control allows, answering validators and ranges from its copy. X-Cache says whether it had one.
type NginxServer struct{ Server }

// nginxConfig is the configuration for a folder, an address and an upstream. One process, without a master, is gone when it is
// killed.
const nginxConfig = `daemon off;
master_process off;
%[4]s
pid %[1]s/pid;
error_log stderr;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	scgi_temp_path %[1]s/scgi;
	uwsgi_temp_path %[1]s/uwsgi;
	proxy_cache_path %[1]s/cache keys_zone=edge:1m max_size=64m;
	server {
		listen %[2]s;
		if_modified_since before;
		location / {
			proxy_pass http://%[3]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_cache edge;
			proxy_cache_key $request_uri;
			proxy_cache_revalidate on;
			proxy_cache_lock on;
			add_header X-Cache $upstream_cache_status always;
		}
	}
}
`

// Nginx starts an nginx for one test in front of upstream, host:port.
func Nginx(t testing.TB, upstream string) *NginxServer {
	t.Helper()
	addr, dir := freeAddr(t), t.TempDir()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // the folders of the test are root's
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, addr, upstream, user), 0o600); err != nil {
		t.Fatalf("configure nginx: %v", err)
	}
	s := &NginxServer{Server{Addr: addr, path: nginx(t), args: []string{"-p", dir, "-c", config, "-e", "stderr"}, ready: askHTTP}}
	launch(t, &s.Server)
	return s
}

// nginx returns the path of the installed one, or fails the test.
func nginx(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path = "/usr/sbin/nginx"; exec.Command(path, "-v").Run() != nil { // often not on the PATH of those who are not root
			t.Fatalf("find nginx: %v; run `make test`, which installs it", err)
		}
	}
	return path
}
