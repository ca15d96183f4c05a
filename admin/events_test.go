package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"testing"
	"time"

	"deckle/catalog"

	"github.com/google/go-cmp/cmp"
)

// outbox answers err, or the list and number that it holds.
type outbox struct {
	list   []catalog.EventState
	n      int
	err    error
	before int64
	dead   bool
	limit  int
	id     string
}

func (o *outbox) Events(_ context.Context, before int64, dead bool, limit int) ([]catalog.EventState, error) {
	o.before, o.dead, o.limit = before, dead, limit
	return o.list[:min(limit, len(o.list))], o.err
}

func (o *outbox) Replay(_ context.Context, id string, _ time.Time) (int, error) {
	o.id = id
	return o.n, o.err
}

func withOutbox(o *outbox) http.Handler {
	return New(Config{
		Grants: &granter{}, Outbox: o, APIKeys: []string{"key"}, Registry: NewMetrics().Registry, Log: slog.New(slog.DiscardHandler),
	}).Handler()
}

func TestEvents(t *testing.T) {
	at := time.Unix(1e9, 0).UTC()
	o := &outbox{list: []catalog.EventState{
		{Event: catalog.Event{ID: "e2", Kind: "failed", Source: "cat", Time: at, Data: []byte(`{"error":"why"}`)}, Number: 12, Deliveries: []catalog.Delivery{
			{Endpoint: "a", State: catalog.StateDead, Attempts: 3, Settled: at, Reason: "answered 500"},
			{Endpoint: "b", State: catalog.StateDue, Due: at},
		}},
		{Event: catalog.Event{ID: "e1", Kind: "uploaded", Source: "cat", Time: at, Data: []byte(`{}`)}, Number: 7},
	}}
	tests := []struct {
		target string
		before int64
		dead   bool
		limit  int
		next   string
	}{
		{"/events", math.MaxInt64, false, 100, ""},
		{"/events/dead", math.MaxInt64, true, 100, ""},
		{"/events?limit=1&before=20", 20, false, 1, "12"},
		{"/events/dead?limit=2", math.MaxInt64, true, 2, "7"},
	}
	for _, test := range tests {
		t.Run(test.target, func(t *testing.T) {
			got := call(withOutbox(o), "GET", test.target, "", "X-API-Key", "key")
			if o.before != test.before || o.dead != test.dead || o.limit != test.limit {
				t.Errorf("asked for %d below %d, dead %v", o.limit, o.before, o.dead)
			}
			var said eventsAnswer
			if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil || got.Code != 200 || said.Next != test.next {
				t.Errorf("%d %s %v, want the next %q", got.Code, got.Body, err, test.next)
			}
			want := eventAnswer{ID: "e2", Event: "image.processing_failed", Source: "cat", Timestamp: at, Data: []byte(`{"error":"why"}`), Deliveries: []deliveryAnswer{
				{Endpoint: "a", State: "dead", Attempts: 3, Settled: at, Reason: "answered 500"}, {Endpoint: "b", State: "due", Due: at},
			}}
			if diff := cmp.Diff(want, said.Events[0]); diff != "" {
				t.Errorf("the first event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsRefused(t *testing.T) {
	for _, test := range []struct {
		method, target string
		err            error
		n              int
		status         int
		header         []string
	}{
		{"GET", "/events", nil, 0, 401, nil},
		{"GET", "/events/dead", nil, 0, 401, nil},
		{"POST", "/events/dead/replay", nil, 1, 401, nil},
		{"POST", "/events/dead/e1/replay", nil, 1, 401, []string{"X-API-Key", "wrong"}},
		{"GET", "/events?limit=0", nil, 0, 400, []string{"X-API-Key", "key"}},
		{"GET", "/events?limit=1001", nil, 0, 400, []string{"X-API-Key", "key"}},
		{"GET", "/events?before=yesterday", nil, 0, 400, []string{"X-API-Key", "key"}},
		{"GET", "/events?before=-1", nil, 0, 400, []string{"X-API-Key", "key"}},
		{"GET", "/events", catalog.ErrUnavailable, 0, 503, []string{"X-API-Key", "key"}},
		{"POST", "/events/dead/replay", catalog.ErrUnavailable, 0, 503, []string{"X-API-Key", "key"}},
		{"POST", "/events/dead/e1/replay", nil, 0, 404, []string{"X-API-Key", "key"}},
		{"GET", "/events/dead/replay", nil, 0, 405, []string{"X-API-Key", "key"}},
	} {
		got := call(withOutbox(&outbox{err: test.err, n: test.n}), test.method, test.target, "", test.header...)
		if got.Code != test.status {
			t.Errorf("%s %s: %d %s, want %d", test.method, test.target, got.Code, got.Body, test.status)
		}
	}
	if got := call(newAdmin(&granter{}), "GET", "/events", ""); got.Code != 404 {
		t.Errorf("without an outbox: %d", got.Code)
	}
}

func TestReplay(t *testing.T) {
	o := &outbox{n: 3}
	for target, id := range map[string]string{"/events/dead/replay": "", "/events/dead/e1/replay": "e1"} {
		got := call(withOutbox(o), "POST", target, "", "X-API-Key", "key")
		if got.Code != 200 || got.Body.String() != "{\"replayed\":3}\n" || o.id != id {
			t.Errorf("%s: %d %s for %q", target, got.Code, got.Body, o.id)
		}
	}
	o.n = 0 // nothing was dead: all of nothing is replayed
	if got := call(withOutbox(o), "POST", "/events/dead/replay", "", "X-API-Key", "key"); got.Code != 200 {
		t.Errorf("replay of nothing: %d %s", got.Code, got.Body)
	}
}
