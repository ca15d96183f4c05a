package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"deckle/fleet"

	goredis "github.com/redis/go-redis/v9"
)

const (
	askTimeout  = handleTimeout + 5*time.Second // for all answers to one question
	answerLife  = time.Minute                   // of answers that nobody fetches
	replyPrefix = "deckle:reply:"

	nodesKey    = "deckle:nodes"
	beatTime    = time.Second
	beatTimeout = 250 * time.Millisecond
	silentTime  = 5 * time.Second // after which a node is taken for gone
)

// Ask tells the other nodes and waits for their answers.
func (m *Messages) Ask(ctx context.Context, message fleet.Message) ([]fleet.Reply, error) {
	nodes, err := m.nodes(ctx, "")
	if err != nil {
		return nil, err
	}
	ask := rand.Text()
	if err := m.send(ctx, message, ask); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers := m.collectAll(ctx, ask, nodes)
	for _, node := range nodes {
		if _, answered := answers[node]; node != m.node && !answered {
			answers[node] = fleet.Reply{Node: node, Error: "no answer"}
		}
	}
	return slices.SortedFunc(maps.Values(answers), func(a, b fleet.Reply) int { return strings.Compare(a.Node, b.Node) }), nil
}

// collectAll waits for the answers of the nodes that run: not for one that stops meanwhile, nor when the server is gone.
func (m *Messages) collectAll(ctx context.Context, ask string, nodes []string) map[string]fleet.Reply {
	answers := make(map[string]fleet.Reply, len(nodes))
	missing := func(node string) bool { _, answered := answers[node]; return node != m.node && !answered }
	for listed := time.Now(); slices.ContainsFunc(nodes, missing); {
		reply, err := m.collect(ctx, ask)
		if err != nil {
			break
		}
		if reply.Node != "" {
			answers[reply.Node] = reply
		}
		if time.Since(listed) > beatTime {
			if nodes, err = m.nodes(ctx, ""); err != nil {
				break
			}
			listed = time.Now()
		}
	}
	return answers
}

// collect waits for the next answer; one without a node is none.
func (m *Messages) collect(ctx context.Context, ask string) (reply fleet.Reply, err error) {
	within, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	got, err := m.client.BLPop(within, readBlock, replyPrefix+ask).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return fleet.Reply{}, ctx.Err()
	case err != nil:
		return fleet.Reply{}, err
	}
	if len(got) != 2 || json.Unmarshal([]byte(got[1]), &reply) != nil {
		return fleet.Reply{}, nil
	}
	return reply, nil
}

// answer says what a handler returned to the node that asked. An answer that does not arrive is told of there as none.
func (m *Messages) answer(ctx context.Context, ask string, payload json.RawMessage, failure error) {
	reply := fleet.Reply{Node: m.node, Payload: payload}
	if len(payload) > fleet.MaxPayload {
		failure = fmt.Errorf("an answer of %d bytes", len(payload))
	}
	if failure != nil {
		reply.Payload, reply.Error = nil, failure.Error()
	}
	text, err := json.Marshal(reply)
	if err != nil { // the payload is no JSON
		text, _ = json.Marshal(fleet.Reply{Node: m.node, Error: err.Error()}) // strings alone: cannot fail
	}
	within, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, _ = m.client.TxPipelined(within, func(tx goredis.Pipeliner) error {
		tx.RPush(within, replyPrefix+ask, text)
		tx.PExpire(within, replyPrefix+ask, answerLife)
		return nil
	})
}

// live keeps the node on the list of those that run, until ctx ends.
func (m *Messages) live(ctx context.Context) {
	for ctx.Err() == nil {
		_, _ = m.nodes(ctx, m.node) // tried again at the next beat
		pause(ctx, beatTime)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	_ = m.client.ZRem(within, nodesKey, m.node).Err() // else it is struck off for its silence
}

// nodes returns the names of all nodes that run, after it has put one more of that name on the list, if there is one.
func (m *Messages) nodes(ctx context.Context, node string) ([]string, error) {
	within, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	nodes, err := beatScript.Run(within, m.client, []string{nodesKey}, node, silentTime.Milliseconds()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w: %w", fleet.ErrUnavailable, err)
	}
	return nodes, nil
}
