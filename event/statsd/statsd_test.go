package statsd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen is a statsd server: it returns a client of it, and what reads the next datagram.
func listen(t *testing.T, prefix string) (*Client, func() string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	c, err := Dial(server.LocalAddr().String(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, func() string {
		t.Helper()
		packet := make([]byte, 64<<10)
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := server.ReadFrom(packet)
		if err != nil {
			t.Fatal(err)
		}
		return string(packet[:n])
	}
}

func TestFlush(t *testing.T) {
	c, packet := listen(t, "image_server.")
	c.Counter("new_image.request_count").Add(1)
	c.Counter("new_image.request_count").Add(2)
	c.Counter("idle")
	took := c.Timer("resize_image.request_latency")
	for _, d := range []time.Duration{20 * time.Millisecond, 1500 * time.Microsecond, 1100 * time.Millisecond} {
		took.Add(d)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `image_server.new_image.request_count:3|c
image_server.resize_image.request_latency.avg:373.833|ms
image_server.resize_image.request_latency.count:3|c
image_server.resize_image.request_latency.max:1100|ms
image_server.resize_image.request_latency.min:1.5|ms`
	if diff := cmp.Diff(want, packet()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if err := c.Flush(); err != nil { // nothing new is nothing sent
		t.Fatal(err)
	}
	took.Add(time.Millisecond)
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := packet(); !strings.Contains(got, "max:1|ms") || strings.Contains(got, "request_count") {
		t.Errorf("the second time: %s", got)
	}
}

// TestPackets: however much there is to say, no datagram is cut, and nothing is lost or said twice.
func TestPackets(t *testing.T) {
	c, packet := listen(t, "")
	const names = 300
	for i := range names {
		c.Counter(fmt.Sprintf("name.%d.%s", i, strings.Repeat("x", i%40))).Add(int64(i + 1))
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < names {
		p := packet()
		if len(p) > maxPacket {
			t.Errorf("a datagram of %d bytes", len(p))
		}
		for line := range strings.SplitSeq(p, "\n") {
			if seen[line] || !strings.HasSuffix(line, "|c") {
				t.Errorf("line %q", line)
			}
			seen[line] = true
		}
	}
}

func TestCountersTogether(t *testing.T) {
	c, packet := listen(t, "")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				c.Counter("n").Add(1)
				c.Timer("t").Add(time.Millisecond)
			}
		})
	}
	group.Wait()
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := packet(); !strings.Contains(got, "n:8000|c") || !strings.Contains(got, "t.count:8000|c") {
		t.Errorf("sent %s", got)
	}
	(*Counter)(nil).Add(1)
	(*Timer)(nil).Add(1)
}

// TestRun sends by itself, and what is left at the end.
func TestRun(t *testing.T) {
	c, packet := listen(t, "")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	c.Counter("n").Add(1)
	if got := packet(); got != "n:1|c" {
		t.Errorf("sent %s", got)
	}
	c.Counter("n").Add(2)
	stop()
	running.Wait()
	if got := packet(); got != "n:2|c" {
		t.Errorf("sent at the end %s", got)
	}
}

// TestAway: a server that is not there keeps nobody waiting.
func TestAway(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(server.LocalAddr().String(), "")
	if err := errors.Join(err, server.Close()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	begin := time.Now()
	for range 3 {
		c.Counter("n").Add(1)
		_ = c.Flush() // refused or not, as the machine has it
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("three times nobody took %s", took)
	}
	if _, err := Dial("no port", ""); err == nil {
		t.Error("an address without a port was taken")
	}
}
