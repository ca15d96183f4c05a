package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"deckle/transform"
)

// child is a renderer, as its parent sees it. One goroutine at a time talks to it: the seat, or the render it was lent to.
type child struct {
	command *exec.Cmd
	conn    *net.UnixConn
	hello   hello
	writes  map[transform.Format]bool
	took    time.Duration // from start to hello
	back    chan reason   // of capacity 1: a render that gives the child back never waits
	gone    chan struct{} // closed when the process has been reaped
	seq     uint64
	renders int
	ready   bool // has said hello; guarded by the pool's mu

	held, most atomic.Int64 // see Memory
}

// start starts a child and waits for its hello.
func (p *Pool) start() (*child, error) {
	begin := time.Now()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start renderer: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "renderer")
	conn, err := socket(pair[0])
	if err != nil {
		return nil, errors.Join(err, theirs.Close())
	}
	c := &child{conn: conn, back: make(chan reason, 1), gone: make(chan struct{})}
	namespace, err := p.launch(c, theirs)
	if err := errors.Join(err, theirs.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("start renderer: %w", err), conn.Close())
	}
	p.enter(c)
	if err := p.greet(c, namespace); err != nil {
		p.end(c)
		return nil, fmt.Errorf("start renderer: %w", err)
	}
	c.took = time.Since(begin)
	p.mu.Lock()
	c.ready = true
	p.mu.Unlock()
	return c, nil
}

// socket makes a connection of one end of a socket pair, which it closes.
func socket(fd int) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(fd), "renderer")
	conn, err := net.FileConn(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("not a unix socket"), conn.Close())
	}
	return unixConn, nil
}

// enter lists a child and reaps it when it ends.
func (p *Pool) enter(c *child) {
	p.mu.Lock()
	p.children[c] = struct{}{}
	p.mu.Unlock()
	go func() {
		_ = c.command.Wait() // how it ended shows in what it was doing
		close(c.gone)
	}()
}

// end kills a child that nobody uses and waits until it is gone.
func (p *Pool) end(c *child) {
	c.kill()
	<-c.gone
	_ = c.conn.Close() // nobody listens at the other end
	p.mu.Lock()
	delete(p.children, c)
	p.mu.Unlock()
}

// greet tells a new child what it is to be and hears what it can do.
func (p *Pool) greet(c *child, namespace bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.config.StartTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, c.kill)()
	frame, err := packHead(setup{
		Settings: fallback(p.config.Settings), Memory: p.config.Memory, Drop: os.Geteuid() == 0, Namespace: namespace,
	}, 0)
	if err != nil {
		return err
	}
	halt := make(chan struct{})
	defer close(halt)
	go func() {
		select {
		case <-p.stop:
			c.kill()
		case <-halt:
		}
	}()
	if _, err := c.conn.Write(frame); err != nil {
		return err
	}
	if _, err := readFrame(c.conn, &c.hello, maxReplyHead, 0); err != nil {
		return fmt.Errorf("no hello: %w", errors.Join(err, context.Cause(ctx)))
	}
	if c.hello.Fault != "" {
		return errors.New(printable(c.hello.Fault, maxText))
	}
	c.writes = map[transform.Format]bool{}
	for _, f := range c.hello.Writes {
		c.writes[f] = true
	}
	return nil
}

func fallback(settings json.RawMessage) json.RawMessage {
	if settings == nil {
		return json.RawMessage("null")
	}
	return settings
}

// maxReplyHead bounds the head of what a child sends, bytes.
const maxReplyHead = 16 << 10

// exchange sends a job and reads what came of it: a picture, and how many bytes of a pyramid were kept, or a fault that the
// child found in the source or the Spec. With err the child is of no more use.
func (c *child) exchange(j job, limits transform.Limits) (picture *transform.Picture, levels int, fault, err error) {
	c.seq++
	c.renders++
	r, rights := j.request()
	r.Seq = c.seq
	frame, err := packHead(r, 0)
	if err != nil {
		return nil, 0, nil, err
	}
	sent, _, err := c.conn.WriteMsgUnix(frame, unix.UnixRights(rights...), nil)
	if err != nil {
		return nil, 0, nil, err
	}
	if sent < len(frame) { // writing nothing to a child that has died of the request would look as if it had never read it
		if _, err := c.conn.Write(frame[sent:]); err != nil {
			return nil, 0, nil, err
		}
	}
	var said reply
	body, err := readFrame(c.conn, &said, maxReplyHead, bodyBound(limits))
	if err != nil {
		return nil, 0, nil, err
	}
	if said.Seq != c.seq || said.Levels < 0 || said.Levels > j.room {
		return nil, 0, nil, fmt.Errorf("%w: an answer to %d, not %d, with %d bytes of levels", errFrame, said.Seq, c.seq, said.Levels)
	}
	c.held.Store(said.Held)
	c.most.Store(said.Most)
	if said.Fault != nil {
		return nil, 0, said.Fault.unpack(), nil
	}
	picture, err = said.accept(body, j.spec, j.header, c.writes, limits)
	return picture, said.Levels, nil, err
}

// bodyBound is how long a picture can be, bytes: four for each pixel of the largest result, and what a container adds.
func bodyBound(limits transform.Limits) int64 {
	side := int64(limits.OutputSide)
	return 4*side*side + 1<<20
}

// kill ends the process at once, whatever it is doing. It may be called at any time.
func (c *child) kill() { _ = c.command.Process.Kill() } // it may have ended

func (c *child) pid() int { return c.command.Process.Pid }
