package redis

import (
	"fmt"
	"testing"

	"deckle/fleet"
	"deckle/fleet/fleettest"
	"deckle/internal/testserver"
)

func publish(t *testing.T, m fleet.Messages, source string) {
	t.Helper()
	if err := m.Publish(t.Context(), fleet.Message{Kind: fleet.KindSource, Source: source}); err != nil {
		t.Fatal(err)
	}
}

// TestCatchUp: a node whose connections broke reads on where it was and misses nothing.
func TestCatchUp(t *testing.T) {
	server := testserver.Redis(t)
	admin := connect(t, server)
	sender := fleettest.RunNode(t, NewMessages(connect(t, server)))
	node := fleettest.RunNode(t, NewMessages(connect(t, server)))
	publish(t, sender, "first")
	node.Next(t)
	for round := range 5 {
		if err := admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			name := fmt.Sprint(round, "-", i)
			publish(t, sender, name)
			if got := node.Next(t); got.Source != name {
				t.Fatalf("got %s, want %s", got.Source, name)
			}
		}
	}
	node.NotLost(t)
}

// TestEmptiedLog: a node that cannot know what it missed, because the server lost its memory or forgot what the node had read,
// is told so, and hears what comes next.
func TestEmptiedLog(t *testing.T) {
	server := testserver.Redis(t)
	sender := fleettest.RunNode(t, NewMessages(connect(t, server)))
	node := fleettest.RunNode(t, NewMessages(connect(t, server)))
	publish(t, sender, "before")
	node.Next(t)
	server.Stop()
	if err := sender.Publish(t.Context(), fleet.Message{Kind: fleet.KindSource}); err == nil {
		t.Error("published on a server that is down")
	}
	server.Start()
	node.AwaitLost(t)
	publish(t, sender, "after")
	if got := node.Next(t); got.Source != "after" {
		t.Errorf("got %s", got.Source)
	}
}

// TestForeignEntries: what no node of this build wrote is passed over.
func TestForeignEntries(t *testing.T) {
	server := testserver.Redis(t)
	admin := connect(t, server)
	sender := fleettest.RunNode(t, NewMessages(connect(t, server)))
	node := fleettest.RunNode(t, NewMessages(connect(t, server)))
	for _, fields := range []map[string]any{
		{"other": "1"}, {fieldMessage: "no JSON"}, {fieldMessage: `{"kind":"source"}`}, {fieldMessage: `{"kind":"unheard of","node":"x"}`},
	} {
		add(t, admin, fields)
	}
	publish(t, sender, "known")
	if got := node.Next(t); got.Source != "known" {
		t.Errorf("got %+v", got)
	}
}

// TestSilentNode: one that is on the list and does not answer is told of as silent.
func TestSilentNode(t *testing.T) {
	server := testserver.Redis(t)
	asking := fleettest.RunNode(t, NewMessages(connect(t, server)))
	silent := NewMessages(connect(t, server)) // never runs
	if _, err := silent.nodes(t.Context(), silent.Node()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := withTimeout(t)
	defer cancel()
	replies, err := asking.Ask(ctx, fleet.Message{Kind: fleet.KindPurge})
	if err != nil || len(replies) != 1 || replies[0].Node != silent.Node() || replies[0].Error == "" {
		t.Errorf("Ask = %+v, %v; want that the other node is silent", replies, err)
	}
}
