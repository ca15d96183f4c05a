// Package fleet is what nodes tell each other: which of them does a piece of work (Leases), and what has changed (Messages).
//
// Nothing that is served depends on it being right. A version is part of every cache key, and what is rendered twice is the
// same picture twice: when the nodes cannot talk, they do more work and learn of changes by their own asking, later.
package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// ErrUnavailable says that the other nodes cannot be reached. The same call may succeed later.
var ErrUnavailable = errors.New("fleet: the other nodes cannot be reached")

// MaxResult is the longest result that is handed from node to node, bytes.
const MaxResult = 4 << 20

// Leases let one node at a time do a piece of work that many may want at once, and give its result to the others. Methods are
// safe for concurrent use.
type Leases interface {
	// Take returns a lease when this node is to do the work that name stands for, and else the result that another node
	// left: exactly one of lease and result is set, unless ctx ends first, which is the only error.
	//
	// It waits while another node holds the lease, but no longer than the implementation's bound. When that is over, and
	// when the other nodes cannot be reached, it returns a lease that binds nobody, so that the caller goes on alone. A
	// holder that has died is taken over by one of those that wait. Equal names mean the same work on every node.
	Take(ctx context.Context, name string) (lease Lease, result []byte, err error)
}

// Lease is the right to do a piece of work. It is kept up until one of its methods is called, which its holder owes; one call
// ends it, and calls after the first do nothing. Both return at once and cannot fail for the holder: what could not be said to
// the other nodes, those find out when the lease runs out.
type Lease interface {
	// Done ends the lease with a result, which is given to all that wait for it and to all that Take the name within keep.
	// One that is empty or longer than MaxResult ends it as Drop does. The bytes must not be changed afterwards.
	Done(result []byte, keep time.Duration)
	// Drop ends the lease without a result: the next one that waits does the work.
	Drop()
}

// The kinds of messages. Payload is as said; each kind has one handler on each node.
const (
	// KindSource says that a source was stored, replaced, or deleted. Source is its id. Version is what the store now holds;
	// empty when that is unknown or nothing.
	KindSource = "source"
	// KindPurge asks every node to drop finished pictures. Payload is defined by who handles it.
	KindPurge = "purge"
)

// Message is told by one node to all others.
type Message struct {
	Kind    string          `json:"kind"`
	Source  string          `json:"source,omitempty"`  // id
	Version string          `json:"version,omitempty"` // origin.Info.Version
	Deleted bool            `json:"deleted,omitempty"` // the source is gone
	Payload json.RawMessage `json:"payload,omitempty"` // what else the kind says; at most MaxPayload bytes

	Node string    `json:"node"` // who sent it; set by Publish and Ask
	Sent time.Time `json:"sent"` // by the sender's clock; set likewise
}

// MaxPayload bounds Message.Payload and Reply.Payload, bytes.
const MaxPayload = 64 << 10

// Reply is what one other node answered.
type Reply struct {
	Node    string          `json:"node"`
	Payload json.RawMessage `json:"payload,omitempty"` // what its handler returned
	Error   string          `json:"error,omitempty"`   // why it could not, or that it did not answer; empty when it did
}

// Handler does what a message of another node asks for. What it returns is the Reply where one was asked for and is dropped
// else. ctx ends when the node stops or after a bound.
type Handler func(ctx context.Context, m Message) (json.RawMessage, error)

// Messages tell the other nodes what they must know. Methods are safe for concurrent use.
type Messages interface {
	// Node returns this node's name, unique among all that run.
	Node() string
	// Handle says what is done on a message of a kind, in the order of sending and one at a time for each kind. A node never
	// gets its own messages. All kinds are handled before Run.
	Handle(kind string, h Handler)
	// Lost says what is done when messages may have been missed for good: everything that they guard is to be doubted.
	// It is set before Run.
	Lost(f func())
	// Run receives until ctx ends; it is called once. It connects, and connects again, by itself, and catches up with what
	// was sent meanwhile.
	Run(ctx context.Context)
	// Publish tells all other nodes, those included that are cut off at the moment and come back soon. ErrUnavailable (wrapped)
	// when it could not be said.
	Publish(ctx context.Context, m Message) error
	// Ask is Publish, and waits until every other node that runs has answered, ctx has ended, or the implementation's bound
	// is over. There is one Reply a node, in the order of names, also for those that did not answer.
	Ask(ctx context.Context, m Message) ([]Reply, error)
}
