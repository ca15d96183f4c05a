package testserver

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"
)

// RedisServer is a redis-server that persists nothing: it comes back empty from a Stop.
type RedisServer struct{ Server }

// Redis starts a redis-server for one test.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("find redis-server: %v; run `make test`, which installs it", err)
	}
	addr := freeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	s := &RedisServer{Server{
		Addr: addr,
		path: path,
		args: []string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", t.TempDir()},

		ready: pingRedis,
	}}
	launch(t, &s.Server)
	return s
}

// URL returns the address of database 0.
func (s *RedisServer) URL() string { return "redis://" + s.Addr + "/0" }

// pingRedis asks the server in its own protocol: while it loads, it accepts connections but answers with an error.
func pingRedis(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if line != "+PONG\r\n" {
		return fmt.Errorf("answer to PING: %q", line)
	}
	return nil
}
