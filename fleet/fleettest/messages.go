package fleettest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"deckle/fleet"
)

// soon bounds waiting for what must come.
const soon = 20 * time.Second

// Node is one node of a test, whose messages are kept.
type Node struct {
	fleet.Messages
	got  chan fleet.Message
	lost chan struct{}
	stop func()
}

// RunNode runs messages that keep what they get of both kinds, until the test ends or Stop. It returns when messages that are
// sent from now on will arrive.
func RunNode(t *testing.T, m fleet.Messages) *Node {
	t.Helper()
	const most = 4096 // more than any law sends
	n := &Node{Messages: m, got: make(chan fleet.Message, most), lost: make(chan struct{}, most)}
	m.Handle(fleet.KindSource, func(_ context.Context, message fleet.Message) (json.RawMessage, error) {
		n.got <- message
		return nil, nil
	})
	m.Handle(fleet.KindPurge, n.purge)
	m.Lost(func() { n.lost <- struct{}{} })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx)
	}()
	var once sync.Once
	n.stop = func() { once.Do(func() { cancel(); <-ended }) }
	t.Cleanup(n.stop)
	n.AwaitLost(t)
	return n
}

// Stop ends the node's Run.
func (n *Node) Stop() { n.stop() }

// AwaitLost waits until the node has been told that it may have missed messages, which is so at the start.
func (n *Node) AwaitLost(t *testing.T) {
	t.Helper()
	select {
	case <-n.lost:
	case <-time.After(soon):
		t.Fatal("the node was not told that it may have missed messages")
	}
}

// NotLost wants that the node was not told so since it was last asked.
func (n *Node) NotLost(t *testing.T) {
	t.Helper()
	select {
	case <-n.lost:
		t.Error("the node was told that it may have missed messages, and missed none")
	default:
	}
}

// Next returns the next message, or fails the test.
func (n *Node) Next(t *testing.T) fleet.Message {
	t.Helper()
	select {
	case m := <-n.got:
		return m
	case <-time.After(soon):
		t.Fatal("the message did not come")
		return fleet.Message{}
	}
}

// purge answers with what it was told, or as it was told.
func (n *Node) purge(_ context.Context, m fleet.Message) (json.RawMessage, error) {
	switch m.Source {
	case "fails":
		return nil, errors.New("purge failed")
	case "panics":
		panic("purge")
	}
	return m.Payload, nil
}

// Messages runs the laws. open returns a node of a fleet that is the test's own.
func Messages(t *testing.T, open func(t *testing.T) func() fleet.Messages) {
	laws := map[string]func(*testing.T, [3]*Node){
		"all others are told, in order":      toldInOrder,
		"every field arrives":                everyField,
		"every other node answers":           answers,
		"what went wrong is answered":        wrongAnswers,
		"a node that has stopped is not one": stopped,
		"too much is refused":                tooMuch,
	}
	for name, law := range laws {
		t.Run(name, func(t *testing.T) {
			join := open(t)
			var nodes [3]*Node
			for i := range nodes {
				nodes[i] = RunNode(t, join())
			}
			law(t, nodes)
		})
	}
}

func toldInOrder(t *testing.T, nodes [3]*Node) {
	const messages = 100
	for i := range messages {
		if err := nodes[0].Publish(t.Context(), fleet.Message{Kind: fleet.KindSource, Source: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes[1:] {
		for i := range messages {
			if got := node.Next(t); got.Source != strconv.Itoa(i) {
				t.Fatalf("message %d is of %s", i, got.Source)
			}
		}
		node.NotLost(t)
	}
	// The sender's own would have come before the answer to this.
	if err := nodes[1].Publish(t.Context(), fleet.Message{Kind: fleet.KindSource, Source: "last"}); err != nil {
		t.Fatal(err)
	}
	if got := nodes[0].Next(t); got.Source != "last" {
		t.Errorf("the sender got its own message %+v", got)
	}
}

func everyField(t *testing.T, nodes [3]*Node) {
	sent := fleet.Message{
		Kind: fleet.KindSource, Source: "ä/b c", Version: "v-1", Deleted: true, Payload: json.RawMessage(`{"a":[1,"\u0000"]}`),
		Node: "forged",
	}
	if err := nodes[1].Publish(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	got := nodes[2].Next(t)
	if got.Node != nodes[1].Node() || time.Since(got.Sent).Abs() > time.Minute {
		t.Errorf("sent by %q at %s, want by %q now", got.Node, got.Sent, nodes[1].Node())
	}
	if got.Source != sent.Source || got.Version != sent.Version || !got.Deleted || string(got.Payload) != string(sent.Payload) {
		t.Errorf("got %+v, want %+v", got, sent)
	}
}

func answers(t *testing.T, nodes [3]*Node) {
	for i := range 20 {
		payload := json.RawMessage(strconv.Itoa(i))
		replies, err := nodes[i%3].Ask(t.Context(), fleet.Message{Kind: fleet.KindPurge, Payload: payload})
		if err != nil || len(replies) != 2 {
			t.Fatalf("Ask = %+v, %v; want two replies", replies, err)
		}
		if replies[0].Node >= replies[1].Node {
			t.Errorf("replies of %s and %s are not in order", replies[0].Node, replies[1].Node)
		}
		for _, reply := range replies {
			if string(reply.Payload) != string(payload) || reply.Error != "" || reply.Node == nodes[i%3].Node() {
				t.Errorf("reply %+v to %s", reply, payload)
			}
		}
	}
}

func wrongAnswers(t *testing.T, nodes [3]*Node) {
	for _, source := range []string{"fails", "panics", "fails"} {
		replies, err := nodes[0].Ask(t.Context(), fleet.Message{Kind: fleet.KindPurge, Source: source})
		if err != nil || len(replies) != 2 {
			t.Fatalf("Ask = %+v, %v; want two replies", replies, err)
		}
		for _, reply := range replies {
			if reply.Error == "" || reply.Payload != nil {
				t.Errorf("%s: %+v", source, reply)
			}
		}
	}
}

func stopped(t *testing.T, nodes [3]*Node) {
	nodes[2].Stop()
	replies, err := nodes[0].Ask(t.Context(), fleet.Message{Kind: fleet.KindPurge, Payload: json.RawMessage("1")})
	if err != nil || len(replies) != 1 || replies[0].Node != nodes[1].Node() || replies[0].Error != "" {
		t.Errorf("Ask = %+v, %v; want the one reply of %s", replies, err, nodes[1].Node())
	}
}

func tooMuch(t *testing.T, nodes [3]*Node) {
	for _, payload := range []json.RawMessage{
		json.RawMessage(`"` + strings.Repeat("x", fleet.MaxPayload) + `"`),
		json.RawMessage(`no JSON`),
	} {
		if err := nodes[0].Publish(t.Context(), fleet.Message{Kind: fleet.KindSource, Payload: payload}); err == nil {
			t.Errorf("%d bytes of payload were sent", len(payload))
		}
	}
}
