package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"deckle/catalog"
	"deckle/event"

	"github.com/danielgtaylor/huma/v2"
)

// Outbox is what operators see of events, and may do about those that could not be delivered.
type Outbox interface {
	// Events lists up to limit events of numbers below before, the latest first; with dead only those that were given up.
	Events(ctx context.Context, before int64, dead bool, limit int) ([]catalog.EventState, error)
	// Replay has those of an id, or all when it is empty, tried again and returns how many deliveries that are.
	Replay(ctx context.Context, id string, now time.Time) (int, error)
}

// The length of a page of events.
const (
	eventPage    = 100
	maxEventPage = 1000
)

type eventAnswer struct {
	ID         string           `json:"id"`
	Event      string           `json:"event"` // as on the wire
	Source     string           `json:"source"`
	Timestamp  time.Time        `json:"timestamp"`
	Data       json.RawMessage  `json:"data"`
	Deliveries []deliveryAnswer `json:"deliveries"`
}

type deliveryAnswer struct {
	Endpoint string    `json:"endpoint"`
	State    string    `json:"state"` // held, due, delivered, dead
	Due      time.Time `json:"due,omitzero"`
	Attempts int       `json:"attempts"`
	Settled  time.Time `json:"settled,omitzero"`
	Reason   string    `json:"reason,omitempty"`
}

type eventsAnswer struct {
	Events []eventAnswer `json:"events"`         // the latest first
	Next   string        `json:"next,omitempty"` // what before is for the next page; absent at the end
}

// replayedAnswer says what is tried again.
type replayedAnswer struct {
	Replayed int `json:"replayed" doc:"Deliveries that are tried again."`
}

// routeEvents adds what there is for events.
func (a *Admin) routeEvents(d *api) {
	if a.Outbox == nil {
		return
	}
	list := func(path, id, summary string) *huma.Operation {
		return describe(operation(http.MethodGet, path, id, "events", summary, "The latest first.", away),
			query("limit", "integer", "The length of the page, up to "+strconv.Itoa(maxEventPage)+"."), query("before", "string", "What next of the page before says."),
			d.answer(http.StatusOK, "A page", eventsAnswer{}))
	}
	d.plain("GET /events", a.listEvents(false), list("/events", "events", "List events"))
	d.plain("GET /events/dead", a.listEvents(true), list("/events/dead", "deadEvents", "List events that were given up"))
	d.plain("POST /events/dead/replay", a.replay, describe(
		operation(http.MethodPost, "/events/dead/replay", "replayAll", "events", "Try all again that were given up", "", away),
		d.answer(http.StatusOK, "How many", replayedAnswer{})))
	d.plain("POST /events/dead/{id}/replay", a.replay, describe(
		operation(http.MethodPost, "/events/dead/{id}/replay", "replayOne", "events", "Try one again", "", missed, away),
		pathParameter("id", "The event's id."), d.answer(http.StatusOK, "How many", replayedAnswer{})))
}

// listEvents answers GET /events?limit=&before= and the same of those that were given up.
func (a *Admin) listEvents(dead bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		limit, ok := wholeNumber(query, "limit", eventPage, maxEventPage)
		if !ok {
			refuseField(w, "limit", "it is a whole number from 1 to "+strconv.Itoa(maxEventPage))
			return
		}
		before, ok := wholeNumber(query, "before", math.MaxInt64, math.MaxInt64)
		if !ok {
			refuseField(w, "before", "it is what \"next\" of the page before says")
			return
		}
		list, err := a.Outbox.Events(r.Context(), before, dead, int(limit))
		if err != nil {
			a.refuseError(w, r, err)
			return
		}
		page := eventsAnswer{Events: make([]eventAnswer, len(list))}
		for i, state := range list {
			page.Events[i] = answerOf(state)
		}
		if len(list) == int(limit) {
			page.Next = strconv.FormatInt(list[len(list)-1].Number, 10)
		}
		answer(w, http.StatusOK, page)
	}
}

// wholeNumber reads a positive number of a query.
func wholeNumber(query url.Values, name string, otherwise, most int64) (n int64, ok bool) {
	text := query.Get(name)
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 1 && n <= most
}

func answerOf(s catalog.EventState) eventAnswer {
	said := eventAnswer{
		ID: s.ID, Event: event.Kind(s.Kind).Wire(), Source: s.Source, Timestamp: s.Time, Data: s.Data,
		Deliveries: make([]deliveryAnswer, len(s.Deliveries)),
	}
	for i, d := range s.Deliveries {
		said.Deliveries[i] = deliveryAnswer(d)
	}
	return said
}

// replay answers POST /events/dead/replay, and of one event POST /events/dead/{id}/replay -> {"replayed": n}.
func (a *Admin) replay(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	n, err := a.Outbox.Replay(r.Context(), id, time.Now())
	if err != nil {
		a.refuseError(w, r, err)
		return
	}
	if n == 0 && id != "" {
		refuse(w, http.StatusNotFound, "No event of that id was given up.")
		return
	}
	a.Log.Info("events are tried again", slog.String("event", id), slog.Int("deliveries", n))
	answer(w, http.StatusOK, replayedAnswer{n})
}
