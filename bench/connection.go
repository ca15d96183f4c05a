package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// maxBody is the largest answer that is read, bytes.
const maxBody = 64 << 20

// address is where a target listens.
type address struct {
	host   string // host:port
	header string // what the Host header says
	secure *tls.Config
	prefix string // path before every request target
}

func parseAddress(base string) (address, error) {
	u, err := url.Parse(base)
	if err != nil {
		return address{}, fmt.Errorf("parse the base URL: %w", err)
	}
	a := address{header: u.Host, prefix: u.EscapedPath()}
	port := u.Port()
	switch u.Scheme {
	case "http":
		port = orPort(port, "80")
	case "https":
		port = orPort(port, "443")
		a.secure = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	default:
		return address{}, fmt.Errorf("base URL %q is neither http nor https", base)
	}
	if u.Hostname() == "" {
		return address{}, fmt.Errorf("base URL %q has no host", base)
	}
	a.host = net.JoinHostPort(u.Hostname(), port)
	return a, nil
}

func orPort(port, usual string) string {
	if port == "" {
		return usual
	}
	return port
}

// connection is one persistent HTTP/1.1 connection, used by one goroutine. A client with a pool would cost more than the servers
// to be measured, and would retry behind the back of the counts.
type connection struct {
	address address
	timeout time.Duration
	conn    net.Conn
	unwatch func() bool // conn is closed when the run's context ends
	reader  *bufio.Reader
	request []byte
	answer  fasthttp.Response
}

func newConnection(a address, timeout time.Duration) *connection {
	return &connection{address: a, timeout: timeout, reader: bufio.NewReaderSize(nil, 64<<10)}
}

// get asks for a request target and returns the answer, which is valid until the next call. It gives up when the timeout has
// passed since due.
func (c *connection) get(ctx context.Context, target []byte, due time.Time) (*fasthttp.Response, error) {
	c.request = append(append(c.request[:0], "GET "...), target...)
	c.request = append(append(c.request, " HTTP/1.1\r\nHost: "...), c.address.header...)
	c.request = append(c.request, "\r\nAccept: image/*\r\n\r\n"...)
	deadline := due.Add(c.timeout)
	reused := c.conn != nil
	err := c.exchange(ctx, deadline)
	// A server may close an idle connection at any time, which is seen only on the next use and is no failed request.
	if reused && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		err = c.exchange(ctx, deadline)
	}
	switch {
	case err != nil && !time.Now().Before(deadline): // whatever name the failure was given on its way up
		return nil, fmt.Errorf("get: %w", os.ErrDeadlineExceeded)
	case err != nil:
		return nil, err
	}
	if c.answer.ConnectionClose() {
		c.close()
	}
	return &c.answer, nil
}

// exchange sends the request and reads the answer. After an error the connection is closed.
func (c *connection) exchange(ctx context.Context, deadline time.Time) error {
	if c.conn == nil {
		if err := c.dial(ctx, deadline); err != nil {
			return err
		}
	}
	err := c.conn.SetDeadline(deadline)
	if err == nil {
		_, err = c.conn.Write(c.request)
	}
	if err == nil {
		err = c.answer.ReadLimitBody(c.reader, maxBody)
	}
	if err != nil {
		c.close()
	}
	return err
}

func (c *connection) dial(ctx context.Context, deadline time.Time) error {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, "tcp", c.address.host)
	if err != nil {
		return err
	}
	if c.address.secure != nil {
		conn = tls.Client(conn, c.address.secure)
	}
	c.conn = conn
	c.reader.Reset(conn)
	// Once for the connection: once for each request would cost as much as a request.
	c.unwatch = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return nil
}

func (c *connection) close() {
	if c.conn != nil {
		c.unwatch()
		// What was to be read was read: there is nothing that an error could tell.
		_ = c.conn.Close()
		c.conn = nil
	}
}
