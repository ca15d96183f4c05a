package pool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"deckle/transform"
)

// Facts are what a child renders with.
type Facts struct {
	Engine     transform.Engine
	Generation string                    // names everything but Spec and source that decides the bytes of a result
	Backend    string                    // names the renderer library and its version
	Memory     func() (held, most int64) // of the library, bytes; nil when it does not tell
}

// Serve is what a child does: it opens the engine with the Settings of Config, gives up what a renderer has no use for, and
// renders for the process that started it until that closes the connection or ends. An error of open is the answer to Ready,
// or costs the parent another try.
func Serve(open func(settings json.RawMessage) (Facts, error)) error {
	conn, err := socket(childSocket)
	if err != nil {
		return fmt.Errorf("a renderer is started by a server: %w", err)
	}
	var s setup
	if _, err := readFrame(conn, &s, maxHead, 0); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	facts, err := open(s.Settings)
	said := hello{Backend: facts.Backend, Generation: facts.Generation}
	if err == nil {
		said.Writes = written(facts.Engine)
		_, said.Keeps = facts.Engine.(transform.Keeper)
		said.Contained, err = contain(s)
	}
	if err != nil {
		said = hello{Fault: err.Error()}
	}
	frame, packing := packHead(said, 0)
	if packing != nil {
		return packing
	}
	if _, writing := conn.Write(frame); err != nil || writing != nil {
		return errors.Join(err, writing)
	}
	return serve(conn, facts)
}

func written(e transform.Engine) (list []transform.Format) {
	for _, f := range transform.OutputFormats() {
		if e.Writes(f) {
			list = append(list, f)
		}
	}
	return list
}

// errParent says that there is nobody left to render for.
var errParent = errors.New("the server is gone")

// serve renders one request after another. The connection is read all the time, so that a renderer whose parent has died
// ends at once, whatever it is doing.
func serve(conn *net.UnixConn, facts Facts) error {
	requests := make(chan received) // unbuffered: the parent sends the next after the answer to the last
	go func() {
		for {
			r, err := receive(conn)
			if err != nil {
				os.Exit(0)
			}
			requests <- r
		}
	}()
	for r := range requests {
		if err := answer(conn, facts, r); err != nil {
			return err
		}
	}
	return errParent
}

// received is a request with its source.
type received struct {
	request
	shared []int // descriptors
}

// receive reads a request and the descriptors that come with its first bytes.
func receive(conn *net.UnixConn) (r received, err error) {
	var prefix [prefixBytes]byte
	rights := make([]byte, unix.CmsgSpace(4*maxShared))
	n, _, _, _, err := conn.ReadMsgUnix(prefix[:], rights)
	if err != nil {
		return r, err
	}
	if n == 0 {
		return r, io.EOF
	}
	if r.shared, err = passed(rights); err != nil {
		return r, err
	}
	if _, err := io.ReadFull(conn, prefix[n:]); err != nil {
		return r, err
	}
	_, err = readRest(conn, prefix, &r.request, maxHead, 0)
	return r, err
}

// maxShared is how many descriptors come with a request.
const maxShared = 2

// passed returns the descriptors that came with a message.
func passed(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) > 0 {
			return fds, nil
		}
	}
	return nil, fmt.Errorf("%w: no source came with the request", errFrame)
}

// answer renders one request. Its error ends the process.
func answer(conn *net.UnixConn, facts Facts, r received) error {
	source, detach, err := attach(r.shared[0], r.Size, r.Header == nil)
	if err != nil {
		return err
	}
	picture, levels, err := r.render(facts.Engine, source)
	var broken *transform.PanicError
	if errors.As(err, &broken) {
		// What a panic leaves behind nobody knows: the process ends as if C had failed.
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(broken.Stack))
	}
	said := reply{Seq: r.Seq, Levels: levels}
	var body []byte
	if err != nil {
		said.Fault = pack(err)
	} else {
		facts := *picture
		body, facts.Body = facts.Body, nil
		said.Picture = &facts
	}
	if facts.Memory != nil {
		said.Held, said.Most = facts.Memory()
	}
	frame, err := packHead(said, len(body))
	if err != nil {
		return err
	}
	parts := net.Buffers{frame, body}
	if _, err := parts.WriteTo(conn); err != nil {
		return err
	}
	return detach()
}

// render does what a request asks for; from is the source, or its levels.
func (r received) render(engine transform.Engine, from []byte) (*transform.Picture, int, error) {
	ctx := context.Background()
	if r.Stages {
		ctx = transform.WithStages(ctx)
	}
	if r.Header == nil && r.Room == 0 {
		picture, err := engine.Render(ctx, from, r.Spec)
		return picture, 0, err
	}
	keeper, ok := engine.(transform.Keeper)
	if !ok || r.Room > 0 && len(r.shared) != maxShared {
		return nil, 0, fmt.Errorf("%w: levels for an engine that knows none", errFrame)
	}
	if r.Header != nil {
		picture, err := keeper.RenderKept(ctx, *r.Header, from, r.Spec)
		return picture, 0, err
	}
	memory, detach, err := attachRoom(r.shared[1], r.Room)
	if err != nil {
		return nil, 0, err
	}
	picture, levels, err := keeper.Keep(ctx, from, r.Spec, r.First, memory)
	return picture, levels, errors.Join(err, detach())
}
