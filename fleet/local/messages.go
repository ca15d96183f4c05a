package local

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"deckle/fleet"
)

// inboxSize is how many messages wait for a node; a sender waits beyond it.
const inboxSize = 1024

// Messages are handed from goroutine to goroutine and are never lost.
type Messages struct {
	fleet    *Fleet
	node     string
	handlers map[string]fleet.Handler
	inbox    chan delivery
	doubt    func()
}

// delivery is one message on its way; answer, with room for one, is nil when nobody waits.
type delivery struct {
	message fleet.Message
	answer  chan fleet.Reply
}

var _ fleet.Messages = (*Messages)(nil)

// Node returns the node's name.
func (m *Messages) Node() string { return m.node }

// Handle sets the handler of a kind.
func (m *Messages) Handle(kind string, h fleet.Handler) { m.handlers[kind] = h }

// Lost sets what is done at the start, which is the one time that something may have been missed.
func (m *Messages) Lost(f func()) { m.doubt = f }

// Run receives until ctx ends.
func (m *Messages) Run(ctx context.Context) {
	m.fleet.mu.Lock()
	m.fleet.nodes[m.node] = m
	m.fleet.mu.Unlock()
	defer func() {
		m.fleet.mu.Lock()
		delete(m.fleet.nodes, m.node)
		m.fleet.mu.Unlock()
	}()
	m.doubt()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-m.inbox:
			reply := m.handle(ctx, d.message)
			if d.answer != nil {
				d.answer <- reply
			}
		}
	}
}

func (m *Messages) handle(ctx context.Context, message fleet.Message) (reply fleet.Reply) {
	reply.Node = m.node
	defer func() {
		if value := recover(); value != nil {
			reply = fleet.Reply{Node: m.node, Error: fmt.Sprintf("handler panicked: %v", value)}
		}
	}()
	h := m.handlers[message.Kind]
	if h == nil {
		reply.Error = "no answer"
		return reply
	}
	payload, err := h(ctx, message)
	if err != nil {
		reply.Error = err.Error()
		return reply
	}
	reply.Payload = payload
	return reply
}

// others returns the other nodes that run, by name.
func (m *Messages) others() []*Messages {
	m.fleet.mu.Lock()
	defer m.fleet.mu.Unlock()
	var list []*Messages
	for _, node := range m.fleet.nodes {
		if node != m {
			list = append(list, node)
		}
	}
	slices.SortFunc(list, func(a, b *Messages) int { return strings.Compare(a.node, b.node) })
	return list
}

// Publish tells the other nodes.
func (m *Messages) Publish(ctx context.Context, message fleet.Message) error {
	_, err := m.send(ctx, message, false)
	return err
}

// send hands a message to all others and returns where each answers, if it is to.
func (m *Messages) send(ctx context.Context, message fleet.Message, ask bool) ([]asked, error) {
	if len(message.Payload) > fleet.MaxPayload || (len(message.Payload) > 0 && !json.Valid(message.Payload)) {
		return nil, fmt.Errorf("send message: a payload of %d bytes that is too long or no JSON", len(message.Payload))
	}
	message.Node, message.Sent = m.node, time.Now()
	var list []asked
	for _, node := range m.others() {
		d := delivery{message: message}
		if ask {
			d.answer = make(chan fleet.Reply, 1)
			list = append(list, asked{node.node, d.answer})
		}
		select {
		case node.inbox <- d:
		case <-ctx.Done():
			return nil, fmt.Errorf("send message: %w: %w", fleet.ErrUnavailable, ctx.Err())
		}
	}
	return list, nil
}

// asked is a node and where its answer comes.
type asked struct {
	node   string
	answer <-chan fleet.Reply
}

// Ask tells the other nodes and waits for their answers until ctx ends.
func (m *Messages) Ask(ctx context.Context, message fleet.Message) ([]fleet.Reply, error) {
	list, err := m.send(ctx, message, true)
	if err != nil {
		return nil, err
	}
	var replies []fleet.Reply
	for _, a := range list {
		select {
		case reply := <-a.answer:
			replies = append(replies, reply)
		case <-ctx.Done():
			replies = append(replies, fleet.Reply{Node: a.node, Error: "no answer"})
		}
	}
	return replies, nil
}
