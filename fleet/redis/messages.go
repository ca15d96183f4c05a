package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"deckle/fleet"

	goredis "github.com/redis/go-redis/v9"
)

// The log of messages: a stream that forgets the oldest. A node that was cut off reads on where it stopped as long as the last
// message it read is in the log still, for then nothing after it can have been forgotten.
const (
	logKey      = "deckle:messages"
	maxLog      = 10_000                  // messages, about: the stream drops them by the block
	readCount   = 256                     // at once
	readBlock   = 250 * time.Millisecond  // a read does not end with its context, so that Run ends this late
	readTimeout = readBlock + time.Second // until a server that says nothing is taken for gone
)

const (
	publishTimeout = 250 * time.Millisecond
	reconnectTime  = 200 * time.Millisecond
	handleTimeout  = 30 * time.Second
	maxQueue       = 1024 // messages of one kind that wait for their handler
)

// Messages are entries of a Redis stream, which every node follows over a connection of its own. Publish has a deadline of
// 250 ms and is tried twice. Ask waits for 35 seconds at most, and not for a node that has not been heard of for five.
type Messages struct {
	client goredis.UniversalClient
	node   string
	kinds  map[string]*kind
	doubt  func()
	work   sync.WaitGroup // handlers

	position string // in the log: what was read last; only Run's goroutine uses it

	stats struct{ sent, failed, received, lost atomic.Uint64 }
}

// kind is what is done on the messages of one kind.
type kind struct {
	handle fleet.Handler
	queue  chan delivery // capacity maxQueue: a burst must not hold up other kinds
}

// delivery is one message on its way to its handler.
type delivery struct {
	message fleet.Message
	ask     string // whom to answer; empty when nobody waits
}

var _ fleet.Messages = (*Messages)(nil)

// NewMessages returns messages on a client, which stays the caller's. The node is called by the host's name and a random part.
func NewMessages(client goredis.UniversalClient) *Messages {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return &Messages{client: client, node: host + "-" + rand.Text()[:8], kinds: make(map[string]*kind), doubt: func() {}}
}

// MessageStats count messages since the start.
type MessageStats struct {
	Sent     uint64 // by this node
	Failed   uint64 // that could not be sent
	Received uint64 // from others
	Lost     uint64 // times that messages may have been missed, so that everything was doubted
}

// Stats returns the figures.
func (m *Messages) Stats() MessageStats {
	return MessageStats{
		Sent: m.stats.sent.Load(), Failed: m.stats.failed.Load(),
		Received: m.stats.received.Load(), Lost: m.stats.lost.Load(),
	}
}

// Node returns the node's name.
func (m *Messages) Node() string { return m.node }

// Handle sets the handler of a kind.
func (m *Messages) Handle(name string, h fleet.Handler) {
	m.kinds[name] = &kind{handle: h, queue: make(chan delivery, maxQueue)}
}

// Lost sets what is done when messages may have been missed.
func (m *Messages) Lost(f func()) { m.doubt = f }

// Publish tells the other nodes.
func (m *Messages) Publish(ctx context.Context, message fleet.Message) error {
	return m.send(ctx, message, "")
}

func (m *Messages) send(ctx context.Context, message fleet.Message, ask string) error {
	message.Node, message.Sent = m.node, time.Now()
	fields, err := encode(message, ask)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	for range tries {
		within, cancel := context.WithTimeout(ctx, publishTimeout)
		err = m.client.XAdd(within, &goredis.XAddArgs{Stream: logKey, MaxLen: maxLog, Approx: true, Values: fields}).Err()
		cancel()
		if err == nil {
			m.stats.sent.Add(1)
			return nil
		}
	}
	m.stats.failed.Add(1)
	return fmt.Errorf("send message: %w: %w", fleet.ErrUnavailable, err)
}

// Run receives until ctx ends and the handlers have returned.
func (m *Messages) Run(ctx context.Context) {
	defer m.work.Wait()
	for _, k := range m.kinds {
		m.work.Go(func() { m.serve(ctx, k) })
	}
	m.work.Go(func() { m.live(ctx) })
	for ctx.Err() == nil {
		m.receive(ctx)
		pause(ctx, reconnectTime/2+mathrand.N(reconnectTime))
	}
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// receive follows the log until the server cannot be asked, or ctx ends.
func (m *Messages) receive(ctx context.Context) {
	if err := m.resume(ctx); err != nil {
		return
	}
	for {
		batch, err := m.read(ctx)
		if err != nil {
			return
		}
		for _, entry := range batch {
			m.position = entry.ID
			m.deliver(entry.Values)
		}
	}
}

// resume makes sure that reading on misses nothing; where it would, it goes to the log's end and doubts everything.
func (m *Messages) resume(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if m.position != "" {
		last, err := m.client.XRangeN(within, logKey, m.position, m.position, 1).Result()
		if err != nil || len(last) == 1 {
			return err
		}
	}
	newest, err := m.client.XRevRangeN(within, logKey, "+", "-", 1).Result()
	if err != nil {
		return err
	}
	if _, err := m.nodes(ctx, m.node); err != nil { // who asks from now on waits for this node, which reads from there on
		return err
	}
	m.position = "0-0"
	if len(newest) == 1 {
		m.position = newest[0].ID
	}
	m.miss() // after the position is known: what comes later is read
	return nil
}

func (m *Messages) miss() {
	m.stats.lost.Add(1)
	m.doubt()
}

// read waits for entries; none is no error.
func (m *Messages) read(ctx context.Context) ([]goredis.XMessage, error) {
	within, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	streams, err := m.client.XRead(within, &goredis.XReadArgs{
		Streams: []string{logKey, m.position}, Count: readCount, Block: readBlock,
	}).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, nil
	case err != nil:
		return nil, err
	case len(streams) != 1:
		return nil, fmt.Errorf("read messages: %d streams answered", len(streams))
	}
	return streams[0].Messages, nil
}

// deliver queues an entry of the log for its handler. What cannot be read, or is of a kind that this node does not know, was
// sent by a node of another build.
func (m *Messages) deliver(fields map[string]any) {
	message, ask, err := decode(fields)
	if err != nil || message.Node == m.node {
		return
	}
	k := m.kinds[message.Kind]
	if k == nil {
		return
	}
	select {
	case k.queue <- delivery{message, ask}:
		m.stats.received.Add(1)
	default:
		m.miss()
	}
}

// serve handles the messages of one kind.
func (m *Messages) serve(ctx context.Context, k *kind) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-k.queue:
			payload, err := handle(ctx, k.handle, d.message)
			if d.ask != "" {
				m.answer(ctx, d.ask, payload, err)
			}
		}
	}
}

// handle calls a handler. One that panics must not end the process for one message.
func handle(ctx context.Context, h fleet.Handler, message fleet.Message) (payload []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			payload, err = nil, fmt.Errorf("handler panicked: %v", value)
		}
	}()
	within, cancel := context.WithTimeout(ctx, handleTimeout)
	defer cancel()
	return h(within, message)
}
